//! The sockets of the uplinks. All of them are bound to the listen port, each to its uplink's device.

use std::net::{IpAddr, SocketAddr};

use node::{Target, UplinkId};
use sys::UdpSocket;

/// Sockets of one uplink: one per listen address.
#[derive(Default)]
pub(super) struct Line {
    pub sockets: Vec<(SocketAddr, UdpSocket)>,
}

/// All lines, by uplink.
pub(super) struct Lines(Vec<Line>);

impl Lines {
    pub(super) fn new(uplinks: usize) -> Self {
        Self((0..uplinks).map(|_| Line::default()).collect())
    }

    pub(super) fn get(&self, uplink: UplinkId) -> Option<&Line> {
        self.0.get(usize::from(uplink.0))
    }

    /// Replaces the sockets of an uplink; returns the old ones, to be closed.
    pub(super) fn replace(&mut self, uplink: UplinkId, sockets: Vec<UdpSocket>) -> Line {
        let with_address = |socket: UdpSocket| socket.local_addr().ok().map(|at| (at, socket));
        let line = Line { sockets: sockets.into_iter().filter_map(with_address).collect() };
        match self.0.get_mut(usize::from(uplink.0)) {
            Some(place) => std::mem::replace(place, line),
            None => line,
        }
    }

    /// The socket that can send to `target`.
    pub(super) fn socket_for(&self, target: &Target) -> Option<&UdpSocket> {
        let fits = |(bound, _): &&(SocketAddr, UdpSocket)| match bound.ip() {
            IpAddr::V4(_) => target.remote.is_ipv4(),
            IpAddr::V6(ip) => ip.is_unspecified() || target.remote.is_ipv6(),
        };
        self.get(target.uplink)?.sockets.iter().find(fits).map(|(_, socket)| socket)
    }
}
