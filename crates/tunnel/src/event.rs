//! What a peer tells its owner.

use std::net::SocketAddr;

use crate::{sink::UplinkId, snapshot::PathState};

/// Something happened that people or programs may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Frames can travel again.
    PeerUp,
    /// No path is usable any more.
    PeerDown,
    /// The peer's process started anew.
    PeerRestarted,
    /// The peer said that it ends.
    PeerClosed,
    /// New keys are in use.
    Rekeyed {
        /// Counts the keys of this session.
        generation: u32,
    },
    /// A path changed its state.
    Path {
        /// Our uplink.
        uplink: UplinkId,
        /// The peer's address on it.
        remote: SocketAddr,
        /// The new state.
        state: PathState,
        /// Why, from the list in `docs/operating.md`.
        reason: &'static str,
    },
    /// The peer is reached at another address on a path.
    Moved {
        /// Our uplink.
        uplink: UplinkId,
        /// The address until now.
        from: SocketAddr,
        /// The address from now on.
        to: SocketAddr,
    },
    /// Full-size datagrams vanish on a path: it is back at the base size and searching.
    MtuBlackHole {
        /// Our uplink.
        uplink: UplinkId,
        /// The peer's address on it.
        remote: SocketAddr,
    },
}
