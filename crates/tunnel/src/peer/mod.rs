//! The façade of the crate: one peer, whatever runs, keys and paths it has had.

/// Builds the [`Context`] of a session step from the peer's other fields, if there is a key.
macro_rules! context {
    ($peer:ident, $now:expr, $sink:expr) => {
        $peer.keys.current().map(|key| crate::link::Context {
            now: $now,
            key,
            sink: $sink,
            drops: &mut $peer.drops,
            events: &mut $peer.events,
            uplinks: &$peer.uplinks,
        })
    };
}

mod commands;
mod dialling;
mod handshake;
mod observe;
mod orders;
mod session;

use std::{net::SocketAddr, time::Instant};

use wire::{
    control::RoleCode,
    datagram::{HEADER_LEN, Header},
    vlan::VlanSet,
};

use crate::{
    crypto::{ForwardSecretRng, InitiationLimiter, PresharedKey, PublicKey},
    dial::{Backoff, Candidates},
    drops::{Drop, Drops},
    event::Event,
    keyring::Keyring,
    link::{Events, Link, LocalUplinks, Opened},
    record::{Lent, Record},
    sink::{Arrival, DatagramSink, UplinkId},
    waiting::Waiting,
};

use handshake::Attempt;
use observe::Outages;
use orders::Orders;

/// How a peer's paths are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The best path carries everything.
    Failover,
    /// A flow keeps its path while that is good.
    Balance,
    /// All paths add up, for one flow too.
    Aggregate,
    /// Every record on the two best disjoint paths.
    Redundant,
}

/// One of this node's uplinks.
#[derive(Clone, Copy, Debug)]
pub struct UplinkConfig {
    /// Its role and whether it takes overflow.
    pub role: RoleCode,
    /// What it sends to this peer at most, bits per second of IP packets. In [`Mode::Aggregate`].
    pub rate_limit: Option<u64>,
}

/// An address at which the peer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Only over this uplink; `None`: over all.
    pub uplink: Option<UplinkId>,
    /// Its address.
    pub address: SocketAddr,
}

/// What a peer is made with.
pub struct PeerConfig {
    /// Its name here.
    pub name: String,
    /// Its identity.
    pub public_key: PublicKey,
    /// The extra secret, zero for none.
    pub preshared_key: PresharedKey,
    /// How its paths are used.
    pub mode: Mode,
    /// What it may carry.
    pub vlans: VlanSet,
    /// This node's name, told to the peer.
    pub local_name: String,
    /// This node's public key.
    pub local_key: PublicKey,
    /// This run of this node: random.
    pub instance: u64,
    /// This node's uplinks, by id.
    pub uplinks: Vec<UplinkConfig>,
    /// Longest frame we take, bytes.
    pub max_frame: u32,
    /// Whether we take records with a virtio-net header: super-frames and partial checksums.
    pub vnet: bool,
    /// The high bits of all receiver indexes of this peer, so that the node finds it: `slot << 20`.
    pub slot: u16,
}

/// How an uplink of ours is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkState {
    /// Its device is there, up, and has carrier.
    pub present: bool,
    /// Why not: `device-absent`, `device-down`, `carrier-lost`, `cannot-listen`.
    pub reason: &'static str,
    /// MTU of its device, bytes of IP packet.
    pub mtu: u16,
    /// Its addresses or routes changed.
    pub readdressed: bool,
}

/// An operator's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathOp {
    /// Not to be used, at once.
    Down,
    /// To be used again.
    Up,
    /// To be emptied without loss.
    Drain,
}

/// What the owner of a peer may tell it.
#[derive(Clone, Debug)]
pub enum Command {
    /// All addresses to dial, replacing those given before.
    Endpoints(Vec<Endpoint>),
    /// An uplink changed.
    Uplink(UplinkId, UplinkState),
    /// An order for the paths of an uplink, all or the one to an address.
    Path(UplinkId, Option<SocketAddr>, PathOp),
    /// The machine slept.
    Woke,
    /// We end: say good-bye.
    Close,
}

/// See the module.
pub struct Peer {
    config: PeerConfig,
    rng: ForwardSecretRng,
    uplinks: LocalUplinks,
    /// Per uplink: why it is not there, if it is not.
    absent: Vec<Option<&'static str>>,
    keys: Keyring,
    link: Option<Link>,
    attempts: Vec<Attempt>,
    answered: Option<handshake::Answered>,
    candidates: Candidates,
    backoff: Backoff,
    limiter: InitiationLimiter,
    orders: Orders,
    last_heard: Option<Instant>,
    up: bool,
    /// It was up once: before that, nothing can be out.
    was_up: bool,
    up_since: Instant,
    outages: Outages,
    waiting: Waiting,
    drops: Drops,
    events: Events,
}

impl Peer {
    /// A peer not yet heard of; `seed` makes its generator.
    #[must_use]
    pub fn new(config: PeerConfig, seed: [u8; 32], now: Instant) -> Self {
        let count = config.uplinks.len();
        let uplinks = LocalUplinks {
            roles: config.uplinks.iter().map(|uplink| uplink.role).collect(),
            rate_limits: config
                .uplinks
                .iter()
                .map(|uplink| uplink.rate_limit)
                .collect(),
            limits: vec![(1472, 1452); count],
        };
        Self {
            candidates: Candidates::new(config.public_key),
            rng: ForwardSecretRng::from_seed(seed),
            uplinks,
            absent: vec![None; count],
            keys: Keyring::default(),
            link: None,
            attempts: Vec::new(),
            answered: None,
            backoff: Backoff::new(now),
            limiter: InitiationLimiter::new(),
            orders: Vec::new(),
            last_heard: None,
            up: false,
            was_up: false,
            up_since: now,
            outages: Outages::default(),
            waiting: Waiting::default(),
            drops: Drops::default(),
            events: Events::default(),
            config,
        }
    }

    /// Its identity.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.config.public_key
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What it may carry.
    #[must_use]
    pub fn vlans(&self) -> &VlanSet {
        &self.config.vlans
    }

    /// Whether frames can travel.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether [`Self::send`] takes records with a virtio-net header. Without a session: any, they go nowhere.
    #[must_use]
    pub fn takes_vnet(&self) -> bool {
        self.link.as_ref().is_none_or(Link::takes_vnet)
    }

    /// Offers one record; it waits in an open datagram until [`Self::flush`].
    pub fn send(&mut self, record: &Record<'_>, now: Instant, sink: &mut dyn DatagramSink) {
        let sent = match (&mut self.link, context!(self, now, sink)) {
            (Some(link), Some(mut context)) => link.send(record, &mut context),
            _ => false,
        };
        self.on_offered(sent, record, now);
    }

    /// The same for a record whose buffer may be kept: for large ones, of which a copy is dear.
    pub fn send_lent(&mut self, lent: &mut Lent<'_>, now: Instant, sink: &mut dyn DatagramSink) {
        let sent = match (&mut self.link, context!(self, now, sink)) {
            (Some(link), Some(mut context)) => link.send_lent(lent, &mut context),
            _ => false,
        };
        self.on_offered(sent, &lent.record(), now);
    }

    fn on_offered(&mut self, sent: bool, record: &Record<'_>, now: Instant) {
        if sent {
            self.keys.on_frame();
            return;
        }
        let (kept, evicted) = self.waiting.keep(record, now);
        if !kept || evicted {
            self.drops.count(Drop::NoUsablePath);
        }
        if self.was_up {
            self.outages.on_refused(now);
        }
    }

    /// Sends what waited for a path, if there is one now.
    fn release_waiting(&mut self, now: Instant, sink: &mut dyn DatagramSink) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink))
            && link.has_path()
        {
            let stale = waiting.release(now, |frame, flow| {
                link.send(&Record::plain(frame, flow), &mut context);
            });
            context.drops.add(Drop::NoUsablePath, stale);
        }
        self.waiting = waiting;
    }

    /// Ends a batch: sends what waits in open datagrams. Call after every group of calls, before sleeping.
    pub fn flush(&mut self, now: Instant, sink: &mut dyn DatagramSink) {
        self.release_waiting(now, sink);
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            link.flush(&mut context);
        }
        self.note_state(now);
    }

    /// Takes a transport datagram; its records go to `deliver`, with whether they begin with a virtio-net header. That header
    /// is as the peer wrote it: check it before use.
    pub fn receive(
        &mut self,
        arrival: &Arrival,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut dyn DatagramSink,
        deliver: &mut dyn FnMut(&[u8], bool),
    ) {
        if let Err(reason) = self.try_receive(arrival, datagram, now, sink, deliver) {
            self.drops.count(reason);
        }
    }

    fn try_receive(
        &mut self,
        arrival: &Arrival,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut dyn DatagramSink,
        deliver: &mut dyn FnMut(&[u8], bool),
    ) -> Result<(), Drop> {
        let header = Header::parse(datagram).ok_or(Drop::Malformed)?;
        let at = self.keys.find(header.receiver).ok_or(Drop::UnknownKey)?;
        let key = self.keys.key(at).ok_or(Drop::UnknownKey)?;
        let link = self
            .link
            .as_ref()
            .filter(|link| link.instance == key.instance);
        if let Some(link) = link {
            link.check_replay(header.path, header.number)?;
        }
        let size = datagram.len();
        let (head, sealed) = datagram.split_at_mut(HEADER_LEN);
        let plaintext = key
            .established
            .opening
            .open(header.nonce(), head, sealed)
            .map_err(|_| Drop::BadAuthentication)?;
        self.on_authentic(at, now);
        let opened = Opened {
            path_id: header.path,
            number: header.number,
            size,
            plaintext,
            arrival,
        };
        let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) else {
            return Ok(());
        };
        let outcome = link.on_datagram(&opened, deliver, &mut context);
        if header.path == 0 {
            for (uplink, remote) in self
                .link
                .as_mut()
                .map(Link::take_proven)
                .unwrap_or_default()
            {
                self.candidates.learn(uplink, remote, now);
            }
            self.apply_orders(now, sink);
        }
        if outcome.frames {
            self.keys.on_frame();
        }
        if outcome.closed {
            self.on_closed(now);
        }
        Ok(())
    }

    /// Hands over the ordered records whose time has come, as [`Self::receive`] does. Call after every batch, and when
    /// [`Self::poll_timeout`] says so.
    pub fn deliver_due(&mut self, now: Instant, deliver: &mut dyn FnMut(&[u8], bool)) {
        if let Some(link) = &mut self.link {
            link.deliver_due(now, deliver);
        }
    }

    /// Does what is due by now.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        wall_ns: u64,
        local: &crate::crypto::PrivateKey,
        sink: &mut dyn DatagramSink,
    ) {
        self.keys.expire(now);
        if self.keys.current().is_none() && self.link.is_some() {
            self.forget_session();
        }
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            link.on_timeout(&mut context);
        }
        if self.link.as_mut().is_some_and(Link::take_fallen) {
            // Ways that were superfluous until now may be the only ones.
            self.candidates.hurry(now);
        }
        self.challenge_candidates(now, sink);
        self.handshake_if_due(now, wall_ns, local, sink);
        self.flush(now, sink);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        [
            self.keys.next_expiry(),
            self.link.as_ref().and_then(|link| link.next_timeout(now)),
            self.handshake_at(now),
            self.next_candidate(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The oldest event not yet polled.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    fn is_present(&self, uplink: UplinkId) -> bool {
        self.absent
            .get(usize::from(uplink.0))
            .is_some_and(Option::is_none)
    }
}
