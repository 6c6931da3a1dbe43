//! The most that a path delivered lately.

use crate::delivery::Rate;

const ROUNDS: usize = 10;

/// Largest rate of the last rounds. A round counts only when as much was sent as the path is thought to carry: from a path
/// that is offered less nothing is learned but that it carries that.
#[derive(Debug)]
pub(super) struct Bandwidth {
    rounds: [u64; ROUNDS],
    at: usize,
    /// When the present round began: send time, µs.
    since: i64,
    offered: bool,
    measured: bool,
}

impl Bandwidth {
    pub(super) fn new(guess: u64) -> Self {
        Self {
            rounds: [guess; ROUNDS],
            at: 0,
            since: 0,
            offered: false,
            measured: false,
        }
    }

    pub(super) fn add(&mut self, rate: &Rate, round: i64) {
        self.offered |= rate.sent >= self.get() / 16 * 15;
        let slot = &mut self.rounds[self.at];
        *slot = rate.delivered.max(*slot);
        if rate.to - self.since < round {
            return;
        }
        self.since = rate.to;
        if std::mem::take(&mut self.offered) {
            self.measured = true;
            self.at = (self.at + 1) % ROUNDS;
            self.rounds[self.at] = 0;
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.rounds.iter().copied().max().unwrap_or_default()
    }

    /// The line was seen to carry this and no more.
    pub(super) fn lower(&mut self, rate: u64) {
        for slot in &mut self.rounds {
            *slot = rate.min(*slot);
        }
        self.rounds[self.at] = rate;
    }

    /// Whether the estimate is more than a guess.
    pub(super) fn is_measured(&self) -> bool {
        self.measured
    }
}
