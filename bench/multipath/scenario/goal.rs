//! What is judged of a run.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{Direction, Scenario};
use crate::statistics::Better;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// TCP payload delivered, percent of 0.93 · Σ rate · (1 − loss) of the lines that work.
    Goodput,
    /// The same, percent of what the reference delivered.
    OfReference,
    /// The longest time without a delivered byte in any flow, milliseconds.
    Stall,
    /// Retransmission timeouts of the senders' TCP.
    Timeouts,
    /// Ping beyond the idle median, milliseconds: the median.
    PingP50,
    /// The same: 99 of 100 are not more.
    PingP99,
    /// The same: the most.
    PingMax,
    /// Pings without an answer.
    PingLost,
    /// Packets of a stream that were lost, or more than 30 ms later than the best line's delay.
    Late,
    /// Share of a stream's packets that were lost.
    LostShare,
    /// One-way delay of a stream beyond the best line's, milliseconds: the median.
    DelayP50,
    /// The same: 99 of 100 are not more.
    DelayP99,
    /// Seconds until half a second brings `level` percent of goodput.
    Recovery,
    /// How much less than the second before `from` the worst half second brings, percent.
    Dip,
    /// Jain's index over the flows.
    Fairness,
}

impl What {
    /// Which way it is better.
    pub(crate) fn better(self) -> Better {
        match self {
            Self::Goodput | Self::OfReference | Self::Fairness => Better::More,
            _ => Better::Less,
        }
    }

    fn of_stream(self) -> bool {
        matches!(
            self,
            Self::Late | Self::LostShare | Self::DelayP50 | Self::DelayP99
        )
    }

    fn of_ping(self) -> bool {
        matches!(
            self,
            Self::PingP50 | Self::PingP99 | Self::PingMax | Self::PingLost
        )
    }

    fn of_tcp(self) -> bool {
        !self.of_stream() && !self.of_ping()
    }

    /// For people, without its parameters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Goodput => "goodput",
            Self::OfReference => "goodput of reference",
            Self::Stall => "longest stall",
            Self::Timeouts => "TCP timeouts",
            Self::PingP50 => "added ping p50",
            Self::PingP99 => "added ping p99",
            Self::PingMax => "added ping max",
            Self::PingLost => "pings lost",
            Self::Late => "late or lost",
            Self::LostShare => "share lost",
            Self::DelayP50 => "added delay p50",
            Self::DelayP99 => "added delay p99",
            Self::Recovery => "recovery",
            Self::Dip => "dip",
            Self::Fairness => "fairness",
        }
    }

    /// A value with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return match self {
                Self::Recovery if value == f64::INFINITY => "never".to_owned(),
                _ => "failed".to_owned(),
            };
        }
        match self {
            Self::Goodput | Self::OfReference | Self::Dip => format!("{value:.1} %"),
            Self::Stall => format!("{value:.0} ms"),
            Self::PingP50 | Self::PingP99 | Self::PingMax | Self::DelayP50 | Self::DelayP99 => {
                // No "-0.0".
                format!("{:.1} ms", (value * 10.0).round() / 10.0 + 0.0)
            }
            Self::Timeouts | Self::PingLost | Self::Late => format!("{value:.0}"),
            Self::LostShare => format!("{:.2}e-4", value * 1e4),
            Self::Recovery => format!("{value:.2} s"),
            Self::Fairness => format!("{value:.3}"),
        }
    }
}

/// One thing that is judged.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Goal {
    /// What is measured.
    pub(crate) what: What,
    /// The least that is good, in the unit of what is measured.
    pub(crate) at_least: Option<f64>,
    /// The most that is good. With neither it is only shown.
    pub(crate) at_most: Option<f64>,
    /// Where it begins to look, seconds; the scenario's `settle` without it.
    pub(crate) from: Option<f64>,
    /// Where it ends; the scenario's end without it.
    pub(crate) until: Option<f64>,
    /// Which way; from A to B without it.
    #[serde(default)]
    pub(crate) direction: Direction,
    /// Which stream.
    pub(crate) stream: Option<String>,
    /// For `recovery`: percent of goodput.
    pub(crate) level: Option<f64>,
}

impl Goal {
    /// Where it looks, seconds.
    pub(crate) fn window(&self, scenario: &Scenario) -> (f64, f64) {
        (
            self.from.unwrap_or(scenario.settle),
            self.until.unwrap_or(scenario.seconds),
        )
    }

    /// Whether a value is good; `None` when it is only shown.
    pub(crate) fn met(&self, value: f64) -> Option<bool> {
        match (self.at_least, self.at_most) {
            (Some(least), _) => Some(value >= least),
            (_, Some(most)) => Some(value <= most),
            _ => None,
        }
    }

    /// For people: "goodput b-to-a 6–9 s".
    pub(crate) fn describe(&self) -> String {
        let mut text = self.what.name().to_owned();
        if let Some(stream) = &self.stream {
            text = format!("{stream}: {text}");
        }
        if let Some(level) = self.level {
            text += &format!(" to {level} %");
        }
        if self.direction == Direction::BToA {
            text += " B→A";
        }
        match (self.from, self.until) {
            (Some(from), Some(until)) => text += &format!(" {from}–{until} s"),
            (Some(from), None) => text += &format!(" from {from} s"),
            (None, Some(until)) => text += &format!(" until {until} s"),
            _ => {}
        }
        text
    }

    /// For people: "≥ 95 %".
    pub(crate) fn describe_goal(&self) -> String {
        match (self.at_least, self.at_most) {
            (Some(least), _) => format!("≥ {}", self.what.show(least)),
            (_, Some(most)) => format!("≤ {}", self.what.show(most)),
            _ => "–".to_owned(),
        }
    }

    pub(super) fn check(&self, scenario: &Scenario) -> Result<()> {
        let what = self.what;
        ensure!(
            self.at_least.is_none() || self.at_most.is_none(),
            "at-least, at-most: one of them"
        );
        let fits = match what.better() {
            Better::More => self.at_most.is_none(),
            Better::Less => self.at_least.is_none(),
        };
        ensure!(fits, "at-least, at-most: the other way is better");
        let (from, until) = self.window(scenario);
        ensure!(
            0.0 <= from && from < until && until <= scenario.seconds,
            "from, until: a stretch within the scenario's seconds"
        );
        match (&self.stream, what.of_stream()) {
            (Some(name), true) => {
                let known = scenario.streams.iter().any(|stream| stream.name == *name);
                ensure!(known, "stream: there is no stream {name:?}");
            }
            (None, false) => {}
            _ => bail!("stream: for what is measured of one, and only there"),
        }
        let of_level = what == What::Recovery;
        ensure!(
            self.level.is_some() == of_level,
            "level: for recovery, and only there"
        );
        ensure!(
            what != What::OfReference || scenario.reference.is_some(),
            "of-reference: there is no [reference]"
        );
        let has_tcp = |tcp: &super::Tcp| tcp.direction == self.direction;
        ensure!(
            !what.of_tcp() || scenario.tcp.iter().any(has_tcp),
            "direction: no TCP goes this way"
        );
        Ok(())
    }
}
