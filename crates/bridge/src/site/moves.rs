//! Stations that are known behind a remote gateway and are heard on the LAN.
//!
//! Either the station moved here, or what we put on the LAN comes back: through another gateway of
//! the site just after a take-over, or by a cable between two sites. As in RFC 7432 §15.1, a station
//! that moves five times in 180 s is believed no more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::ethernet::Mac;
use wire::vlan::VlanId;

/// RFC 7432 §15.1: N.
pub const MAX_MOVES: u32 = 5;
/// RFC 7432 §15.1: M.
pub const MOVE_WINDOW: Duration = Duration::from_secs(180);
/// A station that moved too often is not believed for this long.
pub const BLOCK_FOR: Duration = Duration::from_secs(30);
/// Stations followed at most; at the bound the one whose window began first gives way.
pub const MAX_FOLLOWED: usize = 1024;

/// What is to be done with a frame from the LAN whose source is known behind a remote gateway.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Drop it: this gateway does not forward here, or has only just begun to.
    Ignore,
    /// The station moved here: learn it, and forward.
    Moved,
    /// It moves too often: there is a way between the sites besides this one. Drop it.
    Blocked,
    /// The same, but spanning tree is to find that way and cut it: learn it, and forward.
    LeftToStp,
}

#[derive(Clone, Debug)]
struct Followed {
    window: Instant,
    moves: u32,
    blocked_until: Option<Instant>,
}

/// Counts the moves.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    stations: BTreeMap<(VlanId, Mac), Followed>,
}

impl Moves {
    /// Judges such a frame. `believes`: [`super::Sites::believes_lan`] for the peer behind which the
    /// station is known; `stp`: the port speaks RSTP.
    pub fn heard_on_lan(
        &mut self,
        vlan: VlanId,
        mac: Mac,
        believes: bool,
        stp: bool,
        now: Instant,
    ) -> Verdict {
        if !believes {
            return Verdict::Ignore;
        }
        match (self.count(vlan, mac, now), stp) {
            (false, _) => Verdict::Moved,
            (true, true) => Verdict::LeftToStp,
            (true, false) => Verdict::Blocked,
        }
    }

    /// Whether frames from this station are to be dropped on the LAN.
    #[must_use]
    pub fn is_blocked(&self, vlan: VlanId, mac: Mac, now: Instant) -> bool {
        let followed = self.stations.get(&(vlan, mac));
        followed.is_some_and(|station| station.blocked_until.is_some_and(|until| now < until))
    }

    /// The stations that are blocked now.
    pub fn blocked(&self, now: Instant) -> impl Iterator<Item = (VlanId, Mac)> {
        let blocked = move |f: &Followed| f.blocked_until.is_some_and(|until| now < until);
        let stations = self.stations.iter().filter(move |(_, f)| blocked(f));
        stations.map(|(&station, _)| station)
    }

    /// One more move; whether that is too many.
    fn count(&mut self, vlan: VlanId, mac: Mac, now: Instant) -> bool {
        if !self.stations.contains_key(&(vlan, mac)) {
            self.make_room(now);
        }
        let begun = Followed {
            window: now,
            moves: 0,
            blocked_until: None,
        };
        let station = self.stations.entry((vlan, mac)).or_insert(begun);
        if station.blocked_until.is_some_and(|until| now < until) {
            return true;
        }
        let served = station.blocked_until.take().is_some();
        if served || now >= station.window + MOVE_WINDOW {
            station.window = now;
            station.moves = 0;
        }
        station.moves += 1;
        let too_many = station.moves >= MAX_MOVES;
        station.blocked_until = too_many.then(|| now + BLOCK_FOR);
        too_many
    }

    fn make_room(&mut self, now: Instant) {
        if self.stations.len() < MAX_FOLLOWED {
            return;
        }
        self.stations.retain(|_, f| now < f.window + MOVE_WINDOW);
        if self.stations.len() >= MAX_FOLLOWED {
            let oldest = self.stations.iter().min_by_key(|(_, f)| f.window);
            if let Some(oldest) = oldest.map(|(&station, _)| station) {
                self.stations.remove(&oldest);
            }
        }
    }
}
