//! What happens to lines.

use anyhow::{Result, bail, ensure};
use lab::{Loss, Profile};
use serde::{Deserialize, Serialize};

use super::line::ms;
use super::{Line, Scenario};

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

impl Event {
    /// Itself, or the cuts and heals that a flap stands for.
    pub(super) fn simple(self) -> Vec<Self> {
        let (Action::Flap, Some(every), Some(until)) = (self.action, self.every, self.until) else {
            return vec![self];
        };
        let one = |at, action| Self {
            at,
            action,
            every: None,
            until: None,
            ..self.clone()
        };
        let mut events = Vec::new();
        let mut at = self.at;
        while at < until {
            events.push(one(at, Action::Cut));
            events.push(one((at + every).min(until), Action::Heal));
            at += 2.0 * every;
        }
        events
    }

    pub(super) fn check(&self, scenario: &Scenario) -> Result<()> {
        ensure!(
            (1..=scenario.lines.len()).contains(&self.line),
            "line: from 1 to {}",
            scenario.lines.len()
        );
        ensure!(
            (0.0..=scenario.seconds).contains(&self.at),
            "at: within the scenario's seconds"
        );
        let changes = [self.rate, self.rtt, self.loss];
        let is_change = self.action == Action::Change;
        ensure!(
            is_change == changes.iter().any(Option::is_some),
            "rate, rtt, loss: for a change, and one of them at least"
        );
        if is_change {
            let mut line = scenario.lines[self.line - 1].clone();
            self.change(&mut line);
            line.check()?;
        }
        match (self.action, self.every, self.until) {
            (Action::Flap, Some(every), Some(until)) => ensure!(
                every >= 0.01 && (self.at..=scenario.seconds).contains(&until),
                "every: at least 0.01 s; until: between at and the end"
            ),
            (Action::Flap, ..) | (_, Some(_), _) | (.., Some(_)) => {
                bail!("every, until: both for flap, and only there")
            }
            _ => {}
        }
        Ok(())
    }

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
