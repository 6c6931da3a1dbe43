//! Who can reach whom, and how the ends find each other.
#![allow(clippy::print_stderr, reason = "the measured times are worth reading")]

use node::Mode;
use sim::{Fault, Nat, NatKind, PairSpec, Shape, StreamSpec, World, ms, pair, secs};

fn spec(lines: usize) -> PairSpec {
    PairSpec::new(Mode::Failover, &vec![Shape::clean(ms(15)); lines])
}

fn put_behind(world: &mut World, host: usize, kind: NatKind) {
    for (uplink, socket) in world.hosts[host].sockets.iter_mut().enumerate() {
        let public = std::net::Ipv4Addr::new(100, 64, uplink as u8, host as u8 + 1);
        socket.nat = Some(Nat::new(kind, public.into(), secs(30)));
    }
}

fn assert_works(world: &mut World, limit: std::time::Duration) {
    world.add_conversation(&StreamSpec::steady(0, 1, 200));
    let up = world.run_until(limit, World::all_lines_up);
    assert!(up.is_some(), "not up within {limit:?}");
    eprintln!("up after {up:?}");
    let from = world.now;
    world.run(secs(5));
    assert_eq!(world.lost(from, world.now - ms(100)), 0);
    world.assert_clean();
}

#[test]
fn one_side_reachable_is_enough() {
    for host in 0..2 {
        for kind in [
            NatKind::Firewall,
            NatKind::PortRestricted,
            NatKind::Symmetric,
        ] {
            let mut spec = spec(2);
            spec.dials[1 - host] = false;
            let mut world = pair(1, &spec);
            put_behind(&mut world, host, kind);
            world.boot(0);
            world.boot(1);
            assert_works(&mut world, secs(2));
        }
    }
}

#[test]
fn two_firewalls_are_opened_from_both_sides() {
    for late in [0, 1, 7] {
        let mut world = pair(2, &spec(2));
        put_behind(&mut world, 0, NatKind::Firewall);
        put_behind(&mut world, 1, NatKind::Firewall);
        world.boot(0);
        world.run(secs(late));
        world.boot(1);
        assert_works(&mut world, secs(3));
    }
}

#[test]
fn a_rebinding_is_followed() {
    for (lines, kind) in [
        (1, NatKind::PortRestricted),
        (2, NatKind::PortRestricted),
        (2, NatKind::Symmetric),
    ] {
        for host in 0..2 {
            let mut spec = spec(lines);
            spec.dials[1 - host] = false;
            let mut world = pair(3, &spec);
            put_behind(&mut world, host, kind);
            world.boot(0);
            world.boot(1);
            assert_works(&mut world, secs(2));
            let from = world.now;
            world.apply(Fault::Rebind { host, uplink: 0 });
            world.run(secs(3));
            let gap = world
                .streams
                .iter()
                .map(|s| s.longest_gap(from, world.now))
                .max()
                .unwrap_or_default();
            eprintln!("rebinding of {host}, {lines} lines, {kind:?}: gap {gap:.1?}");
            assert!(gap <= secs(1), "{gap:?}");
            assert!(world.all_lines_up());
            world.assert_clean();
        }
    }
}

#[test]
fn mappings_that_expire_in_silence_are_made_anew() {
    // Idle probes keep a mapping of 30 s; one of 5 s expires between them, and the line must come back by itself.
    for expiry in [secs(30), secs(5)] {
        let mut spec = spec(2);
        spec.dials = [true, false];
        let mut world = pair(4, &spec);
        put_behind(&mut world, 0, NatKind::PortRestricted);
        world.hosts[0]
            .sockets
            .iter_mut()
            .filter_map(|s| s.nat.as_mut())
            .for_each(|nat| nat.expiry = expiry);
        world.boot(0);
        world.boot(1);
        assert_works(&mut world, secs(2));
        world.apply(Fault::Pause(true));
        world.run(secs(600));
        let from = world.now;
        world.apply(Fault::Pause(false));
        world.run(secs(5));
        let took = world.first_arrival_after(from);
        eprintln!("mappings of {expiry:?}, after 600 s of silence: frames after {took:?}");
        assert!(took.is_some_and(|t| t <= secs(1)), "{took:?}");
        assert!(world.all_lines_up());
        world.assert_clean();
    }
}

#[test]
fn simultaneous_opens_merge_into_one_session() {
    for seed in 0..20 {
        let mut world = pair(seed, &spec(3));
        world.boot(0);
        world.run(ms(seed % 20 * 2));
        world.boot(1);
        assert_works(&mut world, secs(2));
        world.run(secs(20));
        for host in 0..2 {
            let snapshot = world.snapshot(host).unwrap();
            assert_eq!(
                snapshot.peers[0].paths.len(),
                3,
                "{:?}",
                snapshot.peers[0].paths
            );
        }
    }
}

#[test]
fn a_lost_answer_does_not_leave_a_path_half_open() {
    for seed in 0..60 {
        let mut spec = spec(2);
        spec.dials[seed as usize % 2] = false;
        let mut world = pair(seed, &spec);
        world
            .lines
            .iter_mut()
            .for_each(|line| line.reshape(|shape| shape.loss = 0.5));
        world.boot(0);
        world.boot(1);
        world.run(secs(2));
        world
            .lines
            .iter_mut()
            .for_each(|line| line.reshape(|shape| shape.loss = 0.0));
        assert_works(&mut world, secs(2));
    }
}

#[test]
fn addresses_that_lead_nowhere_do_no_harm() {
    let mut spec = spec(3);
    spec.dial_all = true;
    let mut world = pair(5, &spec);
    world.boot(0);
    world.boot(1);
    assert_works(&mut world, secs(2));
}

#[test]
fn ipv6_outside_works_too() {
    let mut spec = spec(2);
    spec.v6 = vec![true, false];
    let mut world = pair(6, &spec);
    world.boot(0);
    world.boot(1);
    assert_works(&mut world, secs(2));
}
