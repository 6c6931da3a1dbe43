//! A peer as `status` shows it.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use wire::control::Role;

use crate::{drops::Drops, peer::Mode, sink::UplinkId};

/// The state of a path, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// Being tried; not proven yet, or not again.
    Probing,
    /// It answers.
    Up,
    /// Silent for longer than usual.
    Suspect,
    /// Dead, or ordered down.
    Down,
    /// Emptied by order.
    Drained,
    /// Its uplink's device is not there.
    Absent,
}

impl PathState {
    /// The word in `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probing => "probing",
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Drained => "drained",
            Self::Absent => "absent",
        }
    }
}

/// One path. `None` is "not known".
#[derive(Clone, Debug)]
pub struct PathSnapshot {
    /// Our uplink.
    pub uplink: UplinkId,
    /// Our address on it.
    pub local: Option<IpAddr>,
    /// The peer's address.
    pub remote: SocketAddr,
    /// See [`PathState`].
    pub state: PathState,
    /// The worse of both ends' roles.
    pub role: Role,
    /// We send data on it.
    pub active: bool,
    /// The peer sends data on it.
    pub peer_active: bool,
    /// Smoothed round trip.
    pub round_trip: Option<Duration>,
    /// Mean deviation of it.
    pub jitter: Option<Duration>,
    /// Share of our datagrams lost in the last ten seconds.
    pub loss: Option<f64>,
    /// What it carries in our direction, bits per second of IP packets, as far as it was seen.
    pub capacity: Option<u64>,
    /// Largest UDP payload it carries, bytes.
    pub mtu: u16,
    /// Bytes sent, UDP payload.
    pub tx_bytes: u64,
    /// Bytes received, UDP payload.
    pub rx_bytes: u64,
    /// Datagrams sent.
    pub tx_datagrams: u64,
    /// Datagrams received.
    pub rx_datagrams: u64,
    /// Since when it is in this state.
    pub since: Instant,
    /// Why.
    pub reason: &'static str,
    /// Why it carries nothing though it is up.
    pub excluded: Option<&'static str>,
}

/// Times when frames were offered and nothing could carry them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutageSnapshot {
    /// How many.
    pub count: u64,
    /// The longest.
    pub longest: Duration,
    /// All together.
    pub total: Duration,
}

/// A peer.
#[derive(Clone, Debug)]
pub struct PeerSnapshot {
    /// Its name in the configuration.
    pub name: String,
    /// Its public key.
    pub public_key: [u8; 32],
    /// Whether frames can travel.
    pub up: bool,
    /// Since when.
    pub since: Instant,
    /// The configured mode.
    pub mode: Mode,
    /// What is done: `balance` instead of `aggregate` with a peer that takes no ordered records.
    pub effective_mode: Mode,
    /// The cipher in use.
    pub cipher: Option<&'static str>,
    /// Its paths, and addresses being dialled that are not a path yet.
    pub paths: Vec<PathSnapshot>,
    /// See [`OutageSnapshot`].
    pub outages: OutageSnapshot,
    /// Drops by reason.
    pub drops: Drops,
    /// Frames sent to and received from it.
    pub tx_frames: u64,
    /// See `tx_frames`.
    pub rx_frames: u64,
    /// Records, or parts of them, sent again.
    pub reinjected: u64,
    /// Ordered records that wait for their time, bytes.
    pub held_bytes: u64,
    /// Bytes that wait for the paths' pacing.
    pub waiting_bytes: u64,
}
