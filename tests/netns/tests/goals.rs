//! Every row of the table of goals once, within twice the goal: machines that test are noisy. On one
//! that stood still meanwhile it is tried again, and in the end not judged. The `goals` program
//! holds the medians to the goals themselves.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time; what was measured is shown

use std::thread;

use lab::undisturbed::{self, Verdict};
use netns::scenario::{self, Event, Lines, Observed, Scenario};
use netns::{Reading, turn};

/// What a row may measure here, in goals.
const FACTOR: f64 = 2.0;

fn check(name: &str, wanted: impl Fn(&Scenario) -> bool) {
    if !lab::can_run(name) {
        return;
    }
    let _turn = turn::take().unwrap();
    for scenario in scenario::all().iter().filter(|scenario| wanted(scenario)) {
        check_one(scenario);
    }
}

fn check_one(scenario: &Scenario) {
    let name = scenario.name();
    let (observed, verdict, stall) = scenario.run_undisturbed(1, FACTOR);
    match (verdict, observed) {
        (Verdict::Good, observed) => println!("{name}: {}", shown(&observed.unwrap())),
        (Verdict::Disturbed, _) => undisturbed::skipped(&name, &undisturbed::text(stall)),
        (Verdict::Missed, Ok(observed)) => panic!(
            "{name}: {FACTOR} × the goal is allowed here: {}\n{}",
            shown(&observed),
            observed.story
        ),
        (Verdict::Missed, Err(error)) => panic!("{name}: {error:#}"),
    }
}

/// All readings beside their goals.
fn shown(observed: &Observed) -> String {
    let text = |reading: &Reading| {
        let goal = reading.row.goal;
        let (value, limit) = (goal.show(reading.value), goal.show(goal.value()));
        format!("\n  {}: {value}, the goal is {limit}", reading.row.event)
    };
    observed.readings.iter().map(text).collect()
}

fn is_black_hole(scenario: &Scenario) -> bool {
    matches!(scenario.event, Event::BlackHole(_))
}

#[test]
fn black_holes_of_equal_lines() {
    check("black_holes_of_equal_lines", |scenario| {
        is_black_hole(scenario) && scenario.lines == Lines::Equal
    });
}

#[test]
fn black_holes_of_unequal_lines() {
    check("black_holes_of_unequal_lines", |scenario| {
        is_black_hole(scenario) && scenario.lines == Lines::Unequal
    });
}

#[test]
fn black_holes_of_immediate_lines() {
    check("black_holes_of_immediate_lines", |scenario| {
        is_black_hole(scenario) && scenario.lines == Lines::Veth
    });
}

#[test]
fn carriers_lost() {
    check("carriers_lost", |scenario| {
        scenario.event == Event::CarrierLoss
    });
}

#[test]
fn drains() {
    check("drains", |scenario| scenario.event == Event::Drain);
}

#[test]
fn deaths_in_redundant() {
    check("deaths_in_redundant", |scenario| {
        scenario.event == Event::Death
    });
}

#[test]
fn restarts() {
    check("restarts", |scenario| {
        matches!(scenario.event, Event::Restart(_))
    });
}

#[test]
fn addresses_changed() {
    check("addresses_changed", |scenario| {
        scenario.event == Event::Address
    });
}

#[test]
fn boots_with_a_dead_line() {
    check("boots_with_a_dead_line", |scenario| {
        scenario.event == Event::BootDead
    });
}

#[test]
fn a_hundred_cycles() {
    if !lab::can_run("a_hundred_cycles") {
        return;
    }
    let _turn = turn::take().unwrap();
    let all = scenario::all();
    let patient: Vec<&Scenario> = all
        .iter()
        .filter(|scenario| scenario.is_patient())
        .collect();
    thread::scope(|scope| {
        for scenario in patient {
            scope.spawn(|| check_one(scenario));
        }
    });
}
