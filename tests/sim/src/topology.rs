//! Machines and the lines between them, set up in one call.

use std::net::SocketAddr;

use node::{Endpoint, Mode, PathState, PortVlans, PrivateKey, RoleCode, UplinkId};
use rand::Rng as _;

use crate::{
    host::{Host, PeerRecipe, Recipe, Socket},
    line::{Line, Shape},
    world::World,
};

/// The address of an uplink when it has changed `generation` times.
#[must_use]
pub fn address(host: usize, uplink: u8, generation: u8, v6: bool) -> SocketAddr {
    let host = host as u8 + 1;
    if v6 {
        let (uplink, generation) = (u16::from(uplink), u16::from(generation));
        SocketAddr::from((
            [0xfd00, uplink, generation, 0, 0, 0, 0, u16::from(host)],
            1830,
        ))
    } else {
        SocketAddr::from(([10, uplink, generation, host], 1830))
    }
}

/// What a pair of machines is like.
#[derive(Clone, Debug)]
pub struct PairSpec {
    /// How paths are used, at both ends.
    pub mode: Mode,
    /// The lines, alike in both directions.
    pub lines: Vec<Shape>,
    /// Roles of the uplinks of both machines; missing ones are primary.
    pub roles: [Vec<RoleCode>; 2],
    /// Whether each machine dials the other.
    pub dials: [bool; 2],
    /// Which lines use IPv6.
    pub v6: Vec<bool>,
    /// Ports of both machines; the first takes frames with and without tags, the others only without.
    pub ports: Vec<PortVlans>,
    /// MTU of the ports.
    pub port_mtu: u16,
    /// MTU of the uplinks' devices.
    pub device_mtu: u16,
    /// Every endpoint is dialled over every uplink, though only one leads there.
    pub dial_all: bool,
}

impl PairSpec {
    /// Primary lines over IPv4, both ends dial, one transparent port.
    #[must_use]
    pub fn new(mode: Mode, lines: &[Shape]) -> Self {
        Self {
            mode,
            lines: lines.to_vec(),
            roles: [Vec::new(), Vec::new()],
            dials: [true, true],
            v6: Vec::new(),
            ports: vec![PortVlans::Transparent],
            port_mtu: 1500,
            device_mtu: 1500,
            dial_all: false,
        }
    }
}

/// A world with machines 0 and 1, switched off; line `n` joins their uplinks `n`.
#[must_use]
pub fn pair(seed: u64, spec: &PairSpec) -> World {
    let mut world = World::new(seed);
    for host in 0..2 {
        let machine = machine(&mut world, spec, host);
        world.add_host(machine);
    }
    for (uplink, &shape) in spec.lines.iter().enumerate() {
        world
            .lines
            .push(Line::new([(0, uplink as u8), (1, uplink as u8)], shape));
    }
    world
}

fn machine(world: &mut World, spec: &PairSpec, host: usize) -> Host {
    let uplinks = 0..spec.lines.len() as u8;
    let v6 = |uplink: u8| spec.v6.get(usize::from(uplink)).copied().unwrap_or(false);
    let endpoints = uplinks.clone().map(|uplink| Endpoint {
        uplink: (!spec.dial_all).then_some(UplinkId(uplink)),
        address: address(1 - host, uplink, 0, v6(uplink)),
    });
    let endpoints = if spec.dials[host] {
        endpoints.collect()
    } else {
        Vec::new()
    };
    let mut key = [0; 32];
    world.rng.fill_bytes(&mut key);
    let role = |uplink: u8| {
        spec.roles[host]
            .get(usize::from(uplink))
            .copied()
            .unwrap_or_default()
    };
    let recipe = Recipe {
        name: ["a", "b"][host].to_owned(),
        private_key: PrivateKey::from_bytes(key),
        roles: uplinks.clone().map(role).collect(),
        peers: vec![PeerRecipe {
            machine: 1 - host,
            mode: spec.mode,
            endpoints,
        }],
        ports: spec.ports.clone(),
        port_mtu: spec.port_mtu,
        relay: false,
    };
    let socket = |uplink: u8| Socket::plain(address(host, uplink, 0, v6(uplink)), spec.device_mtu);
    Host::new(recipe, uplinks.map(socket).collect())
}

/// A world with machine 0 in the middle and `spokes` around it (at most 250), switched off: each dials the one in the middle
/// over every line, which does not dial. Line `n` of each joins its uplink `n` to the same one in the middle.
#[must_use]
pub fn star(seed: u64, spokes: usize, lines: &[Shape]) -> World {
    let mut world = World::new(seed);
    for host in 0..=spokes {
        let machine = machine_of_star(&mut world, spokes, host, lines.len() as u8);
        world.add_host(machine);
    }
    for (spoke, (uplink, &shape)) in
        (1..=spokes).flat_map(|spoke| (0..).zip(lines).map(move |line| (spoke, line)))
    {
        world
            .lines
            .push(Line::new([(0, uplink), (spoke, uplink)], shape));
    }
    world
}

fn machine_of_star(world: &mut World, spokes: usize, host: usize, uplinks: u8) -> Host {
    let dialled = (0..uplinks).map(|uplink| Endpoint {
        uplink: Some(UplinkId(uplink)),
        address: address(0, uplink, 0, false),
    });
    let peer = |machine, endpoints| PeerRecipe {
        machine,
        mode: Mode::Failover,
        endpoints,
    };
    let mut key = [0; 32];
    world.rng.fill_bytes(&mut key);
    let recipe = Recipe {
        name: format!("m{host}"),
        private_key: PrivateKey::from_bytes(key),
        roles: vec![RoleCode::default(); usize::from(uplinks)],
        peers: match host {
            0 => (1..=spokes).map(|spoke| peer(spoke, Vec::new())).collect(),
            _ => vec![peer(0, dialled.collect())],
        },
        ports: vec![PortVlans::Transparent],
        port_mtu: 1500,
        relay: false,
    };
    let socket = |uplink| Socket::plain(address(host, uplink, 0, false), 1500);
    Host::new(recipe, (0..uplinks).map(socket).collect())
}

/// Whether in a star every peer has a path up over every line, at both ends.
#[must_use]
pub fn all_connected(world: &World) -> bool {
    let whole = |host: usize| {
        let lines = world.hosts[host].sockets.len();
        let snapshot = world.snapshot(host)?;
        let mut peers = snapshot.peers.iter();
        Some(peers.all(|peer| {
            let up = peer.paths.iter().filter(|p| p.state == PathState::Up);
            peer.up && up.count() == lines
        }))
    };
    (0..world.hosts.len()).all(|host| whole(host) == Some(true))
}
