//! Congestion control: how much may be in flight.

mod bbr;
mod cubic;
mod reno;

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use super::rate::RateSample;

/// Segments that may leave before anything is known (RFC 6928).
const INITIAL_WINDOW: u64 = 10;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 5681.
    Reno,
    /// RFC 9438, leaving slow start by `HyStart` or by loss alone.
    Cubic {
        /// As on Linux.
        hystart: bool,
    },
    /// Version 1, as on Linux, simplified.
    Bbr,
}

impl Algorithm {
    /// CUBIC as Linux has it.
    pub const CUBIC: Self = Self::Cubic { hystart: true };

    pub(super) fn start(self, now: Instant) -> Box<dyn CongestionControl> {
        match self {
            Self::Reno => Box::new(reno::Reno::new()),
            Self::Cubic { hystart } => Box::new(cubic::Cubic::new(hystart)),
            Self::Bbr => Box::new(bbr::Bbr::new(now)),
        }
    }
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckEvent {
    pub(super) now: Instant,
    /// Segments newly delivered.
    pub(super) delivered: u64,
    /// Segments delivered since the beginning.
    pub(super) total_delivered: u64,
    pub(super) rtt: Option<Duration>,
    pub(super) smoothed: Option<Duration>,
    pub(super) least: Option<Duration>,
    pub(super) rate: Option<RateSample>,
    /// Segments on their way, after it.
    pub(super) flying: u64,
    /// Segments newly lost.
    pub(super) lost: u64,
    pub(super) recovering: bool,
    /// The window was what held the sender back.
    pub(super) window_limited: bool,
}

pub(super) trait CongestionControl: Debug {
    /// Segments.
    fn window(&self) -> u64;
    /// Where slow start ends; also what recovery aims at. `None`: the algorithm bounds recovery itself.
    fn ssthresh(&self) -> Option<u64>;
    /// Segments per second, of an algorithm that insists.
    fn pacing_rate(&self) -> Option<f64> {
        None
    }
    fn on_ack(&mut self, ack: &AckEvent);
    /// Recovery begins, with `flying` segments on their way.
    fn on_loss(&mut self, flying: u64, now: Instant);
    /// Recovery from losses that no timeout told is over.
    fn on_recovered(&mut self);
    fn on_timeout(&mut self, now: Instant);
    /// The last reduction was needless.
    fn undo(&mut self);
}
