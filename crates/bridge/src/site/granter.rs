//! The leases that this gateway granted to gateways of other sites: per site and VLAN one holder.
//!
//! Another gateway of the site gets a VLAN when its holder gave it back, or when the holder's term
//! and a margin have passed here, where the term began later than on the holder's clock. Frames in
//! the VLAN go to the holder and are taken from the holder only.

use super::params::{LEASE_MAX, lease_margin};
use super::split::{Half, is_split};
use std::time::{Duration, Instant};
use wire::control::site::{Grant, Lease};
use wire::ethernet::Mac;
use wire::vlan::{VlanId, VlanSet};

/// A gateway of a site, as its LEASE messages show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Gateway {
    peer: u16,
    site: u64,
    /// As it calls itself among its mates.
    id: u64,
    /// Of the last LEASE in this session.
    number: u64,
    asked_at: Option<Instant>,
    term: Duration,
    wanted: VlanSet,
    half: Half,
    held: VlanSet,
    until: Instant,
    /// Not granted again, yet perhaps still used.
    lingering: VlanSet,
    linger_until: Instant,
    /// Those of `held` that another holds too, in the other half of its LAN.
    doubled: VlanSet,
}

impl Gateway {
    /// What others cannot be granted.
    fn occupied(&self, now: Instant) -> VlanSet {
        let held = if now < self.until {
            self.held.clone()
        } else {
            VlanSet::empty()
        };
        if now < self.linger_until {
            held.union(&self.lingering)
        } else {
            held
        }
    }

    /// Whether the last LEASE still asks for something.
    fn asks(&self, now: Instant) -> bool {
        self.asked_at.is_some_and(|at| now < at + self.term)
    }

    fn hold(&mut self, vlans: VlanSet, now: Instant) {
        let Some(asked_at) = self.asked_at else {
            return;
        };
        let until = asked_at + self.term + lease_margin(self.term);
        if now < self.until {
            let lost = self.held.difference(&vlans);
            if !lost.is_empty() {
                self.linger(&lost, now);
            }
            self.until = self.until.max(until);
        } else {
            self.until = until;
        }
        self.doubled = self.doubled.intersect(&vlans);
        self.held = vlans;
    }

    fn linger(&mut self, vlans: &VlanSet, now: Instant) {
        if now >= self.linger_until {
            self.lingering = VlanSet::empty();
        }
        self.lingering = self.lingering.union(vlans);
        self.linger_until = self.linger_until.max(self.until);
    }

    fn give_back(&mut self, kept: &VlanSet) {
        self.held = self.held.intersect(kept);
        self.lingering = self.lingering.intersect(kept);
        self.doubled = self.doubled.intersect(kept);
    }
}

/// VLANs that a gateway was granted and did not hold before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taken {
    /// The new holder.
    pub peer: u16,
    /// Its VLANs.
    pub vlans: VlanSet,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Granter {
    gateways: Vec<Option<Gateway>>,
    /// What this gateway may grant: the VLANs it speaks for.
    own: VlanSet,
    grants: Vec<(u16, Grant)>,
    taken: Vec<Taken>,
}

impl Granter {
    /// Grants what is in `own`.
    #[must_use]
    pub const fn new(own: VlanSet) -> Self {
        Self {
            gateways: Vec::new(),
            own,
            grants: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// A session with a gateway of another site began. Its numbers begin anew; what it or its
    /// earlier run holds is kept for it until the term ends.
    pub fn begin(&mut self, peer: u16, site: u64, now: Instant) {
        let at = usize::from(peer);
        if self.gateways.len() <= at {
            self.gateways.resize(at + 1, None);
        }
        match &mut self.gateways[at] {
            Some(gateway) if gateway.site == site => {
                gateway.number = 0;
                gateway.asked_at = None;
                gateway.wanted = VlanSet::empty();
                gateway.half = Half::default();
            }
            gateway => {
                *gateway = Some(Gateway {
                    peer,
                    site,
                    id: 0,
                    number: 0,
                    asked_at: None,
                    term: Duration::ZERO,
                    wanted: VlanSet::empty(),
                    half: Half::default(),
                    held: VlanSet::empty(),
                    until: now,
                    lingering: VlanSet::empty(),
                    linger_until: now,
                    doubled: VlanSet::empty(),
                });
            }
        }
    }

    /// The VLANs for which this gateway speaks in its own site; all of them without one.
    pub fn set_own(&mut self, own: &VlanSet, now: Instant) {
        if *own == self.own {
            return;
        }
        self.own = own.clone();
        for at in 0..self.gateways.len() {
            self.grant_again(at, now);
        }
    }

    /// Whether frames may pass between the peer and our LAN in a VLAN.
    #[must_use]
    pub fn accepts(&self, peer: u16, vlan: VlanId, now: Instant) -> bool {
        let gateway = self.gateway(peer);
        gateway.is_some_and(|g| now < g.until && g.held.contains(vlan) && self.own.contains(vlan))
    }

    /// The gateways to which frames for a site go in a VLAN: one, or two when its LAN is split.
    pub fn targets(&self, site: u64, vlan: VlanId, now: Instant) -> impl Iterator<Item = u16> {
        let gateways = self.gateways.iter().flatten();
        let of_site = gateways.filter(move |gateway| gateway.site == site);
        let peers = of_site.map(|gateway| gateway.peer);
        peers.filter(move |&peer| self.accepts(peer, vlan, now))
    }

    /// What each gateway holds: its site, its number as a peer, its VLANs.
    pub fn holdings(&self, now: Instant) -> impl Iterator<Item = (u64, u16, &VlanSet)> {
        let holders = self
            .gateways
            .iter()
            .flatten()
            .filter(move |g| now < g.until);
        holders.map(|gateway| (gateway.site, gateway.peer, &gateway.held))
    }

    /// Takes a LEASE that a peer sent; the answers are for [`poll_grant`](Self::poll_grant).
    pub fn on_lease(&mut self, peer: u16, lease: &Lease, now: Instant) {
        let Some(gateway) = self.gateway_mut(peer) else {
            return;
        };
        if lease.number <= gateway.number {
            return;
        }
        gateway.number = lease.number;
        gateway.id = lease.gateway;
        gateway.asked_at = Some(now);
        gateway.term = Duration::from_millis(lease.term_ms.into()).min(LEASE_MAX);
        gateway.wanted = lease.vlans.clone();
        gateway.half.on_lease(lease.alone, now);
        gateway.give_back(&lease.vlans);
        let site = gateway.site;
        self.judge_split(site, now);
        self.grant(peer.into(), now);
        self.answer(peer.into(), now);
        self.serve_waiting(site, now);
    }

    /// Takes what a gateway that is alone in its half of a LAN heard there. `ours`: whether an
    /// address was heard on our LAN too.
    pub fn on_addresses(
        &mut self,
        peer: u16,
        vlan: VlanId,
        macs: impl Iterator<Item = Mac>,
        ours: impl Fn(VlanId, Mac) -> bool,
        now: Instant,
    ) {
        let Some(gateway) = self.gateway_mut(peer) else {
            return;
        };
        let site = gateway.site;
        for mac in macs {
            gateway.half.on_sighting(vlan, mac, ours(vlan, mac), now);
        }
        self.judge_split(site, now);
    }

    /// Ends leases whose time is over and serves who waits for them.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut sites = Vec::new();
        for gateway in self.gateways.iter_mut().flatten() {
            if now >= gateway.until && !gateway.held.is_empty() {
                gateway.held = VlanSet::empty();
                gateway.doubled = VlanSet::empty();
                sites.push(gateway.site);
            }
            if now >= gateway.linger_until && !gateway.lingering.is_empty() {
                gateway.lingering = VlanSet::empty();
                sites.push(gateway.site);
            }
        }
        sites.sort_unstable();
        sites.dedup();
        for site in sites {
            self.serve_waiting(site, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let gateways = self.gateways.iter().flatten();
        let held = gateways
            .clone()
            .filter(|g| !g.held.is_empty())
            .map(|g| g.until);
        let lingering = gateways
            .filter(|g| !g.lingering.is_empty())
            .map(|g| g.linger_until);
        held.chain(lingering).min()
    }

    /// The next GRANT to be sent, and to whom.
    pub fn poll_grant(&mut self) -> Option<(u16, Grant)> {
        (!self.grants.is_empty()).then(|| self.grants.remove(0))
    }

    /// The next news of a new holder.
    pub fn poll_taken(&mut self) -> Option<Taken> {
        self.taken.pop()
    }

    fn serve_waiting(&mut self, site: u64, now: Instant) {
        for at in 0..self.gateways.len() {
            let waits = self.gateways[at].as_ref().is_some_and(|gateway| {
                gateway.site == site && !gateway.wanted.is_subset(&gateway.held)
            });
            if waits {
                self.grant_again(at, now);
            }
        }
    }

    /// Grants on the last LEASE once more, and says so if that changes something.
    fn grant_again(&mut self, at: usize, now: Instant) {
        let Some(before) = self.gateways.get(at).and_then(Option::as_ref) else {
            return;
        };
        if !before.asks(now) {
            return;
        }
        let before = before.held.clone();
        self.grant(at, now);
        if self.gateways[at].as_ref().is_some_and(|g| g.held != before) {
            self.answer(at, now);
        }
    }

    fn grant(&mut self, at: usize, now: Instant) {
        let Some(gateway) = self.gateways.get(at).and_then(Option::as_ref) else {
            return;
        };
        let others = self
            .occupied_by_others(gateway, now)
            .difference(&gateway.doubled);
        let vlans = gateway.wanted.intersect(&self.own).difference(&others);
        let held = if now < gateway.until {
            gateway.held.clone()
        } else {
            VlanSet::empty()
        };
        let new = vlans.difference(&held);
        let peer = gateway.peer;
        if let Some(gateway) = &mut self.gateways[at] {
            gateway.hold(vlans, now);
        }
        if !new.is_empty() {
            self.taken.push(Taken { peer, vlans: new });
        }
    }

    fn answer(&mut self, at: usize, now: Instant) {
        let Some(gateway) = self.gateways.get(at).and_then(Option::as_ref) else {
            return;
        };
        let others = self.occupied_by_others(gateway, now);
        let held = gateway.wanted.intersect(&others).difference(&gateway.held);
        let mates = self
            .mates(gateway)
            .filter(|mate| !mate.occupied(now).intersect(&held).is_empty());
        let ages =
            mates.filter_map(|mate| Some((now.saturating_duration_since(mate.asked_at?), mate.id)));
        let (age, holder) = ages.min().unwrap_or_default();
        let grant = Grant {
            number: gateway.number,
            vlans: gateway.held.clone(),
            held,
            holder,
            held_age_ms: u16::try_from(age.as_millis()).unwrap_or(u16::MAX),
        };
        let peer = gateway.peer;
        self.grants.retain(|(to, _)| *to != peer);
        self.grants.push((peer, grant));
    }

    fn mates<'a>(&'a self, gateway: &'a Gateway) -> impl Iterator<Item = &'a Gateway> {
        let gateways = self.gateways.iter().flatten();
        gateways.filter(|other| other.site == gateway.site && other.peer != gateway.peer)
    }

    fn occupied_by_others(&self, gateway: &Gateway, now: Instant) -> VlanSet {
        let occupied = self.mates(gateway).map(|other| other.occupied(now));
        occupied.fold(VlanSet::empty(), |all, one| all.union(&one))
    }

    /// Lets both halves of a split LAN hold a VLAN, or ends that.
    fn judge_split(&mut self, site: u64, now: Instant) {
        let asking = |g: &&Gateway| g.site == site && g.asks(now) && !g.wanted.is_empty();
        let asking: Vec<&Gateway> = self.gateways.iter().flatten().filter(asking).collect();
        let halves: Vec<&Half> = asking.iter().map(|gateway| &gateway.half).collect();
        if is_split(&halves, now) {
            let peers: Vec<u16> = asking.iter().map(|gateway| gateway.peer).collect();
            for peer in peers {
                self.double(peer, now);
            }
        } else {
            self.end_split(site, now);
        }
    }

    fn double(&mut self, peer: u16, now: Instant) {
        let Some(gateway) = self.gateway(peer) else {
            return;
        };
        let others = self.occupied_by_others(gateway, now);
        let doubled = gateway.wanted.intersect(&others).difference(&gateway.held);
        if let Some(gateway) = self.gateway_mut(peer)
            && !doubled.is_empty()
        {
            gateway.doubled = gateway.doubled.union(&doubled);
        }
    }

    /// Who held a VLAN first keeps it. The other's is not accepted from this moment on.
    fn end_split(&mut self, site: u64, now: Instant) {
        for at in 0..self.gateways.len() {
            let Some(gateway) = &mut self.gateways[at] else {
                continue;
            };
            if gateway.site != site || gateway.doubled.is_empty() {
                continue;
            }
            let doubled = std::mem::take(&mut gateway.doubled);
            gateway.linger(&doubled, now);
            gateway.held = gateway.held.difference(&doubled);
            self.answer(at, now);
        }
    }

    fn gateway(&self, peer: u16) -> Option<&Gateway> {
        self.gateways.get(usize::from(peer))?.as_ref()
    }

    fn gateway_mut(&mut self, peer: u16) -> Option<&mut Gateway> {
        self.gateways.get_mut(usize::from(peer))?.as_mut()
    }
}

/// For the model: the state up to a shift of time, without numbers and what has no effect any more.
#[cfg(test)]
impl Granter {
    pub(super) fn fingerprint(&self, peer: u16, now: Instant) -> Vec<u64> {
        let left = |at: Instant| at.saturating_duration_since(now).as_millis() as u64;
        let size = |vlans: &VlanSet| vlans.len() as u64;
        let mut words = vec![size(&self.own)];
        if let Some(gateway) = self.gateway(peer) {
            let asks = gateway.asks(now);
            words.push(
                gateway
                    .asked_at
                    .filter(|_| asks)
                    .map_or(0, |at| left(at + gateway.term)),
            );
            words.extend([if asks { size(&gateway.wanted) } else { 0 }]);
            words.extend([size(&gateway.held), left(gateway.until)]);
            words.extend([size(&gateway.lingering), left(gateway.linger_until)]);
        }
        words
    }

    /// The number of the last LEASE of the peer, which a later GRANT would answer.
    pub(super) fn number(&self, peer: u16) -> Option<u64> {
        Some(self.gateway(peer)?.number)
    }
}
