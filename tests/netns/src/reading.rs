//! What was measured, beside what it should be.

use std::time::Duration;

use lab::Stall;
use serde::Serialize;

/// The most that is good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Milliseconds.
    Ms(f64),
    /// Packets.
    Count(f64),
}

impl Goal {
    /// As a number of its unit.
    pub fn value(self) -> f64 {
        match self {
            Self::Ms(value) | Self::Count(value) => value,
        }
    }

    /// With a number of its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "failed".to_owned(),
            Self::Ms(_) if value >= 100.0 => format!("{value:.0} ms"),
            Self::Ms(_) => format!("{value:.1} ms"),
            Self::Count(_) => format!("{value:.0}"),
        }
    }
}

/// What is measured: a row of the table of goals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What happens, and what is measured of it.
    pub event: String,
    /// Between which lines.
    pub lines: String,
    /// The mode of the peers.
    pub mode: String,
    /// Which way it happens, or at which end.
    pub direction: String,
    /// What is good.
    pub goal: Goal,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What was measured.
    pub row: Row,
    /// In the unit of the goal; infinite when it could not be measured.
    pub value: f64,
}

impl Reading {
    /// Whether it is within `factor` times the goal. A goal of zero has no factor.
    pub fn within(&self, factor: f64) -> bool {
        self.value <= self.row.goal.value() * factor
    }

    /// How much later than its goal it is, as far as a machine that stands still is concerned.
    pub fn late(&self) -> Duration {
        match self.row.goal {
            _ if self.value.is_infinite() => Stall::NEVER,
            Goal::Ms(goal) => Duration::from_secs_f64((self.value - goal).max(0.0) / 1e3),
            Goal::Count(_) => Stall::LOSS,
        }
    }
}

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
