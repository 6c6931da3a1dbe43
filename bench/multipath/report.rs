//! All runs of all scenarios as one table, or as JSON.

use std::fmt::Write;

use lab::Stall;
use serde::Serialize;
use serde_json::Value;

use crate::record::Record;
use crate::scenario::{Direction, Goal, Mode, Scenario};
use crate::statistics::{Better, median_and_worst};

/// What came of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The median is good.
    Met,
    /// It is not.
    Missed,
    /// There is no goal.
    Shown,
    /// No run gave a value, or some did not.
    Failed,
}

/// A goal with what was measured of it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    goal: Goal,
    /// In the order of the runs; null when a run had none.
    values: Vec<f64>,
    median: f64,
    worst: f64,
    verdict: Verdict,
}

/// One run, beside its values.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport {
    /// The machine stood still in every try.
    disturbed: bool,
    /// How it stood still at most, milliseconds.
    longest_stall_ms: f64,
    /// The same in all.
    total_stall_ms: f64,
    /// Processor time of both daemons, seconds per second of load.
    daemons_cpu: f64,
    /// Packets that found a line's queue full: of each line, from A to B and from B to A.
    queue_full: Vec<[u64; 2]>,
    /// TCP segments that A and B sent again.
    resent: [u64; 2],
    /// TCP payload delivered in the whole load, from A to B and from B to A, Mbit/s.
    delivered_mbit: [f64; 2],
    /// The same in the reference.
    reference_mbit: Option<[f64; 2]>,
    /// `status --json` of A and B at the end of the load.
    status: [Value; 2],
}

impl RunReport {
    pub(crate) fn new(record: &Record, reference: Option<&Record>, disturbed: bool) -> Self {
        let Stall { longest, total } = record.stall;
        let last = record.samples.last();
        let first = record.samples.first();
        let resent = [0, 1].map(|end| {
            let count = |sample: &crate::record::Sample| sample.resent[end];
            last.map_or(0, count) - first.map_or(0, count)
        });
        Self {
            disturbed,
            longest_stall_ms: longest.as_secs_f64() * 1e3,
            total_stall_ms: total.as_secs_f64() * 1e3,
            daemons_cpu: record.daemon_cpu / record.scenario.seconds,
            queue_full: last
                .map(|sample| sample.queue_full.clone())
                .unwrap_or_default(),
            resent,
            delivered_mbit: megabits(record),
            reference_mbit: reference.map(megabits),
            status: record.status.clone(),
        }
    }
}

fn megabits(record: &Record) -> [f64; 2] {
    let seconds = record.scenario.seconds;
    Direction::BOTH
        .map(|direction| record.delivered(direction, 0.0, seconds) as f64 * 8.0 / 1e6 / seconds)
}

/// All runs of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    scenario: String,
    mode: Mode,
    lines: String,
    seconds: f64,
    rows: Vec<Row>,
    runs: Vec<RunReport>,
    failures: Vec<String>,
}

impl Row {
    fn judge(&mut self) {
        // A run without a value is as bad as it gets.
        let better = self.goal.what.better();
        let bad = match better {
            Better::More => f64::NEG_INFINITY,
            Better::Less => f64::INFINITY,
        };
        let value = |value: &f64| if value.is_nan() { bad } else { *value };
        let values: Vec<f64> = self.values.iter().map(value).collect();
        let Some((median, worst)) = median_and_worst(&values, better) else {
            return;
        };
        (self.median, self.worst) = (median, worst);
        let failed = self.values.iter().any(|value| value.is_nan());
        self.verdict = match self.goal.met(median) {
            _ if failed => Verdict::Failed,
            Some(true) => Verdict::Met,
            Some(false) => Verdict::Missed,
            None => Verdict::Shown,
        };
    }
}

impl Outcome {
    /// Without runs yet.
    pub(crate) fn new(scenario: &Scenario, mode: Mode) -> Self {
        let row = |goal: &Goal| Row {
            goal: goal.clone(),
            values: Vec::new(),
            median: f64::NAN,
            worst: f64::NAN,
            verdict: Verdict::Failed,
        };
        let lines: Vec<String> = scenario.lines.iter().map(|line| line.describe()).collect();
        Self {
            scenario: scenario.name.clone(),
            mode,
            lines: lines.join(" + "),
            seconds: scenario.seconds,
            rows: scenario.goals.iter().map(row).collect(),
            runs: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Takes a run; the values are in the order of the scenario's goals.
    pub(crate) fn add(&mut self, values: &[f64], report: RunReport) {
        for (row, value) in self.rows.iter_mut().zip(values) {
            row.values.push(*value);
        }
        self.runs.push(report);
    }

    /// Takes a run that failed.
    pub(crate) fn add_failure(&mut self, why: String) {
        for row in &mut self.rows {
            row.values.push(f64::NAN);
        }
        self.failures.push(why);
    }

    /// When all runs are there.
    pub(crate) fn judge(&mut self) {
        for row in &mut self.rows {
            row.judge();
        }
    }

    fn disturbed(&self) -> usize {
        self.runs.iter().filter(|run| run.disturbed).count()
    }
}

/// Whether all goals are met.
pub(crate) fn good(outcomes: &[Outcome]) -> bool {
    let mut rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
    !outcomes.is_empty() && rows.all(|row| matches!(row.verdict, Verdict::Met | Verdict::Shown))
}

/// The table, columns aligned, and what has to be said about it.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let head = [
        "scenario", "mode", "lines", "measured", "goal", "median", "worst", "",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    for outcome in outcomes {
        for (number, row) in outcome.rows.iter().enumerate() {
            // Said once.
            let once = |text: &str| {
                if number == 0 {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            let what = row.goal.what;
            let verdict = match row.verdict {
                Verdict::Met => "met",
                Verdict::Missed => "MISSED",
                Verdict::Shown => "",
                Verdict::Failed => "FAILED",
            };
            cells.push([
                once(&outcome.scenario),
                once(outcome.mode.name()),
                once(&outcome.lines),
                row.goal.describe(),
                row.goal.describe_goal(),
                what.show(row.median),
                what.show(row.worst),
                verdict.to_owned(),
            ]);
        }
    }
    aligned(&cells) + &remarks(outcomes)
}

fn aligned<const N: usize>(cells: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in cells {
        let padded: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += padded.join(" | ").trim_end_matches([' ', '|']);
        text.push('\n');
    }
    text
}

fn remarks(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let name = &outcome.scenario;
        for why in &outcome.failures {
            let first = why.lines().next().unwrap_or_default();
            let _ = writeln!(text, "{name}: a run FAILED: {first}");
        }
        match outcome.disturbed() {
            0 => {}
            count => {
                let _ = writeln!(
                    text,
                    "{name}: DISTURBED: the machine stood still in {count} of {} runs, every time it was tried",
                    outcome.runs.len()
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(values: &[f64]) -> Outcome {
        let text = "description = \"x\"\n[[line]]\nrate = 50\nrtt = 20\n[[tcp]]\n\
            [[goal]]\nwhat = \"goodput\"\nat-least = 95\n[[goal]]\nwhat = \"stall\"\n";
        let scenario = Scenario::parse("X", text).unwrap();
        let mut outcome = Outcome::new(&scenario, Mode::Balance);
        for value in values {
            for row in &mut outcome.rows {
                row.values.push(*value);
            }
        }
        outcome.judge();
        outcome
    }

    #[test]
    fn the_median_is_judged_and_the_worst_shows() {
        let good_one = outcome(&[96.0, 90.0, 97.0]);
        assert_eq!(good_one.rows[0].verdict, Verdict::Met);
        assert_eq!(good_one.rows[1].verdict, Verdict::Shown);
        let text = table(&[good_one]);
        assert!(text.contains("≥ 95.0 % | 96.0 % | 90.0 % | met"), "{text}");
        assert!(text.contains("96 ms"), "{text}");
        let bad = outcome(&[96.0, 90.0, 94.0]);
        assert!(table(std::slice::from_ref(&bad)).contains("MISSED"));
        assert!(!good(&[bad]));
        assert!(!good(&[]));
    }

    #[test]
    fn a_run_that_failed_fails_the_row() {
        let mut failed = outcome(&[96.0, 97.0]);
        assert!(good(std::slice::from_ref(&failed)));
        failed.add_failure("no network\nand a log".to_owned());
        failed.judge();
        assert_eq!(failed.rows[0].verdict, Verdict::Failed);
        assert!(!good(std::slice::from_ref(&failed)));
        let text = table(std::slice::from_ref(&failed));
        assert!(text.contains("X: a run FAILED: no network\n"), "{text}");
        let json = serde_json::to_value(&failed).unwrap();
        assert_eq!(json["rows"][0]["values"][2], Value::Null);
        assert_eq!(json["rows"][0]["median"], 96.0);
    }
}
