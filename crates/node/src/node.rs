//! The façade: see the crate.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bridge::{
    Bridge, BridgeConfig, DropReason, PortId, PortKind, PortState, PortVlans, fdb::FdbEntry,
};
use rand::Rng as _;
use tunnel::{
    Arrival, Command, Endpoint, Event, PathOp, Peer, PeerConfig, UplinkConfig, UplinkId,
    UplinkState,
    crypto::{ForwardSecretRng, Gate, PrivateKey, PublicKey, Responder, Verdict},
};
use wire::{
    datagram::{Header, Kind, kind},
    handshake::{CookieReply, Initiation, Response},
    vlan::VlanSet,
};

use crate::{
    config::{NodeConfig, NodePort, NodeUplink, PortIndex},
    forward::{Forwarder, Ways},
    io::Io,
    peers::Peers,
    snapshot::{NodeSnapshot, PortKindSnapshot, PortSnapshot},
};

/// Receiver indexes carry the peer's slot in their upper bits, so that a datagram finds its peer without a table.
const SLOT_SHIFT: u32 = 20;
/// Peers of one node.
pub(crate) const MAX_PEERS: usize = 1000;
/// The node is to be called this often even if nothing is due, so that a sleep of the machine is noticed.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A call that comes this much later than was asked for means that the machine slept, or this process was stopped.
const SLEPT: Duration = Duration::from_millis(500);

/// What the owner of a node may tell it.
#[derive(Clone, Debug)]
pub enum NodeCommand {
    /// Addresses to dial for a peer, by its place in the configuration.
    Endpoints(usize, Vec<Endpoint>),
    /// An uplink changed.
    Uplink(UplinkId, UplinkState),
    /// An order for paths of a peer: all of an uplink, or the one to an address.
    Path(usize, UplinkId, Option<SocketAddr>, PathOp),
    /// Say good-bye to all peers.
    Close,
}

/// Something happened to a peer (by its place in the configuration).
#[derive(Clone, Debug)]
pub struct NodeEvent {
    /// Which peer.
    pub peer: usize,
    /// What.
    pub event: Event,
}

fn ways<'a>(now: Instant, peers: &'a mut Peers, io: &'a mut Io<'_>) -> Ways<'a> {
    Ways {
        now,
        peers,
        datagrams: io.datagrams,
        frames: io.frames,
    }
}

/// See the crate.
pub struct Node {
    name: String,
    private_key: PrivateKey,
    uplinks: Vec<NodeUplink>,
    ports: Vec<NodePort>,
    peers: Peers,
    by_key: HashMap<PublicKey, usize>,
    forwarder: Forwarder,
    gate: Gate,
    rng: ForwardSecretRng,
    promised: Option<Instant>,
    refused: BTreeMap<&'static str, u64>,
}

impl Node {
    /// A node that has not spoken to anyone yet.
    #[must_use]
    pub fn new(config: NodeConfig, now: Instant) -> Self {
        let max_frame = config.max_frame();
        let mut rng = ForwardSecretRng::from_seed(config.seed);
        let instance = rng.next_u64();
        let uplinks: Vec<UplinkConfig> = config
            .uplinks
            .iter()
            .map(|uplink| UplinkConfig { role: uplink.role })
            .collect();
        let local_key = config.private_key.public();
        let hash_seed = rng.next_u64();
        let addresses = config.addresses;
        let mut bridge = Bridge::new(BridgeConfig {
            ageing: addresses.ageing,
            fdb_limit: addresses.limit,
            fdb_limit_per_port: addresses.limit_per_port(),
            hash_seed,
            ..BridgeConfig::default()
        });
        let local_ports = config.ports.len() as u16;
        for (at, port) in config.ports.iter().enumerate() {
            let _ = bridge.add_port(PortId(at as u16), PortKind::Local(port.vlans.clone()));
        }
        let mut peers = Vec::new();
        let mut by_key = HashMap::new();
        for (slot, peer) in config.peers.into_iter().take(MAX_PEERS).enumerate() {
            let _ = bridge.add_port(
                PortId(local_ports + slot as u16),
                PortKind::Peer(peer.vlans.clone()),
            );
            by_key.insert(peer.public_key, slot);
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            let peer = PeerConfig {
                name: peer.name,
                public_key: peer.public_key,
                preshared_key: peer.preshared_key,
                mode: peer.mode,
                vlans: peer.vlans,
                local_name: config.name.clone(),
                local_key,
                instance,
                uplinks: uplinks.clone(),
                max_frame,
                vnet: config.vnet,
                slot: slot as u16,
            };
            peers.push(Peer::new(peer, seed, now));
        }
        Self {
            gate: Gate::new(&local_key, &mut rng),
            forwarder: Forwarder::new(bridge, local_ports, max_frame as usize),
            name: config.name,
            private_key: config.private_key,
            uplinks: config.uplinks,
            ports: config.ports,
            peers: Peers::new(peers),
            by_key,
            rng,
            promised: None,
            refused: BTreeMap::new(),
        }
    }

    /// Takes a frame that a local port received. What it causes is complete after [`Self::flush`].
    pub fn handle_frame(&mut self, port: PortIndex, frame: &[u8], now: Instant, io: &mut Io<'_>) {
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.on_local_frame(port, frame, &mut ways);
    }

    /// The same for what a local port with offloads received: a frame, or a super-frame, behind its 12-byte virtio-net header, in
    /// the first `len` bytes of `buffer`. The node may keep the buffer, to send from it again, and leaves another of its length.
    pub fn handle_record(
        &mut self,
        port: PortIndex,
        buffer: &mut Vec<u8>,
        len: usize,
        now: Instant,
        io: &mut Io<'_>,
    ) {
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.on_local_record(port, buffer, len, &mut ways);
    }

    /// Takes a datagram that an uplink received; opens it in place. `wall_ns` is the wall clock, ns since 1970.
    pub fn handle_datagram(
        &mut self,
        arrival: &Arrival,
        datagram: &mut [u8],
        now: Instant,
        wall_ns: u64,
        io: &mut Io<'_>,
    ) {
        match kind(datagram) {
            Some(Kind::Transport) => self.on_transport(arrival, datagram, now, io),
            Some(Kind::Initiation) => self.on_initiation(arrival, datagram, now, wall_ns, io),
            Some(Kind::Response) => self.on_response(arrival, datagram, now, io),
            Some(Kind::CookieReply) => self.on_cookie_reply(arrival, datagram, now),
            None => self.refuse("not-ours"),
        }
    }

    fn on_transport(
        &mut self,
        arrival: &Arrival,
        datagram: &mut [u8],
        now: Instant,
        io: &mut Io<'_>,
    ) {
        let slot = Header::parse(datagram).map_or(usize::MAX, |header| slot_of(header.receiver));
        let Some(peer) = self.peers.get_mut(slot) else {
            return self.refuse("unknown-key");
        };
        let (forwarder, frames) = (&mut self.forwarder, &mut *io.frames);
        peer.receive(arrival, datagram, now, io.datagrams, &mut |record, vnet| {
            if vnet {
                forwarder.on_peer_record(slot, record, now, frames);
            } else {
                forwarder.on_peer_frame(slot, record, now, frames);
            }
        });
    }

    fn on_initiation(
        &mut self,
        arrival: &Arrival,
        datagram: &[u8],
        now: Instant,
        wall_ns: u64,
        io: &mut Io<'_>,
    ) {
        match self.gate.verify(datagram, arrival.remote, now) {
            Verdict::Accept => {}
            Verdict::AnswerWithCookie(reply) => {
                let target = tunnel::Target {
                    uplink: arrival.uplink,
                    remote: arrival.remote,
                    local: arrival.local,
                };
                if let Some(slot) = io.datagrams.reserve(&target, reply.len()) {
                    slot.copy_from_slice(&reply);
                    io.datagrams.commit();
                }
                return;
            }
            Verdict::Drop(refusal) => return self.refuse(refusal.as_str()),
        }
        let read = Initiation::parse(datagram).and_then(|initiation| {
            Responder::read(&self.private_key, &initiation, &mut self.rng).ok()
        });
        let Some((responder, received)) = read else {
            return self.refuse("bad-handshake");
        };
        let slot = self.by_key.get(&received.remote);
        let Some(peer) = slot.and_then(|&slot| self.peers.get_mut(slot)) else {
            return self.refuse("unknown-peer");
        };
        peer.on_initiation(responder, &received, arrival, now, wall_ns, io.datagrams);
    }

    fn on_response(&mut self, arrival: &Arrival, datagram: &[u8], now: Instant, io: &mut Io<'_>) {
        if !matches!(
            self.gate.verify(datagram, arrival.remote, now),
            Verdict::Accept
        ) {
            return self.refuse("bad-mac");
        }
        let Some(response) = Response::parse(datagram) else {
            return self.refuse("bad-handshake");
        };
        let slot = slot_of(response.receiver);
        let Some(peer) = self.peers.get_mut(slot) else {
            return self.refuse("bad-handshake");
        };
        peer.on_response(&response, arrival, now, io.datagrams);
    }

    fn on_cookie_reply(&mut self, arrival: &Arrival, datagram: &[u8], now: Instant) {
        let slot = CookieReply::parse(datagram).map_or(usize::MAX, |reply| slot_of(reply.receiver));
        match self.peers.get_mut(slot) {
            Some(peer) => peer.on_cookie_reply(datagram, arrival, now),
            None => self.refuse("bad-handshake"),
        }
    }

    /// Sends what the calls since the last flush left in open datagrams. Call at the end of every batch.
    pub fn flush(&mut self, now: Instant, io: &mut Io<'_>) {
        self.peers.flush(now, io.datagrams);
        self.forwarder.flush(io.frames);
    }

    /// Does what is due by now. Read all that has arrived before calling it: an answer in a buffer is an answer.
    pub fn handle_timeout(&mut self, now: Instant, wall_ns: u64, io: &mut Io<'_>) {
        if self
            .promised
            .take()
            .is_some_and(|promised| now.saturating_duration_since(promised) > SLEPT)
        {
            tracing::info!("the machine slept: asking all paths");
            self.peers.for_each_mut(|peer| {
                peer.handle_command(Command::Woke, now, io.datagrams);
            });
        }
        self.peers.handle_due(now, |peer| {
            peer.handle_timeout(now, wall_ns, &self.private_key, io.datagrams);
        });
        self.forwarder.bridge.handle_timeout(now);
    }

    /// When [`Self::handle_timeout`] is to be called, at most a few seconds from now; a call much later looks like sleep.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let peers = self.peers.poll_timeout(now);
        let next = peers
            .into_iter()
            .chain(self.forwarder.bridge.poll_timeout())
            .min();
        let promised = next
            .unwrap_or(now + LOOK_EVERY)
            .clamp(now, now + LOOK_EVERY);
        self.promised = Some(promised);
        self.promised
    }

    /// Carries out a command. False when it names something that does not exist.
    pub fn handle_command(&mut self, command: NodeCommand, now: Instant, io: &mut Io<'_>) -> bool {
        let (peer, command) = match command {
            NodeCommand::Endpoints(peer, endpoints) => (peer, Command::Endpoints(endpoints)),
            NodeCommand::Path(peer, uplink, remote, op) => {
                (peer, Command::Path(uplink, remote, op))
            }
            NodeCommand::Uplink(uplink, state) => {
                self.peers.for_each_mut(|peer| {
                    peer.handle_command(Command::Uplink(uplink, state), now, io.datagrams);
                    peer.flush(now, io.datagrams);
                });
                return true;
            }
            NodeCommand::Close => {
                self.peers.for_each_mut(|peer| {
                    peer.handle_command(Command::Close, now, io.datagrams);
                });
                return true;
            }
        };
        let Some(target) = self.peers.get_mut(peer) else {
            return false;
        };
        let known = target.handle_command(command, now, io.datagrams);
        target.flush(now, io.datagrams);
        known
    }

    /// The oldest event not yet polled.
    pub fn poll_event(&mut self) -> Option<NodeEvent> {
        let (peer, event) = self.peers.poll_event()?;
        Some(NodeEvent { peer, event })
    }

    /// Names of the peers, by their place in the configuration.
    pub fn peer_names(&self) -> impl Iterator<Item = &str> {
        self.peers.iter().map(Peer::name)
    }

    /// Names of the uplinks, by id.
    pub fn uplink_names(&self) -> impl Iterator<Item = &str> {
        self.uplinks.iter().map(|uplink| uplink.name.as_str())
    }

    /// Learned addresses.
    #[must_use]
    pub fn fdb(&self, now: Instant) -> Vec<(FdbEntry, String)> {
        let entries = self.forwarder.bridge.entries(now);
        entries
            .into_iter()
            .map(|entry| (entry, self.port_name(entry.port)))
            .collect()
    }

    /// Bytes of memory that grow with traffic.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.peers.iter().map(Peer::memory).sum()
    }

    /// Everything `status` shows.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> NodeSnapshot {
        let peers: Vec<_> = self.peers.iter().map(|peer| peer.snapshot(now)).collect();
        let mut drops = self.refused.clone();
        for (reason, count) in peers.iter().flat_map(|peer| peer.drops.iter()) {
            *drops.entry(reason.as_str()).or_default() += count;
        }
        for (reason, &count) in DropReason::ALL.iter().zip(&self.forwarder.drops) {
            if count > 0 {
                *drops.entry(reason.as_str()).or_default() += count;
            }
        }
        if self.forwarder.port_full > 0 {
            drops.insert("port-queue-full", self.forwarder.port_full);
        }
        if self.forwarder.bad_header > 0 {
            drops.insert("bad-offload-header", self.forwarder.bad_header);
        }
        if self.forwarder.does_not_fit > 0 {
            drops.insert("frame-does-not-fit", self.forwarder.does_not_fit);
        }
        NodeSnapshot {
            name: self.name.clone(),
            public_key: *self.private_key.public().as_bytes(),
            uplinks: self
                .uplinks
                .iter()
                .map(|uplink| uplink.name.clone())
                .collect(),
            peers,
            ports: self.port_snapshots(),
            drops: drops.into_iter().collect(),
        }
    }

    fn port_snapshots(&self) -> Vec<PortSnapshot> {
        let ids = self.forwarder.bridge.ports();
        ids.map(|id| {
            let state = match self.forwarder.bridge.port_state(id) {
                Some(PortState::Forwarding) => "forwarding",
                Some(PortState::Learning) => "learning",
                Some(PortState::Discarding) | None => "discarding",
            };
            let (kind, vlans) = match self.forwarder.bridge.port_kind(id) {
                Some(PortKind::Peer(vlans)) => (PortKindSnapshot::Peer, ranges(vlans)),
                Some(PortKind::Local(vlans)) => (PortKindSnapshot::Local, local_ranges(vlans)),
                None => (PortKindSnapshot::Local, None),
            };
            PortSnapshot {
                name: self.port_name(id),
                kind,
                state,
                vlans,
            }
        })
        .collect()
    }

    fn port_name(&self, id: PortId) -> String {
        let local = self
            .ports
            .get(usize::from(id.0))
            .map(|port| port.name.clone());
        let peer = || {
            let slot = usize::from(id.0).checked_sub(self.ports.len())?;
            self.peers.get(slot).map(|peer| peer.name().to_owned())
        };
        local.or_else(peer).unwrap_or_default()
    }

    fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(reason).or_default() += 1;
    }
}

fn slot_of(index: u32) -> usize {
    (index >> SLOT_SHIFT) as usize
}

fn ranges(vlans: &VlanSet) -> Option<Vec<(u16, u16)>> {
    (!vlans.is_all()).then(|| {
        vlans
            .ranges()
            .map(|range| (range.start().get(), range.end().get()))
            .collect()
    })
}

fn local_ranges(vlans: &PortVlans) -> Option<Vec<(u16, u16)>> {
    match vlans {
        PortVlans::Transparent => None,
        PortVlans::Access(vlan) => Some(vec![(vlan.get(), vlan.get())]),
        PortVlans::Trunk { allowed, native } => {
            let mut all = allowed.clone();
            if let Some(native) = native {
                all.insert(*native);
            }
            ranges(&all)
        }
    }
}
