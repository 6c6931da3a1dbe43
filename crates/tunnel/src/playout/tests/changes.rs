//! Paths that join and leave.

use super::*;
use crate::params::PLAYOUT_STEP;

#[test]
fn a_path_that_joins_makes_one_pause_as_long_as_it_is_slower() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS / 5, |_| Some(10 * MS));
    flights.extend(flow(numbers, (SECOND, 3 * SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 70 * MS } else { 10 * MS })
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    // What it brings until the pause is over is late; it comes during the pause.
    let fast: Vec<_> = out
        .iter()
        .filter(|record| record.number % 5 != 0)
        .copied()
        .collect();
    assert!(
        (60 * MS..62 * MS).contains(&longest_pause(&fast)),
        "{}",
        longest_pause(&fast)
    );
    let settled = out
        .iter()
        .position(|record| record.released > SECOND + 140 * MS);
    assert_eq!(out_of_order(&out[settled.unwrap()..]), 0);
    assert!(out_of_order(out) <= 61, "those of 60 ms");
}

#[test]
fn a_path_that_is_tried_with_copies_first_puts_nothing_out_of_order() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, 2 * SECOND), MS / 5, |_| Some(10 * MS));
    flights.extend(flow(numbers, (2 * SECOND, 3 * SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 70 * MS } else { 10 * MS })
    }));
    flights.sort_by_key(|flight| flight.arrives);
    let mut bench = Bench::new(0, 0);
    for flight in flights {
        // A copy of what was sent 60 ms before, on the path that is on trial.
        if (SECOND..2 * SECOND).contains(&flight.sent) && flight.number % 50 == 0 {
            bench.sleep(flight.arrives);
            let copy = bench.order(flight.sent - 60 * MS, false);
            bench.playout.on_piece(copy, bench.now(flight.arrives));
        }
        bench.arrive(flight);
    }
    bench.sleep(4 * SECOND);
    assert_eq!((out_of_order(&bench.out), bench.out.len()), (0, 15_000));
    assert!(longest_pause(&bench.out) < 62 * MS);
}

#[test]
fn a_path_much_slower_pauses_the_flow_no_longer_than_a_tcp_waits() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS / 5, |_| Some(10 * MS));
    flights.extend(flow(numbers, (SECOND, 4 * SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 400 * MS } else { 10 * MS })
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    let fast: Vec<_> = out
        .iter()
        .filter(|record| record.number % 5 != 0)
        .copied()
        .collect();
    let pause = longest_pause(&fast);
    let longest = nanos(PLAYOUT_STEP) * 3 / 2;
    assert!(pause > longest - 5 * MS && pause < longest + MS, "{pause}");
    // After the pause two thirds of the rate, until the delay is where it has to be.
    let after = fast
        .windows(2)
        .position(|two| two[1].released - two[0].released == pause);
    let from = fast[after.unwrap() + 1];
    let during = fast
        .iter()
        .filter(|out| (0..500 * MS).contains(&(out.released - from.released)));
    let during = during.count();
    assert!((1300..1400).contains(&during), "{during} of 2000");
    let settled = out
        .iter()
        .position(|record| record.released > SECOND + 1900 * MS);
    assert_eq!(out_of_order(&out[settled.unwrap()..]), 0);
}

#[test]
fn when_the_slowest_path_leaves_the_delay_falls_slowly() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 70 * MS } else { 10 * MS })
    });
    flights.extend(flow(numbers, (SECOND, 4 * SECOND), MS / 5, |_| {
        Some(10 * MS)
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    let held = |at| out.iter().find(|record| record.sent >= at).unwrap().held();
    assert!(held(1900 * MS) > 60 * MS);
    assert!(held(2700 * MS) > MS + SLACK);
    assert!(held(2950 * MS) <= MS + 16_000);
    for two in out[500..].windows(2) {
        let [before, after] = [two[0], two[1]].map(|record| record.released - record.sent);
        assert!(after >= before - MS / 10 - SLACK - 16_000, "no burst");
    }
}
