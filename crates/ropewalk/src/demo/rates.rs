//! How busy the lines are, for the live line.

use std::time::Instant;

use lab::Direction;
use lab::cable::LineStats;

use super::scene::{Line, Scene};

/// What the lines carry, both ways together.
#[derive(Debug, Default)]
pub(super) struct Rates {
    last: Option<(Instant, [u64; 2])>,
    shown: [f64; 2],
}

impl Rates {
    /// Mbit/s per line, over the last half second or so.
    pub(super) fn renew(&mut self, scene: &Scene) -> [f64; 2] {
        let now = Instant::now();
        let bytes = Line::BOTH.map(|line| {
            let stats = |direction| -> LineStats { scene.cable(line).stats(direction) };
            Direction::BOTH
                .map(|direction| stats(direction).delivered_bytes)
                .iter()
                .sum::<u64>()
        });
        let Some((then, before)) = self.last else {
            self.last = Some((now, bytes));
            return self.shown;
        };
        let elapsed = now.duration_since(then).as_secs_f64();
        if elapsed >= 0.5 {
            for ((shown, bytes), before) in self.shown.iter_mut().zip(bytes).zip(before) {
                *shown = bytes.saturating_sub(before) as f64 * 8e-6 / elapsed;
            }
            self.last = Some((now, bytes));
        }
        self.shown
    }
}
