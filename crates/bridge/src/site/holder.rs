//! The leases that remote gateways granted to this gateway.
//!
//! Every LEASE names all VLANs that the gateway claims, and each has a number. A GRANT for number
//! *n* is good for the term from the moment when *n* was sent, on the holder's own clock; the
//! granter counts the term from when *n* arrived, and a margin more, so it always waits longer.
//! When VLANs are given back, the GRANTs for earlier numbers count no more.

use super::params::{
    FAREWELLS, LEASE_EVERY, LEASE_MAX, LEASE_TERM, LEASES_REMEMBERED, SETTLE_MAX, WITNESS_SLACK,
};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::control::site::{Grant, Lease};
use wire::vlan::{VlanId, VlanSet};

/// A LEASE that may still be answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    number: u64,
    at: Instant,
    term: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Remote {
    live: bool,
    /// VLANs that pass between the two.
    vlans: VlanSet,
    term: Duration,
    asked: VecDeque<Asked>,
    next: Instant,
    farewells: u8,
    /// The newest number granted; older answers come too late.
    granted: u64,
    held: VlanSet,
    until: Instant,
    /// Held by a mate which this remote heard although it is not on our LAN.
    elsewhere: VlanSet,
    elsewhere_until: Instant,
    /// What may be forwarded: held, and nothing speaks against it.
    usable: VlanSet,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    gateway: u64,
    remotes: Vec<Option<Remote>>,
    claims: VlanSet,
    /// Claimed, and left to mates that hold them although they are not on our LAN.
    yielded: VlanSet,
    claims_until: Instant,
    alone: bool,
    silence: Option<Duration>,
    /// Of the last LEASE; counts over all remotes.
    number: u64,
    /// GRANTs for numbers up to this one count no more.
    void: u64,
    /// Claims that grew are used only when the answers to numbers above this one are there.
    grown: u64,
    grown_at: Instant,
    /// The claims that may be used.
    settled: VlanSet,
    changed: bool,
}

impl Holder {
    /// Holds nothing. `gateway`: how this gateway is called among its mates.
    #[must_use]
    pub const fn new(gateway: u64, now: Instant) -> Self {
        Self {
            gateway,
            yielded: VlanSet::empty(),
            remotes: Vec::new(),
            claims: VlanSet::empty(),
            claims_until: now,
            alone: false,
            silence: None,
            number: 0,
            void: 0,
            grown: 0,
            grown_at: now,
            settled: VlanSet::empty(),
            changed: false,
        }
    }

    /// A session with a gateway of another site began: nothing of an earlier one counts.
    pub fn begin(&mut self, peer: u16, vlans: VlanSet, now: Instant) {
        let at = usize::from(peer);
        if self.remotes.len() <= at {
            self.remotes.resize(at + 1, None);
        }
        self.remotes[at] = Some(Remote {
            live: true,
            vlans,
            term: LEASE_TERM,
            asked: VecDeque::new(),
            next: now,
            farewells: 0,
            granted: 0,
            held: VlanSet::empty(),
            until: now,
            elsewhere: VlanSet::empty(),
            elsewhere_until: now,
            usable: VlanSet::empty(),
        });
    }

    /// The session ended.
    pub fn end(&mut self, peer: u16, now: Instant) {
        if let Some(remote) = self.remotes.get_mut(usize::from(peer)) {
            *remote = None;
        }
        self.settle(now);
    }

    /// Whether the peer can be reached now. What is held goes on until its term ends.
    pub fn set_live(&mut self, peer: u16, live: bool, now: Instant) {
        if let Some(remote) = self.remote_mut(peer) {
            remote.live = live;
            remote.next = now;
        }
        self.settle(now);
    }

    /// The round trip to a peer: a lease must outlast it.
    pub fn set_round_trip(&mut self, peer: u16, round_trip: Duration) {
        if let Some(remote) = self.remote_mut(peer) {
            remote.term = (LEASE_TERM + 2 * round_trip).min(LEASE_MAX);
        }
    }

    /// What this gateway claims, and until when; whether it hears no mate, and for how long.
    pub fn set_claims(
        &mut self,
        claims: &VlanSet,
        until: Instant,
        alone: bool,
        silence: Option<Duration>,
        now: Instant,
    ) {
        self.claims_until = until;
        self.silence = silence;
        if *claims == self.claims && alone == self.alone {
            return;
        }
        if !claims.is_subset(&self.claims) {
            self.grown = self.number;
            self.grown_at = now;
        }
        if !self.claims.is_subset(claims) {
            self.void = self.number;
        }
        self.alone = alone;
        self.claims = claims.clone();
        self.settled = self.settled.intersect(claims);
        for remote in self.remotes.iter_mut().flatten() {
            remote.held = remote.held.intersect(claims);
            remote.next = now;
            remote.farewells = FAREWELLS;
        }
        self.settle(now);
    }

    /// Whether frames may pass between the LAN and the peer in a VLAN: to be asked for every batch
    /// anew.
    #[must_use]
    pub fn may_forward(&self, peer: u16, vlan: VlanId, now: Instant) -> bool {
        self.remote(peer).is_some_and(|remote| {
            now < self.claims_until && now < remote.until && remote.usable.contains(vlan)
        })
    }

    /// The VLANs of [`may_forward`](Self::may_forward).
    #[must_use]
    pub fn usable(&self, peer: u16, now: Instant) -> VlanSet {
        match self.remote(peer) {
            Some(remote) if now < self.claims_until && now < remote.until => remote.usable.clone(),
            _ => VlanSet::empty(),
        }
    }

    /// Whether a lease of the peer's runs, whatever it is for.
    #[must_use]
    pub fn is_leased(&self, peer: u16, now: Instant) -> bool {
        self.remote(peer).is_some_and(|remote| now < remote.until)
    }

    /// Whether what may be forwarded could have changed since the last call.
    pub(super) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// Takes a GRANT that a peer sent.
    pub fn on_grant(&mut self, peer: u16, grant: &Grant, now: Instant) {
        let (void, grown, silence) = (self.void, self.grown, self.silence);
        let (wanted, own) = (self.claims.difference(&self.yielded), self.gateway);
        let Some(remote) = self.remote_mut(peer) else {
            return;
        };
        if grant.number <= void || grant.number < remote.granted {
            return;
        }
        let Ok(at) = remote
            .asked
            .binary_search_by_key(&grant.number, |asked| asked.number)
        else {
            return;
        };
        let asked = remote.asked[at];
        remote.asked.drain(..at);
        let held = grant.vlans.intersect(&wanted);
        let age = Duration::from_millis(grant.held_age_ms.into())
            + now.saturating_duration_since(asked.at);
        // Of two gateways that hear each other only in this way the one with the lower id goes on.
        let witnessed = silence.is_none_or(|silence| age + WITNESS_SLACK < silence);
        let yields = witnessed && grant.holder < own && !grant.held.is_empty();
        let same = held == remote.held && !yields;
        let news = !same || remote.granted <= grown;
        remote.granted = grant.number;
        remote.held = held;
        remote.until = asked.at + asked.term;
        if yields {
            remote.elsewhere = grant.held.clone();
            remote.elsewhere_until = now + 2 * remote.term;
        }
        if news {
            self.settle(now);
        }
    }

    /// A claim that grew is used when all gateways that can be reached have answered: so a lease that
    /// one of them still has out to a mate is known.
    fn settle(&mut self, now: Instant) {
        let mut reached = self.remotes.iter().flatten().filter(|remote| remote.live);
        let grown = self.grown;
        if reached.all(|remote| remote.granted > grown) || now >= self.grown_at + SETTLE_MAX {
            self.settled = self.claims.clone();
        }
        self.refresh(now);
    }

    fn refresh(&mut self, now: Instant) {
        self.changed = true;
        let mut yielded = VlanSet::empty();
        for remote in self.remotes.iter_mut().flatten() {
            if now >= remote.elsewhere_until {
                remote.elsewhere = VlanSet::empty();
            }
            yielded = yielded.union(&remote.elsewhere);
        }
        if !yielded.is_subset(&self.yielded) {
            self.void = self.number;
            for remote in self.remotes.iter_mut().flatten() {
                remote.held = remote.held.difference(&yielded);
                remote.next = now;
            }
        }
        self.yielded = yielded;
        for remote in self.remotes.iter_mut().flatten() {
            let settled = remote.held.intersect(&self.settled);
            remote.usable = settled.difference(&self.yielded);
        }
    }

    /// The next LEASE that is due, if one is, and for whom.
    pub fn poll_lease(&mut self, now: Instant) -> Option<(u16, Lease)> {
        let idle = self.claims.is_empty();
        let wanted = self.claims.difference(&self.yielded);
        let mut remotes = self.remotes.iter_mut().zip(0..);
        let (remote, peer) = remotes.find_map(|(remote, peer)| {
            let remote = remote.as_mut()?;
            let due = remote.live && now >= remote.next && !(idle && remote.farewells == 0);
            due.then_some((remote, peer))
        })?;
        if idle {
            remote.farewells -= 1;
        }
        self.number += 1;
        let (number, term) = (self.number, remote.term);
        if remote.asked.len() >= LEASES_REMEMBERED {
            remote.asked.pop_front();
        }
        let at = now;
        remote.asked.push_back(Asked { number, at, term });
        remote.next = now + LEASE_EVERY;
        let lease = Lease {
            number,
            term_ms: u16::try_from(term.as_millis()).unwrap_or(u16::MAX),
            alone: self.alone,
            gateway: self.gateway,
            vlans: wanted.intersect(&remote.vlans),
        };
        Some((peer, lease))
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_lease`](Self::poll_lease) are to be
    /// called.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let idle = self.claims.is_empty();
        let remotes = self.remotes.iter().flatten();
        let due = remotes
            .clone()
            .filter(|r| r.live && !(idle && r.farewells == 0))
            .map(|r| r.next);
        let witnessed = remotes
            .filter(|r| !r.elsewhere.is_empty())
            .map(|r| r.elsewhere_until);
        let settle = self.grown_at + SETTLE_MAX;
        let later = witnessed.chain([settle]).filter(|&at| at > now);
        due.chain(later).min()
    }

    /// Does what time alone brings.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle(now);
    }

    fn remote(&self, peer: u16) -> Option<&Remote> {
        self.remotes.get(usize::from(peer))?.as_ref()
    }

    fn remote_mut(&mut self, peer: u16) -> Option<&mut Remote> {
        self.remotes.get_mut(usize::from(peer))?.as_mut()
    }
}

/// For the model: the state up to a shift of time, with the rank of a number among those that are `live`
/// in its place.
#[cfg(test)]
impl Holder {
    pub(super) fn fingerprint(&self, live: &[u64], now: Instant) -> Vec<u64> {
        let left = |at: Instant| at.saturating_duration_since(now).as_millis() as u64;
        let size = |vlans: &VlanSet| vlans.len() as u64;
        let below = |number: u64| live.partition_point(|&other| other < number) as u64;
        let mut words = vec![size(&self.claims), self.alone.into(), below(self.void + 1)];
        words.extend([size(&self.settled), below(self.grown + 1)]);
        if self.settled != self.claims {
            words.push(left(self.grown_at + SETTLE_MAX));
        }
        for remote in self.remotes.iter().flatten() {
            words.extend([
                remote.live.into(),
                left(remote.next),
                remote.farewells.into(),
            ]);
            words.extend([size(&remote.held), left(remote.until), size(&remote.usable)]);
            words.push(below(remote.granted));
            let asked = remote.asked.iter().filter(|a| live.contains(&a.number));
            let running = asked.filter(|a| now < a.at + a.term);
            words.extend(running.flat_map(|a| [below(a.number), left(a.at + a.term)]));
            if !remote.elsewhere.is_empty() {
                words.extend([size(&remote.elsewhere), left(remote.elsewhere_until)]);
            }
        }
        words
    }

    /// Whether a GRANT for this number could still give something.
    pub(super) fn awaits(&self, number: u64, now: Instant) -> bool {
        let mut asked = self
            .remotes
            .iter()
            .flatten()
            .flat_map(|remote| &remote.asked);
        asked.any(|a| a.number == number && now < a.at + a.term)
    }
}
