//! The filtering database (IEEE 802.1Q §8.8): behind which port an address was heard, for each VLAN
//! on its own.
//!
//! A bounded hash table of our own, because every frame asks it twice: it grows by doubling up to
//! its limit and else allocates nothing, looks at few slots whoever chooses the addresses (the hash
//! has a secret), and can be swept in small steps.

use crate::port::{MAX_PORTS, PortId};
use std::time::{Duration, Instant};
use wire::ethernet::Mac;
use wire::vlan::VlanId;

/// Slots of an empty table.
const MIN_SLOTS: usize = 64;
/// Slots looked at in one step of a sweep: some microseconds.
const SWEEP_STEP: usize = 1024;
/// Slots looked at to make room before an address is refused.
const RECLAIM_STEP: usize = 64;
/// Pause between two steps of one sweep.
const STEP_INTERVAL: Duration = Duration::from_millis(10);
/// This many sweeps are made in one ageing time. What has aged counts as gone at once; sweeps only
/// give the slots back.
const SWEEPS_PER_AGEING: u32 = 4;

/// What became of an address that was heard.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Not an address to learn: a group's, or all zeros.
    Ignored,
    /// It was known there.
    Refreshed,
    /// It was not known.
    New,
    /// It was known behind another port, and is not there any more.
    Moved {
        /// That port.
        from: PortId,
    },
    /// The table is full. Frames to this address are flooded.
    TableFull,
    /// The port has as many addresses as it may. If this one was known behind another port, it is
    /// forgotten there, so that frames to it are flooded rather than lost.
    PortFull,
}

/// An address that is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// The VLAN it was heard in.
    pub vlan: VlanId,
    /// The address.
    pub mac: Mac,
    /// The port it is behind.
    pub port: PortId,
    /// How long ago it was heard last.
    pub age: Duration,
}

/// The limits of a table.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FdbConfig {
    /// An address not heard for longer than this is forgotten.
    pub ageing: Duration,
    /// At most this many addresses.
    pub limit: usize,
    /// At most this many behind one port.
    pub limit_per_port: usize,
    /// Random: keeps others from choosing addresses that share slots.
    pub hash_seed: u64,
}

#[derive(Copy, Clone, Debug)]
struct Slot {
    key: u64,
    seen: Instant,
    port: PortId,
}

/// The table: linear probing, at most half full, no tombstones.
#[derive(Clone, Debug)]
pub struct Fdb {
    config: FdbConfig,
    /// A power of two of them.
    slots: Vec<Option<Slot>>,
    used: usize,
    used_per_port: Vec<usize>,
    cursor: usize,
    sweep_at: Option<Instant>,
}

impl Fdb {
    /// An empty table.
    #[must_use]
    pub fn new(config: FdbConfig) -> Self {
        Self {
            config,
            slots: vec![None; MIN_SLOTS],
            used: 0,
            used_per_port: vec![0; usize::from(MAX_PORTS)],
            cursor: 0,
            sweep_at: None,
        }
    }

    /// How many addresses are held, those that have aged but were not swept yet included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.used
    }

    /// Whether none is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Notes that `mac` was heard behind `port`, an id below [`MAX_PORTS`].
    pub fn learn(&mut self, vlan: VlanId, mac: Mac, port: PortId, now: Instant) -> Learned {
        if mac.is_multicast() || mac == Mac::default() || port.0 >= MAX_PORTS {
            return Learned::Ignored;
        }
        let key = key(vlan, mac);
        match self.find(key) {
            Ok(at) => self.renew(at, port, now),
            Err(_) => self.add(
                Slot {
                    key,
                    seen: now,
                    port,
                },
                now,
            ),
        }
    }

    /// The port behind which `mac` is, if that was heard within the ageing time.
    #[must_use]
    pub fn lookup(&self, vlan: VlanId, mac: Mac, now: Instant) -> Option<PortId> {
        let slot = self.slots[self.find(key(vlan, mac)).ok()?]?;
        (!self.has_aged(&slot, now)).then_some(slot.port)
    }

    /// Forgets every address behind `port`.
    pub fn flush_port(&mut self, port: PortId) {
        let slots = std::mem::replace(&mut self.slots, vec![None; MIN_SLOTS]);
        self.used = 0;
        self.used_per_port.fill(0);
        self.cursor = 0;
        for slot in slots.into_iter().flatten().filter(|slot| slot.port != port) {
            self.insert(slot);
        }
    }

    /// What is known, sorted by VLAN and address.
    #[must_use]
    pub fn entries(&self, now: Instant) -> Vec<FdbEntry> {
        let slots = self
            .slots
            .iter()
            .flatten()
            .filter(|slot| !self.has_aged(slot, now));
        let mut slots: Vec<&Slot> = slots.collect();
        slots.sort_unstable_by_key(|slot| slot.key);
        let entry = |slot: &Slot| {
            let (vlan, mac) = from_key(slot.key)?;
            let age = now.saturating_duration_since(slot.seen);
            Some(FdbEntry {
                vlan,
                mac,
                port: slot.port,
                age,
            })
        };
        slots.into_iter().filter_map(entry).collect()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` while the table is
    /// empty.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.sweep_at
    }

    /// Makes one step of a sweep if it is due: frees slots of addresses that have aged.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        let done = self.sweep(SWEEP_STEP, now);
        let pause = if done {
            self.config.ageing / SWEEPS_PER_AGEING
        } else {
            STEP_INTERVAL
        };
        self.sweep_at = (self.used != 0).then(|| now + pause.max(STEP_INTERVAL));
    }

    /// Looks at the next `count` slots; whether that reached the end of the table.
    fn sweep(&mut self, count: usize, now: Instant) -> bool {
        for _ in 0..count {
            match self.slots.get(self.cursor) {
                None => {
                    self.cursor = 0;
                    return true;
                }
                // Another slot may move here, so this place is looked at once more.
                Some(Some(slot)) if self.has_aged(slot, now) => self.remove(self.cursor),
                Some(_) => self.cursor += 1,
            }
        }
        false
    }

    fn has_aged(&self, slot: &Slot, now: Instant) -> bool {
        now.saturating_duration_since(slot.seen) > self.config.ageing
    }

    fn renew(&mut self, at: usize, port: PortId, now: Instant) -> Learned {
        let Some(slot) = self.slots[at] else {
            return Learned::Ignored;
        };
        let learned = match slot.port {
            _ if self.has_aged(&slot, now) => Learned::New,
            from if from != port => Learned::Moved { from },
            _ => Learned::Refreshed,
        };
        if slot.port != port {
            if self.is_port_full(port) {
                self.remove(at);
                return Learned::PortFull;
            }
            self.used_per_port[usize::from(slot.port.0)] -= 1;
            self.used_per_port[usize::from(port.0)] += 1;
        }
        self.slots[at] = Some(Slot {
            port,
            seen: now,
            ..slot
        });
        learned
    }

    fn add(&mut self, slot: Slot, now: Instant) -> Learned {
        if self.used >= self.config.limit || self.is_port_full(slot.port) {
            self.sweep(RECLAIM_STEP, now);
        }
        if self.used >= self.config.limit {
            return Learned::TableFull;
        }
        if self.is_port_full(slot.port) {
            return Learned::PortFull;
        }
        self.insert(slot);
        self.sweep_at
            .get_or_insert(now + self.config.ageing / SWEEPS_PER_AGEING);
        Learned::New
    }

    fn is_port_full(&self, port: PortId) -> bool {
        self.used_per_port[usize::from(port.0)] >= self.config.limit_per_port
    }

    /// Puts a slot whose key is not there into the table.
    fn insert(&mut self, slot: Slot) {
        if (self.used + 1) * 2 > self.slots.len() {
            let twice = vec![None; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, twice)
                .into_iter()
                .flatten()
            {
                self.place(slot);
            }
        }
        self.place(slot);
        self.used += 1;
        self.used_per_port[usize::from(slot.port.0)] += 1;
    }

    fn place(&mut self, slot: Slot) {
        if let Err(at) = self.find(slot.key) {
            self.slots[at] = Some(slot);
        }
    }

    /// Where `key` is, or the free slot where it would go. Ends, since half of the slots are free.
    fn find(&self, key: u64) -> Result<usize, usize> {
        let mut at = self.home(key);
        loop {
            match &self.slots[at] {
                Some(slot) if slot.key == key => return Ok(at),
                Some(_) => at = self.after(at),
                None => return Err(at),
            }
        }
    }

    /// Empties a slot and closes the gap, so that everything behind it is still found.
    fn remove(&mut self, at: usize) {
        let Some(removed) = self.slots[at].take() else {
            return;
        };
        self.used -= 1;
        self.used_per_port[usize::from(removed.port.0)] -= 1;
        let mask = self.slots.len() - 1;
        let (mut hole, mut at) = (at, self.after(at));
        while let Some(slot) = self.slots[at] {
            let from_home = at.wrapping_sub(self.home(slot.key)) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            // It may move into the hole only if its home is not behind that.
            if from_home >= from_hole {
                self.slots[hole] = self.slots[at].take();
                hole = at;
            }
            at = self.after(at);
        }
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// The slot where the search for `key` begins.
    fn home(&self, key: u64) -> usize {
        // The high half of the product depends on every bit of the key.
        let product = u128::from(key ^ self.config.hash_seed) * 0x9e37_79b9_7f4a_7c15;
        let folded = product as u64 ^ (product >> 64) as u64;
        folded as usize & (self.slots.len() - 1)
    }
}

/// VLAN and address in one number, in sorting order.
fn key(vlan: VlanId, mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from(vlan.get()) << 48 | u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

fn from_key(key: u64) -> Option<(VlanId, Mac)> {
    let [_, _, mac @ ..] = key.to_be_bytes();
    Some((VlanId::new((key >> 48) as u16)?, Mac(mac)))
}

#[cfg(test)]
mod tests;
