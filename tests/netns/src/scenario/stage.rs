//! A pair with a meter on it, and notes of what was done to it when.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use lab::{End, Meter};
use serde_json::Value;

use super::Scenario;
use crate::pair::{Pair, PairOptions};
use crate::reading::{Goal, Reading, ms};

/// What a run of a scenario brought.
#[derive(Debug)]
pub struct Observed {
    /// The measurements.
    pub readings: Vec<Reading>,
    /// What was done when, and the logs of both daemons: to find out why.
    pub story: String,
}

/// How long estimators learn before anything happens.
const LEARN: Duration = Duration::from_millis(1000);

pub(super) struct Stage<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) pair: Pair,
    pub(super) meter: Meter,
    pub(super) direction: String,
    readings: Vec<Reading>,
    notes: String,
}

impl<'a> Stage<'a> {
    /// A pair in whose meter both directions go over line 1, with all its estimators warm.
    pub(super) fn set(scenario: &'a Scenario, direction: &str) -> Result<Self> {
        let options = PairOptions::new(scenario.mode.name(), scenario.specs());
        let pair = Pair::start(options)?;
        let meter = match pair.lines.len() > 1 && scenario.mode.is_single_path() {
            true => pair.meter_on(1)?,
            false => pair.meter()?,
        };
        sleep(LEARN);
        Ok(Self {
            scenario,
            pair,
            meter,
            direction: direction.to_owned(),
            readings: Vec::new(),
            notes: String::new(),
        })
    }

    /// Now, with a note in the story.
    pub(super) fn mark(&mut self, what: &str) -> Instant {
        self.notes += &format!("{} {what}\n", wall_time());
        self.meter.mark()
    }

    pub(super) fn read(&mut self, event: &str, goal: Goal, value: f64) {
        let row = self.scenario.row(event, &self.direction, goal);
        self.notes += &format!("{} {event}: {}\n", wall_time(), goal.show(value));
        self.readings.push(Reading { row, value });
    }

    /// Reads a time, or that it did not happen.
    pub(super) fn read_time(&mut self, event: &str, goal_ms: f64, time: &Result<Duration>) {
        if let Err(error) = time {
            self.notes += &format!("{event}: {}\n", first_line(error));
        }
        let value = time.as_ref().map_or(f64::INFINITY, |time| ms(*time));
        self.read(event, Goal::Ms(goal_ms), value);
    }

    /// Reads that nothing was lost or delivered twice in a stretch that has settled.
    pub(super) fn read_counts(&mut self, event: &str, from: Instant, to: Instant) {
        let report = self.meter.report_between(from, to);
        self.notes += &format!("{event}: {report:?}\n");
        self.read(
            &format!("{event}: lost"),
            Goal::Count(0.0),
            report.lost() as f64,
        );
        let twice = report.duplicated() as f64;
        self.read(
            &format!("{event}: delivered twice"),
            Goal::Count(0.0),
            twice,
        );
    }

    /// Waits until both ends send data over line 1 again; returns how long that took since `from`.
    pub(super) fn wait_used(&mut self, line: usize, timeout: Duration) -> Result<Duration> {
        let start = Instant::now();
        let mut looks = 0;
        loop {
            let paths = [self.pair.path(End::A, line)?, self.pair.path(End::B, line)?];
            if paths.iter().all(|path| path["active"] == true) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > timeout {
                bail!("line{line} is not used within {timeout:?}");
            }
            if looks % 20 == 0 {
                self.note_paths(&paths);
            }
            looks += 1;
            sleep(Duration::from_millis(10));
        }
    }

    fn note_paths(&mut self, paths: &[Value; 2]) {
        for (end, path) in ["A", "B"].iter().zip(paths) {
            let [state, excluded, rtt, jitter, loss] =
                ["state", "excluded_reason", "rtt_ms", "jitter_ms", "loss"].map(|key| &path[key]);
            let text = format!("{state} {excluded} rtt {rtt} jitter {jitter} loss {loss}");
            self.notes += &format!("{} {end}: {text}\n", wall_time());
        }
    }

    pub(super) fn finish(self) -> Observed {
        let Self {
            pair,
            meter,
            readings,
            notes,
            ..
        } = self;
        let story = format!("meter: {:?}\n{notes}{}", meter.report(), pair.describe());
        Observed { readings, story }
    }
}

fn first_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}

/// The time of day in UTC, as the daemons' logs have it.
pub(super) fn wall_time() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = now.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:06}",
        seconds % 60,
        now.subsec_micros()
    )
}
