//! Named failures and how soon the pair is over them.
#![allow(clippy::print_stderr, reason = "the measured times are worth reading")]

use std::time::{Duration, Instant};

use node::{Mode, NodeCommand, PathOp, UplinkId};
use sim::{Fault, PairSpec, Shape, StreamSpec, World, ms, pair, secs};

const MODES: [Mode; 4] = [
    Mode::Failover,
    Mode::Balance,
    Mode::Redundant,
    Mode::Aggregate,
];

fn line(delay_ms: u64) -> Shape {
    Shape::clean(ms(delay_ms)).with_rate(50_000_000)
}

/// Two running machines, at rest, with streams of this many frames a second each way.
fn running(seed: u64, spec: &PairSpec, per_second: u32) -> World {
    let mut world = pair(seed, spec);
    world.boot(0);
    world.boot(1);
    world.run(secs(2));
    assert!(world.all_lines_up(), "not up after 2 s");
    for _ in 0..2 {
        world.add_conversation(&StreamSpec::steady(0, 1, per_second / 2));
    }
    world.run(secs(2));
    world
}

fn two_lines(seed: u64, mode: Mode) -> World {
    running(seed, &PairSpec::new(mode, &[line(10), line(10)]), 1000)
}

fn gap(world: &World, from: Instant) -> Duration {
    world
        .streams
        .iter()
        .map(|s| s.longest_gap(from, world.now))
        .max()
        .unwrap_or_default()
}

#[test]
fn a_lost_carrier_is_acted_on_at_once() {
    for mode in MODES {
        let mut world = two_lines(1, mode);
        let from = world.now;
        world.apply(Fault::Cut {
            line: 0,
            direction: 2,
            cut: true,
        });
        world.apply(Fault::Carrier {
            host: 0,
            uplink: 0,
            present: false,
        });
        world.run(secs(1));
        let [away, towards] = [0, 1].map(|end: usize| {
            let streams = world.streams.iter().filter(|s| s.spec.from.0 == end);
            streams
                .map(|s| s.longest_gap(from, world.now))
                .max()
                .unwrap_or_default()
        });
        eprintln!(
            "carrier lost, {mode:?}: from the end that sees it {away:.1?}, towards it {towards:.1?}"
        );
        assert!(away <= ms(20 + 2), "{mode:?}: {away:?}");
        assert!(towards <= ms(30 + 2), "{mode:?}: {towards:?}");
        world.assert_clean();
    }
}

#[test]
fn a_line_that_comes_back_is_used_again_without_loss() {
    for mode in MODES {
        let mut world = two_lines(2, mode);
        world.apply(Fault::Cut {
            line: 0,
            direction: 2,
            cut: true,
        });
        world.run(secs(3));
        let from = world.now;
        world.apply(Fault::Cut {
            line: 0,
            direction: 2,
            cut: false,
        });
        let back = world.run_until(secs(4), |w| w.carries(0, 0) && w.carries(1, 0));
        eprintln!("line back, {mode:?}: carries after {back:?}");
        if back.is_none() {
            world.print_state();
        }
        assert!(back.is_some_and(|t| t <= secs(2)), "{mode:?}: {back:?}");
        world.run(secs(2));
        assert_eq!(world.lost(from, world.now - ms(100)), 0, "{mode:?}");
        world.assert_clean();
    }
}

#[test]
fn a_drain_loses_nothing_and_is_undone() {
    for mode in MODES {
        let mut world = two_lines(3, mode);
        let from = world.now;
        for _ in 0..3 {
            world.apply(Fault::Order(0, 0, PathOp::Drain));
            world.run(secs(1));
            assert!(
                !world.carries(0, 0) && !world.carries(1, 0),
                "{mode:?}: still carries"
            );
            world.apply(Fault::Order(1, 0, PathOp::Up));
            world.run(secs(1));
            assert!(
                world.carries(0, 0) && world.carries(1, 0),
                "{mode:?}: does not carry again"
            );
        }
        assert_eq!(world.lost(from, world.now - ms(100)), 0, "{mode:?}");
        world.assert_clean();
    }
}

#[test]
fn an_order_binds_both_ends_until_it_is_ended() {
    let mut world = two_lines(4, Mode::Failover);
    assert!(!world.hosts[0].node.as_mut().unwrap().handle_command(
        NodeCommand::Path(
            0,
            UplinkId(9),
            Some("192.0.2.1:1".parse().unwrap()),
            PathOp::Down
        ),
        world.now,
        &mut node::Io {
            datagrams: &mut sim::outbox::Datagrams::default(),
            frames: &mut sim::outbox::Frames::default()
        }
    ));
    world.apply(Fault::Order(0, 0, PathOp::Down));
    world.run(secs(30));
    for end in 0..2 {
        assert_eq!(
            world.path(end, 0).map(|p| (p.state, p.reason)),
            Some((node::PathState::Down, "ordered-down"))
        );
    }
    world.apply(Fault::Order(0, 0, PathOp::Up));
    assert!(world.run_until(secs(2), World::all_lines_up).is_some());
    world.assert_clean();
}

#[test]
fn an_order_that_ends_while_the_peer_was_restarted_does_no_harm() {
    for op in [PathOp::Down, PathOp::Drain] {
        for host in 0..2 {
            let mut spec = PairSpec::new(Mode::Failover, &[line(10)]);
            spec.dials[1 - host] = false;
            let mut world = running(4, &spec, 100);
            world.apply(Fault::Order(host, 0, op));
            world.run(secs(1));
            world.apply(Fault::Crash(1 - host));
            world.run(secs(4));
            world.apply(Fault::Boot(1 - host, Some(0)));
            world.run(secs(1));
            world.apply(Fault::Order(host, 0, PathOp::Up));
            let up = world.run_until(secs(2), World::all_lines_up);
            assert!(up.is_some(), "{op:?} by {host}");
            world.assert_clean();
        }
    }
}

#[test]
fn redundant_loses_nothing_when_any_line_dies() {
    for line_index in 0..3 {
        for direction in 0..3 {
            let lines = [line(5), line(20), line(40)];
            let mut world = running(5, &PairSpec::new(Mode::Redundant, &lines), 1000);
            let from = world.now;
            world.apply(Fault::Cut {
                line: line_index,
                direction,
                cut: true,
            });
            world.run(secs(2));
            world.apply(Fault::Cut {
                line: line_index,
                direction,
                cut: false,
            });
            world.run(secs(5));
            assert_eq!(
                world.lost(from, world.now - ms(100)),
                0,
                "line {line_index}, direction {direction}"
            );
            world.assert_clean();
        }
    }
}

#[test]
fn a_killed_end_is_back_within_a_second_of_its_start() {
    for clock in [Some(0), Some(-3_000_000), Some(3_000_000), None] {
        for (seed, host) in [(6, 0), (7, 1), (8, 0), (9, 1)] {
            let mut world = two_lines(seed, Mode::Failover);
            world.apply(Fault::Crash(host));
            world.run(secs(seed % 2 * 20) + ms(300));
            let from = world.now;
            world.apply(Fault::Boot(host, clock));
            world.run(secs(3));
            let took = world.first_arrival_after(from);
            eprintln!("restart of {host}, clock {clock:?}: frames after {took:?}");
            assert!(took.is_some_and(|t| t <= secs(1)), "{took:?}");
            assert!(world.all_lines_up());
            assert_eq!(world.lost(from + secs(1), world.now - ms(100)), 0);
            world.assert_clean();
        }
    }
}

#[test]
fn an_end_whose_peer_dials_nobody_is_found_again_after_its_restart() {
    for host in 0..2 {
        let mut spec = PairSpec::new(Mode::Failover, &[line(10), line(20)]);
        spec.dials = [true, false];
        let mut world = running(10, &spec, 100);
        world.apply(Fault::Crash(host));
        world.run(secs(10));
        let from = world.now;
        world.apply(Fault::Boot(host, Some(0)));
        world.run(secs(4));
        let took = world.first_arrival_after(from);
        eprintln!("restart of {host}, only 0 dials: frames after {took:?}");
        assert!(took.is_some_and(|t| t <= ms(1300)), "{took:?}");
        world.assert_clean();
    }
}

#[test]
fn an_uplink_with_a_new_address_is_followed() {
    for mode in MODES {
        for host in 0..2 {
            let mut world = two_lines(11, mode);
            let from = world.now;
            world.apply(Fault::Readdress { host, uplink: 0 });
            let up = world.run_until(secs(2), |w| w.line_is_up(0));
            eprintln!(
                "new address of {host}, {mode:?}: up after {up:?}, gap {:.1?}",
                gap(&world, from)
            );
            assert!(up.is_some_and(|t| t <= secs(1)), "{mode:?} {host}: {up:?}");
            world.run(secs(2));
            assert!(gap(&world, from) <= ms(100), "{:?}", gap(&world, from));
            world.assert_clean();
        }
    }
}

#[test]
fn the_only_uplink_with_a_new_address_is_followed() {
    for host in 0..2 {
        let mut world = running(12, &PairSpec::new(Mode::Failover, &[line(10)]), 1000);
        let from = world.now;
        world.apply(Fault::Readdress { host, uplink: 0 });
        world.run(secs(3));
        let gap = gap(&world, from);
        eprintln!("new address of {host}'s only uplink: gap {gap:.1?}");
        assert!(gap <= secs(1), "{gap:?}");
        assert!(world.all_lines_up());
        world.assert_clean();
    }
}

#[test]
fn a_sleeper_is_back_within_a_second() {
    for (lines, host) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
        for nap in [secs(4), secs(300), secs(1200)] {
            let mut world = running(
                13,
                &PairSpec::new(Mode::Failover, &vec![line(10); lines]),
                50,
            );
            world.apply(Fault::Sleep(host));
            world.run(nap);
            let from = world.now;
            world.apply(Fault::Wake(host));
            world.run(secs(4));
            let took = world.first_arrival_after(from);
            eprintln!("{host} slept {nap:?} on {lines} lines: frames after {took:?}");
            assert!(took.is_some_and(|t| t <= secs(1)), "{took:?}");
            assert!(world.all_lines_up());
            world.assert_clean();
        }
    }
}

#[test]
fn a_stopped_node_is_back_within_a_second_of_going_on() {
    let mut worst = Duration::ZERO;
    for (lines, host) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
        for stop in (200..6000).step_by(290) {
            let mut world = running(
                stop,
                &PairSpec::new(Mode::Failover, &vec![line(15); lines]),
                200,
            );
            world.apply(Fault::Freeze(host));
            world.run(ms(stop));
            let from = world.now;
            world.apply(Fault::Wake(host));
            world.run(secs(3));
            let took = world.first_arrival_after(from);
            assert!(
                took.is_some_and(|t| t <= secs(1)),
                "{host} on {lines} lines stopped for {stop} ms: {took:?}"
            );
            worst = worst.max(took.unwrap_or_default());
            assert!(world.all_lines_up());
            world.assert_clean();
        }
    }
    eprintln!("a stopped node goes on: frames after at most {worst:?}");
}

#[test]
fn a_stopped_node_finds_a_peer_that_was_restarted_meanwhile() {
    let mut worst = Duration::ZERO;
    for (lines, only) in [(1, true), (1, false), (2, true), (2, false), (3, true)] {
        for (seed, stop) in (700..8000).step_by(450).enumerate() {
            let mut spec = PairSpec::new(Mode::Failover, &vec![line(15); lines]);
            spec.dials = [!only, true];
            let mut world = running(seed as u64, &spec, 200);
            world.apply(Fault::Freeze(1));
            world.run(ms(stop / 2));
            world.apply(Fault::Crash(0));
            world.run(ms(stop / 2));
            world.apply(Fault::Boot(0, None));
            world.apply(Fault::Wake(1));
            let from = world.now;
            world.run(secs(3));
            let took = world.first_arrival_after(from);
            assert!(
                took.is_some_and(|t| t <= secs(1)),
                "{lines} lines, stopped for {stop} ms: {took:?}"
            );
            worst = worst.max(took.unwrap_or_default());
            world.assert_clean();
        }
    }
    eprintln!("a stopped node finds a restarted peer: frames after at most {worst:?}");
}

#[test]
fn a_hundred_cycles_leave_nothing_stuck() {
    for seed in 0..6 {
        let lines: Vec<Shape> = [line(5), line(20), line(40)][..2 + (seed % 2) as usize].to_vec();
        let count = lines.len();
        let mut world = pair(seed, &PairSpec::new(MODES[(seed % 4) as usize], &lines));
        // It boots with a line dead.
        world.apply(Fault::Cut {
            line: 0,
            direction: 2,
            cut: true,
        });
        world.boot(0);
        world.boot(1);
        world.add_conversation(&StreamSpec::steady(0, 1, 50));
        world.run(secs(5));
        for _ in 0..100 {
            use rand::RngExt as _;
            let line = world.rng.random_range(0..count);
            let direction = world.rng.random_range(0..3);
            let pause = ms(world.rng.random_range(20..800));
            world.apply(Fault::Cut {
                line,
                direction,
                cut: true,
            });
            world.run(pause);
            world.apply(Fault::Cut {
                line,
                direction,
                cut: false,
            });
            let pause = ms(world.rng.random_range(20..800));
            world.run(pause);
        }
        for line in 0..count {
            world.apply(Fault::Cut {
                line,
                direction: 2,
                cut: false,
            });
        }
        let up = world.run_until(secs(4), World::all_lines_up);
        eprintln!("100 cycles, seed {seed}: all up after {up:?}");
        assert!(up.is_some_and(|t| t <= secs(2)), "seed {seed}: {up:?}");
        world.run(secs(31)); // the longest hold-down
        for line in 0..count {
            let path = world.path(0, line).unwrap();
            assert_ne!(path.excluded, Some("hold-down"));
        }
        let from = world.now;
        world.run(secs(2));
        assert_eq!(world.lost(from, world.now - ms(100)), 0);
        world.assert_clean();
    }
}
