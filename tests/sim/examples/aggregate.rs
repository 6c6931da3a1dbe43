//! Plays one scenario of aggregation and prints what happens:
//! `cargo run --release -p ropewalk-sim --example aggregate -- AGG-A --seed 1 --trace`. Without a name: the names.
#![allow(clippy::print_stdout, reason = "it is there to print")]
#![allow(
    clippy::disallowed_methods,
    reason = "how long it took is worth knowing"
)]

use std::{process::ExitCode, time::Instant};

use sim::aggregate::{Trace, rows, run};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut name, mut seed, mut trace) = (None, 1, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => seed = args.next().and_then(|n| n.parse().ok()).unwrap_or(seed),
            "--trace" => trace = true,
            _ => name = Some(arg),
        }
    }
    let Some(scenario) = name.as_deref().and_then(rows::named) else {
        let names: Vec<_> = rows::ALL.iter().map(|row| row().name).collect();
        println!(
            "NAME [--seed N] [--trace], NAME one of: {}",
            names.join(" ")
        );
        return ExitCode::FAILURE;
    };
    let clock = Instant::now();
    let mut writer = Trace::default();
    let mut begun = false;
    let outcome = run(&scenario, seed, |world| {
        if !trace {
            return;
        }
        if !std::mem::replace(&mut begun, true) {
            println!("{}", Trace::header(world));
        }
        if let Some(line) = writer.line(world) {
            println!("{line}");
        }
    });
    println!(
        "{} seed {seed}: shares {:.1?} %",
        scenario.name, outcome.shares
    );
    for (metric, value) in &outcome.values {
        println!("  {metric:?} {value:.2}");
    }
    for violation in &outcome.violations {
        println!("  VIOLATED {violation}");
    }
    let (real, time) = (clock.elapsed(), scenario.settle + scenario.lasts);
    let ratio = time.as_secs_f64() / real.as_secs_f64();
    println!("  {time:?} in {real:.2?}: {ratio:.1} times as fast as real time");
    ExitCode::SUCCESS
}
