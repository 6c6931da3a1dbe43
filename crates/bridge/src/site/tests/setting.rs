//! VLANs, time, chance and weather of the tests.

use std::time::{Duration, Instant};
use wire::vlan::{VlanId, VlanSet};

/// The VLANs of the tests; their digits' sums take turns.
pub(super) const VLANS: [u16; 2] = [10, 11];

pub(super) fn vlan(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

pub(super) fn vlans(ids: &[u16]) -> VlanSet {
    ids.iter().map(|&id| vlan(id)).collect()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
pub(super) fn epoch() -> Instant {
    Instant::now() + Duration::from_secs(1000)
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// xorshift64*: a run repeats from its seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// How messages travel, in ms and per mille.
#[derive(Copy, Clone, Debug)]
pub(super) struct Weather {
    pub(super) lan: (u64, u64),
    pub(super) wan: (u64, u64),
    pub(super) loss: u64,
    pub(super) twice: u64,
}

impl Weather {
    pub(super) const CALM: Self = Self {
        lan: (1, 1),
        wan: (2, 2),
        loss: 0,
        twice: 0,
    };
}
