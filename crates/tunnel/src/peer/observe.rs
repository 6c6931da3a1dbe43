//! What a peer shows of itself: its state, outages, and the snapshot behind `status`.

use std::time::{Duration, Instant};

use crate::{
    event::Event,
    link::{Counters, Link, state_of},
    params::BASE_MTU,
    peer::Mode,
    snapshot::{OutageSnapshot, PathSnapshot, PathState, PeerSnapshot},
};

use super::Peer;

/// Times when frames were offered and no path was usable.
#[derive(Debug, Default)]
pub(super) struct Outages {
    since: Option<Instant>,
    done: OutageSnapshot,
}

impl Outages {
    /// A frame was refused.
    pub(super) fn on_refused(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    fn on_up(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.done = Self::with(self.done, now.saturating_duration_since(since));
        }
    }

    fn snapshot(&self, now: Instant) -> OutageSnapshot {
        self.since.map_or(self.done, |since| {
            Self::with(self.done, now.saturating_duration_since(since))
        })
    }

    fn with(done: OutageSnapshot, lasted: Duration) -> OutageSnapshot {
        OutageSnapshot {
            count: done.count + 1,
            longest: done.longest.max(lasted),
            total: done.total + lasted,
        }
    }
}

impl Peer {
    pub(super) fn note_state(&mut self, now: Instant) {
        let up = self.link.as_ref().is_some_and(Link::has_path);
        if up == self.up {
            return;
        }
        self.up = up;
        self.up_since = now;
        if up {
            self.was_up = true;
            self.outages.on_up(now);
            self.backoff.settle();
        }
        self.events
            .push(if up { Event::PeerUp } else { Event::PeerDown });
    }

    /// Everything `status` shows.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> PeerSnapshot {
        let counters = self
            .link
            .as_ref()
            .map_or_else(Counters::default, |link| link.counters);
        let mut paths = self.link.as_ref().map_or_else(Vec::new, |link| {
            (0..link.paths.len())
                .map(|at| path_snapshot(link, at))
                .collect()
        });
        for candidate in self.candidates.iter() {
            let known = paths.iter().any(|p: &PathSnapshot| {
                p.uplink == candidate.uplink
                    && (p.remote == candidate.remote
                        || candidate.source == crate::dial::Source::Learned)
            });
            let superfluous = self
                .link
                .as_ref()
                .is_some_and(|link| link.covers(candidate.uplink, |path| path.agreed));
            if !known && !superfluous {
                paths.push(self.candidate_snapshot(candidate));
            }
        }
        let orders = self.link.as_ref().is_none_or(Link::takes_ordered);
        PeerSnapshot {
            name: self.config.name.clone(),
            public_key: *self.config.public_key.as_bytes(),
            up: self.up,
            since: self.up_since,
            mode: self.config.mode,
            effective_mode: match self.config.mode {
                Mode::Aggregate if !orders => Mode::Balance,
                mode => mode,
            },
            cipher: self
                .keys
                .current()
                .map(|key| key.established.cipher.as_str()),
            paths,
            outages: self.outages.snapshot(now),
            drops: self.drops.clone(),
            tx_frames: counters.tx_frames,
            rx_frames: counters.rx_frames,
            reinjected: counters.reinjected,
            held_bytes: self.link.as_ref().map_or(0, Link::held_bytes),
            waiting_bytes: self.link.as_ref().map_or(0, Link::waiting_bytes),
        }
    }

    /// Bytes that its paths over `uplink` carried in this session, both directions, all headers counted.
    #[must_use]
    pub fn carried(&self, uplink: crate::UplinkId) -> u64 {
        let paths = self.link.iter().flat_map(|link| &link.paths);
        let of = |path: &crate::path::Path| {
            let headers = if path.remote.is_ipv4() { 28 } else { 48 };
            let traffic = &path.traffic;
            traffic.tx_bytes
                + traffic.rx_bytes
                + headers * (traffic.tx_datagrams + traffic.rx_datagrams)
        };
        paths.filter(|path| path.uplink == uplink).map(of).sum()
    }

    /// Bytes of memory that grow with this peer's traffic.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.link.as_ref().map_or(0, Link::memory)
    }

    fn candidate_snapshot(&self, candidate: &crate::dial::Candidate) -> PathSnapshot {
        let absent = self
            .absent
            .get(usize::from(candidate.uplink.0))
            .copied()
            .flatten();
        let down = self.ordered_down(candidate.uplink, candidate.remote);
        let (state, reason) = match (absent, down) {
            (Some(reason), _) => (PathState::Absent, reason),
            (None, true) => (PathState::Down, "ordered-down"),
            (None, false) => (PathState::Probing, "no-answer-yet"),
        };
        PathSnapshot {
            uplink: candidate.uplink,
            local: None,
            remote: candidate.remote,
            state,
            role: self.uplinks.role(candidate.uplink).role,
            active: false,
            peer_active: false,
            round_trip: None,
            jitter: None,
            loss: None,
            capacity: None,
            mtu: BASE_MTU,
            tx_bytes: 0,
            rx_bytes: 0,
            tx_datagrams: 0,
            rx_datagrams: 0,
            since: candidate.since,
            reason,
            excluded: None,
        }
    }
}

fn path_snapshot(link: &Link, at: usize) -> PathSnapshot {
    let path = &link.paths[at];
    PathSnapshot {
        uplink: path.uplink,
        local: path.local,
        remote: path.remote,
        state: state_of(path),
        role: path.role(),
        active: path.usable() && link.carries(at) && !link.is_useless(at),
        peer_active: path.peer_active,
        round_trip: path.estimator.round_trip(),
        jitter: path.estimator.jitter(),
        loss: path.estimator.loss(),
        capacity: link.capacity(at),
        mtu: path.mtu.current(),
        tx_bytes: path.traffic.tx_bytes,
        rx_bytes: path.traffic.rx_bytes,
        tx_datagrams: path.traffic.tx_datagrams,
        rx_datagrams: path.traffic.rx_datagrams,
        since: path.live.since(),
        reason: match path.admin {
            wire::control::Admin::Drained => "ordered-drain",
            _ => path.live.reason(),
        },
        excluded: link.excluded(at),
    }
}
