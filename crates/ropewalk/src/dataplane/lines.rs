//! The sockets of the uplinks. All of them are bound to the listen port, each to its uplink's device.

use std::net::{IpAddr, SocketAddr};

use node::{Target, UplinkId};
use sys::UdpSocket;

/// Sockets of one uplink: one per listen address.
#[derive(Default)]
pub(super) struct Line {
    pub sockets: Vec<(SocketAddr, UdpSocket)>,
    /// Addresses of other lines' devices: nothing is taken that came through this one to them.
    pub foreign: Vec<IpAddr>,
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
        let sockets = sockets.into_iter().filter_map(with_address).collect();
        let Some(place) = self.0.get_mut(usize::from(uplink.0)) else {
            return Line {
                sockets,
                ..Line::default()
            };
        };
        let foreign = place.foreign.clone();
        std::mem::replace(place, Line { sockets, foreign })
    }

    /// Replaces the addresses that are other lines'.
    pub(super) fn set_foreign(&mut self, uplink: UplinkId, foreign: Vec<IpAddr>) {
        if let Some(line) = self.0.get_mut(usize::from(uplink.0)) {
            line.foreign = foreign;
        }
    }

    /// Whether `local` belongs to another line than the one it was reached through.
    pub(super) fn is_foreign(&self, uplink: UplinkId, local: Option<IpAddr>) -> bool {
        local.is_some_and(|ip| {
            self.get(uplink)
                .is_some_and(|line| line.foreign.contains(&ip))
        })
    }

    /// The socket that can send to `target`.
    pub(super) fn socket_for(&self, target: &Target) -> Option<&UdpSocket> {
        let fits = |(bound, _): &&(SocketAddr, UdpSocket)| match bound.ip() {
            IpAddr::V4(_) => target.remote.is_ipv4(),
            IpAddr::V6(ip) => ip.is_unspecified() || target.remote.is_ipv6(),
        };
        self.get(target.uplink)?
            .sockets
            .iter()
            .find(fits)
            .map(|(_, socket)| socket)
    }
}
