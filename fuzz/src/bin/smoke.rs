//! The seeded runner: `smoke [SECONDS] [SEED] [TARGET]` bends well-formed inputs at random for that
//! long (default: 10 s, seed 1, all targets in turn) and exits with 1 at the first finding, which it
//! prints. A run with the same seed tries the same inputs in the same order.
// Not one of the pure crates: it may read the clock.
#![allow(clippy::disallowed_methods)]

use ropewalk_fuzz::mutate::{Random, input};
use ropewalk_fuzz::{TARGETS, Target};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Inputs between two looks at the clock.
const BATCH: u32 = 200;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let numbers: Option<Vec<u64>> = arguments
        .by_ref()
        .take(2)
        .map(|argument| argument.parse().ok())
        .collect();
    let only = arguments.next();
    let targets: Vec<Target> = TARGETS
        .into_iter()
        .filter(|target| only.as_ref().is_none_or(|o| o == target.name))
        .collect();
    let Some(numbers) = numbers.filter(|_| !targets.is_empty()) else {
        eprintln!("usage: smoke [SECONDS] [SEED] [TARGET]");
        return ExitCode::from(2);
    };
    let seconds = numbers.first().copied().unwrap_or(10);
    let seed = numbers.get(1).copied().unwrap_or(1);
    let share = Duration::from_secs(seconds) / targets.len() as u32;
    for target in targets {
        match try_for(&target, seed, share) {
            Ok(count) => println!("{}: {count} inputs, nothing found", target.name),
            Err(found) => {
                eprintln!("{}: seed {seed}: this input fails: {found}", target.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// How many inputs were tried in `time`, or the first that failed, in hexadecimal digits.
fn try_for(target: &Target, seed: u64, time: Duration) -> Result<u64, String> {
    let start = Instant::now();
    let corpus = (target.seeds)();
    let mut random = Random::new(seed);
    let mut count = 0;
    for seed in &corpus {
        try_one(target, seed)?;
    }
    while count == 0 || start.elapsed() < time {
        for _ in 0..BATCH {
            try_one(target, &input(&mut random, &corpus))?;
            count += 1;
        }
    }
    Ok(count)
}

fn try_one(target: &Target, bytes: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).map_err(|_| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    })
}
