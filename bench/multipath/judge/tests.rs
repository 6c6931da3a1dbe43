use std::time::Duration;

use super::*;
use crate::record::{Arrivals, FlowRecord, Sample};
use crate::scenario::{Mode, Scenario};

const LINES: &str = "description = \"x\"\nseconds = 10\nsettle = 2\n\
    [[line]]\nrate = 50\nrtt = 20\n[[line]]\nrate = 20\nrtt = 60\n[[tcp]]\n\
    [[stream]]\nname = \"voice\"\nrate = 50\npayload = 160\n";

fn scenario(more: &str) -> Scenario {
    Scenario::parse("X", &format!("{LINES}{more}")).unwrap()
}

/// A flow that delivers `mbit(t)` of payload, in steps of 1 ms.
fn flow(mbit: impl Fn(f64) -> f64) -> FlowRecord {
    let mut arrivals = Arrivals::default();
    for ms in 0..10_000 {
        let bytes = mbit(f64::from(ms) / 1e3) * 1e6 / 8.0 / 1e3;
        if bytes > 0.0 {
            let at = Duration::from_millis(ms as u64);
            arrivals.add(at, bytes as u64, Duration::from_micros(500));
        }
    }
    FlowRecord {
        direction: Direction::AToB,
        arrivals,
    }
}

fn record(more: &str, flows: Vec<FlowRecord>) -> Record {
    Record {
        scenario: scenario(more),
        mode: Mode::Aggregate,
        flows,
        streams: Vec::new(),
        pings: Vec::new(),
        samples: Vec::new(),
        events: Vec::new(),
        stall: lab::Stall::default(),
        daemon_cpu: 0.0,
        status: Default::default(),
    }
}

fn first(record: &Record) -> Option<f64> {
    value(&record.scenario.goals[0], record, None)
}

fn near(value: Option<f64>, wanted: f64, by: f64) {
    let value = value.unwrap();
    assert!((value - wanted).abs() <= by, "{value}, not {wanted}");
}

#[test]
fn goodput_is_a_share_of_what_the_lines_that_work_carry() {
    let goal = "[[goal]]\nwhat = \"goodput\"\n";
    near(first(&record(goal, vec![flow(|_| 65.1)])), 100.0, 0.1);
    let ramp = |t: f64| if t < 2.0 { 1.0 } else { 65.1 };
    near(first(&record(goal, vec![flow(ramp)])), 100.0, 0.1);
    let cut = format!("[[event]]\nat = 6\nline = 1\ndo = \"cut\"\n{goal}");
    let less = |t: f64| if t < 6.0 { 65.1 } else { 18.6 };
    near(first(&record(&cut, vec![flow(less)])), 100.0, 0.1);
    let lossy = goal.replace(
        "[[goal]]",
        "[[event]]\nat = 0\nline = 1\ndo = \"change\"\nloss = 10\n[[goal]]",
    );
    near(first(&record(&lossy, vec![flow(|_| 60.45)])), 100.0, 0.1);
}

#[test]
fn the_reference_is_what_counts_when_it_is_asked_for() {
    let goal = "[reference]\nmode = \"failover\"\n[[goal]]\nwhat = \"of-reference\"\n";
    let ours = record(goal, vec![flow(|_| 60.0)]);
    let theirs = record(goal, vec![flow(|_| 40.0)]);
    near(
        value(&ours.scenario.goals[0], &ours, Some(&theirs)),
        150.0,
        0.1,
    );
    assert_eq!(first(&ours), None);
}

#[test]
fn stalls_are_those_of_the_worst_flow() {
    let goal = "[[goal]]\nwhat = \"stall\"\nfrom = 5\nuntil = 7\n";
    let gap = |t: f64| if (6.0..6.2).contains(&t) { 0.0 } else { 30.0 };
    let value = first(&record(goal, vec![flow(gap), flow(|_| 30.0)]));
    near(value, 200.0, 2.0);
}

#[test]
fn recovery_is_the_end_of_the_first_good_half_second() {
    let goal = "[[goal]]\nwhat = \"recovery\"\nlevel = 90\nfrom = 0\n";
    let late = |t: f64| if t < 1.0 { 20.0 } else { 65.1 };
    // 1 s, and 0.42 s until half a second has 90 %.
    near(first(&record(goal, vec![flow(late)])), 1.42, 0.03);
    let never = first(&record(goal, vec![flow(|_| 40.0)]));
    assert_eq!(never, Some(f64::INFINITY));
}

#[test]
fn a_dip_is_measured_against_the_second_before() {
    let goal = "[[goal]]\nwhat = \"dip\"\nfrom = 5\nuntil = 8\n";
    let dip = |t: f64| if (6.0..6.5).contains(&t) { 30.0 } else { 60.0 };
    near(first(&record(goal, vec![flow(dip)])), 50.0, 1.0);
    near(first(&record(goal, vec![flow(|_| 60.0)])), 0.0, 0.5);
}

#[test]
fn ping_counts_beyond_the_idle_median() {
    let mut some = record("[[goal]]\nwhat = \"ping-p99\"\n", Vec::new());
    let ping = |n: i32| Packet {
        at: f64::from(n) * 0.02 - 2.0,
        delay_ms: match n {
            0..100 => Some(21.0),
            400 | 401 => None,
            500 => Some(80.0),
            _ => Some(24.0),
        },
    };
    some.pings = (0..600).map(ping).collect();
    near(first(&some), 3.0, 1e-9);
    for (what, wanted) in [(What::PingMax, 59.0), (What::PingLost, 2.0)] {
        some.scenario.goals[0].what = what;
        near(first(&some), wanted, 1e-9);
    }
}

#[test]
fn voice_is_late_beyond_the_best_line_or_when_it_is_lost() {
    let mut some = record(
        "[[goal]]\nwhat = \"late\"\nstream = \"voice\"\n",
        Vec::new(),
    );
    let packet = |n: i32| Packet {
        at: f64::from(n) * 0.02,
        delay_ms: match n {
            200 => None,
            201 => Some(40.1),
            202 => Some(39.9),
            _ => Some(12.0),
        },
    };
    some.streams = vec![StreamRecord {
        name: "voice".to_owned(),
        direction: Direction::AToB,
        packets: (0..500).map(packet).collect(),
    }];
    near(first(&some), 2.0, 0.0);
    for (what, wanted) in [
        (What::LostShare, 1.0 / 400.0),
        (What::DelayP50, 2.0),
        (What::DelayP99, 2.0),
    ] {
        some.scenario.goals[0].what = what;
        near(first(&some), wanted, 1e-6);
    }
}

#[test]
fn timeouts_are_those_of_the_sender_within_the_window() {
    let mut some = record(
        "[[goal]]\nwhat = \"timeouts\"\nfrom = 5\nuntil = 6\n",
        Vec::new(),
    );
    let sample = |n: u64| Sample {
        at: n as f64 * 0.1,
        timeouts: [n / 20, 100 * n],
        ..Sample::default()
    };
    some.samples = (0..=100).map(sample).collect();
    near(first(&some), 1.0, 0.0);
}

#[test]
fn fairness_is_that_of_the_flows() {
    let goal = "[[goal]]\nwhat = \"fairness\"\n";
    near(
        first(&record(goal, vec![flow(|_| 30.0), flow(|_| 30.0)])),
        1.0,
        1e-3,
    );
    near(
        first(&record(goal, vec![flow(|_| 30.0), flow(|_| 0.0)])),
        0.5,
        1e-3,
    );
}
