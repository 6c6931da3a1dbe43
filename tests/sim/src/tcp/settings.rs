//! How a sender is set up, and what it counts.

use super::{MSS, congestion::Algorithm, rack::Detection};

/// When segments leave that the window allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// At once, as Linux does without the `fq` queueing discipline. Algorithms that insist on pacing get it.
    Off,
    /// At 2 (slow start) or 1.2 times window over round trip, as Linux does with it.
    Linux,
}

/// What a sender is like.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// Its congestion control.
    pub algorithm: Algorithm,
    /// Its pacing.
    pub pacing: Pacing,
    /// Its loss detection.
    pub detection: Detection,
    /// The receiver's window, segments.
    pub receive_window: u64,
}

impl SenderConfig {
    /// Linux, without pacing of its own, to a receiver with a window of 6 MB.
    #[must_use]
    pub const fn linux(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            pacing: Pacing::Off,
            detection: Detection::Rack,
            receive_window: 6_000_000 / MSS as u64,
        }
    }
}

/// What happened to a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounts {
    /// Segments sent, all of them.
    pub sent: u64,
    /// Of these sent again.
    pub resent: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Loss probes.
    pub probes: u64,
    /// Times when the window was reduced for losses.
    pub recoveries: u64,
    /// Times when that turned out to be needless.
    pub undone: u64,
}
