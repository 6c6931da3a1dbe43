//! The façade: see the crate.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bridge::{Bridge, BridgeConfig, DropReason, PortId, PortKind, PortState, fdb::FdbEntry};
use rand::Rng as _;
use tunnel::{
    Arrival, Command, Endpoint, Event, PathOp, Peer, PeerConfig, UplinkConfig, UplinkId,
    UplinkState,
    crypto::{ForwardSecretRng, Gate, PrivateKey, PublicKey, Responder, Verdict},
};
use wire::{
    datagram::{Header, Kind, kind},
    handshake::{CookieReply, Initiation, Response},
};

use crate::{
    budget::Budgets,
    config::{NodeConfig, NodeUplink, PortIndex},
    forward::{Forwarder, Ways},
    io::Io,
    peers::Peers,
    ports::{LocalPort, PortChange},
    snapshot::NodeSnapshot,
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
    /// A local port's interface came, went or changed.
    Port(PortIndex, PortChange),
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

/// The switch with its local ports.
fn switch(config: &NodeConfig, hash_seed: u64) -> Bridge {
    let addresses = &config.addresses;
    let mut bridge = Bridge::new(BridgeConfig {
        ageing: addresses.ageing,
        fdb_limit: addresses.limit,
        fdb_limit_per_port: addresses.limit_per_port(),
        hash_seed,
        relay: config.relay,
    });
    for (at, port) in config.ports.iter().enumerate() {
        let id = PortId(at as u16);
        let _ = bridge.add_port(id, PortKind::Local(port.vlans.clone()));
        bridge.set_storm_limits(id, port.storm);
        if !port.present {
            bridge.set_port_state(id, PortState::Discarding);
        }
    }
    bridge
}

/// See the crate.
pub struct Node {
    name: String,
    private_key: PrivateKey,
    uplinks: Vec<NodeUplink>,
    pub(crate) ports: Vec<LocalPort>,
    pub(crate) peers: Peers,
    by_key: HashMap<PublicKey, usize>,
    pub(crate) forwarder: Forwarder,
    gate: Gate,
    rng: ForwardSecretRng,
    promised: Option<Instant>,
    budgets: Budgets,
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
            .map(|uplink| UplinkConfig {
                role: uplink.role,
                rate_limit: uplink.rate_limit,
            })
            .collect();
        let budgets = Budgets::new(
            (0..)
                .map(UplinkId)
                .zip(&config.uplinks)
                .filter_map(|(id, uplink)| uplink.budget.map(|budget| (id, budget))),
        );
        let local_key = config.private_key.public();
        let local_ports = config.ports.len() as u16;
        let mut bridge = switch(&config, rng.next_u64());
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
            ports: config.ports.into_iter().map(LocalPort::new).collect(),
            peers: Peers::new(peers),
            by_key,
            rng,
            promised: None,
            budgets,
            refused: BTreeMap::new(),
        }
    }

    /// Takes a frame that a local port received. What it causes is complete after [`Self::flush`].
    pub fn handle_frame(&mut self, port: PortIndex, frame: &[u8], now: Instant, io: &mut Io<'_>) {
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.on_local_frame(port, frame, &mut ways);
    }

    /// The same for what a local port with offloads received: a frame, or a super-frame, behind its 12-byte virtio-net header.
    pub fn handle_record(&mut self, port: PortIndex, record: &[u8], now: Instant, io: &mut Io<'_>) {
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.on_local_record(port, record, &mut ways);
    }

    /// The same for a record in the first `len` bytes of `buffer`. The node may keep the buffer, to send from it again, and leaves
    /// another of its length.
    pub fn handle_lent(
        &mut self,
        port: PortIndex,
        buffer: &mut Vec<u8>,
        len: usize,
        now: Instant,
        io: &mut Io<'_>,
    ) {
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.on_lent_record(port, buffer, len, &mut ways);
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
            forwarder.on_peer(slot, record, vnet, now, frames);
        });
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.relay(&mut ways);
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
        self.flush_peers(now, io);
        // Records whose time has come may be for other peers.
        let mut ways = ways(now, &mut self.peers, io);
        self.forwarder.relay(&mut ways);
        self.flush_peers(now, io);
        self.forwarder.flush(io.frames);
    }

    fn flush_peers(&mut self, now: Instant, io: &mut Io<'_>) {
        let (forwarder, frames) = (&mut self.forwarder, &mut *io.frames);
        self.peers
            .flush(now, io.datagrams, &mut |slot, record, vnet| {
                forwarder.on_peer(slot, record, vnet, now, frames);
            });
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
        self.heed_budgets(now, wall_ns, io);
    }

    /// Drains the paths of an uplink whose budget is spent, which binds both ends, until it begins anew.
    fn heed_budgets(&mut self, now: Instant, wall_ns: u64, io: &mut Io<'_>) {
        let mut changed = Vec::new();
        self.budgets
            .count(self.peers.iter(), now, wall_ns, |uplink, spent| {
                changed.push((uplink, spent));
            });
        for (uplink, spent) in changed {
            let name = self
                .uplinks
                .get(usize::from(uplink.0))
                .map(|uplink| &uplink.name);
            tracing::warn!(
                uplink = name,
                spent,
                "the budget of an uplink is spent, or begins anew"
            );
            let op = if spent { PathOp::Drain } else { PathOp::Up };
            self.peers.for_each_mut(|peer| {
                peer.handle_command(Command::Path(uplink, None, op), now, io.datagrams);
            });
        }
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
            NodeCommand::Port(port, change) => return self.change_port(port, change),
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
        if self.forwarder.relay_full > 0 {
            drops.insert("relay-full", self.forwarder.relay_full);
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
            ports: self.port_snapshots(now),
            drops: drops.into_iter().collect(),
        }
    }

    fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(reason).or_default() += 1;
    }
}

fn slot_of(index: u32) -> usize {
    (index >> SLOT_SHIFT) as usize
}
