//! A machine: a node, its sockets, its clock.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use node::{
    Endpoint, Mode, Node, NodeAddresses, NodeCommand, NodeConfig, NodePeer, NodePort, NodeUplink,
    PortVlans, PresharedKey, PrivateKey, RoleCode, UplinkId, UplinkState, VlanSet,
};

use crate::{
    checks::Second,
    nat::Nat,
    outbox::{Datagrams, Frames},
    world::Packet,
};

/// The socket of one uplink.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Its address and port.
    pub address: SocketAddr,
    /// The device is there and has carrier.
    pub present: bool,
    /// MTU of the device, bytes of IP packet.
    pub mtu: u16,
    /// A box between it and the line.
    pub nat: Option<Nat>,
    /// How often its address changed.
    pub generation: u8,
}

impl Socket {
    /// One that is there, at this address, with nothing before it.
    #[must_use]
    pub const fn plain(address: SocketAddr, mtu: u16) -> Self {
        Self {
            address,
            present: true,
            mtu,
            nat: None,
            generation: 0,
        }
    }
}

/// Another machine, as this one is configured.
#[derive(Clone, Debug)]
pub struct PeerRecipe {
    /// Which.
    pub machine: usize,
    /// How its paths are used.
    pub mode: Mode,
    /// What is dialled.
    pub endpoints: Vec<Endpoint>,
}

/// What a node is made from, again at every start.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub private_key: PrivateKey,
    /// Roles of its uplinks.
    pub roles: Vec<RoleCode>,
    /// Its peers.
    pub peers: Vec<PeerRecipe>,
    /// Its ports' VLANs.
    pub ports: Vec<PortVlans>,
    /// MTU of its ports.
    pub port_mtu: u16,
    /// It passes frames from one peer to another.
    pub relay: bool,
}

/// The true time at the beginning of every run, ns since 1970.
pub const TRUE_TIME: i64 = 1_750_000_000_000_000_000;

/// What a machine believes the time to be.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    /// At the beginning of the run, ns since 1970; negative for one that starts at 1970 later.
    pub at_base: i64,
}

/// See the module.
pub struct Host {
    /// How its node is made.
    pub recipe: Recipe,
    /// Its uplinks.
    pub sockets: Vec<Socket>,
    /// Its clock.
    pub wall: WallClock,
    /// The node, while it runs.
    pub node: Option<Node>,
    /// It sleeps: nothing happens, datagrams are lost.
    pub asleep: bool,
    /// Its node is stopped: datagrams wait here (uplink, packet).
    pub frozen: Option<Vec<(u8, Packet)>>,
    /// What its node could not be told yet.
    pub untold: Vec<NodeCommand>,
    /// How late it wakes up when a timer is due.
    pub latency: Duration,
    /// When its node wants to be woken.
    pub timer: Option<Instant>,
    /// When an event of the world will wake it.
    pub alarm: Option<Instant>,
    /// Counters of the present second.
    pub second: Second,
    /// Datagrams waiting to be sent.
    pub datagrams: Datagrams,
    /// Frames waiting to be delivered.
    pub frames: Frames,
    /// UDP payload sent per uplink so far, bytes.
    pub sent_bytes: Vec<u64>,
    /// Times its node was started.
    pub boots: u32,
}

impl Host {
    /// A machine that is switched off.
    #[must_use]
    pub fn new(recipe: Recipe, sockets: Vec<Socket>) -> Self {
        let count = sockets.len();
        Self {
            recipe,
            sockets,
            wall: WallClock { at_base: TRUE_TIME },
            node: None,
            asleep: false,
            frozen: None,
            untold: Vec::new(),
            latency: Duration::ZERO,
            timer: None,
            alarm: None,
            second: Second::default(),
            datagrams: Datagrams::default(),
            frames: Frames::default(),
            sent_bytes: vec![0; count],
            boots: 0,
        }
    }

    /// Whether its node can do something.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.node.is_some() && !self.asleep && self.frozen.is_none()
    }

    /// A new node of this machine. `public_keys`: of all machines.
    #[must_use]
    pub fn make_node(&self, seed: [u8; 32], public_keys: &[node::PublicKey], now: Instant) -> Node {
        let recipe = &self.recipe;
        let uplinks = recipe.roles.iter().enumerate();
        let ports = recipe.ports.iter().enumerate();
        let config = NodeConfig {
            relay: recipe.relay,
            name: recipe.name.clone(),
            private_key: recipe.private_key.clone(),
            seed,
            uplinks: uplinks
                .map(|(id, &role)| NodeUplink {
                    name: format!("line{id}"),
                    role,
                    rate_limit: None,
                    budget: None,
                })
                .collect(),
            vnet: true,
            peers: recipe
                .peers
                .iter()
                .map(|peer| NodePeer {
                    name: format!("peer{}", peer.machine),
                    public_key: public_keys[peer.machine],
                    preshared_key: PresharedKey::from_bytes([7; 32]),
                    mode: peer.mode,
                    vlans: VlanSet::all(),
                })
                .collect(),
            ports: ports
                .map(|(id, vlans)| NodePort {
                    storm: node::StormLimits::default(),
                    present: true,
                    name: format!("port{id}"),
                    vlans: vlans.clone(),
                    mtu: recipe.port_mtu,
                })
                .collect(),
            addresses: NodeAddresses::default(),
        };
        Node::new(config, now)
    }

    /// What a node is told when it starts.
    #[must_use]
    pub fn first_commands(&self) -> Vec<NodeCommand> {
        let uplinks = (0..self.sockets.len()).map(|id| self.uplink_command(id as u8, false));
        let peers = self.recipe.peers.iter().enumerate();
        let endpoints =
            peers.map(|(peer, recipe)| NodeCommand::Endpoints(peer, recipe.endpoints.clone()));
        uplinks.chain(endpoints).collect()
    }

    /// What the node is told of an uplink.
    #[must_use]
    pub fn uplink_command(&self, uplink: u8, readdressed: bool) -> NodeCommand {
        let socket = &self.sockets[usize::from(uplink)];
        let state = UplinkState {
            present: socket.present,
            reason: "carrier-lost",
            mtu: socket.mtu,
            readdressed,
        };
        NodeCommand::Uplink(UplinkId(uplink), state)
    }
}
