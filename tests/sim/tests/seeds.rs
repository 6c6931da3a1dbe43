//! Many random runs. A failed one is named with the command that repeats it.
//!
//! `ROPEWALK_SIM_SEEDS`: how many (default 300); `ROPEWALK_SIM_FIRST`: the first (default 0); `ROPEWALK_SIM_SEED`: only this
//! one, told in full.
#![allow(clippy::print_stderr, reason = "a failed seed must be named")]

use std::{
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use sim::scenario::run_seed;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}

/// Runs one seed; what went wrong, a panic included, comes back as text.
fn outcome(seed: u64, verbose: bool) -> Result<u64, String> {
    let caught = catch_unwind(|| run_seed(seed, verbose));
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("?")))
    })
}

#[test]
fn seeds() {
    if let Some(seed) = number("ROPEWALK_SIM_SEED") {
        outcome(seed, true).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        return;
    }
    let first = number("ROPEWALK_SIM_FIRST").unwrap_or(0);
    let count = number("ROPEWALK_SIM_SEEDS").unwrap_or(300);
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    #[allow(
        clippy::disallowed_methods,
        reason = "how long it took is told to people"
    )]
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    if let Err(why) = outcome(seed, false) {
                        eprintln!(
                            "seed {seed}: {why}\n  again: ROPEWALK_SIM_SEED={seed} cargo test -p ropewalk-sim seeds -- --nocapture"
                        );
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    eprintln!("{count} seeds from {first} took {:.1?}", start.elapsed());
    assert!(
        failed.is_empty(),
        "{} of {count} seeds failed: {failed:?}",
        failed.len()
    );
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in [3, 4, 5] {
        assert_eq!(outcome(seed, false), outcome(seed, false));
    }
}
