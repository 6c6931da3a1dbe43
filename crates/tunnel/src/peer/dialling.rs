//! Which addresses are tried, and which of them still need to be.

use std::{net::SocketAddr, time::Instant};

use crate::{
    path::Path,
    sink::{DatagramSink, UplinkId},
};

use super::{Endpoint, Peer};

impl Peer {
    pub(super) fn set_endpoints(&mut self, endpoints: &[Endpoint], now: Instant) {
        let uplinks = 0..self.config.uplinks.len() as u8;
        let wanted: Vec<(UplinkId, SocketAddr)> = endpoints
            .iter()
            .flat_map(|endpoint| {
                uplinks
                    .clone()
                    .map(UplinkId)
                    .filter(|&uplink| endpoint.uplink.is_none_or(|only| only == uplink))
                    .map(|uplink| (uplink, endpoint.address))
            })
            .collect();
        self.candidates.configure(&wanted, now);
    }

    /// Whether a candidate needs no challenge: it is a path already, or cannot be tried.
    pub(super) fn is_settled(&self, uplink: UplinkId, remote: SocketAddr) -> bool {
        let known = self.link.as_ref().is_some_and(|link| {
            link.path_at(uplink, remote)
                .is_some_and(|at| link.paths[at].agreed)
        });
        known
            || !self.is_present(uplink)
            || self.ordered_down(uplink, remote)
            || self.keys.current().is_none()
    }

    pub(super) fn next_candidate(&self) -> Option<Instant> {
        self.candidates
            .next(|uplink, remote| self.is_settled(uplink, remote))
    }

    pub(super) fn challenge_candidates(&mut self, now: Instant, sink: &mut dyn DatagramSink) {
        if self.next_candidate().is_none_or(|next| next > now) {
            return;
        }
        let settled: Vec<(UplinkId, SocketAddr)> = self
            .candidates
            .iter()
            .map(|c| (c.uplink, c.remote))
            .filter(|&(uplink, remote)| self.is_settled(uplink, remote))
            .collect();
        let link = self.link.as_ref();
        let due = self.candidates.due(
            now,
            |uplink, remote| settled.contains(&(uplink, remote)),
            |uplink| link.is_some_and(|link| link.covers(uplink, Path::usable)),
        );
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            for (uplink, remote) in due {
                link.challenge(uplink, remote, None, None, &mut context);
            }
        }
    }
}
