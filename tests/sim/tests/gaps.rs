//! How long nothing arrives when a line goes silent: the goals of the pair, in virtual time.
#![allow(clippy::print_stderr, reason = "the measured gaps are worth reading")]

use std::time::Duration;

use node::Mode;
use sim::{Fault, PairSpec, Shape, StreamSpec, World, ms, pair, secs};

/// Two machines at rest with a stream of 1000 frames a second each way.
fn streaming(seed: u64, mode: Mode, lines: &[Shape]) -> World {
    let mut world = pair(seed, &PairSpec::new(mode, lines));
    world.boot(0);
    world.boot(1);
    world.run(secs(2));
    // In `balance` several flows, so that every line carries some.
    let flows = if mode == Mode::Balance { 4 } else { 1 };
    for _ in 0..flows {
        world.add_conversation(&StreamSpec::steady(0, 1, 1000 / flows));
    }
    world.run(secs(3));
    world
}

/// The longest gap of any stream when a line dies in a direction (2: both).
fn gap(seed: u64, mode: Mode, lines: &[Shape], line: usize, direction: usize) -> Duration {
    let mut world = streaming(seed, mode, lines);
    let phase = world.now + Duration::from_micros(seed * 137 % 20_000);
    world.run(phase - world.now);
    let from = world.now;
    world.apply(Fault::Cut {
        line,
        direction,
        cut: true,
    });
    world.run(secs(2));
    world.assert_clean();
    let step = if mode == Mode::Balance { ms(4) } else { ms(1) };
    world
        .streams
        .iter()
        .map(|s| s.longest_gap(from - ms(20), world.now))
        .max()
        .unwrap_or_default()
        - step
}

fn assert_gaps(name: &str, lines: &[Shape], goal: Duration) {
    let mut worst_of_all = Duration::ZERO;
    for mode in [Mode::Failover, Mode::Balance] {
        for direction in 0..3 {
            let mut gaps: Vec<Duration> = (0..9)
                .map(|seed| gap(seed, mode, lines, 0, direction))
                .collect();
            gaps.sort_unstable();
            let (median, worst) = (gaps[4], gaps[8]);
            eprintln!(
                "{name}, {mode:?}, direction {direction}: median {median:.1?}, worst {worst:.1?} (goal {goal:?})"
            );
            worst_of_all = worst_of_all.max(worst);
        }
    }
    assert!(
        worst_of_all <= goal,
        "{name}: {worst_of_all:?} exceeds {goal:?}"
    );
}

#[test]
fn a_silent_line_of_two_alike() {
    let line = Shape::clean(ms(10)).with_rate(50_000_000);
    assert_gaps("2 x 20 ms", &[line, line], ms(60));
}

#[test]
fn a_silent_fast_line_beside_a_slow_one() {
    let fast = Shape::clean(ms(10)).with_rate(50_000_000);
    let slow = Shape::clean(ms(30)).with_rate(20_000_000);
    assert_gaps("20 ms + 60 ms", &[fast, slow], ms(100));
}

#[test]
fn a_silent_line_of_two_short_ones() {
    let line = Shape::clean(Duration::from_micros(100));
    assert_gaps("2 x 0.2 ms", &[line, line], ms(30));
}
