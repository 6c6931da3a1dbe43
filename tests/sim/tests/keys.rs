//! Rekeying under traffic, and handshakes that are not meant well.
#![allow(clippy::print_stderr, reason = "the counted work is worth reading")]

use std::{net::SocketAddr, time::Instant};

use node::{Event, Mode, PrivateKey};
use rand::RngExt as _;
use sim::{Fault, PairSpec, Shape, StreamSpec, World, ms, pair, secs, world::Packet};
use tunnel::crypto::{Initiator, MacGenerator};
use wire::hello::Hello;

fn running(seed: u64, lines: &[Shape]) -> World {
    let mut world = pair(seed, &PairSpec::new(Mode::Balance, lines));
    world.boot(0);
    world.boot(1);
    world.run(secs(2));
    assert!(world.all_lines_up());
    world.add_conversation(&StreamSpec::steady(0, 1, 100));
    world.run(secs(1));
    world
}

/// How often each end took up new keys since `from`.
fn rekeyed(world: &World, from: Instant) -> [usize; 2] {
    [0, 1].map(|host| {
        let events = world
            .events
            .iter()
            .filter(|&&(at, machine, _)| at >= from && machine == host);
        events
            .filter(|(.., event)| matches!(event, Event::Rekeyed { .. }))
            .count()
    })
}

#[test]
fn rekeying_loses_no_frame_whoever_began() {
    for seed in 0..4 {
        let jitter = ms(seed * 10);
        let line = Shape {
            jitter,
            overtaking: true,
            ..Shape::clean(ms(20))
        };
        let mut world = running(seed, &[line, Shape::clean(ms(80))]);
        let from = world.now;
        world.run(secs(270));
        assert_eq!(world.lost(from, world.now - ms(200)), 0, "seed {seed}");
        assert_eq!(rekeyed(&world, from), [2, 2]);
        for host in 0..2 {
            assert_eq!(
                world.drops(host, "unknown-key") + world.drops(host, "bad-authentication"),
                0
            );
        }
        world.assert_clean();
    }
}

#[test]
fn rekeying_works_while_lines_lose_and_cost_no_outage() {
    for seed in 0..2 {
        let mut world = running(seed, &[Shape::clean(ms(5)), Shape::clean(ms(20))]);
        world.lines[1].reshape(|shape| shape.loss = 0.3);
        world.run(secs(270));
        world.lines[1].reshape(|shape| shape.loss = 0.0);
        world.run(secs(2));
        let from = world.now;
        world.run(secs(5));
        assert_eq!(world.lost(from, world.now - ms(200)), 0);
        world.assert_clean();
    }
}

/// Sends an initiation of a stranger, or of whoever's key is known, from an invented address.
fn flood(world: &mut World, target: usize, key: &PrivateKey) {
    let hello = Hello {
        instance: 1,
        generation: 1,
        ..Hello::default()
    };
    let remote = world.public_keys()[target];
    let index = world.rng.random();
    let started = Initiator::start(key, &remote, &hello, index, &mut world.rng);
    let Ok((_, mut message)) = started else {
        return;
    };
    MacGenerator::new(&remote).fill(&mut message, world.now);
    let src = SocketAddr::from((
        [203, 0, 113, world.rng.random()],
        world.rng.random_range(1024..u16::MAX),
    ));
    let dst = world.hosts[target].sockets[0].address;
    let end = 1 - target; // the line's other end
    world.inject(
        0,
        end,
        Packet {
            src,
            dst,
            bytes: message.to_vec(),
        },
    );
}

#[test]
fn a_handshake_flood_does_not_break_a_running_session() {
    let mut world = running(1, &[Shape::clean(ms(10)), Shape::clean(ms(10))]);
    // Long enough that a rekey falls into it.
    world.run(secs(110));
    let from = world.now;
    let stranger = PrivateKey::from_bytes([9; 32]);
    for _ in 0..20 * 200 {
        flood(&mut world, 0, &stranger);
        flood(&mut world, 1, &stranger);
        world.run(ms(5));
    }
    assert_eq!(world.lost(from, world.now - ms(100)), 0);
    assert_eq!(rekeyed(&world, from), [1, 1]);
    for host in 0..2 {
        let snapshot = world.snapshot(host).unwrap();
        eprintln!("{:?}", snapshot.drops);
    }
    world.assert_clean();
    // And a peer that starts anew gets in while it goes on.
    world.apply(Fault::Crash(0));
    world.run(secs(5));
    let from = world.now;
    world.apply(Fault::Boot(0, Some(0)));
    for _ in 0..600 {
        flood(&mut world, 0, &stranger);
        flood(&mut world, 1, &stranger);
        world.run(ms(5));
    }
    let took = world.first_arrival_after(from);
    eprintln!("restart under a flood: frames after {took:?}");
    assert!(took.is_some_and(|t| t <= secs(1)), "{took:?}");
    world.assert_clean();
}

#[test]
fn replayed_handshakes_do_not_break_a_running_session() {
    for seed in 0..5 {
        let mut world = running(seed, &[Shape::clean(ms(10)), Shape::clean(ms(25))]);
        // He has heard several handshakes when he begins.
        for host in [0, 1, 0] {
            world.apply(Fault::Crash(host));
            world.run(ms(200));
            world.apply(Fault::Boot(host, Some(0)));
            world.run(secs(3));
        }
        let from = world.now;
        world.begin_attack(secs(20));
        world.run(secs(25));
        assert_eq!(world.lost(from, world.now - ms(100)), 0, "seed {seed}");
        assert!(world.all_lines_up());
        world.assert_clean();
    }
}

#[test]
fn a_stranger_gets_no_answer_at_all() {
    let mut world = running(1, &[Shape::clean(ms(10))]);
    world.apply(Fault::Crash(0));
    world.run(secs(1));
    let before = world.hosts[1].sent_bytes[0];
    let mut quiet = world.hosts[1].sent_bytes[0];
    world.run(secs(5));
    quiet = world.hosts[1].sent_bytes[0] - quiet;
    let stranger = PrivateKey::from_bytes([9; 32]);
    for _ in 0..50 {
        flood(&mut world, 1, &stranger);
        world.run(ms(100));
    }
    let sent = world.hosts[1].sent_bytes[0] - before - quiet;
    assert!(
        sent <= quiet + quiet / 4,
        "sent {sent} bytes, {quiet} without the stranger"
    );
    world.assert_clean();
}
