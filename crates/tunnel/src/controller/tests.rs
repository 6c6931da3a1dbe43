//! The controller on emulated lines, in virtual time. Bounds leave room over what was measured with eight seeds.

use super::testline::{Demand, Jitter, Line, World};

const SEED: u64 = 1;

fn busy(line: Line, until: u64) -> World {
    let mut world = World::new(line, &[vec![(0, until)]], SEED);
    world.run(until);
    world
}

/// After a start-up of `from` ms the line is used well, and its queue is short.
fn assert_converges(line: &Line, from: u64, until: u64, used: f64, longest: f64) {
    let world = busy(line.clone(), until);
    let over = from..until - 5;
    let queue = world.queue(0.99, over.clone());
    let got = world.used(over);
    assert!(got >= used, "{line:?} used {got:.3}");
    assert!(queue <= longest, "{line:?} has a queue of {queue:.1} ms");
}

#[test]
fn lines_of_all_rates_and_delays_are_filled_with_a_short_queue() {
    for rate in [10.0, 50.0, 200.0] {
        for round_trip in [0.2, 20.0, 60.0, 250.0] {
            for batch in [100, 1000] {
                let mut line = Line::new(rate, round_trip);
                line.batch = batch;
                assert_converges(&line, 4_000, 8_000, 0.98, 14.0);
            }
        }
    }
}

#[test]
fn a_slow_line_is_filled_with_a_queue_of_a_few_datagrams() {
    for round_trip in [0.2, 60.0, 250.0] {
        assert_converges(&Line::new(2.0, round_trip), 4_000, 10_000, 0.98, 35.0);
    }
}

#[test]
fn a_gigabit_is_filled() {
    assert_converges(&Line::new(1_000.0, 0.2), 1_000, 2_000, 0.98, 10.0);
    assert_converges(&Line::new(1_000.0, 20.0), 1_000, 2_000, 0.98, 10.0);
}

#[test]
fn the_queue_is_mostly_hardly_there() {
    for (rate, round_trip) in [(50.0, 20.0), (20.0, 60.0), (300.0, 16.0)] {
        let world = busy(Line::new(rate, round_trip), 6_000);
        let median = world.queue(0.5, 2_000..5_990);
        assert!(median <= 3.5, "{rate}/{round_trip}: {median:.1} ms");
    }
}

#[test]
fn short_buffers_are_not_overrun_again_and_again() {
    for (rate, round_trip) in [(50.0, 20.0), (200.0, 0.2), (50.0, 250.0), (200.0, 60.0)] {
        let mut line = Line::new(rate, round_trip);
        line.buffer = 10.0;
        assert_converges(&line, 4_000, 8_000, 0.97, 10.0);
    }
}

#[test]
fn long_buffers_stay_empty() {
    for (rate, round_trip) in [(50.0, 20.0), (20.0, 60.0), (200.0, 250.0)] {
        let mut line = Line::new(rate, round_trip);
        line.buffer = 500.0;
        assert_converges(&line, 4_000, 8_000, 0.98, 12.0);
    }
}

#[test]
fn random_loss_slows_nothing() {
    for loss in [0.01, 0.03] {
        for (rate, round_trip) in [(50.0, 20.0), (20.0, 60.0), (200.0, 250.0)] {
            let mut line = Line::new(rate, round_trip);
            line.loss = loss;
            assert_converges(&line, 4_000, 9_000, 0.93, 14.0);
        }
    }
}

#[test]
fn start_up_is_fast_and_its_queue_bounded() {
    for (rate, round_trip, within) in [(50.0, 20.0, 150), (20.0, 60.0, 300), (300.0, 16.0, 300)] {
        let world = busy(Line::new(rate, round_trip), 2_000);
        let up = world.full_from(0.9, 0, 100).expect("never full");
        assert!(up <= within, "{rate}/{round_trip}: {up} ms");
        let queue = world.queue(1.0, 0..1_990);
        assert!(queue <= 60.0, "{rate}/{round_trip}: {queue:.0} ms");
    }
}

#[test]
fn a_fresh_jittery_path_does_not_starve() {
    for (jitter, least) in [
        (Jitter::Uniform(10.0), 0.85),
        (Jitter::Exponential(10.0), 0.8),
    ] {
        for (rate, round_trip) in [(20.0, 60.0), (50.0, 20.0)] {
            let mut line = Line::new(rate, round_trip);
            line.jitter = jitter;
            let world = busy(line, 8_000);
            let used = world.used(3_000..7_990);
            assert!(used >= least, "{jitter:?} {rate}/{round_trip}: {used:.3}");
        }
    }
}

#[test]
fn a_line_that_halves_is_drained_soon_and_taken_up_again() {
    // Until the news is there, a queue of one round trip builds up.
    for (rate, round_trip, bound) in [(50.0, 20.0, 80.0), (20.0, 60.0, 120.0)] {
        let mut line = Line::new(rate, round_trip);
        line.buffer = 500.0;
        line.rate = vec![(0, rate), (3_000, rate / 2.0), (6_000, rate)];
        let world = busy(line, 10_000);
        let spike = world.queue(1.0, 3_000..6_000);
        assert!(spike <= bound, "{rate}/{round_trip}: {spike:.0} ms");
        let left = world.queue(1.0, 3_600..6_000);
        assert!(left <= 20.0, "{rate}/{round_trip}: {left:.0} ms stay");
        assert!(world.used(3_100..6_000) >= 0.97);
        let back = world.full_from(0.95, 6_000, 300).expect("never back");
        assert!(back <= 8_000, "{rate}/{round_trip}: back at {back} ms");
    }
}

#[test]
fn a_much_slower_line_is_followed() {
    let mut line = Line::new(200.0, 30.0);
    line.buffer = 500.0;
    line.rate = vec![(0, 200.0), (2_000, 20.0)];
    let world = busy(line, 5_000);
    assert!(world.queue(1.0, 3_500..4_990) <= 25.0);
    assert!(world.used(2_500..4_990) >= 0.97);
}

#[test]
fn idleness_does_not_make_a_path_forget_its_rate() {
    let sparse: Demand = (0..200).map(|n| (2_000 + n * 50, 2_001 + n * 50)).collect();
    let mut demand: Demand = vec![(0, 2_000)];
    demand.extend(sparse);
    demand.push((12_000, 14_000));
    let mut world = World::new(Line::new(50.0, 20.0), &[demand], SEED);
    world.run(14_000);
    let used = world.used(12_100..13_000);
    assert!(used >= 0.97, "{used:.3}");
    let estimate = world.ticks[11_990].estimate[0];
    assert!((48.0..54.0).contains(&estimate), "{estimate:.1}");
}

#[test]
fn little_demand_from_the_start_is_no_reason_to_think_the_line_slow() {
    let mut demand: Demand = (0..100).map(|n| (n * 20, n * 20 + 1)).collect();
    demand.push((2_000, 4_000));
    let mut world = World::new(Line::new(50.0, 20.0), &[demand], SEED);
    world.run(4_000);
    let used = world.used(2_500..3_990);
    assert!(used >= 0.95, "{used:.3}");
}

#[test]
fn a_policer_is_not_offered_more_and_more() {
    for burst in [20.0, 50.0, 300.0] {
        let mut line = Line::new(100.0, 20.0);
        line.policer = Some((3.0, burst));
        let world = busy(line, 10_000);
        let offered = world.offered(0, 4_000..9_990);
        let carried = world.carried(0, 4_000..9_990);
        assert!(offered <= 3.0 * 1.15, "{burst}: {offered:.2} Mbit/s");
        assert!(carried >= 2.7, "{burst}: {carried:.2} Mbit/s");
    }
}

#[test]
fn a_route_that_became_longer_is_no_queue() {
    let mut line = Line::new(50.0, 20.0);
    line.round_trip = vec![(0, 20.0), (3_000, 100.0)];
    let world = busy(line, 10_000);
    assert!(world.used(3_200..9_990) >= 0.95);
    assert!(world.queue(0.99, 4_000..9_990) <= 25.0);
}

#[test]
fn a_path_that_came_back_starts_from_half() {
    let mut world = World::new(Line::new(50.0, 20.0), &[vec![(0, 6_000)]], SEED);
    world.restart(0, 3_000);
    world.run(6_000);
    let back = world.full_from(0.95, 3_001, 200).expect("never back");
    assert!(back <= 3_500, "{back} ms");
    assert!(world.queue(1.0, 3_000..5_990) <= 60.0);
    assert!(world.used(3_600..5_990) >= 0.97);
}

#[test]
fn two_on_one_line_share_it_without_a_standing_queue() {
    for (rate, round_trip) in [(50.0, 20.0), (20.0, 60.0)] {
        let mut line = Line::new(rate, round_trip);
        line.buffer = 500.0;
        let demands = [vec![(0, 12_000)], vec![(2_000, 12_000)]];
        let mut world = World::new(line, &demands, SEED);
        world.run(12_000);
        let over = 5_000..11_990;
        assert!(world.used(over.clone()) >= 0.97);
        assert!(world.queue(0.99, over.clone()) <= 25.0);
        for flow in 0..2 {
            let share = world.carried(flow, over.clone()) / rate;
            assert!(share >= 0.2, "{rate}/{round_trip}: {share:.2}");
        }
    }
}

#[test]
fn a_run_repeats_from_its_seed() {
    let ticks = |seed| {
        let mut line = Line::new(20.0, 60.0);
        line.loss = 0.01;
        let mut world = World::new(line, &[vec![(0, 1_000)]], seed);
        world.run(1_000);
        let carried = world.ticks.iter().map(|tick| tick.carried[0]);
        carried.collect::<Vec<_>>()
    };
    assert_eq!(ticks(1), ticks(1));
    assert_ne!(ticks(1), ticks(2));
}
