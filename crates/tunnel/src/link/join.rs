//! How pairs of uplinks become paths, and how a path follows its peer to another address.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use rand::Rng as _;
use wire::control::{Admin, RoleCode, put_challenge, put_response};

use crate::{
    event::Event,
    path::Path,
    sink::{Arrival, Target, UplinkId},
};

use super::{Context, Link};

/// Challenges waiting for their response.
const MAX_ASKED: usize = 128;
const ASKED_LIFE: Duration = Duration::from_secs(5);
/// One address is challenged at most this often because of what it sends.
const ASK_AGAIN: Duration = Duration::from_millis(40);

/// A challenge of ours that may still be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    token: u64,
    uplink: UplinkId,
    remote: SocketAddr,
    local: Option<IpAddr>,
    at: Instant,
    /// The path that wants to move there.
    moves: Option<usize>,
    /// The path id that the challenge named; 0: none.
    named: u8,
}

/// What our own uplinks are, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalUplinks {
    pub roles: Vec<RoleCode>,
    /// Bits per second.
    pub rate_limits: Vec<Option<u64>>,
    /// Largest UDP payload of each uplink's device towards IPv4 and IPv6 addresses.
    pub limits: Vec<(u16, u16)>,
}

impl LocalUplinks {
    pub(crate) fn role(&self, uplink: UplinkId) -> RoleCode {
        self.roles
            .get(usize::from(uplink.0))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn limit(&self, uplink: UplinkId, remote: SocketAddr) -> u16 {
        let (v4, v6) = self
            .limits
            .get(usize::from(uplink.0))
            .copied()
            .unwrap_or((1472, 1452));
        if remote.is_ipv4() { v4 } else { v6 }
    }
}

impl Link {
    /// Asks `remote` over `uplink` to prove that it is the peer.
    pub(crate) fn challenge(
        &mut self,
        uplink: UplinkId,
        remote: SocketAddr,
        local: Option<IpAddr>,
        moves: Option<usize>,
        context: &mut Context<'_>,
    ) {
        let known = moves.or_else(|| self.path_at(uplink, remote));
        self.send_challenge((uplink, remote, local), moves, known, context);
    }

    fn send_challenge(
        &mut self,
        (uplink, remote, local): (UplinkId, SocketAddr, Option<IpAddr>),
        moves: Option<usize>,
        known: Option<usize>,
        context: &mut Context<'_>,
    ) {
        let (token, path, role) = self.ask(uplink, remote, local, moves, known, context);
        let target = Target {
            uplink,
            remote,
            local,
        };
        self.lobby
            .send_aside(target, &mut context.sending(), |out| {
                put_challenge(out, token, uplink.0, path, role);
            });
    }

    fn ask(
        &mut self,
        uplink: UplinkId,
        remote: SocketAddr,
        local: Option<IpAddr>,
        moves: Option<usize>,
        known: Option<usize>,
        context: &Context<'_>,
    ) -> (u64, u8, RoleCode) {
        let now = context.now;
        self.asked
            .retain(|asked| now.saturating_duration_since(asked.at) < ASKED_LIFE);
        if self.asked.len() >= MAX_ASKED {
            self.asked.remove(0);
        }
        let token = self.rng.next_u64();
        let named = known.map_or(0, |at| self.paths[at].id);
        self.asked.push(Asked {
            token,
            uplink,
            remote,
            local,
            at: now,
            moves,
            named,
        });
        (token, named, context.uplinks.role(uplink))
    }

    /// The path of `uplink` whose peer is at `remote` now.
    pub(crate) fn path_at(&self, uplink: UplinkId, remote: SocketAddr) -> Option<usize> {
        self.paths
            .iter()
            .position(|path| path.uplink == uplink && path.remote == remote)
    }

    fn path_of_pair(&self, uplink: UplinkId, remote_uplink: u8) -> Option<usize> {
        self.paths
            .iter()
            .position(|path| path.uplink == uplink && path.remote_uplink == remote_uplink)
    }

    /// The path of a pair of uplinks, made if this end may (`claimed`: the id that the peer names, 0 for none).
    fn path_for(
        &mut self,
        arrival: &Arrival,
        remote_uplink: u8,
        claimed: u8,
        context: &Context<'_>,
    ) -> Option<usize> {
        if let Some(at) = self.path_of_pair(arrival.uplink, remote_uplink) {
            return Some(at);
        }
        let id = if self.we_are_lower {
            self.allocate_id()?
        } else {
            claimed
        };
        if id == 0 || self.by_id(id).is_some() {
            return None;
        }
        let mut path = Path::new(
            id,
            arrival.uplink,
            remote_uplink,
            arrival.remote,
            self.epoch,
            context.now,
        );
        let overhead = if arrival.remote.is_ipv4() { 28 } else { 48 };
        path.pacing.set_overhead(overhead);
        let rate_limit = context
            .uplinks
            .rate_limits
            .get(usize::from(arrival.uplink.0));
        path.pacing
            .set_ceiling(rate_limit.copied().flatten().map(|bits| bits / 8));
        path.local = arrival.local;
        path.local_role = context.uplinks.role(arrival.uplink);
        path.mtu.set_limit(
            context.uplinks.limit(arrival.uplink, arrival.remote),
            context.now,
        );
        self.add_path(path)
    }

    /// Ids are given out by the lower public key and never twice in a session.
    fn allocate_id(&mut self) -> Option<u8> {
        let id = self.next_path_id;
        if id == 0 || self.paths.len() >= crate::params::MAX_PATHS {
            return None;
        }
        self.next_path_id = id.wrapping_add(1);
        Some(id)
    }

    /// Answers a challenge, and asks back where the address is not proven to us.
    pub(super) fn on_challenge(
        &mut self,
        token: u64,
        remote_uplink: u8,
        claimed: u8,
        role: RoleCode,
        arrival: &Arrival,
        context: &mut Context<'_>,
    ) {
        let at = self.path_for(arrival, remote_uplink, claimed, context);
        let proven = at.is_some_and(|at| {
            let path = &mut self.paths[at];
            path.remote_role = role;
            path.agreed && (path.remote == arrival.remote || path.usable())
        });
        let now = context.now;
        let asked_lately = self.asked.iter().any(|asked| {
            asked.uplink == arrival.uplink
                && asked.remote == arrival.remote
                && now.saturating_duration_since(asked.at) < ASK_AGAIN
        });
        let back = (!proven && !asked_lately).then(|| {
            self.ask(
                arrival.uplink,
                arrival.remote,
                arrival.local,
                None,
                at,
                context,
            )
        });
        let id = at.map_or(0, |at| self.paths[at].id);
        let our_role = context.uplinks.role(arrival.uplink);
        let target = Target {
            uplink: arrival.uplink,
            remote: arrival.remote,
            local: arrival.local,
        };
        self.lobby
            .send_aside(target, &mut context.sending(), |out| {
                put_response(out, token, arrival.uplink.0, id, our_role, arrival.remote);
                if let Some((token, path, role)) = back {
                    put_challenge(out, token, arrival.uplink.0, path, role);
                }
            });
    }

    /// An address proved to be the peer. Returns the address that answered.
    pub(super) fn on_response(
        &mut self,
        token: u64,
        remote_uplink: u8,
        claimed: u8,
        role: RoleCode,
        context: &mut Context<'_>,
    ) {
        let Some(asked_at) = self.asked.iter().position(|asked| asked.token == token) else {
            return;
        };
        let asked = self.asked.swap_remove(asked_at);
        if self.proven.len() < MAX_ASKED {
            self.proven.push((asked.uplink, asked.remote));
        }
        let from = Arrival {
            uplink: asked.uplink,
            remote: asked.remote,
            local: asked.local,
        };
        let Some(at) = self.path_for(&from, remote_uplink, claimed, context) else {
            return;
        };
        let path = &mut self.paths[at];
        path.remote_role = role;
        if path.remote != asked.remote {
            // A path that was ordered out of use is not silent: the order holds for the address it has.
            let silent = !path.usable() && path.admin == Admin::Up;
            if !(silent || asked.moves == Some(at)) {
                return; // another way to the same pair of uplinks: one is enough
            }
            self.move_to(at, &from, context);
        }
        if claimed != self.paths[at].id {
            // The peer does not know the id yet: tell it, unless we just did.
            if asked.named == self.paths[at].id {
                return;
            }
            let to = (asked.uplink, asked.remote, asked.local);
            return self.send_challenge(to, None, Some(at), context);
        }
        let path = &mut self.paths[at];
        path.agreed = true;
        // A first idea of the delay, so that a slow line is not taken for a silent one.
        path.estimator
            .seed(context.now.saturating_duration_since(asked.at), context.now);
        let changed = path.admin != Admin::Down && path.live.on_answer(context.now);
        if changed {
            path.estimator.forget_loss();
            path.flight.give_up();
            path.times.clear();
            self.on_path_changed(at, context);
        }
        self.probe(at, false, context);
    }

    /// A datagram of a path came from an address that is not the path's: ask it to prove itself before anything goes there.
    pub(super) fn on_new_address(
        &mut self,
        at: usize,
        arrival: &Arrival,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        let path = &mut self.paths[at];
        let pending = path.moving.filter(|moving| {
            moving.remote == arrival.remote
                && now.saturating_duration_since(moving.asked) < ASK_AGAIN
        });
        if pending.is_some() {
            return;
        }
        path.moving = Some(crate::path::Moving {
            remote: arrival.remote,
            asked: now,
        });
        self.challenge(
            arrival.uplink,
            arrival.remote,
            arrival.local,
            Some(at),
            context,
        );
    }

    fn move_to(&mut self, at: usize, to: &Arrival, context: &mut Context<'_>) {
        let path = &mut self.paths[at];
        let from = std::mem::replace(&mut path.remote, to.remote);
        path.local = to.local;
        path.moving = None;
        path.mtu
            .set_limit(context.uplinks.limit(to.uplink, to.remote), context.now);
        path.mtu.start_again(context.now);
        path.estimator.start_again(context.now);
        // What was lost on the way to the old address says nothing about the new one.
        path.estimator.forget_loss();
        context.events.push(Event::Moved {
            uplink: to.uplink,
            from,
            to: to.remote,
        });
        self.rank(context.now);
        self.reinject(at, context);
        // What was sent to the old address will never be acknowledged; its age must not be held against the new one.
        self.paths[at].flight.give_up();
        self.paths[at].times.clear();
    }
}
