//! Addresses behind remote gateways that a gateway which took a VLAN over announces on its LAN, so
//! that the switches there relearn where quiet stations are.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use wire::ethernet::Mac;
use wire::vlan::VlanId;

/// Addresses that wait at most; later ones are left out and counted.
pub const MAX_WAITING: usize = 16_384;
/// Announcements in a row.
const BURST: u32 = 64;
/// Pause that one announcement costs beyond those: 2000 a second.
const PACE: Duration = Duration::from_micros(500);

/// The queue. An address that was just heard on the LAN is not announced there.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    queue: VecDeque<(VlanId, Mac)>,
    waiting: BTreeSet<(VlanId, Mac)>,
    /// When all that was sent is paid for.
    paid_at: Option<Instant>,
    refused: u64,
}

impl Announcer {
    /// An address to announce; once is enough.
    pub fn push(&mut self, vlan: VlanId, mac: Mac) {
        if self.queue.len() >= MAX_WAITING {
            self.refused += 1;
        } else if self.waiting.insert((vlan, mac)) {
            self.queue.push_back((vlan, mac));
        }
    }

    /// An address was heard on the LAN: the switches know better than we.
    pub fn heard(&mut self, vlan: VlanId, mac: Mac) {
        self.waiting.remove(&(vlan, mac));
    }

    /// The VLAN is not ours any more.
    pub fn forget(&mut self, vlan: VlanId) {
        self.waiting.retain(|&(waiting, _)| waiting != vlan);
    }

    /// The next one to announce, if the pace allows it.
    pub fn poll(&mut self, now: Instant) -> Option<(VlanId, Mac)> {
        let paid_at = self.paid_at.map_or(now, |at| at.max(now));
        if paid_at > now + BURST * PACE {
            return None;
        }
        while let Some(next) = self.queue.pop_front() {
            if self.waiting.remove(&next) {
                self.paid_at = Some(paid_at + PACE);
                return Some(next);
            }
        }
        None
    }

    /// When [`poll`](Self::poll) may give the next one.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let paid_at = self.paid_at.unwrap_or(now);
        let soonest = paid_at.checked_sub(BURST * PACE).unwrap_or(now);
        (!self.queue.is_empty()).then(|| soonest.max(now))
    }

    /// How many were left out because too many waited.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}
