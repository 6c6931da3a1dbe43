//! TCP as a bulk sender and its receiver do it: enough of it that loss, reordering, delay and rate act on it as on a real one.
//!
//! Everything counts in whole segments of [`MSS`] bytes; [`frame`] turns that into sequence numbers and bytes. The machines
//! are pure: [`Sender`] and [`Receiver`] get `now` and give back what is to be sent, so the same ones run over a bare
//! bottleneck (the tests here) and as traffic of a [`crate::World`].
//!
//! Left out: handshake and close, ECN, F-RTO, TSO deferral, autotuning of the receive buffer.

pub mod congestion;
pub mod connection;
pub mod frame;
mod prr;
mod rack;
mod rate;
pub mod receiver;
mod rtt;
mod scoreboard;
pub mod sender;
mod settings;
#[cfg(test)]
mod tests;

pub use congestion::Algorithm;
pub use connection::{Connection, ConnectionSpec, Transport};
pub use rack::Detection;
pub use receiver::Receiver;
pub use sender::Sender;
pub use settings::{Pacing, SenderConfig, SenderCounts};

/// Payload of a segment, bytes: an MTU of 1500 less IPv4, TCP and its timestamps.
pub const MSS: usize = 1448;

/// Segments `first` to before `end`.
pub type Range = (u64, u64);

/// What a receiver tells its sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// All segments before this one arrived.
    pub next: u64,
    /// Ranges beyond it that arrived too, the latest first (RFC 2018). The first may be a duplicate instead (RFC 2883).
    pub blocks: Vec<Range>,
}

/// Segments to be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// The first one.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Sent before.
    pub again: bool,
}
