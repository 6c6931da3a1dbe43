//! Jitter, clocks, and how long anything is held at most.

use super::*;
use crate::params::MAX_PLAYOUT_HOLD;

#[test]
fn jitter_is_covered() {
    let mut bench = Bench::new(0, 0);
    let flights = flow(&mut (0..), (0, 5 * SECOND), MS / 5, |number| {
        let jitter = (scatter(number) % 10_000) as Nanos * 1000;
        Some(if number % 3 == 0 {
            30 * MS + jitter
        } else {
            10 * MS
        })
    });
    let out = bench.run(flights).to_vec();
    assert!(
        out_of_order(&out[1000..]) <= 3,
        "{}",
        out_of_order(&out[1000..])
    );
    assert!(bench.longest <= Duration::from_micros(31_016));
}

#[test]
fn the_senders_clock_may_wrap_and_pause_for_any_time() {
    let wrap = WRAP * TICK;
    for ahead in [wrap - 300 * MS, 5 * wrap - MS, 0, wrap / 2] {
        let mut bench = Bench::new(ahead, 0);
        let numbers = &mut (0..);
        let mut at = 0;
        for pause in [
            0,
            SECOND,
            wrap / 2 - SECOND,
            wrap / 2,
            wrap,
            wrap * 3 / 2 + MS,
            7 * wrap + 1,
        ] {
            at += pause;
            let path = |number| Some(if number % 3 == 0 { 40 * MS } else { 10 * MS });
            let flights = flow(numbers, (at, at + SECOND), MS, path);
            at += 2 * SECOND;
            let out = bench.run(flights);
            assert_eq!(out_of_order(&out[200..]), 0, "after {pause}");
            assert!(out.iter().all(|record| record.held() <= 31 * MS + 16_000));
        }
    }
}

#[test]
fn clocks_may_drift_apart() {
    for drift in [-100, 100] {
        let mut bench = Bench::new(1000 * SECOND, drift);
        let numbers = &mut (0..);
        for from in (0..20).map(|step| step * 100 * SECOND) {
            // Half of it in a stream, half of it with one record in 2 s.
            let path = |number| Some(if number % 3 == 0 { 40 * MS } else { 10 * MS });
            let mut flights = flow(numbers, (from, from + 50 * SECOND), 20 * MS, path);
            let slowly = (from + 50 * SECOND, from + 100 * SECOND);
            flights.extend(flow(numbers, slowly, 2 * SECOND, path));
            let out = bench.run(flights);
            assert_eq!(out_of_order(&out[50..]), 0);
            assert!(out.iter().all(|record| record.held() <= 32 * MS), "{drift}");
        }
    }
}

#[test]
fn nothing_is_held_for_longer_than_the_bound() {
    let mut bench = Bench::new(0, 0);
    let flights = flow(&mut (0..), (0, 3 * SECOND), MS, |number| {
        Some(if number % 9 == 0 { 900 * MS } else { 10 * MS })
    });
    let out = bench.run(flights).to_vec();
    assert!(bench.longest <= MAX_PLAYOUT_HOLD);
    assert!(
        out.iter()
            .all(|record| record.held() <= nanos(MAX_PLAYOUT_HOLD))
    );
    let slow = out.iter().filter(|record| record.number % 9 == 0);
    assert!(
        slow.skip(1).all(|record| record.held() == 0),
        "always late, at once"
    );
}

#[test]
fn a_fast_path_that_appears_is_not_held_for_longer_than_the_bound() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS, |_| Some(900 * MS));
    flights.extend(flow(numbers, (SECOND, 2 * SECOND), MS, |number| {
        Some(if number % 2 == 0 { 900 * MS } else { 10 * MS })
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    assert!(
        out.iter()
            .all(|record| record.held() <= nanos(MAX_PLAYOUT_HOLD))
    );
}
