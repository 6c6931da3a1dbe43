//! What changes for a path: its liveness, our uplink under it, an order.

use wire::control::Admin;

use crate::{event::Event, liveness::State, sink::UplinkId};

use super::{Context, Link, state_of};

/// What happened to an uplink of ours.
#[derive(Clone, Copy)]
pub(crate) enum UplinkChange<'a> {
    /// No device or no carrier.
    Lost { reason: &'static str },
    /// There again, or with another MTU: `mtu_limit` tells the largest UDP payload towards an address.
    Back {
        mtu_limit: &'a dyn Fn(std::net::SocketAddr) -> u16,
    },
    /// It has other addresses or routes than before.
    Readdressed,
}

impl Link {
    /// A path's state may have changed: rank, rescue what was in flight if it cannot carry any more, tell the peer and the owner.
    pub(crate) fn on_path_changed(&mut self, path: usize, context: &mut Context<'_>) {
        self.rank(context.now);
        if !self.paths[path].usable() {
            self.reinject(path, context);
            self.fallen |= self.paths[path].live.state() == State::Down;
        }
        self.status.changed(context.now);
        let path = &self.paths[path];
        context.events.push(Event::Path {
            uplink: path.uplink,
            remote: path.remote,
            state: state_of(path),
            reason: path.live.reason(),
        });
    }

    /// Our uplink came, went, or changed its address.
    pub(crate) fn on_uplink(
        &mut self,
        uplink: UplinkId,
        change: UplinkChange,
        context: &mut Context<'_>,
    ) {
        for at in 0..self.paths.len() {
            if self.paths[at].uplink != uplink {
                continue;
            }
            let path = &mut self.paths[at];
            match change {
                UplinkChange::Lost { reason } => {
                    path.present = false;
                    path.live.on_cut(reason, context.now);
                    self.on_path_changed(at, context);
                }
                UplinkChange::Back { mtu_limit } => {
                    path.local = None;
                    path.mtu.set_limit(mtu_limit(path.remote), context.now);
                    path.present = true;
                    self.probe(at, true, context);
                    self.on_path_changed(at, context);
                }
                UplinkChange::Readdressed => {
                    path.local = None;
                    let remote = path.remote;
                    self.challenge(uplink, remote, None, Some(at), context);
                    self.probe(at, true, context);
                }
            }
        }
    }

    /// An order for one path, ours or the peer's.
    pub(crate) fn on_order(
        &mut self,
        at: usize,
        admin: Admin,
        version: u32,
        context: &mut Context<'_>,
    ) {
        let path = &mut self.paths[at];
        let was = path.admin;
        path.admin = admin;
        path.admin_version = version;
        match admin {
            Admin::Down => {
                path.live.on_cut("ordered-down", context.now);
            }
            Admin::Up if was == Admin::Down => {
                path.live = crate::liveness::Liveness::new(context.now);
                path.live.on_cut("ordered-up", context.now);
                self.probe(at, true, context);
            }
            Admin::Up | Admin::Drained => {}
        }
        self.rank(context.now);
        if admin == Admin::Down {
            self.reinject(at, context);
        }
        self.status.changed(context.now);
        let path = &self.paths[at];
        let reason = if admin == Admin::Drained {
            "ordered-drain"
        } else {
            path.live.reason()
        };
        context.events.push(Event::Path {
            uplink: path.uplink,
            remote: path.remote,
            state: state_of(path),
            reason,
        });
    }
}
