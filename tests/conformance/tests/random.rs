//! Many random networks. A failed one is named with the command that repeats it.
//!
//! `ROPEWALK_RSTP_SEEDS`: how many of each kind (default 150); `ROPEWALK_RSTP_FIRST`: the first
//! (default 0); `ROPEWALK_RSTP_SEED`: only this one, told in full.
#![allow(clippy::print_stderr, reason = "a failed seed must be named")]

use conformance::random::{Kind, run};
use std::panic::catch_unwind;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}

fn seeds(kind: Kind, test: &str) {
    if let Some(seed) = number("ROPEWALK_RSTP_SEED") {
        run(seed, kind, true).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        return;
    }
    let first = number("ROPEWALK_RSTP_FIRST").unwrap_or(0);
    let count = number("ROPEWALK_RSTP_SEEDS").unwrap_or(150);
    let (mut failed, mut slowest, mut rounds, mut sent) = (Vec::new(), Vec::new(), 0, 0);
    for seed in first..first + count {
        let outcome = catch_unwind(|| run(seed, kind, false));
        match outcome.unwrap_or_else(|_| Err("panicked".to_owned())) {
            Ok(outcome) => {
                slowest.push(outcome.slowest);
                rounds = rounds.max(outcome.rounds);
                sent += outcome.sent;
            }
            Err(why) => {
                eprintln!(
                    "{kind:?}, seed {seed}: {why}\n  again: ROPEWALK_RSTP_SEED={seed} cargo test \
                     -p ropewalk-conformance --test random {test} -- --nocapture"
                );
                failed.push(seed);
            }
        }
    }
    slowest.sort_unstable();
    eprintln!(
        "{kind:?}: {count} seeds; rest after {:?} in half of them, {:?} at most; at most {rounds} \
         rounds to settle; {sent} BPDUs",
        slowest.get(slowest.len() / 2),
        slowest.last()
    );
    assert!(failed.is_empty(), "{kind:?}: failed seeds {failed:?}");
}

#[test]
fn rapid_networks_always_become_a_tree_and_never_loop() {
    seeds(Kind::Rapid, "rapid");
}

#[test]
fn lossy_networks_always_become_a_tree_and_never_loop() {
    seeds(Kind::Lossy, "lossy");
}

#[test]
fn mixed_networks_always_become_a_tree_and_never_loop() {
    seeds(Kind::Mixed, "mixed");
}

#[test]
fn shared_networks_always_become_a_tree_and_never_loop() {
    seeds(Kind::Shared, "shared");
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in [3, 4] {
        let twice = [(); 2].map(|()| format!("{:?}", run(seed, Kind::Lossy, false)));
        assert_eq!(twice[0], twice[1]);
    }
}
