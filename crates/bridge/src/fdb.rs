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

/// An address and what is known of it. Four lie in one cache line, so that most searches end in the one they begin in.
#[derive(Copy, Clone, Debug, Default)]
struct Slot {
    /// VLAN and address as [`key`] makes it, never 0 for an address that is learned; 0: the slot is free.
    key: u64,
    /// Milliseconds from the epoch, and in the lowest [`PORT_BITS`] the port.
    seen_and_port: u64,
}

/// Enough for ids below [`MAX_PORTS`].
const PORT_BITS: u32 = 10;
const _: () = assert!(MAX_PORTS <= 1 << PORT_BITS);

impl Slot {
    const fn new(key: u64, port: PortId, now: Millis) -> Self {
        Self {
            key,
            seen_and_port: now << PORT_BITS | port.0 as u64,
        }
    }

    const fn is_free(&self) -> bool {
        self.key == 0
    }

    const fn port(&self) -> PortId {
        PortId((self.seen_and_port & ((1 << PORT_BITS) - 1)) as u16)
    }

    const fn age(&self, now: Millis) -> Millis {
        now.saturating_sub(self.seen_and_port >> PORT_BITS)
    }
}

/// Milliseconds from the first address on, or as a length of time.
type Millis = u64;

fn millis(time: Duration) -> Millis {
    time.as_secs()
        .saturating_mul(1000)
        .saturating_add(u64::from(time.subsec_millis()))
}

/// The table: linear probing, at most half full, no tombstones.
#[derive(Clone, Debug)]
pub struct Fdb {
    config: FdbConfig,
    /// Secret and odd.
    multiplier: u64,
    ageing: Millis,
    /// When the first address came.
    epoch: Option<Instant>,
    /// A power of two of them.
    slots: Vec<Slot>,
    used: usize,
    used_per_port: Vec<u32>,
    cursor: usize,
    sweep_at: Option<Instant>,
}

impl Fdb {
    /// An empty table.
    #[must_use]
    pub fn new(config: FdbConfig) -> Self {
        // splitmix64 of the seed: what is known of one half of the secret says nothing about the other.
        let seed = config.hash_seed.wrapping_add(GOLDEN);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self {
            multiplier: (mixed ^ mixed >> 31) | 1,
            ageing: millis(config.ageing),
            epoch: None,
            slots: vec![Slot::default(); MIN_SLOTS],
            used: 0,
            used_per_port: vec![0; usize::from(MAX_PORTS)],
            cursor: 0,
            sweep_at: None,
            config,
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
        self.epoch.get_or_insert(now);
        let heard = Slot::new(key, port, self.millis(now));
        match self.find(key) {
            Ok(at) => self.renew(at, heard, now),
            Err(_) => self.add(heard, now),
        }
    }

    /// The port behind which `mac` is, if that was heard within the ageing time.
    #[must_use]
    pub fn lookup(&self, vlan: VlanId, mac: Mac, now: Instant) -> Option<PortId> {
        let slot = self.slots[self.find(key(vlan, mac)).ok()?];
        (!self.has_aged(&slot, self.millis(now))).then(|| slot.port())
    }

    /// Forgets every address behind `port`: one pass over the table, or over as much of it as it takes to find all.
    pub fn flush_port(&mut self, port: PortId) {
        let of_port = |fdb: &Self| fdb.used_per_port.get(usize::from(port.0)).copied();
        let mut at = 0;
        while of_port(self).is_some_and(|left| left > 0) && at < self.slots.len() {
            let slot = self.slots[at];
            if !slot.is_free() && slot.port() == port {
                self.remove(at); // another may move here
            } else {
                at += 1;
            }
        }
        self.rest_if_empty();
    }

    /// What is known, sorted by VLAN and address.
    #[must_use]
    pub fn entries(&self, now: Instant) -> Vec<FdbEntry> {
        let now = self.millis(now);
        let slots = self.slots.iter();
        let mut slots: Vec<&Slot> = slots
            .filter(|slot| !slot.is_free() && !self.has_aged(slot, now))
            .collect();
        slots.sort_unstable_by_key(|slot| slot.key);
        let entry = |slot: &Slot| {
            let (vlan, mac) = from_key(slot.key)?;
            Some(FdbEntry {
                vlan,
                mac,
                port: slot.port(),
                age: Duration::from_millis(slot.age(now)),
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
        self.sweep_at = Some(now + pause.max(STEP_INTERVAL));
        self.rest_if_empty();
    }

    /// A table in which nothing is left needs neither sweeps nor memory.
    fn rest_if_empty(&mut self) {
        if self.used == 0 {
            self.sweep_at = None;
            self.cursor = 0;
            self.slots = vec![Slot::default(); MIN_SLOTS];
        }
    }

    fn millis(&self, now: Instant) -> Millis {
        self.epoch
            .map_or(0, |epoch| millis(now.saturating_duration_since(epoch)))
    }

    /// Looks at the next `count` slots; whether that reached the end of the table.
    fn sweep(&mut self, count: usize, now: Instant) -> bool {
        let now = self.millis(now);
        for _ in 0..count {
            match self.slots.get(self.cursor) {
                None => {
                    self.cursor = 0;
                    return true;
                }
                // Another slot may move here, so this place is looked at once more.
                Some(slot) if !slot.is_free() && self.has_aged(slot, now) => {
                    self.remove(self.cursor);
                }
                Some(_) => self.cursor += 1,
            }
        }
        false
    }

    const fn has_aged(&self, slot: &Slot, now: Millis) -> bool {
        slot.age(now) > self.ageing
    }

    fn renew(&mut self, at: usize, heard: Slot, now: Instant) -> Learned {
        let known = self.slots[at];
        let (from, port) = (known.port(), heard.port());
        let learned = match from {
            _ if self.has_aged(&known, self.millis(now)) => Learned::New,
            from if from != port => Learned::Moved { from },
            _ => Learned::Refreshed,
        };
        if from != port {
            if self.is_port_full(port) {
                self.remove(at);
                return Learned::PortFull;
            }
            self.used_per_port[usize::from(from.0)] -= 1;
            self.used_per_port[usize::from(port.0)] += 1;
        }
        self.slots[at] = heard;
        learned
    }

    fn add(&mut self, slot: Slot, now: Instant) -> Learned {
        if self.used >= self.config.limit || self.is_port_full(slot.port()) {
            self.sweep(RECLAIM_STEP, now);
        }
        if self.used >= self.config.limit {
            return Learned::TableFull;
        }
        if self.is_port_full(slot.port()) {
            return Learned::PortFull;
        }
        self.insert(slot);
        self.sweep_at
            .get_or_insert(now + self.config.ageing / SWEEPS_PER_AGEING);
        Learned::New
    }

    fn is_port_full(&self, port: PortId) -> bool {
        self.used_per_port[usize::from(port.0)] as usize >= self.config.limit_per_port
    }

    /// Puts a slot whose key is not there into the table. Growing moves all: under a millisecond where most there are.
    fn insert(&mut self, slot: Slot) {
        if (self.used + 1) * 2 > self.slots.len() {
            let twice = vec![Slot::default(); self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, twice) {
                self.place(slot);
            }
        }
        self.place(slot);
        self.used += 1;
        self.used_per_port[usize::from(slot.port().0)] += 1;
    }

    fn place(&mut self, slot: Slot) {
        if !slot.is_free()
            && let Err(at) = self.find(slot.key)
        {
            self.slots[at] = slot;
        }
    }

    /// Where `key` is, or the free slot where it would go. Ends, since half of the slots are free.
    fn find(&self, key: u64) -> Result<usize, usize> {
        let mut at = self.home(key);
        loop {
            match &self.slots[at] {
                slot if slot.is_free() => return Err(at),
                slot if slot.key == key => return Ok(at),
                _ => at = self.after(at),
            }
        }
    }

    /// Empties a slot and closes the gap, so that everything behind it is still found.
    fn remove(&mut self, at: usize) {
        let removed = std::mem::take(&mut self.slots[at]);
        if removed.is_free() {
            return;
        }
        self.used -= 1;
        self.used_per_port[usize::from(removed.port().0)] -= 1;
        let mask = self.slots.len() - 1;
        let (mut hole, mut at) = (at, self.after(at));
        while !self.slots[at].is_free() {
            let from_home = at.wrapping_sub(self.home(self.slots[at].key)) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            // It may move into the hole only if its home is not behind that.
            if from_home >= from_hole {
                self.slots[hole] = std::mem::take(&mut self.slots[at]);
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
        // Both factors of the first product are secret: with a known one, differences between addresses would lead to known
        // differences between slots. The second product scatters what is left of a pattern in the addresses.
        let scattered = fold(fold(key ^ self.config.hash_seed, self.multiplier), GOLDEN);
        scattered as usize & (self.slots.len() - 1)
    }
}

/// The golden ratio's fraction, in 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of the product: the high one depends on every bit of the factors.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
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
