//! Many peers of one machine.

use std::time::Duration;

use sim::{
    Shape, World, ms, secs,
    topology::{address, all_connected, star},
    world::{Happening, Packet},
};
use tunnel::crypto::MacGenerator;
use wire::handshake::Initiation;

const SPOKES: usize = 200;
/// How long a hub may take until all are connected.
const GOAL: Duration = secs(5);

/// A hub whose peers reach it over as many lines.
fn hub(lines: u64) -> World {
    let lines: Vec<Shape> = (0..lines)
        .map(|line| Shape::clean(ms(10 + 15 * line)))
        .collect();
    let mut world = star(1, SPOKES, &lines);
    (0..=SPOKES).for_each(|host| world.boot(host));
    world
}

fn connected(world: &mut World) -> Option<Duration> {
    let start = world.now;
    while !all_connected(world) {
        if world.now >= start + 2 * GOAL {
            return None;
        }
        world.run(ms(10));
        world.assert_clean();
    }
    Some(world.now - start)
}

fn refused(world: &World, reason: &str) -> u64 {
    let hub = world.snapshot(0).expect("the hub runs");
    let found = hub.drops.iter().find(|(name, _)| *name == reason);
    found.map_or(0, |&(_, count)| count)
}

#[test]
fn two_hundred_that_dial_at_once_are_connected_in_time() {
    let mut world = hub(2);
    let took = connected(&mut world);
    assert!(took.is_some_and(|took| took <= GOAL), "{took:?}");
    assert!(
        took < Some(ms(150)),
        "nobody had to fetch a cookie: {took:?}"
    );
}

#[test]
fn so_are_they_when_the_hub_asks_for_cookies() {
    let mut world = hub(4); // eight hundred initiations
    let took = connected(&mut world);
    assert!(took.is_some_and(|took| took <= GOAL), "{took:?}");
    assert!(took > Some(ms(150)), "the gate was not reached: {took:?}");
}

#[test]
fn and_when_the_hub_starts_again() {
    let mut world = hub(2);
    assert!(connected(&mut world).is_some());
    world.run(secs(1));
    world.crash(0);
    world.run(secs(20));
    world.boot(0);
    let took = connected(&mut world);
    assert!(took.is_some_and(|took| took <= GOAL), "{took:?}");
}

/// What anyone can send who knows the hub's public key, from addresses that are not his.
#[test]
fn and_under_a_flood_of_initiations() {
    let mut world = hub(2);
    let mut macs = MacGenerator::new(&world.public_keys()[0]);
    for number in 0..20_000 {
        let mut bytes = Initiation::assemble(number, &[number as u8; 608]);
        macs.fill(&mut bytes, world.now);
        let from = 0x0b00_0000 | number;
        let packet = Packet {
            src: (std::net::Ipv4Addr::from(from), 1830).into(),
            dst: address(0, 0, 0, false),
            bytes: bytes.to_vec(),
        };
        let at = world.base + Duration::from_micros(250) * number;
        world.schedule(at, Happening::Arrive(0, 0, packet));
    }
    let took = connected(&mut world);
    assert!(took.is_some_and(|took| took <= GOAL), "{took:?}");
    world.run(secs(6));
    // Until the load was noticed; the others were asked for a cookie.
    let read = refused(&world, "bad-handshake");
    assert!((1..=500).contains(&read), "{read} of 20,000 were read");
}
