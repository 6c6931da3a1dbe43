//! What a line is like.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Jitter, Loss, Profile, QueueLimit};
use serde::{Deserialize, Serialize};

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

pub(super) fn ms(milliseconds: f64) -> Duration {
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

    pub(super) fn check(&self) -> Result<()> {
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
