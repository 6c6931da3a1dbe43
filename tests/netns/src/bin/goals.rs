//! Measures every row of the table of goals on the real program, several times, and prints one
//! table.

// A program for a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)] // it measures real time

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use netns::scenario::{self, Scenario};
use netns::{Reading, table, turn};

/// Measures the goals on the real program in namespaces of its own.
#[derive(Debug, Parser)]
struct Options {
    /// How often each row is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only scenarios whose name contains this: "black-hole", "veth/balance".
    filter: Option<String>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if !lab::can_run("goals") {
        return Ok(ExitCode::FAILURE);
    }
    let _turn = turn::take()?;
    let start = Instant::now();
    let wanted = |scenario: &Scenario| {
        let filter = options.filter.as_deref().unwrap_or("");
        scenario.name().contains(filter)
    };
    let mut readings = Vec::new();
    for scenario in scenario::all().into_iter().filter(wanted) {
        for run in 1..=options.runs {
            readings.extend(measure(&scenario, run));
        }
    }
    let summaries = table::summarise(&readings);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&summaries)?);
    } else {
        print!("{}", table::render(&summaries));
    }
    eprintln!(
        "{} runs in {:.0} s",
        options.runs,
        start.elapsed().as_secs_f64()
    );
    let good = !summaries.is_empty() && summaries.iter().all(|summary| summary.ok);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn measure(scenario: &Scenario, run: usize) -> Vec<Reading> {
    let name = scenario.name();
    match scenario.run() {
        Ok(readings) => {
            for reading in &readings {
                let value = reading.row.goal.show(reading.value);
                eprintln!("{name} #{run}: {}: {value}", reading.row.event);
            }
            readings
        }
        Err(error) => {
            eprintln!("{name} #{run}: {error:#}");
            Vec::new()
        }
    }
}
