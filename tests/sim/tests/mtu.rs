//! Frames of any size over lines of any MTU, and lines that stop carrying large ones.
#![allow(clippy::print_stderr, reason = "the measured times are worth reading")]

use node::Mode;
use sim::{Fault, PairSpec, Shape, Sizes, StreamSpec, World, ms, pair, secs};

#[test]
fn frames_of_any_size_cross_lines_of_any_mtu() {
    for (mtu, v6) in [
        (1280, false),
        (1280, true),
        (1281, false),
        (1333, true),
        (1400, false),
        (1492, true),
        (1500, false),
    ] {
        for port_mtu in [1500, 9000] {
            let lines = [
                Shape {
                    mtu,
                    ..Shape::clean(ms(10))
                },
                Shape {
                    mtu: 1500 - (mtu - 1280) / 2,
                    ..Shape::clean(ms(30))
                },
            ];
            let mut spec = PairSpec::new(Mode::Balance, &lines);
            spec.port_mtu = port_mtu;
            spec.v6 = vec![v6; 2];
            let mut world = pair(u64::from(mtu), &spec);
            world.boot(0);
            world.boot(1);
            for (vlan, inner) in [
                (0, None),
                (10, None),
                (0, Some((0x88a8, 5))),
                (10, Some((0x8100, 20))),
            ] {
                let sizes = Sizes::Mixed(usize::from(port_mtu));
                world.add_conversation(&StreamSpec {
                    vlan,
                    inner,
                    sizes,
                    ..StreamSpec::steady(0, 1, 50)
                });
            }
            world.run(ms(500)); // in the middle of the search already
            let from = world.now;
            world.run(secs(5));
            assert_eq!(
                world.lost(from, world.now - ms(100)),
                0,
                "MTU {mtu}, frames to {port_mtu}"
            );
            for (line, shape) in lines.iter().enumerate() {
                let headers = if v6 { 48 } else { 28 };
                let found = world.path(0, line).unwrap().mtu;
                let carries = shape.mtu - headers;
                assert!(
                    found <= carries && carries - found < 16,
                    "{found} of {carries}"
                );
            }
            world.assert_clean();
        }
    }
}

fn shrinking(seed: u64, lines: usize, per_second: u32, sizes: Sizes) -> World {
    let line = Shape::clean(ms(10)).with_rate(50_000_000);
    let mut world = pair(seed, &PairSpec::new(Mode::Failover, &vec![line; lines]));
    world.boot(0);
    world.boot(1);
    world.run(secs(2));
    world.add_conversation(&StreamSpec {
        sizes,
        ..StreamSpec::steady(0, 1, per_second)
    });
    world.run(secs(2));
    world
}

#[test]
fn a_black_hole_for_large_datagrams_is_survived() {
    for lines in [1, 2] {
        for (name, per_second, sizes) in [
            ("1000 large frames a second", 1000, Sizes::Fixed(1500)),
            ("1000 mixed frames a second", 1000, Sizes::Mixed(1500)),
            ("50 large frames a second", 50, Sizes::Fixed(1500)),
            (
                "50 frames a second that fill a datagram",
                50,
                Sizes::Fixed(1400),
            ),
        ] {
            for seed in 0..4 {
                let mut world = shrinking(seed, lines, per_second, sizes);
                world.run(ms(seed * 7));
                let from = world.now;
                let shape = Shape {
                    mtu: 1300,
                    ..world.lines[0].directions[0].shape
                };
                world.apply(Fault::Reshape {
                    line: 0,
                    direction: 2,
                    shape,
                });
                world.run(secs(3));
                // What matters is when each frame arrived, be it again and smaller.
                let streams = world.streams.iter();
                let fates = streams.flat_map(|s| {
                    let sent = s.sent.iter().copied().filter(|&at| at >= from);
                    sent.zip(s.fates(from, world.now)).collect::<Vec<_>>()
                });
                let until = world.now - ms(400);
                let latest = fates
                    .filter(|&(sent, _)| sent < until)
                    .map(|(sent, at)| at.map(|at| at - sent));
                let worst = latest
                    .collect::<Option<Vec<_>>>()
                    .map(|all| all.into_iter().max().unwrap_or_default());
                eprintln!(
                    "black hole for large datagrams, {lines} lines, {name}: worst frame {worst:?}"
                );
                assert!(
                    worst.is_some_and(|worst| worst <= ms(300)),
                    "{name}, {lines} lines, seed {seed}: {worst:?}"
                );
                assert!(world.all_lines_up());
                world.assert_clean();
            }
        }
    }
}

#[test]
fn a_larger_mtu_is_found_again() {
    let mut world = shrinking(1, 1, 100, Sizes::Fixed(1500));
    let shape = Shape {
        mtu: 1300,
        ..world.lines[0].directions[0].shape
    };
    world.apply(Fault::Reshape {
        line: 0,
        direction: 2,
        shape,
    });
    world.run(secs(5));
    assert!((1256..=1272).contains(&world.path(0, 0).unwrap().mtu));
    world.apply(Fault::Reshape {
        line: 0,
        direction: 2,
        shape: Shape { mtu: 1500, ..shape },
    });
    world.run(secs(610));
    assert_eq!(world.path(0, 0).unwrap().mtu, 1472);
    world.assert_clean();
}
