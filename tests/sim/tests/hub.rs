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
        relay: false,
    };
    let socket = |uplink| Socket::plain(address(host, uplink, 0, false), 1500);
    Host::new(recipe, (0..peers.len() as u8).map(socket).collect())
}

fn hub() -> World {
    hub_that(false)
}

fn hub_that(relays: bool) -> World {
    let mut world = World::new(1);
    let mut middle = machine(0, &[1, 2], &[0, 0]);
    middle.recipe.relay = relays;
    world.add_host(middle);
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

/// Whether frames of stream `id`, sent until a moment ago, arrived behind each of these machines, all of them.
fn reached_all(world: &World, id: u16, machines: &[usize]) -> bool {
    let stream = &world.streams[usize::from(id)];
    let sent = stream.sent.partition_point(|&at| at < world.now - ms(200));
    assert!(sent > 100);
    machines.iter().all(|&machine| {
        let arrived = stream.arrived.get(&(machine, 0));
        arrived.is_some_and(|at| at[..sent].iter().all(Option::is_some))
    })
}

#[test]
fn a_relay_passes_frames_between_its_spokes_once_and_unchanged() {
    let mut world = hub_that(true);
    // Nobody answers the first one, so it goes everywhere.
    let flood = world.add_stream(StreamSpec::steady(1, 2, 100));
    let sizes = Sizes::Mixed(1500);
    for vlan in [0, 9] {
        world.add_conversation(&StreamSpec {
            sizes,
            vlan,
            ..StreamSpec::steady(2, 1, 100)
        });
    }
    world.add_conversation(&StreamSpec {
        sizes: Sizes::Fixed(1500),
        burst: 20,
        offload: true,
        ..StreamSpec::steady(1, 2, 20)
    });
    world.run(secs(1));
    let from = world.now;
    world.run(secs(5));
    assert_eq!(world.lost(from, world.now - ms(200)), 0);
    assert!(reached_all(&world, flood, &[0, 2]));
    assert_eq!(world.drops(0, "relay-full"), 0);
    // What spokes say to each other is not for stations behind the one in the middle.
    for stream in world
        .streams
        .iter()
        .filter(|stream| stream.head.stream != flood)
    {
        let strays = stream.arrived.get(&(0, 0)).into_iter().flatten().flatten();
        assert_eq!(
            strays.filter(|&&at| at > from).count(),
            0,
            "{:?}",
            stream.spec
        );
    }
    world.assert_clean();
}

#[test]
fn a_mesh_without_relays_reaches_everybody_once() {
    let mut world = World::new(1);
    world.add_host(machine(0, &[1, 2], &[0, 0]));
    world.add_host(machine(1, &[0, 2], &[0, 1]));
    world.add_host(machine(2, &[0, 1], &[1, 1]));
    for (ends, delay) in [
        ([(0, 0), (1, 0)], 10),
        ([(0, 1), (2, 0)], 20),
        ([(1, 1), (2, 1)], 5),
    ] {
        world.lines.push(Line::new(ends, Shape::clean(ms(delay))));
    }
    (0..3).for_each(|host| world.boot(host));
    world.run(secs(1));
    assert!(world.all_peers_up() && world.all_lines_up());
    let floods = [(0, 1), (1, 2), (2, 0)]
        .map(|(from, to)| world.add_stream(StreamSpec::steady(from, to, 100)));
    world.run(secs(5));
    for (from, flood) in floods.into_iter().enumerate() {
        let others: Vec<usize> = (0..3).filter(|&machine| machine != from).collect();
        assert!(reached_all(&world, flood, &others), "from {from}");
    }
    // No frame arrived twice, or came back to where it was sent.
    world.assert_clean();
}
