//! For which VLANs this gateway speaks in its site. Beacons settle it.
//!
//! A gateway claims a VLAN when it is the best for it and no mate claims it; it drops a claim as
//! soon as a mate that hears it is better, and the mate takes it up at the next beacon. A claim
//! lasts [`CLAIM_HOLD`](super::params::CLAIM_HOLD) from the sending of the last beacon that each
//! mate echoed, and a mate takes over [`MATE_DEAD`] after the last beacon
//! it heard: so who is not heard, or was stopped, has ceased before another begins. Only when
//! neither hears the other can both claim; then leases decide.

use super::mates::{Hearing, Mates};
use super::params::{
    BEACON_EVERY, BEACON_GAP, CONTEST, FLAP_DECAY, LISTEN, LONELY_AFTER, MATE_DEAD, REVERT_MAX,
};
use super::rank::Ranking;
use std::time::{Duration, Instant};
use wire::beacon::{Beacon, MAX_MATES, MAX_VLAN_PRIORITIES};
use wire::vlan::{VlanId, VlanSet};

/// What a gateway of a site is told by its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteConfig {
    /// Made from the name of the site, equal at all its gateways: [`super::site_id`].
    pub site: u64,
    /// Names this gateway; made from its public key.
    pub gateway: u64,
    /// Random, anew at each start.
    pub instance: u64,
    /// The other gateways of the site; at most [`MAX_MATES`], later ones are ignored.
    pub mates: Vec<u64>,
    /// The higher, the more it wants to forward.
    pub priority: u16,
    /// Instead of `priority` in single VLANs; at most [`MAX_VLAN_PRIORITIES`].
    pub vlan_priorities: Vec<(VlanId, u16)>,
    /// The VLANs that its LAN ports carry.
    pub serves: VlanSet,
    /// How long it must have been well to take VLANs back: [`super::params::REVERT_AFTER`].
    pub revert_after: Duration,
}

/// The VLANs for which this gateway is the best, and from what that was worked out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Cached {
    basis: Vec<Beacon>,
    best: VlanSet,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claims {
    ranking: Ranking,
    mates: Mates,
    /// What the next beacon says.
    own: Beacon,
    revert_after: Duration,
    lan_up: bool,
    reach: u16,
    listen_until: Instant,
    ready_at: Instant,
    unready_since: Instant,
    flaps: u32,
    contested_since: Option<Instant>,
    until: Instant,
    next_beacon: Instant,
    urgent: bool,
    keep: Cached,
    take: Cached,
}

impl Claims {
    /// Claims nothing, and only listens at first.
    #[must_use]
    pub fn new(config: &SiteConfig, now: Instant) -> Self {
        let mates = &config.mates[..config.mates.len().min(MAX_MATES)];
        let priorities = config.vlan_priorities.iter().take(MAX_VLAN_PRIORITIES);
        let own = Beacon {
            gateway: config.gateway,
            instance: config.instance,
            number: 0,
            site: config.site,
            ready: false,
            reach: 0,
            priority: config.priority,
            vlan_priorities: priorities.copied().collect(),
            echoes: Vec::new(),
            serves: config.serves.clone(),
            claims: VlanSet::empty(),
        };
        Self {
            ranking: Ranking::new(mates.iter().copied().chain([config.gateway])),
            mates: Mates::new(config.gateway, config.instance, mates),
            own,
            revert_after: config.revert_after,
            lan_up: true,
            reach: 0,
            listen_until: now + LISTEN,
            ready_at: now + config.revert_after,
            unready_since: now,
            flaps: 0,
            contested_since: None,
            until: now,
            next_beacon: now,
            urgent: false,
            keep: Cached::default(),
            take: Cached::default(),
        }
    }

    /// The VLANs this gateway speaks for, until [`until`](Self::until).
    #[must_use]
    pub const fn claims(&self) -> &VlanSet {
        &self.own.claims
    }

    /// When the claims end unless something is heard or done before.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// Whether the site has other gateways at all.
    #[must_use]
    pub const fn has_mates(&self) -> bool {
        self.mates.any()
    }

    /// No mate was heard for [`MATE_DEAD`].
    #[must_use]
    pub fn is_alone(&self, now: Instant) -> bool {
        self.mates.present(now).next().is_none()
    }

    /// For how long no mate was heard; `None`: never was one.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        self.mates.silence(now)
    }

    /// How each mate that is not gone is heard, with its id.
    pub fn mates(&self, now: Instant) -> impl Iterator<Item = (u64, Hearing)> {
        let present = self.mates.present(now);
        present.map(|(hearing, beacon)| (beacon.gateway, hearing))
    }

    /// The LAN port came up or went down: without a LAN nothing is claimed.
    pub fn set_lan(&mut self, up: bool, now: Instant) {
        if up && !self.lan_up {
            self.listen_until = self.listen_until.max(now + LISTEN);
            self.set_unready(now);
        }
        self.lan_up = up;
        self.update(now);
    }

    /// How many remote sites this gateway reaches, those being drained not counted.
    pub fn set_reach(&mut self, reach: u16, now: Instant) {
        if self.reach == reach {
            return;
        }
        if self.reach == 0 {
            self.set_unready(now);
        }
        self.reach = reach;
        self.urgent = true;
        self.update(now);
    }

    /// Other priorities, as after a change of the configuration: a planned hand-over follows.
    pub fn set_priority(&mut self, priority: u16, per_vlan: &[(VlanId, u16)], now: Instant) {
        self.own.priority = priority;
        let per_vlan = per_vlan.iter().take(MAX_VLAN_PRIORITIES);
        self.own.vlan_priorities = per_vlan.copied().collect();
        self.urgent = true;
        self.update(now);
    }

    /// Takes an authentic beacon.
    pub fn on_beacon(&mut self, beacon: &Beacon, now: Instant) {
        let ours = beacon.site == self.own.site && beacon.gateway != self.own.gateway;
        if ours && self.mates.on_beacon(beacon, now) {
            self.update(now);
        }
    }

    /// Works out anew what is claimed; to be called when [`poll_timeout`](Self::poll_timeout) says.
    pub fn update(&mut self, now: Instant) {
        if !self.own.claims.is_empty() && now >= self.until {
            self.lapse(now);
        }
        self.own.ready = now >= self.ready_at;
        let listening = now < self.listen_until;
        self.own.reach = if listening { 0 } else { self.reach };
        let claims = if listening || !self.lan_up || self.reach == 0 || self.is_unheard(now) {
            VlanSet::empty()
        } else {
            self.wanted(now)
        };
        if claims != self.own.claims {
            self.own.claims = claims;
            self.urgent = true;
        }
        self.until = self.mates.claim_until(now);
    }

    /// What was claimed ended without our doing: we were stopped, or are not heard. A mate may have
    /// taken over, so listen before claiming again; and tell the mates at once that they may.
    fn lapse(&mut self, now: Instant) {
        self.own.claims = VlanSet::empty();
        self.urgent = true;
        if self
            .mates
            .silence(now)
            .is_some_and(|silence| silence < LONELY_AFTER)
        {
            self.listen_until = now + MATE_DEAD;
            self.set_unready(now);
        }
    }

    fn set_unready(&mut self, now: Instant) {
        let calm = now.saturating_duration_since(self.unready_since) > FLAP_DECAY;
        self.flaps = if calm { 0 } else { (self.flaps + 1).min(16) };
        self.unready_since = now;
        // The start counts as the first time.
        let doubled = self.revert_after * (1 << self.flaps.saturating_sub(1));
        self.ready_at = now + doubled.min(REVERT_MAX.max(self.revert_after));
    }

    /// A mate that could forward does not hear us. It will think that we are gone, and cannot be
    /// told; so we leave it to it.
    fn is_unheard(&self, now: Instant) -> bool {
        let mut mates = self.mates.present(now);
        mates.any(|(hearing, beacon)| hearing == Hearing::OneWay && beacon.reach > 0)
    }

    fn wanted(&mut self, now: Instant) -> VlanSet {
        let (mut hearing, mut present) = (Vec::new(), Vec::new());
        let (mut theirs, mut contested) = (VlanSet::empty(), VlanSet::empty());
        for (heard, beacon) in self.mates.present(now) {
            theirs = theirs.union(&beacon.claims);
            present.push(beacon);
            if heard == Hearing::Both {
                hearing.push(beacon);
                if beacon.gateway > self.own.gateway {
                    contested = contested.union(&beacon.claims);
                }
            }
        }
        let keep = self.keep.best(&self.ranking, &self.own, &hearing);
        let take = self.take.best(&self.ranking, &self.own, &present);
        let kept = self.own.claims.intersect(keep);
        let claims = kept.union(&take.difference(&theirs));
        self.settle_contest(claims, &contested, now)
    }

    /// Gateways that judge differently, as with different lists of mates, must not claim the same
    /// for long.
    fn settle_contest(&mut self, claims: VlanSet, theirs: &VlanSet, now: Instant) -> VlanSet {
        if claims.intersect(theirs).is_empty() {
            self.contested_since = None;
            return claims;
        }
        let since = *self.contested_since.get_or_insert(now);
        if now < since + CONTEST {
            return claims;
        }
        claims.difference(theirs)
    }

    /// The beacon that is due, if one is. Not while the LAN is down.
    pub fn poll_beacon(&mut self, now: Instant) -> Option<Beacon> {
        if !self.lan_up || now < self.beacon_due() {
            return None;
        }
        self.urgent = false;
        self.next_beacon = now + BEACON_EVERY;
        self.own.number += 1;
        self.own.echoes = self.mates.echoes();
        self.mates.on_sent(self.own.number, now);
        self.until = self.mates.claim_until(now);
        Some(self.own.clone())
    }

    fn beacon_due(&self) -> Instant {
        let soon = self.mates.last_sent().map(|sent| sent + BEACON_GAP);
        match soon {
            Some(soon) if self.urgent => soon.min(self.next_beacon),
            _ => self.next_beacon,
        }
    }

    /// When [`update`](Self::update) and [`poll_beacon`](Self::poll_beacon) are to be called.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let beacon = self.lan_up.then(|| self.beacon_due());
        let claims = (!self.own.claims.is_empty()).then_some(self.until);
        let turns = [self.listen_until, self.ready_at];
        let turns = turns.into_iter().filter(|&at| at > now);
        let contest = self.contested_since.map(|since| since + CONTEST);
        let contest = contest.filter(|&at| at > now);
        let moments = [beacon, claims, contest, self.mates.next_change(now)];
        moments.into_iter().flatten().chain(turns).min()
    }
}

impl Cached {
    fn best(&mut self, ranking: &Ranking, own: &Beacon, others: &[&Beacon]) -> &VlanSet {
        let current = std::iter::once(own).chain(others.iter().copied());
        let known = self.basis.len() == others.len() + 1;
        let same = |(one, other): (&Beacon, &Beacon)| ranks_alike(one, other);
        if !known || !self.basis.iter().zip(current.clone()).all(same) {
            self.best = ranking.best(own, others);
            self.basis = current.map(basis).collect();
        }
        &self.best
    }
}

fn ranks_alike(one: &Beacon, other: &Beacon) -> bool {
    one.gateway == other.gateway
        && (one.reach, one.ready, one.priority) == (other.reach, other.ready, other.priority)
        && one.vlan_priorities == other.vlan_priorities
        && one.serves == other.serves
}

/// What a beacon says about the rank of its sender, and nothing else, so that equal states are equal.
fn basis(beacon: &Beacon) -> Beacon {
    Beacon {
        instance: 0,
        number: 0,
        echoes: Vec::new(),
        claims: VlanSet::empty(),
        ..beacon.clone()
    }
}
