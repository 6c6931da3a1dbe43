//! What a scenario file says.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use lab::{Jitter, Loss, Profile, QueueLimit};
use serde::{Deserialize, Serialize};

mod goal;

pub(crate) use goal::{Goal, What};

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

/// One line. Both ways are alike.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Line {
    /// Mbit/s, counting bytes of IP.
    pub(crate) rate: f64,
    /// Both ways together, milliseconds.
    pub(crate) rtt: f64,
    /// Percent of packets lost at random, each way.
    #[serde(default)]
    pub(crate) loss: f64,
    /// Adds a delay between nothing and this, milliseconds, each way.
    pub(crate) jitter_uniform: Option<f64>,
    /// Adds an exponentially distributed delay of this mean, milliseconds, each way.
    pub(crate) jitter_exponential: Option<f64>,
    /// How much waits before the line drops, in milliseconds of its rate.
    #[serde(default = "buffer")]
    pub(crate) buffer: f64,
}

fn buffer() -> f64 {
    100.0
}

fn ms(milliseconds: f64) -> Duration {
    Duration::from_secs_f64(milliseconds / 1e3)
}

impl Line {
    /// One direction of the cable.
    pub(crate) fn profile(&self) -> Profile {
        let jitter = match (self.jitter_uniform, self.jitter_exponential) {
            (Some(most), _) => Jitter::Uniform(ms(most)),
            (_, Some(mean)) => Jitter::Exponential(ms(mean)),
            _ => Jitter::None,
        };
        let loss = match self.loss {
            loss if loss > 0.0 => Loss::Random(loss / 100.0),
            _ => Loss::None,
        };
        Profile {
            rate: Some((self.rate * 1e6) as u64),
            delay: ms(self.rtt / 2.0),
            jitter,
            loss,
            queue: QueueLimit::Time(ms(self.buffer)),
            ..Profile::default()
        }
    }

    /// For people: "50/20".
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{}/{}", self.rate, self.rtt);
        if self.loss > 0.0 {
            text += &format!(" {}%", self.loss);
        }
        if let Some(most) = self.jitter_uniform {
            text += &format!(" ±{most}");
        }
        if let Some(mean) = self.jitter_exponential {
            text += &format!(" exp {mean}");
        }
        text
    }

    fn check(&self) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        ensure!(positive(self.rate), "rate: more than nothing");
        ensure!((0.0..=10_000.0).contains(&self.rtt), "rtt: 0 to 10000 ms");
        ensure!((0.0..100.0).contains(&self.loss), "loss: percent");
        ensure!(
            (0.0..=10_000.0).contains(&self.buffer),
            "buffer: 0 to 10000 ms"
        );
        ensure!(
            self.jitter_uniform.is_none() || self.jitter_exponential.is_none(),
            "jitter-uniform, jitter-exponential: one of them"
        );
        let jitters = [self.jitter_uniform, self.jitter_exponential];
        for jitter in jitters.into_iter().flatten() {
            ensure!((0.0..=1000.0).contains(&jitter), "jitter: 0 to 1000 ms");
        }
        Ok(())
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

/// Something that happens to a line.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Event {
    /// When, seconds after the load began.
    pub(crate) at: f64,
    /// Which line, from 1.
    pub(crate) line: usize,
    /// What.
    #[serde(rename = "do")]
    pub(crate) action: Action,
    /// For `change`: Mbit/s.
    pub(crate) rate: Option<f64>,
    /// For `change`: both ways, milliseconds.
    pub(crate) rtt: Option<f64>,
    /// For `change`: percent.
    pub(crate) loss: Option<f64>,
    /// For `flap`: how long it is silent and how long it works, in turn, seconds.
    pub(crate) every: Option<f64>,
    /// For `flap`: when that ends, with a line that works.
    pub(crate) until: Option<f64>,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Everything vanishes on it, without a word.
    Cut,
    /// It works again.
    Heal,
    /// It has another rate, delay or loss.
    Change,
    /// It is cut and healed in turn.
    Flap,
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
            self.check_event(event)
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

    fn check_event(&self, event: &Event) -> Result<()> {
        ensure!(
            (1..=self.lines.len()).contains(&event.line),
            "line: from 1 to {}",
            self.lines.len()
        );
        ensure!(
            (0.0..=self.seconds).contains(&event.at),
            "at: within the scenario's seconds"
        );
        let changes = [event.rate, event.rtt, event.loss];
        let is_change = event.action == Action::Change;
        ensure!(
            is_change == changes.iter().any(Option::is_some),
            "rate, rtt, loss: for a change, and one of them at least"
        );
        if is_change {
            let mut line = self.lines[event.line - 1].clone();
            event.change(&mut line);
            line.check()?;
        }
        match (event.action, event.every, event.until) {
            (Action::Flap, Some(every), Some(until)) => ensure!(
                every >= 0.01 && (event.at..=self.seconds).contains(&until),
                "every: at least 0.01 s; until: between at and the end"
            ),
            (Action::Flap, ..) | (_, Some(_), _) | (.., Some(_)) => {
                bail!("every, until: both for flap, and only there")
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts cuts and heals in the place of flaps, and all events in order.
    fn expand_flaps(&mut self) {
        let mut events = Vec::new();
        for event in self.events.drain(..) {
            let (Action::Flap, Some(every), Some(until)) = (event.action, event.every, event.until)
            else {
                events.push(event);
                continue;
            };
            let simple = |at, action| Event {
                at,
                action,
                every: None,
                until: None,
                ..event.clone()
            };
            let mut at = event.at;
            while at < until {
                events.push(simple(at, Action::Cut));
                events.push(simple((at + every).min(until), Action::Heal));
                at += 2.0 * every;
            }
        }
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

impl Event {
    /// What a change makes of a line.
    pub(crate) fn change(&self, line: &mut Line) {
        line.rate = self.rate.unwrap_or(line.rate);
        line.rtt = self.rtt.unwrap_or(line.rtt);
        line.loss = self.loss.unwrap_or(line.loss);
    }

    /// The same for one direction of a cable.
    pub(crate) fn change_profile(&self, profile: &mut Profile) {
        if let Some(rate) = self.rate {
            profile.rate = Some((rate * 1e6) as u64);
        }
        if let Some(rtt) = self.rtt {
            profile.delay = ms(rtt / 2.0);
        }
        if let Some(loss) = self.loss {
            profile.loss = Loss::Random(loss / 100.0);
        }
    }

    /// For people: "line 1 cut".
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("line {}", self.line);
        match self.action {
            Action::Cut => text += " cut",
            Action::Heal => text += " back",
            Action::Flap => text += " flaps",
            Action::Change => {
                for (value, unit) in [
                    (self.rate, "Mbit/s"),
                    (self.rtt, "ms"),
                    (self.loss, "% loss"),
                ] {
                    if let Some(value) = value {
                        text += &format!(" {value} {unit}");
                    }
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
