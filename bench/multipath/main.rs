//! Measures how lines add up: real TCP through real daemons over emulated lines, as scenarios in
//! files.
//!
//! A [`scenario`] says which lines, traffic and events there are and what is judged; [`run`] plays
//! it once and keeps a [`record`]; [`judge`] reads values from that; [`report`] puts the runs into
//! one table and [`picture`] draws them.

// A program for a terminal, and it measures real time.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)]

mod calibrate;
mod judge;
mod library;
mod measure;
mod picture;
mod probe;
mod record;
mod report;
mod run;
mod scenario;
mod statistics;
mod tcp;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use lab::Interrupt;
use netns::{program, turn};

use scenario::{Mode, Scenario};

/// Measures aggregation over emulated lines: real TCP, real daemons, scenarios from files.
#[derive(Debug, Parser)]
struct Options {
    /// Names (AGG-A, or AGG-* for all that begin so) or files; all when there are none.
    scenarios: Vec<String>,
    /// How often each is run; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long the load lasts; scenarios with events keep their own time.
    #[arg(long)]
    seconds: Option<f64>,
    /// What the peers' mode is, unless the scenario is about one.
    #[arg(long, value_enum, default_value_t = Mode::Aggregate)]
    mode: Mode,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Draw every run into this folder.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Tell what scenarios there are.
    #[arg(long)]
    list: bool,
    /// Leave the daemons at ordinary priority: whatever else runs here is measured too.
    #[arg(long)]
    ordinary: bool,
    /// Check the emulated lines alone, without the program: rate, delay, processor time.
    #[arg(long)]
    calibrate: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let scenarios = library::select(&options.scenarios)?;
    if options.list {
        print!("{}", library::listing(&scenarios));
        return Ok(ExitCode::SUCCESS);
    }
    if !lab::can_run("multipath") {
        return Ok(ExitCode::FAILURE);
    }
    ensure!(options.runs > 0, "--runs: at least one");
    if let Some(folder) = &options.svg {
        std::fs::create_dir_all(folder)?;
    }
    let interrupt = Interrupt::watch()?;
    let _turn = turn::take()?;
    if options.calibrate {
        return calibrate::run(&interrupt);
    }
    program::binary()?;
    let report = measure_all(&scenarios, &options, &interrupt)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report::table(&report));
    }
    Ok(match report::good(&report) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn measure_all(
    scenarios: &[Scenario],
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Vec<report::Outcome>> {
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        let plan = measure::Plan {
            scenario: scenario.lasting(options.seconds)?,
            mode: scenario.mode.unwrap_or(options.mode),
            preferred: !options.ordinary,
            runs: options.runs,
            pictures: options.svg.clone(),
        };
        outcomes.push(plan.measure(interrupt)?);
    }
    Ok(outcomes)
}
