//! Orders of the operator: they bind both ends, outlive sessions, and end with the process.

use std::{net::SocketAddr, time::Instant};

use wire::control::Admin;

use crate::{
    path::Path,
    sink::{DatagramSink, UplinkId},
};

use super::{PathOp, Peer};

/// Orders of the operator, in the order they were given.
pub(super) type Orders = Vec<(UplinkId, Option<SocketAddr>, Admin)>;

/// The order that holds for an address: its own, else its uplink's.
pub(super) fn order_for(orders: &Orders, uplink: UplinkId, remote: SocketAddr) -> Admin {
    let of = |wanted: Option<SocketAddr>| {
        orders
            .iter()
            .find(|&&(u, r, _)| u == uplink && r == wanted)
            .map(|&(.., admin)| admin)
    };
    of(Some(remote)).or_else(|| of(None)).unwrap_or(Admin::Up)
}

impl Peer {
    pub(super) fn order(
        &mut self,
        uplink: UplinkId,
        remote: Option<SocketAddr>,
        op: PathOp,
        now: Instant,
        sink: &mut dyn DatagramSink,
    ) -> bool {
        let admin = match op {
            PathOp::Up => Admin::Up,
            PathOp::Down => Admin::Down,
            PathOp::Drain => Admin::Drained,
        };
        let dialled = self
            .candidates
            .iter()
            .any(|c| c.uplink == uplink && remote.is_none_or(|r| r == c.remote));
        let of_order =
            |path: &Path| path.uplink == uplink && remote.is_none_or(|r| r == path.remote);
        let paths: Vec<usize> = self.link.as_ref().map_or_else(Vec::new, |link| {
            (0..link.paths.len())
                .filter(|&at| of_order(&link.paths[at]))
                .collect()
        });
        self.orders
            .retain(|&(u, r, _)| u != uplink || remote.is_some() && r != remote);
        let exception = remote.is_some()
            && self
                .orders
                .iter()
                .any(|&(u, r, _)| u == uplink && r.is_none());
        if (admin != Admin::Up || exception) && self.orders.len() < crate::params::MAX_CANDIDATES {
            self.orders.push((uplink, remote, admin));
        }
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            for &at in &paths {
                link.order(at, admin, &mut context);
            }
            link.flush(&mut context);
        }
        if admin == Admin::Up && !self.up {
            // Handshakes were rare while no path was to be used.
            self.backoff.restart(now);
        }
        remote.is_none() || dialled || !paths.is_empty()
    }

    /// Orders outlive sessions: paths that are new get them too.
    pub(super) fn apply_orders(&mut self, now: Instant, sink: &mut dyn DatagramSink) {
        let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) else {
            return;
        };
        for at in 0..link.paths.len() {
            let path = &link.paths[at];
            let admin = order_for(&self.orders, path.uplink, path.remote);
            if admin != Admin::Up && path.admin_version == 0 {
                link.order(at, admin, &mut context);
            }
        }
    }

    pub(super) fn ordered_down(&self, uplink: UplinkId, remote: SocketAddr) -> bool {
        order_for(&self.orders, uplink, remote) == Admin::Down
    }
}
