//! Many random networks. A failed one is named with the command that repeats it.
//!
//! `ROPEWALK_RSTP_SEEDS`: how many of each kind (default 150); `ROPEWALK_RSTP_FIRST`: the first
//! (default 0); `ROPEWALK_RSTP_SEED`: only this one, told in full.
#![allow(clippy::print_stderr, reason = "a failed seed must be named")]

use conformance::random::{Kind, Outcome, run};
use std::panic::catch_unwind;
use std::time::Duration;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}

/// Runs the seeds; what they showed, all together.
fn seeds(kind: Kind, test: &str) -> Vec<Outcome> {
    if let Some(seed) = number("ROPEWALK_RSTP_SEED") {
        let outcome = run(seed, kind, true).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        return vec![outcome];
    }
    let first = number("ROPEWALK_RSTP_FIRST").unwrap_or(0);
    let count = number("ROPEWALK_RSTP_SEEDS").unwrap_or(150);
    let (mut failed, mut outcomes) = (Vec::new(), Vec::new());
    for seed in first..first + count {
        let outcome = catch_unwind(|| run(seed, kind, false));
        match outcome.unwrap_or_else(|_| Err("panicked".to_owned())) {
            Ok(outcome) => outcomes.push(outcome),
            Err(why) => {
                eprintln!(
                    "{kind:?}, seed {seed}: {why}\n  again: ROPEWALK_RSTP_SEED={seed} cargo test \
                     -p ropewalk-conformance --test random {test} -- --nocapture"
                );
                failed.push(seed);
            }
        }
    }
    tell(kind, &outcomes);
    assert!(failed.is_empty(), "{kind:?}: failed seeds {failed:?}");
    outcomes
}

fn tell(kind: Kind, outcomes: &[Outcome]) {
    let sorted = |pick: fn(&Outcome) -> Vec<Duration>| {
        let mut all: Vec<Duration> = outcomes.iter().flat_map(pick).collect();
        all.sort_unstable();
        all
    };
    let slowest = sorted(|outcome| vec![outcome.slowest]);
    let loops = sorted(|outcome| outcome.loops.clone());
    let takeovers = sorted(|outcome| outcome.takeovers.clone());
    let rounds = outcomes.iter().map(|outcome| outcome.rounds).max();
    let sent: u64 = outcomes.iter().map(|outcome| outcome.sent).sum();
    eprintln!(
        "{kind:?}: {} seeds; slowest rest of a seed {:?} (median), {:?} (worst); {} loops, longest \
         {:?}; {} takeovers by alternate ports, {:?} (median), {:?} (95 %), {:?} (worst); {rounds:?} \
         rounds to settle; {sent} BPDUs",
        outcomes.len(),
        slowest.get(slowest.len() / 2),
        slowest.last(),
        loops.len(),
        loops.last(),
        takeovers.len(),
        takeovers.get(takeovers.len() / 2),
        takeovers.get(takeovers.len() * 95 / 100),
        takeovers.last(),
    );
}

#[test]
fn single_faults_heal_and_alternate_ports_take_over_at_once() {
    let outcomes = seeds(Kind::Single, "single");
    let takeovers = outcomes.iter().flat_map(|outcome| &outcome.takeovers);
    // Costs that grow step by step may take longer, as each bridge sends only so many BPDUs at once.
    let within = |most: u64| move |time: &&Duration| **time <= Duration::from_millis(most);
    let (all, fast) = (
        takeovers.clone().count(),
        takeovers.filter(within(50)).count(),
    );
    assert!(fast * 100 >= all * 95, "{fast} of {all} within 50 ms");
}

#[test]
fn rapid_networks_always_become_a_tree() {
    seeds(Kind::Rapid, "rapid");
}

#[test]
fn lossy_networks_always_become_a_tree() {
    seeds(Kind::Lossy, "lossy");
}

#[test]
fn mixed_networks_always_become_a_tree() {
    seeds(Kind::Mixed, "mixed");
}

#[test]
fn shared_networks_always_become_a_tree() {
    seeds(Kind::Shared, "shared");
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in [3, 4] {
        let twice = [(); 2].map(|()| format!("{:?}", run(seed, Kind::Lossy, false)));
        assert_eq!(twice[0], twice[1]);
    }
}
