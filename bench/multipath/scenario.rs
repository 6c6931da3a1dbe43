//! What a scenario file says.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

mod event;
mod goal;
mod line;

pub(crate) use event::{Action, Event};
pub(crate) use goal::{Goal, What};
pub(crate) use line::Line;

/// How the peers spread frames over paths: `[[peer]] mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// All lines add up, for a single flow too.
    Aggregate,
    /// The best line carries everything.
    Failover,
    /// A flow stays on its line.
    Balance,
    /// Everything twice.
    Redundant,
}

impl Mode {
    /// As in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Failover => "failover",
            Self::Balance => "balance",
            Self::Redundant => "redundant",
        }
    }
}

/// Which way traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    /// From A to B.
    #[default]
    AToB,
    /// From B to A.
    BToA,
}

impl Direction {
    /// Both, in this order.
    pub(crate) const BOTH: [Self; 2] = [Self::AToB, Self::BToA];

    /// The same as cables call it.
    pub(crate) fn of_cable(self) -> lab::Direction {
        match self {
            Self::AToB => lab::Direction::AToB,
            Self::BToA => lab::Direction::BToA,
        }
    }
}

/// TCP flows that send as much as goes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tcp {
    /// How many.
    #[serde(default = "one")]
    pub(crate) flows: usize,
    /// "cubic", "bbr", "reno".
    #[serde(default = "cubic")]
    pub(crate) congestion: String,
    /// Which way.
    #[serde(default)]
    pub(crate) direction: Direction,
    /// When they begin to send, seconds.
    #[serde(default)]
    pub(crate) at: f64,
}

fn one() -> usize {
    1
}

fn cubic() -> String {
    "cubic".to_owned()
}

/// A steady stream of numbered UDP packets.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Stream {
    /// What goals call it.
    pub(crate) name: String,
    /// Packets per second.
    pub(crate) rate: f64,
    /// Bytes of UDP payload.
    pub(crate) payload: usize,
    /// Which way.
    #[serde(default)]
    pub(crate) direction: Direction,
}

/// The same load under other circumstances in the same run, as a measure.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Reference {
    /// Which of the lines there are, from 1. Without it: the best one, by rate and loss.
    pub(crate) lines: Option<Vec<usize>>,
    /// The mode; that of the run when there is none.
    pub(crate) mode: Option<Mode>,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Scenario {
    /// The name of its file.
    #[serde(skip)]
    pub(crate) name: String,
    /// For people.
    pub(crate) description: String,
    /// It is about this mode, whatever was asked for.
    pub(crate) mode: Option<Mode>,
    /// How long the load lasts.
    #[serde(default = "seconds")]
    pub(crate) seconds: f64,
    /// When goals without times of their own begin to look: ramp-up is over.
    #[serde(default = "settle")]
    pub(crate) settle: f64,
    /// The lines.
    #[serde(rename = "line")]
    pub(crate) lines: Vec<Line>,
    /// The TCP flows.
    #[serde(default)]
    pub(crate) tcp: Vec<Tcp>,
    /// The UDP streams.
    #[serde(default, rename = "stream")]
    pub(crate) streams: Vec<Stream>,
    /// What happens, in order.
    #[serde(default, rename = "event")]
    pub(crate) events: Vec<Event>,
    /// What it is compared with.
    pub(crate) reference: Option<Reference>,
    /// What is judged.
    #[serde(rename = "goal")]
    pub(crate) goals: Vec<Goal>,
}

fn seconds() -> f64 {
    12.0
}

fn settle() -> f64 {
    3.0
}

impl Scenario {
    /// Reads a file's contents; the error names the key.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let mut scenario: Self = toml::from_str(text)?;
        name.clone_into(&mut scenario.name);
        scenario.check()?;
        scenario.expand_flaps();
        Ok(scenario)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            (1..=8).contains(&self.lines.len()),
            "line: one to eight of them"
        );
        for (number, line) in (1..).zip(&self.lines) {
            line.check().with_context(|| format!("line {number}"))?;
        }
        ensure!((1.0..=3600.0).contains(&self.seconds), "seconds: 1 to 3600");
        ensure!(
            (0.0..self.seconds).contains(&self.settle),
            "settle: less than seconds"
        );
        for tcp in &self.tcp {
            ensure!((1..=100).contains(&tcp.flows), "tcp: flows: 1 to 100");
            ensure!(
                (0.0..self.seconds).contains(&tcp.at),
                "tcp: at: within seconds"
            );
        }
        for stream in &self.streams {
            let name = &stream.name;
            ensure!(
                (1.0..=50_000.0).contains(&stream.rate),
                "stream {name}: rate: 1 to 50000"
            );
            ensure!(
                (8..=1472).contains(&stream.payload),
                "stream {name}: payload: 8 to 1472"
            );
        }
        for (number, event) in (1..).zip(&self.events) {
            event
                .check(self)
                .with_context(|| format!("event {number}"))?;
        }
        if let Some(lines) = self.reference.as_ref().and_then(|r| r.lines.as_ref()) {
            let known = |line: &usize| (1..=self.lines.len()).contains(line);
            ensure!(
                !lines.is_empty() && lines.iter().all(known),
                "reference: lines: from 1 to {}",
                self.lines.len()
            );
        }
        ensure!(!self.goals.is_empty(), "goal: nothing is judged");
        for (number, goal) in (1..).zip(&self.goals) {
            goal.check(self).with_context(|| format!("goal {number}"))?;
        }
        Ok(())
    }

    /// Puts cuts and heals in the place of flaps, and all events in order.
    fn expand_flaps(&mut self) {
        let events = self.events.drain(..).flat_map(Event::simple);
        let mut events: Vec<Event> = events.collect();
        events.sort_by(|a, b| a.at.total_cmp(&b.at));
        self.events = events;
    }

    /// The same for as long as was asked for; with events, it keeps its own time.
    pub(crate) fn lasting(&self, seconds: Option<f64>) -> Result<Self> {
        let mut scenario = self.clone();
        if let Some(seconds) = seconds.filter(|_| self.has_free_length()) {
            scenario.seconds = seconds;
            let checked = scenario.check();
            checked.with_context(|| format!("{}: --seconds {seconds}", self.name))?;
        }
        Ok(scenario)
    }

    fn has_free_length(&self) -> bool {
        let timed = |goal: &Goal| goal.from.is_some() || goal.until.is_some();
        self.events.is_empty() && !self.goals.iter().any(timed)
    }

    /// Payload of TCP that counts as 100 % at a time, bit/s: 0.93 of what the lines that work
    /// then carry.
    pub(crate) fn ideal(&self, at: f64) -> f64 {
        let mut lines: Vec<(Line, bool)> =
            self.lines.iter().map(|line| (line.clone(), true)).collect();
        for event in self.events.iter().take_while(|event| event.at <= at) {
            let Some((line, works)) = lines.get_mut(event.line - 1) else {
                continue;
            };
            match event.action {
                Action::Cut | Action::Flap => *works = false,
                Action::Heal => *works = true,
                Action::Change => event.change(line),
            }
        }
        let carried = |(line, works): &(Line, bool)| match works {
            true => line.rate * 1e6 * (1.0 - line.loss / 100.0),
            false => 0.0,
        };
        0.93 * lines.iter().map(carried).sum::<f64>()
    }

    /// The shortest way there, milliseconds one way.
    pub(crate) fn best_delay(&self) -> f64 {
        let delays = self.lines.iter().map(|line| line.rtt / 2.0);
        delays.fold(f64::INFINITY, f64::min)
    }

    /// The lines of the reference, from 1.
    pub(crate) fn reference_lines(&self, reference: &Reference) -> Vec<usize> {
        reference.lines.clone().unwrap_or_else(|| {
            let carried = |line: &Line| line.rate * (1.0 - line.loss / 100.0);
            let best = (1..=self.lines.len())
                .max_by(|a, b| carried(&self.lines[a - 1]).total_cmp(&carried(&self.lines[b - 1])));
            best.into_iter().collect()
        })
    }

    /// What the reference does: the same load over its lines, and nothing happens to them.
    pub(crate) fn as_reference(&self, reference: &Reference) -> Self {
        let chosen = self.reference_lines(reference);
        let lines = chosen.iter().filter_map(|line| self.lines.get(line - 1));
        Self {
            name: format!("{}-reference", self.name),
            lines: lines.cloned().collect(),
            events: Vec::new(),
            reference: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
