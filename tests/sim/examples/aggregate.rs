//! Plays one scenario of aggregation and prints what happens:
//! `cargo run --release -p ropewalk-sim --example aggregate -- AGG-A --seed 1 --trace`. Without arguments: the names.
//!
//! Instead of a name, lines: `50/20+20/60/1/10` is 50 Mbit/s with a round trip of 20 ms, and 20 Mbit/s with 60 ms, 1 % loss
//! and up to 10 ms of jitter. Of these, `--cc cubic|reno|bbr`, `--flows N`, `--settle S`, `--lasts S`, `--buffer MS`.
#![allow(clippy::print_stdout, reason = "it is there to print")]
#![allow(
    clippy::disallowed_methods,
    reason = "how long it took is worth knowing"
)]

use std::{
    process::ExitCode,
    str::FromStr,
    time::{Duration, Instant},
};

use sim::{
    Shape,
    aggregate::{Scenario, Trace, Traffic, rows, run},
    ms, secs,
    tcp::Algorithm,
};

/// The value of option `name`.
fn option<T: FromStr>(args: &[String], name: &str) -> Option<T> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1)?.parse().ok()
}

/// A line as in the module's text.
fn parse_line(text: &str, buffer: u64) -> Option<Shape> {
    let numbers: Option<Vec<f64>> = text.split('/').map(|n| n.parse().ok()).collect();
    let numbers = numbers?;
    let at = |index: usize| numbers.get(index).copied();
    let delay = Duration::from_secs_f64(at(1)? / 2e3);
    let line = Shape::clean(delay).with_rate((at(0)? * 1e6) as u64);
    Some(Shape {
        loss: at(2).unwrap_or(0.0) / 100.0,
        jitter: Duration::from_secs_f64(at(3).unwrap_or(0.0) / 1e3),
        ..line.with_buffer(ms(buffer))
    })
}

fn scenario(args: &[String]) -> Option<Scenario> {
    let name = args.first()?;
    if let Some(scenario) = rows::named(name) {
        return Some(scenario);
    }
    let buffer = option(args, "--buffer").unwrap_or(100);
    let lines: Option<Vec<Shape>> = name.split('+').map(|l| parse_line(l, buffer)).collect();
    let algorithm = match option::<String>(args, "--cc").as_deref() {
        Some("bbr") => Algorithm::Bbr,
        Some("reno") => Algorithm::Reno,
        _ => Algorithm::CUBIC,
    };
    let mut scenario = Scenario::new("own", &lines?, algorithm);
    let flows = option(args, "--flows").unwrap_or(1);
    scenario.traffic = vec![Traffic::Tcp(algorithm); flows];
    scenario.traffic.push(Traffic::Ping);
    scenario.settle = option(args, "--settle").map_or(scenario.settle, secs);
    scenario.lasts = option(args, "--lasts").map_or(scenario.lasts, secs);
    Some(scenario)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seed = option(&args, "--seed").unwrap_or(1);
    let trace = args.iter().any(|arg| arg == "--trace");
    let Some(scenario) = scenario(&args) else {
        let names: Vec<_> = rows::ALL.iter().map(|row| row().name).collect();
        let names = names.join(" ");
        println!("NAME or LINES [--seed N] [--trace], NAME one of: {names}");
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
