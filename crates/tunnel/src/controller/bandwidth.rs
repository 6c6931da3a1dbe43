//! What a path's line is thought to carry.

use super::LEAST;
use crate::delivery::Rate;

/// Of the estimate, so much must have been sent for the arrivals to say something about the line.
const OFFERED: f64 = 0.97;

/// The estimate of one line's rate, bytes/s of what arrives.
#[derive(Debug)]
pub(super) struct Bandwidth {
    rate: f64,
    measured: bool,
    tracked: i64,
}

impl Bandwidth {
    pub(super) fn new(guess: u64) -> Self {
        Self {
            rate: guess as f64,
            measured: false,
            tracked: 0,
        }
    }

    pub(super) fn get(&self) -> u64 {
        (self.rate as u64).max(LEAST)
    }

    /// Whether the estimate is more than a guess.
    pub(super) fn is_measured(&self) -> bool {
        self.measured
    }

    /// The line carried this, perhaps more.
    pub(super) fn raise(&mut self, rate: u64) {
        self.measured = true;
        self.rate = self.rate.max(rate as f64);
    }

    /// The line carries this and no more.
    pub(super) fn lower(&mut self, rate: u64) {
        self.measured = true;
        self.rate = self.rate.min(rate as f64).max(LEAST as f64);
    }

    /// Follows what arrives from a line that seems to be full, with a time constant in µs. What counts is how it differs from
    /// what was sent: where the queue was only delay, nothing changes.
    pub(super) fn track(&mut self, rate: &Rate, constant: i64, now: i64) {
        let left = rate.left as f64;
        if left < self.rate * OFFERED {
            return;
        }
        let change = rate.arrived as f64 - self.rate.min(left);
        self.rate += change * self.weight(constant, now);
    }

    /// Goes to what arrives from a line that is known to be full.
    pub(super) fn follow(&mut self, rate: &Rate, constant: i64, now: i64) {
        let change = rate.arrived as f64 - self.rate;
        self.rate += change * self.weight(constant, now);
    }

    fn weight(&mut self, constant: i64, now: i64) -> f64 {
        let passed = (now - self.tracked).clamp(0, constant / 8);
        self.tracked = now;
        passed as f64 / constant as f64
    }
}
