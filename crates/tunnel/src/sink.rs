//! The seam between the pure peer and whoever owns sockets: the caller lends space, the peer writes in place.

use std::net::{IpAddr, SocketAddr};

/// An uplink of this node: its place in the configuration, which is also its id on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UplinkId(pub u8);

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The uplink whose socket sends it.
    pub uplink: UplinkId,
    /// Where it is sent to.
    pub remote: SocketAddr,
    /// The source address to use; `None` leaves the choice to the routing table.
    pub local: Option<IpAddr>,
}

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The uplink whose socket received it.
    pub uplink: UplinkId,
    /// Its source address.
    pub remote: SocketAddr,
    /// The address it was sent to, where the kernel tells.
    pub local: Option<IpAddr>,
}

/// Takes datagrams. A reservation that is not committed is rolled back by the next one.
pub trait DatagramSink {
    /// Lends exactly `len` bytes for one datagram; `None` when the sink is full (the caller counts the drop).
    fn reserve(&mut self, target: &Target, len: usize) -> Option<&mut [u8]>;
    /// Sends what was written into the last reservation.
    fn commit(&mut self);
}
