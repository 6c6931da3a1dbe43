//! Sites with several gateways (protocol §16): which gateway forwards between its LAN and a remote
//! one, per VLAN, so that no frame arrives twice or runs in a circle.
//!
//! [`Sites`] is the whole of it for one node, be it one of several gateways of a site, a remote
//! gateway of such a site, or both. It has three parts:
//! - [`claims`]: the gateways of the own site agree by beacons on their LAN who speaks for a VLAN;
//! - [`holder`]: who speaks asks every remote gateway for a lease, and forwards only while it holds
//!   one;
//! - [`granter`]: for each remote site and VLAN, one gateway holds a lease of ours; frames go to it
//!   and come from it only.
//!
//! Between two sites with several gateways each, a pair of gateways carries a VLAN when each is its
//! site's speaker and holds the other's lease.
//!
//! How it is used:
//! 1. [`Sites::session`] when a session with a peer begins (its site is in its Hello),
//!    [`Sites::session_ended`], [`Sites::set_usable`], [`Sites::set_drained`],
//!    [`Sites::set_round_trip`] as things change, [`Sites::set_lan`] with the LAN port's carrier.
//! 2. Beacons that came in by a LAN port and whose tag is right go to [`Sites::on_beacon`]; they are
//!    never forwarded. Control messages go to [`Sites::on_message`].
//! 3. [`Sites::handle_timeout`] when [`Sites::poll_timeout`] says. After every call of 1 to 3,
//!    [`Sites::poll`] until it gives nothing more.
//! 4. Before each batch of frames, in both directions: [`Sites::carries`] for the peer and VLAN;
//!    frames for which it says no are dropped. A frame from the LAN goes to each peer for which it
//!    says yes; one to a known station to [`Sites::resolve`] of the peer behind which it was heard.
//! 5. A frame from the LAN whose source is known behind a peer: [`moves::Moves::heard_on_lan`] with
//!    [`Sites::believes_lan`].
//! 6. [`Event::TellAddresses`]: send the stations of the LAN in those VLANs to the peer (ADDRESSES).
//!    Who receives them learns them behind that peer and pushes them into its
//!    [`announcer::Announcer`].
//!
//! Read sockets and LAN ports before timers: what waits in a buffer was heard. `now` follows
//! CLOCK_BOOTTIME; when it jumps, claims and leases have ended.
//!
//! ```
//! use bridge::site::{Output, PeerSite, Sites};
//! use std::time::{Duration, Instant};
//! use wire::{control::site::Lease, control::site::SiteMessage, vlan::VlanId, vlan::VlanSet};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now(); // the shell's clock
//! let vlan = VlanId::new(10).unwrap();
//! // A node without a site of its own, and a peer that is one of several gateways of a site.
//! let mut sites = Sites::new(None, now);
//! let site = Some(bridge::site::site_id("office2"));
//! sites.session(1, PeerSite { site, vlans: VlanSet::all() }, now);
//! assert!(!sites.carries(1, vlan, now));
//! let vlans = VlanSet::all();
//! let lease = Lease { number: 1, term_ms: 120, gateway: 7, alone: false, vlans };
//! sites.on_message(1, &SiteMessage::Lease(lease.into()), |_, _| false, now);
//! assert!(matches!(sites.poll(now), Some(Output::Grant(1, _))));
//! assert!(sites.carries(1, vlan, now));
//! assert!(!sites.carries(1, vlan, now + Duration::from_secs(1)));
//! ```

pub mod announcer;
pub mod claims;
pub mod granter;
pub mod holder;
pub mod mates;
pub mod moves;
pub mod params;
mod rank;
mod split;

use claims::{Claims, SiteConfig};
use granter::Granter;
use holder::Holder;
use params::{REPORT_EVERY, TAKEOVER_GUARD, TELL_AGAIN};
use std::time::{Duration, Instant};
use wire::beacon::Beacon;
use wire::control::site::{Grant, Lease, SiteMessage};
use wire::ethernet::Mac;
use wire::vlan::{VlanId, VlanSet};

/// A site's number, from its name: FNV-1a, 64 bits.
#[must_use]
pub const fn site_id(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// What a session with a peer tells about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerSite {
    /// The site that it named, if any.
    pub site: Option<u64>,
    /// The VLANs that pass between it and us.
    pub vlans: VlanSet,
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this beacon on the LAN ports, with a tag for each mate.
    Beacon(Beacon),
    /// Send this LEASE to the peer, on its best path, or on all that are usable.
    Lease(u16, Lease),
    /// Send this GRANT to the peer, in the same way.
    Grant(u16, Grant),
    /// Something happened.
    Event(Event),
}

/// What the caller may want to know, or has to do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This gateway speaks for these VLANs of its site now, and for no other.
    Claims(VlanSet),
    /// Tell this new holder the stations of our LAN in these VLANs.
    TellAddresses(u16, VlanSet),
    /// We hear no mate: tell the peer which stations were heard on the LAN in the last 3 s. It
    /// judges by that whether the LAN is split.
    ReportAddresses(u16),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    site: Option<u64>,
    /// It is a gateway of our own site: control messages only.
    mate: bool,
    usable: bool,
    drained: bool,
    forwards: VlanSet,
    recent: VlanSet,
    recent_at: Instant,
    tell: VlanSet,
    tell_at: Option<Instant>,
    report_at: Option<Instant>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sites {
    site: Option<u64>,
    own: Option<Claims>,
    holder: Holder,
    granter: Granter,
    peers: Vec<Option<Peer>>,
    told_claims: VlanSet,
}

impl Sites {
    /// `own`: what the node's own site is, if it names one.
    #[must_use]
    pub fn new(own: Option<&SiteConfig>, now: Instant) -> Self {
        let speaks = if own.is_some() {
            VlanSet::empty()
        } else {
            VlanSet::all()
        };
        Self {
            site: own.map(|own| own.site),
            own: own.map(|own| Claims::new(own, now)),
            holder: Holder::new(own.map_or(0, |own| own.gateway), now),
            granter: Granter::new(speaks),
            peers: Vec::new(),
            told_claims: VlanSet::empty(),
        }
    }

    /// A session with a peer began, or the peer's Hello says something new. Nothing of an earlier
    /// session counts. It is usable until said otherwise.
    pub fn session(&mut self, peer: u16, about: PeerSite, now: Instant) {
        let at = usize::from(peer);
        if self.peers.len() <= at {
            self.peers.resize(at + 1, None);
        }
        let mate = about.site.is_some() && about.site == self.site;
        let drained = self.peers[at].as_ref().is_some_and(|peer| peer.drained);
        self.peers[at] = Some(Peer {
            site: about.site,
            mate,
            usable: true,
            drained,
            forwards: VlanSet::empty(),
            recent: VlanSet::empty(),
            recent_at: now,
            tell: VlanSet::empty(),
            tell_at: None,
            report_at: None,
        });
        if !mate {
            if self.own.is_some() {
                self.holder.begin(peer, about.vlans, now);
            }
            if let Some(site) = about.site {
                self.granter.begin(peer, site, now);
            }
        }
        self.count_reach(now);
    }

    /// The session with a peer is over.
    pub fn session_ended(&mut self, peer: u16, now: Instant) {
        if let Some(slot) = self.peers.get_mut(usize::from(peer)) {
            *slot = None;
        }
        self.holder.end(peer, now);
        self.count_reach(now);
    }

    /// Whether some path to the peer carries.
    pub fn set_usable(&mut self, peer: u16, usable: bool, now: Instant) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.usable = usable;
        }
        self.holder.set_live(peer, usable, now);
        self.count_reach(now);
    }

    /// All paths to the peer are being drained: another gateway of our site is to take over.
    pub fn set_drained(&mut self, peer: u16, drained: bool, now: Instant) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.drained = drained;
        }
        self.count_reach(now);
    }

    /// The round trip to the peer, as measured.
    pub fn set_round_trip(&mut self, peer: u16, round_trip: Duration) {
        self.holder.set_round_trip(peer, round_trip);
    }

    /// Whether the LAN port has a carrier.
    pub fn set_lan(&mut self, up: bool, now: Instant) {
        if let Some(own) = &mut self.own {
            own.set_lan(up, now);
        }
        self.sync(now);
    }

    /// Other priorities.
    pub fn set_priority(&mut self, priority: u16, per_vlan: &[(VlanId, u16)], now: Instant) {
        if let Some(own) = &mut self.own {
            own.set_priority(priority, per_vlan, now);
        }
        self.sync(now);
    }

    /// Takes an authentic beacon.
    pub fn on_beacon(&mut self, beacon: &Beacon, now: Instant) {
        if let Some(own) = &mut self.own {
            own.on_beacon(beacon, now);
        }
        self.sync(now);
    }

    /// Takes a control message of a peer. `ours`: whether a station was heard on our LAN. ADDRESSES
    /// of a peer that we forward to are the caller's to learn and announce, too.
    pub fn on_message(
        &mut self,
        peer: u16,
        message: &SiteMessage<'_>,
        ours: impl Fn(VlanId, Mac) -> bool,
        now: Instant,
    ) {
        match message {
            SiteMessage::Lease(lease) => self.granter.on_lease(peer, lease, now),
            SiteMessage::Grant(grant) => {
                // A mate may have forwarded since the last lease ended.
                let leased = self.holder.is_leased(peer, now);
                if let Some(about) = self.peer_mut(peer).filter(|_| !leased) {
                    about.forwards = VlanSet::empty();
                }
                self.holder.on_grant(peer, grant, now);
            }
            SiteMessage::Addresses(told) => {
                self.granter
                    .on_addresses(peer, told.vlan, told.macs(), ours, now);
            }
        }
        self.sync(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(own) = &mut self.own {
            own.update(now);
        }
        self.granter.handle_timeout(now);
        self.holder.handle_timeout(now);
        self.sync(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let own = self.own.as_ref().and_then(|own| own.poll_timeout(now));
        let peers = self.peers.iter().flatten();
        let told = peers.flat_map(|peer| [peer.tell_at, peer.report_at]);
        let holder = self
            .own
            .as_ref()
            .and_then(|_| self.holder.poll_timeout(now));
        let moments = [own, holder, self.granter.poll_timeout()];
        moments.into_iter().chain(told).flatten().min()
    }

    /// The next thing to be done, if there is one.
    pub fn poll(&mut self, now: Instant) -> Option<Output> {
        if let Some((peer, grant)) = self.granter.poll_grant() {
            return Some(Output::Grant(peer, grant));
        }
        if let Some(own) = &mut self.own {
            // The lease is given back before the mates hear of it.
            if let Some((peer, lease)) = self.holder.poll_lease(now) {
                return Some(Output::Lease(peer, lease));
            }
            if let Some(beacon) = own.poll_beacon(now) {
                self.sync(now);
                return Some(Output::Beacon(beacon));
            }
        }
        self.poll_event(now).map(Output::Event)
    }

    fn poll_event(&mut self, now: Instant) -> Option<Event> {
        if let Some(own) = &self.own
            && *own.claims() != self.told_claims
        {
            self.told_claims = own.claims().clone();
            return Some(Event::Claims(self.told_claims.clone()));
        }
        while let Some(taken) = self.granter.poll_taken() {
            if let Some(peer) = self.peer_mut(taken.peer) {
                peer.tell = peer.tell.union(&taken.vlans);
                peer.tell_at = Some(now + TELL_AGAIN);
                return Some(Event::TellAddresses(taken.peer, taken.vlans));
            }
        }
        let alone = self.own.as_ref().is_some_and(|own| own.is_alone(now));
        let slots = self.peers.iter_mut().zip(0..);
        for (peer, at) in slots.filter_map(|(peer, at)| Some((peer.as_mut()?, at))) {
            if peer.tell_at.is_some_and(|due| now >= due) {
                peer.tell_at = None;
                return Some(Event::TellAddresses(at, std::mem::take(&mut peer.tell)));
            }
            if peer.report_at.is_some_and(|due| now >= due) {
                let again = alone && !peer.mate;
                peer.report_at = again.then_some(now + REPORT_EVERY);
                if again {
                    return Some(Event::ReportAddresses(at));
                }
            }
        }
        None
    }

    /// Whether frames may pass between the LAN and a peer in a VLAN, in either direction. Costs a
    /// look at two bitmaps; ask for every batch.
    #[must_use]
    pub fn carries(&self, peer: u16, vlan: VlanId, now: Instant) -> bool {
        let Some(about) = self.peers.get(usize::from(peer)).and_then(Option::as_ref) else {
            return false;
        };
        !about.mate
            && (self.own.is_none() || self.holder.may_forward(peer, vlan, now))
            && (about.site.is_none() || self.granter.accepts(peer, vlan, now))
    }

    /// Where frames go for a station that was heard behind `learned`: there, or to the gateway of
    /// that site which holds the VLAN now.
    #[must_use]
    pub fn resolve(&self, learned: u16, vlan: VlanId, now: Instant) -> Option<u16> {
        if self.carries(learned, vlan, now) {
            return Some(learned);
        }
        let about = self.peers.get(usize::from(learned))?.as_ref()?;
        let mut targets = self.granter.targets(about.site?, vlan, now);
        targets.find(|&peer| self.carries(peer, vlan, now))
    }

    /// Whether a station known behind the peer and heard on our LAN is to be believed to be here:
    /// this gateway forwards there, and has for a while.
    #[must_use]
    pub fn believes_lan(&self, peer: u16, vlan: VlanId, now: Instant) -> bool {
        let about = self.peers.get(usize::from(peer)).and_then(Option::as_ref);
        let recent = about.is_some_and(|about| {
            about.recent.contains(vlan) && now < about.recent_at + TAKEOVER_GUARD
        });
        !recent && self.carries(peer, vlan, now)
    }

    /// The part that speaks for the own site.
    #[must_use]
    pub const fn own(&self) -> Option<&Claims> {
        self.own.as_ref()
    }

    /// The part that holds leases.
    #[must_use]
    pub const fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The part that grants them.
    #[must_use]
    pub const fn granter(&self) -> &Granter {
        &self.granter
    }

    fn peer_mut(&mut self, peer: u16) -> Option<&mut Peer> {
        self.peers.get_mut(usize::from(peer))?.as_mut()
    }

    fn count_reach(&mut self, now: Instant) {
        let peers = self.peers.iter().flatten();
        let reached = peers.filter(|peer| peer.usable && !peer.drained && !peer.mate);
        let mut sites: Vec<u64> = reached.clone().filter_map(|peer| peer.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let single = reached.filter(|peer| peer.site.is_none()).count();
        let reach = u16::try_from(sites.len() + single).unwrap_or(u16::MAX);
        if let Some(own) = &mut self.own {
            own.set_reach(reach, now);
        }
        self.sync(now);
    }

    /// Hands what is claimed to those who depend on it.
    fn sync(&mut self, now: Instant) {
        if let Some(own) = &self.own {
            let alone = own.is_alone(now);
            self.holder
                .set_claims(own.claims(), own.until(), alone, own.silence(now), now);
            self.granter.set_own(own.claims(), now);
            for peer in self.peers.iter_mut().flatten().filter(|peer| !peer.mate) {
                if alone && own.has_mates() && peer.report_at.is_none() {
                    peer.report_at = Some(now + REPORT_EVERY);
                }
            }
        }
        if self.holder.take_changed() {
            self.note_forwards(now);
        }
    }

    /// Notes in which VLANs this gateway has only just begun to forward.
    fn note_forwards(&mut self, now: Instant) {
        for (peer, at) in self.peers.iter_mut().zip(0..) {
            let Some(peer) = peer else {
                continue;
            };
            let forwards = self.holder.usable(at, now);
            let new = forwards.difference(&peer.forwards);
            if !new.is_empty() {
                let still = now < peer.recent_at + TAKEOVER_GUARD;
                peer.recent = if still { peer.recent.union(&new) } else { new };
                peer.recent_at = now;
            }
            peer.forwards = forwards;
        }
    }
}

#[cfg(test)]
mod tests;
