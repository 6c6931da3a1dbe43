//! Measures every row of the table of goals on the real program, several times, and prints one
//! table.

// A program for a terminal, and it measures real time.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)]

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use netns::scenario::{self, Scenario};
use netns::{Reading, program, table, turn};

/// Measures the goals on the real program in namespaces of its own.
#[derive(Debug, Parser)]
struct Options {
    /// How often each row is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Show what happened in every run that missed a goal: both daemons' status and log.
    #[arg(long)]
    explain: bool,
    /// Only scenarios whose name contains this: "black-hole", "veth/balance".
    filter: Option<String>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if !lab::can_run("goals") {
        return Ok(ExitCode::FAILURE);
    }
    let _turn = turn::take()?;
    program::binary()?;
    let start = Instant::now();
    let wanted = |scenario: &Scenario| {
        let filter = options.filter.as_deref().unwrap_or("");
        scenario.name().contains(filter)
    };
    let wanted: Vec<Scenario> = scenario::all().into_iter().filter(wanted).collect();
    let (patient, busy): (Vec<&Scenario>, Vec<&Scenario>) =
        wanted.iter().partition(|scenario| scenario.is_patient());
    let mut readings = Vec::new();
    for scenario in busy {
        for run in 1..=options.runs {
            readings.extend(measure(scenario, run, &options));
        }
    }
    readings.extend(measure_at_once(&patient, &options));
    let summaries = table::summarise(&readings);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&summaries)?);
    } else {
        print!("{}", table::render(&summaries));
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{} runs in {seconds:.0} s", options.runs);
    let good = !summaries.is_empty() && summaries.iter().all(|summary| summary.ok);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Each scenario's runs one after the other, all scenarios side by side.
fn measure_at_once(scenarios: &[&Scenario], options: &Options) -> Vec<Reading> {
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for scenario in scenarios {
            for run in 1..=options.runs {
                threads.push(scope.spawn(move || measure(scenario, run, options)));
            }
        }
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
}

fn measure(scenario: &Scenario, run: usize, options: &Options) -> Vec<Reading> {
    let name = scenario.name();
    let observed = match scenario.run_undisturbed(run, 1.0).0 {
        Ok(observed) => observed,
        Err(error) => {
            eprintln!("{name} #{run}: FAILED: {error:#}");
            return scenario.failed();
        }
    };
    let mut missed = false;
    for reading in &observed.readings {
        let good = reading.within(1.0);
        let sign = if good { "" } else { "   MISSED" };
        let value = reading.row.goal.show(reading.value);
        eprintln!("{name} #{run}: {}: {value}{sign}", reading.row.event);
        missed |= !good;
    }
    if missed && options.explain {
        eprintln!("{}", observed.story);
    }
    observed.readings
}
