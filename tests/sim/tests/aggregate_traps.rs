//! Traps that others fell into (MULTIPATH) and that aggregation could: each under the load of a real transfer. Those that
//! are a matter of rates are rows of `aggregate.rs`.
#![allow(clippy::print_stderr, reason = "figures are worth reading")]

use std::time::Duration;

use node::{Mode, PathState};
use rand::RngExt as _;
use sim::{
    Fault, PairSpec, Shape, Sizes, StreamSpec, World,
    aggregate::{
        Metric,
        rows::{self, line},
        run,
    },
    ms, pair, secs,
    tcp::{Algorithm, ConnectionSpec, SenderConfig, Transport},
};

/// Whether the survivor may not even be suspect. Not yet: a transfer that moves to it fills its buffer at once, and what
/// waits there looks lost. Pacing ends that.
const SURVIVOR_IS_TRUSTED: bool = false;

const fn cut(line: usize, direction: usize, cut: bool) -> Fault {
    Fault::Cut {
        line,
        direction,
        cut,
    }
}

fn running(seed: u64, mode: Mode, lines: &[Shape]) -> World {
    let mut world = pair(seed, &PairSpec::new(mode, lines));
    world.boot(0);
    world.boot(1);
    assert!(world.run_until(secs(5), World::all_lines_up).is_some());
    world
}

fn transfer(world: &mut World) -> usize {
    world.add_connection(ConnectionSpec {
        machines: [0, 1],
        carrier: Transport::Tcp,
        sender: SenderConfig::linux(Algorithm::CUBIC),
    })
}

fn loaded(seed: u64, lines: &[Shape]) -> World {
    let mut world = running(seed, Mode::Aggregate, lines);
    transfer(&mut world);
    world
}

#[test]
fn one_line_costs_nothing() {
    let [with, without] = [rows::one(), rows::one_plain()].map(|scenario| {
        let outcome = run(&scenario, 1, |_| {});
        outcome.get(Metric::Goodput)
    });
    assert!(with >= 0.99 * without, "{with} against {without}");
}

#[test]
fn a_seed_repeats() {
    let digest = |seed| {
        let scenario = rows::loss();
        let mut world = scenario.start(seed);
        scenario.begin(&mut world);
        world.run(secs(2));
        (world.digest, world.connections[0].sender.counts)
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn no_loss_is_reported_without_loss() {
    // Nothing is ever dropped: the receiver's window is smaller than these buffers.
    let lines = [line(50, 20), line(20, 60)].map(|line| Shape {
        queue: 8_000_000,
        ..line
    });
    let mut world = loaded(1, &lines);
    world.run(secs(6));
    for host in 0..2 {
        for line in 0..2 {
            let loss = world.path(host, line).unwrap().loss;
            assert!(
                loss.is_none_or(|loss| loss == 0.0),
                "{loss:?} on line {line}"
            );
        }
    }
    assert_eq!(world.connections[0].sender.counts.timeouts, 0);
    world.assert_clean();
}

#[test]
fn the_survivor_is_never_suspect_under_load() {
    for (fast, slow) in [(10, 80), (20, 60), (20, 20)] {
        for direction in 0..3 {
            let mut world = loaded(2, &[line(50, fast), line(20, slow)]);
            world.run(secs(2));
            world.apply(cut(0, direction, true));
            let mut doubted = 0;
            for _ in 0..1500 {
                world.run(ms(1));
                for host in 0..2 {
                    let state = world.path(host, 1).map(|path| path.state);
                    doubted += u32::from(state == Some(PathState::Suspect));
                    let usable = matches!(state, Some(PathState::Up | PathState::Suspect));
                    assert!(usable, "{fast}/{slow}, direction {direction}, end {host}");
                }
            }
            eprintln!("{fast}/{slow}, direction {direction}: suspect in {doubted} of 3000 looks");
            assert!(doubted == 0 || !SURVIVOR_IS_TRUSTED, "{doubted}");
            world.assert_clean();
        }
    }
}

#[test]
fn the_path_with_the_least_delay_dies_under_load_and_is_noticed() {
    let mut world = loaded(3, &[line(50, 2), line(20, 200)]);
    world.run(secs(2));
    world.apply(cut(0, 2, true));
    let noticed = world.run_until(secs(2), |w| !w.carries(0, 0) && !w.carries(1, 0));
    assert!(noticed.is_some_and(|t| t <= ms(400)), "{noticed:?}");
    let before = world.connections[0].receiver.next();
    world.run(secs(4));
    let bytes = (world.connections[0].receiver.next() - before) * 1448;
    assert!(bytes > 1_000_000, "the other one carries {bytes} bytes");
    world.assert_clean();
}

#[test]
fn a_burst_of_reordering_loses_no_frame() {
    let lines = [line(50, 20), line(50, 20)];
    let mut world = running(4, Mode::Aggregate, &lines);
    let frames = StreamSpec {
        sizes: Sizes::Fixed(1400),
        ..StreamSpec::steady(0, 1, 3000)
    };
    world.add_stream(frames);
    world.run(secs(2));
    let from = world.now;
    let shape = Shape {
        reorder: 0.3,
        reorder_by: secs(1),
        ..lines[0]
    };
    let reshape = |shape| Fault::Reshape {
        line: 0,
        direction: 2,
        shape,
    };
    world.apply(reshape(shape));
    world.run(secs(1));
    world.apply(reshape(lines[0]));
    world.run(secs(3));
    // What is sent again for nothing takes room on the lines, so the queue before them may tell the sender to slow down.
    let queue = world.drops(0, "egress-delay") + world.drops(0, "egress-full");
    let lost = world.lost(from, world.now - secs(1)) as u64;
    assert!(
        lost <= queue && queue < 60,
        "{lost} lost, {queue} by the queue"
    );
    world.assert_clean();
}

#[test]
fn cycles_under_load_leave_nothing_stuck() {
    for seed in 0..2 {
        let lines = [line(20, 20), line(10, 60), line(5, 40)];
        let count = 2 + seed as usize;
        let mut world = pair(seed, &PairSpec::new(Mode::Aggregate, &lines[..count]));
        world.apply(cut(0, 2, true));
        world.boot(0);
        world.boot(1);
        world.run(secs(2));
        let id = transfer(&mut world);
        for _ in 0..20 {
            let line = world.rng.random_range(0..count);
            let direction = world.rng.random_range(0..3);
            for broken in [true, false] {
                world.apply(cut(line, direction, broken));
                let pause = ms(world.rng.random_range(20..800));
                world.run(pause);
            }
        }
        (0..count).for_each(|line| world.apply(cut(line, 2, false)));
        let up = world.run_until(secs(4), World::all_lines_up);
        assert!(up.is_some_and(|t| t <= secs(2)), "seed {seed}: {up:?}");
        world.apply(Fault::Pause(true));
        world.run(secs(31)); // the longest hold-down
        world.apply(Fault::Pause(false));
        let before = world.connections[id].receiver.next();
        world.run(secs(2));
        let segments = world.connections[id].receiver.next() - before;
        assert!(segments > 200, "seed {seed}: {segments} segments");
        for line in 0..count {
            assert!(world.carries(0, line), "seed {seed}: line {line}");
        }
        world.assert_clean();
    }
}

#[test]
fn loss_does_not_multiply_packets() {
    for loss in [0.0, 0.01, 0.03, 0.1] {
        let lossy = |line| Shape { loss, ..line };
        let mut world = loaded(5, &[lossy(line(50, 20)), lossy(line(20, 60))]);
        world.run(secs(1));
        let offered = |world: &World| -> u64 {
            let lines = world.lines.iter();
            lines.map(|line| line.directions[0].offered_bytes).sum()
        };
        let sent = |world: &World| world.connections[0].sender.counts.sent * 1500;
        let (bytes, before) = (offered(&world), sent(&world));
        world.run(secs(5));
        let (bytes, sent) = (offered(&world) - bytes, sent(&world) - before);
        let ratio = bytes as f64 / sent as f64;
        eprintln!("loss {loss}: {sent} bytes of segments, {ratio:.3} times as many on the lines");
        // Each lost datagram may be sent again; besides there is sealing, and 60 kB/s to watch two lines.
        let most = sent as f64 * (1.0 + 2.0 * loss) * 1.1 + 300_000.0;
        assert!(
            bytes as f64 <= most,
            "loss {loss}: {bytes} bytes for {sent}"
        );
        world.assert_clean();
    }
}

#[test]
fn a_gigabit_with_300_ms_of_skew_loses_nothing_to_replay_protection() {
    for mode in [Mode::Redundant, Mode::Aggregate] {
        let lines = [1, 301].map(|delay| Shape::clean(ms(delay)));
        let mut world = running(6, mode, &lines);
        let every = Duration::from_micros(480);
        world.add_stream(StreamSpec {
            sizes: Sizes::Fixed(1400),
            burst: 40,
            offload: true,
            every,
            ..StreamSpec::steady(0, 1, 1)
        });
        let from = world.now;
        world.run(ms(700));
        world.apply(Fault::Pause(true));
        world.run(ms(900));
        assert!(world.arrived(from, world.now) > 50_000);
        assert_eq!(world.lost(from, world.now), 0, "{mode:?}");
        assert_eq!(world.drops(1, "replayed"), 0, "{mode:?}");
        world.assert_clean();
    }
}
