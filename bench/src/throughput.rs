//! `throughput`: all contestants in turn, several rounds, one table.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::bench::{Bench, Pin};
use crate::contestant::{self, Contestant};
use crate::figures::{Figures, Row, Table};
use crate::scene::{Scene, Topology};
use crate::{goals, measure, report};

/// Contestants that are also measured beyond the plain topology.
const EVERYWHERE: [&str; 2] = ["ropewalk", "openvpn-tls"];

/// What the user asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured; the medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only these contestants: "ropewalk,openvpn-tls".
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only what is measured on this; everything when not given.
    #[arg(long)]
    topology: Option<Topology>,
    /// The processors of both ends, "0,1", or "none".
    #[arg(long, default_value = "0,1")]
    pin: Pin,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// A rival that is not installed is no failure.
    #[arg(long)]
    allow_missing: bool,
}

/// Builds, measures, prints. Fails when a row failed or a goal was missed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if !lab::can_run("the bench") {
        return Ok(ExitCode::FAILURE);
    }
    let entries = entries(options)?;
    let null_cipher = entries
        .iter()
        .any(|entry| entry.contestant.name == contestant::NULL_CIPHER);
    let bench = Bench::prepare(options.pin, options.seconds, null_cipher)?;
    let mut table = Table {
        rows: entries.iter().map(Entry::row).collect(),
    };
    let began = Instant::now();
    for round in 1..=options.runs {
        for (entry, row) in entries.iter().zip(&mut table.rows) {
            if row.missing.is_none() {
                let figures = entry.measure(&bench);
                bench.interrupt.check()?;
                note(row, round, figures);
            }
        }
    }
    eprintln!(
        "{} runs in {:.0} s",
        options.runs,
        began.elapsed().as_secs_f64()
    );
    print(options, &table)
}

/// A row to be measured.
struct Entry {
    contestant: &'static Contestant,
    topology: Topology,
}

fn entries(options: &Options) -> Result<Vec<Entry>> {
    let known = |name: &String| contestant::ALL.iter().any(|one| one.name == name);
    let unknown = options.only.iter().find(|name| !known(name));
    let names: Vec<&str> = contestant::ALL.iter().map(|one| one.name).collect();
    ensure!(
        unknown.is_none(),
        "no contestant {}; there are: {}",
        unknown.map_or("", String::as_str),
        names.join(", ")
    );
    let mut entries = Vec::new();
    for topology in [Topology::Plain, Topology::Nic, Topology::Loss] {
        for contestant in contestant::ALL {
            let here = topology == Topology::Plain || EVERYWHERE.contains(&contestant.name);
            let wanted =
                options.only.is_empty() || options.only.iter().any(|name| name == contestant.name);
            if here && wanted && options.topology.is_none_or(|only| only == topology) {
                entries.push(Entry {
                    contestant,
                    topology,
                });
            }
        }
    }
    Ok(entries)
}

impl Entry {
    fn row(&self) -> Row {
        Row {
            name: self.contestant.name.to_owned(),
            rival: self.contestant.rival,
            topology: self.topology,
            missing: self.contestant.missing(),
            failures: Vec::new(),
            values: Default::default(),
        }
    }

    /// One run, in namespaces of its own.
    fn measure(&self, bench: &Bench) -> Result<Figures> {
        let scene = Scene::build(self.topology).context("make the namespaces")?;
        let mut running = self.contestant.start(bench, &scene).context("start")?;
        let measured = match self.topology {
            Topology::Loss => measure::loss(bench, &scene, &running),
            _ => measure::all(bench, &scene, &mut running),
        };
        // What a process says at its end explains more than what it kept from being measured.
        running.check()?;
        measured
    }
}

/// Puts one run into its row, and says so.
fn note(row: &mut Row, round: u32, figures: Result<Figures>) {
    let title = report::title(row);
    match figures {
        Ok(figures) => {
            row.add(figures.clone());
            eprintln!("round {round}: {title}: {}", report::line(&figures));
        }
        Err(error) => {
            eprintln!("round {round}: {title}: FAILED: {error:#}");
            row.failures.push(format!("{error:#}"));
        }
    }
}

fn print(options: &Options, table: &Table) -> Result<ExitCode> {
    let verdicts = goals::judge(table);
    let best = table.best_rival(crate::figures::Metric::OneStream);
    let conditions = json!({
        "runs": options.runs,
        "seconds": options.seconds,
        "pin": options.pin.to_string(),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim_end(),
    });
    if options.json {
        let best = best.map(|(name, _)| name);
        let all = json!({
            "conditions": conditions, "rows": table.rows, "best_rival": best, "goals": verdicts,
        });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("{conditions}\n");
        println!("{}", report::table(table));
        println!("best rival: {}\n", best.map_or("none", |(name, _)| name));
        print!("{}", report::goals(&verdicts));
    }
    let failed = |row: &Row| match row.missing {
        Some(_) => !options.allow_missing,
        None => row.failed(),
    };
    let missed = verdicts.iter().any(|verdict| verdict.met == Some(false));
    Ok(match table.rows.iter().any(failed) || missed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
