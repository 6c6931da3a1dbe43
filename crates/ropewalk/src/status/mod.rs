//! What `status` and `fdb` tell: one set of types for the daemon that says it and the client
//! that shows it.
//!
//! Field names are a contract: fields may be added, never renamed. Unknown is null.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::config;

mod render;

pub use render::{Style, fdb_table, screen};

/// The answer of `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Who answers.
    pub node: NodeStatus,
    /// In the order of the configuration.
    pub peers: Vec<PeerStatus>,
    /// Local ports and peers, as the switch sees them.
    pub ports: Vec<PortStatus>,
    /// Who speaks for which site.
    #[serde(default)]
    pub forwarders: Vec<Forwarder>,
    /// Frames and datagrams dropped since the start, by reason.
    #[serde(default)]
    pub drops: BTreeMap<String, u64>,
    /// What deserves a look, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// `[node] name`.
    pub name: String,
    /// Base64.
    pub public_key: String,
    /// Version of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: u64,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// `[[peer]] name`.
    pub name: String,
    /// Base64.
    pub public_key: String,
    /// Whether any path carries.
    pub state: PeerState,
    /// As configured.
    pub mode: Mode,
    /// What is done at present.
    pub effective_mode: Mode,
    /// In a stable order.
    pub paths: Vec<PathStatus>,
    /// Times without a usable path.
    pub outages: Outages,
}

/// Whether a peer can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// At least one path is usable.
    Up,
    /// None is.
    #[serde(other)]
    Down,
}

/// How frames are spread over paths, as in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The best path carries everything.
    Failover,
    /// A flow keeps its path.
    Balance,
    /// All paths add up.
    Aggregate,
    /// Everything goes over two paths.
    Redundant,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl From<config::Mode> for Mode {
    fn from(mode: config::Mode) -> Self {
        match mode {
            config::Mode::Failover => Self::Failover,
            config::Mode::Balance => Self::Balance,
            config::Mode::Aggregate => Self::Aggregate,
            config::Mode::Redundant => Self::Redundant,
        }
    }
}

/// One path: a local uplink and a remote address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStatus {
    /// `[[uplink]] name`.
    pub uplink: String,
    /// Local address and port, when known.
    pub local: Option<String>,
    /// Remote address and port; null while a name does not resolve.
    pub remote: Option<String>,
    /// Whether it works.
    pub state: PathState,
    /// The worse of what both ends say.
    pub role: Role,
    /// We send data on it.
    pub active: bool,
    /// The peer sends data on it.
    pub peer_active: Option<bool>,
    /// Smoothed round-trip time, milliseconds.
    pub rtt_ms: Option<f64>,
    /// Its mean deviation, milliseconds.
    pub jitter_ms: Option<f64>,
    /// Share lost over 10 s, 0 to 1.
    pub loss: Option<f64>,
    /// Bits per second in our direction.
    pub capacity_bps: Option<u64>,
    /// Bytes of UDP payload that fit.
    pub mtu: Option<u16>,
    /// Bytes sent, with all headers.
    pub tx_bytes: u64,
    /// Bytes received, with all headers.
    pub rx_bytes: u64,
    /// When it came into this state.
    pub since: Option<Timestamp>,
    /// Why it is in this state, from a documented list.
    pub reason: Option<String>,
    /// Why it carries no data although up.
    pub excluded_reason: Option<String>,
}

/// The state of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathState {
    /// Being tried.
    Probing,
    /// Works.
    Up,
    /// Went quiet when an answer was due.
    Suspect,
    /// Does not work, or was taken down.
    Down,
    /// Was emptied and rests.
    Drained,
    /// Its device or address is not there.
    Absent,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// When a path carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Whenever it works.
    Primary,
    /// When no primary is up.
    Backup,
    /// When nothing else is up.
    Metered,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl From<config::Role> for Role {
    fn from(role: config::Role) -> Self {
        match role {
            config::Role::Primary => Self::Primary,
            config::Role::Backup => Self::Backup,
            config::Role::Metered => Self::Metered,
        }
    }
}

/// Times when frames were offered and no path was usable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outages {
    /// How many since the start.
    pub count: u64,
    /// The longest, milliseconds.
    pub longest_ms: u64,
    /// All together, milliseconds.
    pub total_ms: u64,
}

/// A port of the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Device or peer name.
    pub name: String,
    /// What stands behind it.
    pub kind: PortKind,
    /// Whether frames pass.
    pub state: PortState,
    /// Why its interface cannot be used, from a documented list.
    #[serde(default)]
    pub reason: Option<String>,
    /// Frames that it brought in beyond its `storm-limit`.
    #[serde(default)]
    pub storm_drops: u64,
    /// Spanning-tree role, when it speaks that.
    pub role: Option<String>,
    /// What may pass: `all`, or as `10,20-29`; untagged is 0.
    pub vlans: String,
}

/// What stands behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortKind {
    /// A TAP device of ours.
    Tap,
    /// An interface taken over.
    Device,
    /// A peer.
    Peer,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether a port passes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortState {
    /// Passes and learns.
    Forwarding,
    /// Learns only.
    Learning,
    /// Neither.
    #[serde(other)]
    Discarding,
}

/// Who speaks for a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarder {
    /// The site.
    pub site: String,
    /// The VLAN, 0 for untagged.
    pub vlan: u16,
    /// The gateway that forwards.
    pub node: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why that one.
    pub reason: Option<String>,
}

/// One learned address, of `GET /v1/fdb`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The VLAN, 0 for untagged.
    pub vlan: u16,
    /// As `16:b9:3f:58:cb:4c`.
    pub mac: String,
    /// The port behind which it is.
    pub port: String,
    /// Seconds since it was last heard.
    pub age_s: u64,
}

/// One line of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// What happened, such as `path-down`; `lagged` when the reader was too slow and missed some.
    pub kind: String,
    /// The peer it concerns.
    pub peer: Option<String>,
    /// The path it concerns, as `line1/192.168.100.2:1830`.
    pub path: Option<String>,
    /// The port it concerns.
    #[serde(default)]
    pub port: Option<String>,
    /// Why, from a documented list.
    pub reason: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests;
