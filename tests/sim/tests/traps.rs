//! Traps that others fell into (MULTIPATH), as far as they apply to what is here.

use node::{Mode, PathState, PortVlans, VlanId};
use sim::{Fault, PairSpec, Shape, Sizes, StreamSpec, World, ms, pair, secs};

fn running(seed: u64, mode: Mode, lines: &[Shape], per_second: u32) -> World {
    let mut world = pair(seed, &PairSpec::new(mode, lines));
    world.boot(0);
    world.boot(1);
    world.run(secs(2));
    for _ in 0..4 {
        world.add_conversation(&StreamSpec::steady(0, 1, per_second / 4));
    }
    world.run(secs(2));
    assert!(world.all_lines_up());
    world
}

#[test]
fn the_survivor_is_never_suspect() {
    for mode in [Mode::Failover, Mode::Balance, Mode::Redundant] {
        for (fast, slow) in [(5, 40), (10, 10), (30, 35), (1, 150)] {
            for direction in 0..3 {
                let mut world = running(
                    1,
                    mode,
                    &[Shape::clean(ms(fast)), Shape::clean(ms(slow))],
                    1000,
                );
                world.apply(Fault::Cut {
                    line: 0,
                    direction,
                    cut: true,
                });
                for _ in 0..3000 {
                    world.run(ms(1));
                    for host in 0..2 {
                        let state = world.path(host, 1).map(|path| path.state);
                        assert_eq!(
                            state,
                            Some(PathState::Up),
                            "{mode:?} {fast}/{slow}, direction {direction}, end {host}"
                        );
                    }
                }
                world.assert_clean();
            }
        }
    }
}

#[test]
fn no_loss_is_reported_without_loss() {
    for mode in [Mode::Failover, Mode::Balance, Mode::Redundant] {
        let slow = Shape {
            jitter: ms(8),
            overtaking: true,
            ..Shape::clean(ms(60))
        };
        let mut world = running(2, mode, &[Shape::clean(ms(5)), slow], 1000);
        world.run(secs(15));
        for host in 0..2 {
            for line in 0..2 {
                let loss = world.path(host, line).unwrap().loss;
                // Overtaking by more than three datagrams looks like loss for a moment (RFC 9002 6.1.1).
                let bound = if line == 0 { 0.0 } else { 1.0 };
                assert!(
                    loss.is_none_or(|loss| loss <= bound),
                    "{mode:?}: {loss:?} on line {line}"
                );
            }
        }
        world.assert_clean();
    }
}

#[test]
fn a_burst_of_reordering_loses_no_frame() {
    for mode in [Mode::Failover, Mode::Balance, Mode::Redundant] {
        let lines = [Shape::clean(ms(10)); 2];
        let mut world = running(3, mode, &lines, 1000);
        let from = world.now;
        let shape = Shape {
            reorder: 0.3,
            reorder_by: secs(1),
            ..lines[0]
        };
        world.apply(Fault::Reshape {
            line: 0,
            direction: 2,
            shape,
        });
        world.run(secs(1));
        world.apply(Fault::Reshape {
            line: 0,
            direction: 2,
            shape: lines[0],
        });
        world.run(secs(3));
        assert_eq!(world.lost(from, world.now - ms(100)), 0, "{mode:?}");
        world.assert_clean();
    }
}

#[test]
fn a_fresh_path_with_jitter_joins() {
    let jittery = Shape {
        jitter: ms(20),
        overtaking: true,
        ..Shape::clean(ms(20))
    };
    let mut world = running(4, Mode::Balance, &[Shape::clean(ms(20)), jittery], 400);
    world.apply(Fault::Cut {
        line: 1,
        direction: 2,
        cut: true,
    });
    world.run(secs(20));
    world.apply(Fault::Cut {
        line: 1,
        direction: 2,
        cut: false,
    });
    let joined = world.run_until(secs(2), |w| w.carries(0, 1) && w.carries(1, 1));
    assert!(joined.is_some());
    // And it stays: jitter alone is no reason for doubt for long.
    let mut bad = 0;
    for _ in 0..2000 {
        world.run(ms(5));
        bad += usize::from(!world.line_is_up(1));
    }
    assert!(bad <= 20, "not up in {bad} of 2000 moments");
    world.assert_clean();
}

#[test]
fn the_path_with_the_least_delay_dies_and_is_noticed() {
    let mut world = running(
        5,
        Mode::Failover,
        &[Shape::clean(ms(1)), Shape::clean(ms(100))],
        500,
    );
    world.apply(Fault::Cut {
        line: 0,
        direction: 2,
        cut: true,
    });
    let noticed = world.run_until(secs(2), |w| !w.carries(0, 0) && !w.carries(1, 0));
    assert!(noticed.is_some_and(|t| t <= ms(200)), "{noticed:?}");
    world.assert_clean();
}

#[test]
fn loss_on_one_path_does_not_delay_flows_on_another() {
    let lossy = Shape {
        loss: 0.01,
        ..Shape::clean(ms(10))
    };
    let mut world = running(6, Mode::Balance, &[lossy, Shape::clean(ms(10))], 1000);
    let from = world.now;
    world.run(secs(10));
    for stream in &world.streams {
        let sent: Vec<_> = stream
            .sent
            .iter()
            .copied()
            .filter(|&at| at >= from)
            .collect();
        let mut delays: Vec<_> = sent
            .iter()
            .zip(stream.fates(from, world.now))
            .filter_map(|(&s, at)| Some(at? - s))
            .collect();
        delays.sort_unstable();
        let p99 = delays[delays.len() * 99 / 100];
        assert!(p99 <= ms(15), "{p99:?}");
    }
    world.assert_clean();
}

#[test]
fn a_full_send_queue_drops_by_name_and_nothing_else_suffers() {
    let mut world = pair(8, &PairSpec::new(Mode::Failover, &[Shape::clean(ms(5)); 2]));
    world.boot(0);
    world.boot(1);
    world.run(secs(1));
    world.add_conversation(&StreamSpec {
        burst: 20,
        sizes: Sizes::Fixed(1400),
        ..StreamSpec::steady(0, 1, 20)
    });
    world.hosts[0].datagrams.limit = 10;
    world.run(secs(5));
    assert!(world.drops(0, "send-queue-full") > 500);
    world.hosts[0].datagrams.limit = 0;
    world.run(ms(200));
    assert!(world.all_lines_up());
    let from = world.now;
    world.run(secs(3));
    assert_eq!(world.lost(from, world.now - ms(100)), 0);
    world.assert_clean();
}

#[test]
fn vlans_and_ports_are_kept_apart() {
    let mut spec = PairSpec::new(Mode::Failover, &[Shape::clean(ms(5))]);
    spec.ports = vec![
        PortVlans::Transparent,
        PortVlans::Access(VlanId::new(10).unwrap()),
        PortVlans::Access(VlanId::new(20).unwrap()),
    ];
    let mut world = pair(7, &spec);
    world.boot(0);
    world.boot(1);
    world.run(secs(1));
    for (from, vlan) in [(0, 0), (0, 10), (0, 20), (0, 30), (1, 10), (2, 20)] {
        for to in [0, 1, 2] {
            let reachable = to == 0 || [10, 20][to as usize - 1] == vlan;
            if reachable {
                let spec = StreamSpec {
                    from: (0, from),
                    to: (1, to),
                    vlan,
                    sizes: Sizes::Mixed(1500),
                    ..StreamSpec::steady(0, 1, 50)
                };
                world.add_conversation(&spec);
            }
        }
    }
    let from = world.now;
    world.run(secs(5));
    assert_eq!(world.lost(from, world.now - ms(100)), 0);
    world.assert_clean();
}
