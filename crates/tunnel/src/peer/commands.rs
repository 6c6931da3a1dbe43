//! What the owner of a peer tells it.

use std::{net::SocketAddr, time::Instant};

use wire::control::put_close;

use crate::{
    link::UplinkChange,
    sink::{DatagramSink, UplinkId},
};

use super::{Command, Peer, UplinkState};

impl Peer {
    /// Carries out an order. False when it names a path that does not exist.
    pub fn handle_command(
        &mut self,
        command: Command,
        now: Instant,
        sink: &mut dyn DatagramSink,
    ) -> bool {
        match command {
            Command::Endpoints(endpoints) => self.set_endpoints(&endpoints, now),
            Command::Uplink(uplink, state) => self.on_uplink(uplink, state, now, sink),
            Command::Path(uplink, remote, op) => return self.order(uplink, remote, op, now, sink),
            Command::Woke => self.on_woke(now, sink),
            Command::Close => self.close(now, sink),
        }
        true
    }

    fn on_uplink(
        &mut self,
        uplink: UplinkId,
        state: UplinkState,
        now: Instant,
        sink: &mut dyn DatagramSink,
    ) {
        let at = usize::from(uplink.0);
        let (Some(absent), Some(limits)) =
            (self.absent.get_mut(at), self.uplinks.limits.get_mut(at))
        else {
            return;
        };
        let reason = (!state.present).then_some(state.reason);
        let was = std::mem::replace(absent, reason).is_none();
        // Headers of IP and UDP: 28 bytes, 48 with IPv6.
        let limit = |headers: u16| {
            state
                .mtu
                .saturating_sub(headers)
                .min(crate::params::MAX_MTU)
        };
        let new_limits = (limit(28), limit(48));
        let resized = std::mem::replace(limits, new_limits) != new_limits;
        let mtu_limit = |remote: SocketAddr| {
            if remote.is_ipv4() {
                new_limits.0
            } else {
                new_limits.1
            }
        };
        let change = match (was, state.present) {
            (_, false) => UplinkChange::Lost {
                reason: state.reason,
            },
            (false, true) => UplinkChange::Back {
                mtu_limit: &mtu_limit,
            },
            (true, true) if resized => UplinkChange::Back {
                mtu_limit: &mtu_limit,
            },
            (true, true) if state.readdressed => UplinkChange::Readdressed,
            (true, true) => return,
        };
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            link.on_uplink(uplink, change, &mut context);
        }
        if state.present {
            self.candidates.hurry(now);
            if !self.up {
                self.backoff.restart(now);
            }
        }
    }

    fn on_woke(&mut self, now: Instant, sink: &mut dyn DatagramSink) {
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            link.on_woke(&mut context);
        }
        self.candidates.hurry(now);
        self.backoff.restart(now);
    }

    fn close(&mut self, now: Instant, sink: &mut dyn DatagramSink) {
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            for path in link.paths.iter_mut().filter(|path| path.answers()) {
                path.control(false, &mut context.sending(), |out| put_close(out, 0));
                path.flush(&mut context.sending());
            }
        }
    }
}
