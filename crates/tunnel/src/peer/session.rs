//! Where sessions begin and end: a new key may be a new run of the peer.

use std::time::{Duration, Instant};

use rand::Rng as _;
use wire::hello::{CAPABILITY_ORDERED, CAPABILITY_VNET};

use crate::{
    crypto::ForwardSecretRng,
    event::Event,
    keyring::Heard,
    link::{Link, LinkConfig},
    params::{HANDSHAKE_CAP_EARLY, HANDSHAKE_FIRST},
};

use super::Peer;

impl Peer {
    /// A datagram opened under key `at`: confirm the key, and begin a new session if it is a new run of the peer.
    pub(super) fn on_authentic(&mut self, at: usize, now: Instant) {
        self.last_heard = Some(now);
        if self.keys.is_settled() {
            return;
        }
        let slowest = self
            .link
            .as_ref()
            .map_or(Duration::ZERO, Link::slowest_round_trip);
        let heard = self.keys.heard(at, slowest, now);
        if heard == Heard::Confirmed {
            self.on_new_key(at, now);
        }
    }

    pub(super) fn on_new_key(&mut self, at: usize, now: Instant) {
        let Some(key) = self.keys.key(at) else { return };
        let hello = &key.established.remote_hello;
        let (instance, generation) = (key.instance, key.established.generation);
        if !key.established.initiator {
            self.limiter.confirm(hello.timestamp);
        }
        if self
            .link
            .as_ref()
            .is_none_or(|link| link.instance != instance)
        {
            if self.link.is_some() {
                self.events.push(Event::PeerRestarted);
            }
            let config = LinkConfig {
                instance,
                peer_uplinks: hello.uplinks.iter().map(|&(id, _)| id).collect(),
                mode: self.config.mode,
                we_are_lower: self.config.local_key < self.config.public_key,
                max_frame_in: self.config.max_frame,
                max_frame_out: hello.max_frame,
                vnet: self.config.vnet && hello.capabilities & CAPABILITY_VNET != 0,
                ordered: hello.capabilities & CAPABILITY_ORDERED != 0,
                rng: ForwardSecretRng::fork(&mut self.rng),
            };
            self.link = Some(Link::new(config, now));
            self.keys.retain_instance(instance);
            self.candidates.hurry(now);
            self.attempts.clear();
        } else {
            self.events.push(Event::Rekeyed { generation });
        }
        // A key without a usable path is no success: attempts go on, ever more slowly, until there is one.
        if self.up {
            self.backoff.settle();
        } else {
            self.backoff.defer(now + HANDSHAKE_CAP_EARLY);
        }
    }

    /// Our numbers and windows are gone, so to the peer we are a new run: else it would take what comes for replays.
    pub(super) fn forget_session(&mut self) {
        self.link = None;
        self.attempts.clear();
        self.answered = None;
        self.config.instance = self.rng.next_u64();
    }

    pub(super) fn on_closed(&mut self, now: Instant) {
        self.events.push(Event::PeerClosed);
        self.keys.clear();
        self.forget_session();
        self.backoff.restart(now + HANDSHAKE_FIRST);
    }
}
