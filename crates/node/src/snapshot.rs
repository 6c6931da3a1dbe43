//! A node as `status` shows it.

use tunnel::PeerSnapshot;

/// What is behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKindSnapshot {
    /// A local port.
    Local,
    /// A peer.
    Peer,
}

/// A port of the switch.
#[derive(Clone, Debug)]
pub struct PortSnapshot {
    /// Its name: the port's, or the peer's.
    pub name: String,
    /// See [`PortKindSnapshot`].
    pub kind: PortKindSnapshot,
    /// `forwarding`, `learning` or `discarding`.
    pub state: &'static str,
    /// Why it cannot be used; empty when it can.
    pub reason: &'static str,
    /// Frames to many that it brought in beyond its limits.
    pub storm_drops: u64,
    /// The network behind it seems to drop frames of stations that are not its own.
    pub blocks_foreign: bool,
    /// The VLANs it carries, as ranges; `None`: all.
    pub vlans: Option<Vec<(u16, u16)>>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeSnapshot {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub public_key: [u8; 32],
    /// Names of its uplinks, by id.
    pub uplinks: Vec<String>,
    /// Its peers.
    pub peers: Vec<PeerSnapshot>,
    /// Ports of the switch, peers included.
    pub ports: Vec<PortSnapshot>,
    /// Drops of node and peers together, by reason, sorted.
    pub drops: Vec<(&'static str, u64)>,
}
