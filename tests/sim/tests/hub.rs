//! Three machines: what is addressed to one station reaches only the machine it is behind.

use node::{Endpoint, Mode, PortVlans, PrivateKey, RoleCode, UplinkId};
use sim::{
    Host, Line, Shape, Sizes, StreamSpec, World,
    host::{PeerRecipe, Recipe, Socket},
    ms, secs,
    topology::address,
};

/// Machine `host`, with an uplink for each of the `peers`; its own place in theirs is `places`.
fn machine(host: usize, peers: &[usize], places: &[u8]) -> Host {
    let peer = |(uplink, (&machine, &place)): (usize, (&usize, &u8))| {
        let endpoint = Endpoint {
            uplink: Some(UplinkId(uplink as u8)),
            address: address(machine, place, 0, false),
        };
        PeerRecipe {
            machine,
            mode: Mode::Failover,
            endpoints: vec![endpoint],
        }
    };
    let recipe = Recipe {
        name: format!("m{host}"),
        private_key: PrivateKey::from_bytes([host as u8 + 1; 32]),
        roles: vec![RoleCode::default(); peers.len()],
        peers: peers.iter().zip(places).enumerate().map(peer).collect(),
        ports: vec![PortVlans::Transparent],
        port_mtu: 1500,
    };
    let socket = |uplink| Socket::plain(address(host, uplink, 0, false), 1500);
    Host::new(recipe, (0..peers.len() as u8).map(socket).collect())
}

fn hub() -> World {
    let mut world = World::new(1);
    world.add_host(machine(0, &[1, 2], &[0, 0]));
    world.add_host(machine(1, &[0], &[0]));
    world.add_host(machine(2, &[0], &[1]));
    world
        .lines
        .push(Line::new([(0, 0), (1, 0)], Shape::clean(ms(10))));
    world
        .lines
        .push(Line::new([(0, 1), (2, 0)], Shape::clean(ms(20))));
    (0..3).for_each(|host| world.boot(host));
    world.run(secs(1));
    assert!(world.all_peers_up() && world.all_lines_up());
    world
}

#[test]
fn a_known_station_is_reached_alone() {
    let mut world = hub();
    let sizes = Sizes::Mixed(1500);
    for to in [1, 2] {
        world.add_conversation(&StreamSpec {
            sizes,
            ..StreamSpec::steady(0, to, 100)
        });
        world.add_conversation(&StreamSpec {
            sizes,
            vlan: 9,
            ..StreamSpec::steady(to, 0, 100)
        });
    }
    world.run(secs(1)); // all stations have been heard
    let from = world.now;
    world.run(secs(5));
    assert_eq!(world.lost(from, world.now - ms(100)), 0);
    for stream in &world.streams {
        let elsewhere = stream
            .arrived
            .iter()
            .filter(|&(&place, _)| place != stream.spec.to);
        let late = elsewhere
            .flat_map(|(_, arrivals)| arrivals)
            .flatten()
            .filter(|&&at| at > from);
        assert_eq!(
            late.count(),
            0,
            "frames of {:?} went to others too",
            stream.spec
        );
    }
    world.assert_clean();
}

#[test]
fn a_machine_in_the_middle_is_no_relay_unless_told() {
    let mut world = hub();
    world.add_conversation(&StreamSpec::steady(1, 2, 100));
    world.run(secs(3));
    assert_eq!(world.arrived(world.base, world.now), 0);
    world.assert_clean();
}
