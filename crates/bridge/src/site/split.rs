//! Whether the LAN of a remote site has come apart, so that both halves are to be served.
//!
//! Silence alone is no proof: a switch may lose beacons and pass everything else, and serving both
//! sides of *one* LAN makes a loop. So it is believed only when each gateway has heard no mate for
//! three seconds, each has heard stations, none of which the other has heard, and neither has heard
//! one of ours, which the other would have put on the LAN.

use super::params::{MAX_SIGHTINGS, SIGHTING_LIFE, SPLIT_AFTER};
use std::collections::BTreeMap;
use std::time::Instant;
use wire::ethernet::Mac;
use wire::vlan::VlanId;

/// What one gateway says about its part of the LAN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Half {
    alone_since: Option<Instant>,
    /// When it last heard a station of ours.
    heard_ours: Option<Instant>,
    sightings: BTreeMap<(VlanId, Mac), Instant>,
}

impl Half {
    /// A LEASE says whether it hears a mate.
    pub(super) fn on_lease(&mut self, alone: bool, now: Instant) {
        if alone {
            self.alone_since.get_or_insert(now);
        } else {
            *self = Self::default();
        }
    }

    /// It heard a station on its LAN; `ours`: one that is on our LAN.
    pub(super) fn on_sighting(&mut self, vlan: VlanId, mac: Mac, ours: bool, now: Instant) {
        if self.alone_since.is_none() {
            return;
        }
        if ours {
            self.heard_ours = Some(now);
            return;
        }
        if self.sightings.len() >= MAX_SIGHTINGS {
            self.sightings.retain(|_, at| is_fresh(*at, now));
        }
        if self.sightings.len() < MAX_SIGHTINGS {
            self.sightings.insert((vlan, mac), now);
        }
    }

    fn could_be_half(&self, now: Instant) -> bool {
        let alone = self
            .alone_since
            .is_some_and(|since| now >= since + SPLIT_AFTER);
        let ours = self.heard_ours.is_some_and(|at| is_fresh(at, now));
        alone && !ours && self.fresh(now).next().is_some()
    }

    fn fresh(&self, now: Instant) -> impl Iterator<Item = &(VlanId, Mac)> {
        let fresh = self
            .sightings
            .iter()
            .filter(move |(_, at)| is_fresh(**at, now));
        fresh.map(|(station, _)| station)
    }

    fn shares_a_station(&self, other: &Self, now: Instant) -> bool {
        self.fresh(now).any(|station| {
            let there = other.sightings.get(station);
            there.is_some_and(|at| is_fresh(*at, now))
        })
    }
}

fn is_fresh(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < SIGHTING_LIFE
}

/// Whether these, all the gateways of a site that ask, are in parts of a LAN that do not touch.
#[must_use]
pub(super) fn is_split(halves: &[&Half], now: Instant) -> bool {
    let apart = |(at, half): (usize, &&Half)| {
        let mut others = halves[at + 1..].iter();
        half.could_be_half(now) && !others.any(|other| half.shares_a_station(other, now))
    };
    halves.len() > 1 && halves.iter().enumerate().all(apart)
}
