//! Making keys: when, with whom, and what to do with the three kinds of handshake messages.

use std::{net::SocketAddr, time::Instant};

use rand::Rng as _;
use wire::{
    control::RoleCode,
    handshake::{INITIATION_LEN, RESPONSE_LEN, Response},
    hello::{CAPABILITY_ORDERED, CAPABILITY_VNET, Hello},
};

use crate::{
    crypto::{
        Initiator, MacGenerator, PrivateKey, Received, Responder, aes_in_hardware,
        handshake::offered_ciphers,
    },
    drops::Drop,
    link::Link,
    params::{COVERED_PAUSE, HANDSHAKE_FIRST, HANDSHAKE_LIFE, MAX_ATTEMPTS},
    sink::{Arrival, DatagramSink, Target, UplinkId},
};

use super::Peer;

/// An initiation of ours that may still be answered.
pub(super) struct Attempt {
    initiator: Initiator,
    at: Instant,
}

/// The last initiation answered, so that its copy over another line gets the same answer without new work: the way back of
/// the line that was first may be dead.
pub(super) struct Answered {
    sender_index: u32,
    timestamp: u64,
    at: Instant,
    response: [u8; RESPONSE_LEN],
}

impl Peer {
    /// An initiation that [`Responder::read`] found authentic and from this peer.
    pub fn on_initiation(
        &mut self,
        responder: Responder,
        received: &Received,
        arrival: &Arrival,
        now: Instant,
        wall_ns: u64,
        sink: &mut dyn DatagramSink,
    ) {
        let copy = self.answered.as_ref().filter(|answered| {
            answered.sender_index == received.sender_index
                && answered.timestamp == received.hello.timestamp
                && now.saturating_duration_since(answered.at) < HANDSHAKE_LIFE
        });
        if let Some(answered) = copy {
            let response = answered.response;
            return self.send_message(&response, arrival, sink);
        }
        if !self
            .limiter
            .admit(received.hello.timestamp, self.session_alive(now), now)
        {
            return self.drops.count(Drop::HandshakeLimited);
        }
        let index = self.new_index();
        let hello = self.hello(0, wall_ns);
        if hello.common_version(&received.hello).is_none() {
            return self.drops.count(Drop::BadHandshake);
        }
        let Ok((established, mut response)) =
            responder.respond(&self.config.preshared_key, &hello, index)
        else {
            return self.drops.count(Drop::BadHandshake);
        };
        MacGenerator::new(&self.config.public_key).fill(&mut response, now);
        self.keys.add(established, self.is_lower(), now);
        self.answered = Some(Answered {
            sender_index: received.sender_index,
            timestamp: received.hello.timestamp,
            at: now,
            response,
        });
        self.send_message(&response, arrival, sink);
    }

    /// A response to one of our initiations.
    pub fn on_response(
        &mut self,
        message: &Response<'_>,
        arrival: &Arrival,
        now: Instant,
        sink: &mut dyn DatagramSink,
    ) {
        if self.keys.uses(message.receiver) {
            return; // the same response over another line
        }
        let Some(at) = self
            .attempts
            .iter()
            .position(|a| a.initiator.sender_index() == message.receiver)
        else {
            return self.drops.count(Drop::BadHandshake);
        };
        if now.saturating_duration_since(self.attempts[at].at) >= HANDSHAKE_LIFE {
            return self.drops.count(Drop::BadHandshake);
        }
        let Ok(established) = self.attempts[at]
            .initiator
            .finish(message, &self.config.preshared_key)
        else {
            return self.drops.count(Drop::BadHandshake);
        };
        if Hello::default()
            .common_version(&established.remote_hello)
            .is_none()
        {
            return self.drops.count(Drop::BadHandshake);
        }
        self.attempts.clear();
        let index = established.local_index;
        self.keys.add(established, self.is_lower(), now);
        self.last_heard = Some(now);
        if let Some(key) = self.keys.find(index) {
            self.on_new_key(key, now);
        }
        self.candidates.learn(arrival.uplink, arrival.remote, now);
        self.confirm(arrival, now, sink);
    }

    /// A cookie reply from an address we sent an initiation to.
    pub fn on_cookie_reply(&mut self, reply: &[u8], arrival: &Arrival, now: Instant) {
        let candidate = self
            .candidates
            .iter_mut()
            .find(|c| c.uplink == arrival.uplink && c.remote == arrival.remote);
        if candidate.is_none_or(|c| c.macs.consume_cookie_reply(reply, now).is_err()) {
            self.drops.count(Drop::BadHandshake);
        }
    }

    /// Whether this peer waits for a message with receiver index `index`.
    #[must_use]
    pub fn awaits(&self, index: u32) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.initiator.sender_index() == index)
    }

    /// The responder may use the new key once it has heard us under it; the first challenge serves.
    fn confirm(&mut self, arrival: &Arrival, now: Instant, sink: &mut dyn DatagramSink) {
        if let (Some(link), Some(mut context)) = (&mut self.link, context!(self, now, sink)) {
            link.challenge(
                arrival.uplink,
                arrival.remote,
                arrival.local,
                None,
                &mut context,
            );
        }
        self.challenge_candidates(now, sink);
    }

    pub(super) fn handshake_at(&self, now: Instant) -> Option<Instant> {
        if !self.candidates.iter().any(|c| self.is_present(c.uplink)) {
            return None;
        }
        let wanted = self.backoff.next();
        let rekey = self.keys.rekey_at().filter(|_| wanted.is_none());
        let silent = (wanted.is_none() && self.wants_handshake(now)).then_some(now);
        // That the last path is silent its own timer notices; this one, that nothing at all was heard since.
        let patience = self.last_heard.map(|heard| heard + HANDSHAKE_FIRST);
        let quiet = patience.filter(|&at| wanted.is_none() && at > now && self.is_cut_off(now));
        [wanted, rekey, silent, quiet].into_iter().flatten().min()
    }

    fn all_ordered_away(&self) -> bool {
        let away = |link: &Link| {
            link.paths
                .iter()
                .all(|path| path.admin != wire::control::Admin::Up)
        };
        self.link
            .as_ref()
            .is_some_and(|link| !link.paths.is_empty() && away(link))
    }

    fn wants_handshake(&self, now: Instant) -> bool {
        let quiet = self
            .last_heard
            .is_none_or(|heard| now.saturating_duration_since(heard) >= HANDSHAKE_FIRST);
        self.keys.current().is_none() || quiet && self.is_cut_off(now)
    }

    /// Whether no path is known to work.
    fn is_cut_off(&self, now: Instant) -> bool {
        let link = self.link.as_ref();
        link.is_none_or(|link| link.last_path_is_silent(now))
    }

    pub(super) fn handshake_if_due(
        &mut self,
        now: Instant,
        wall_ns: u64,
        local: &PrivateKey,
        sink: &mut dyn DatagramSink,
    ) {
        let rekey = self.keys.rekey_at().is_some_and(|at| at <= now);
        if rekey || self.wants_handshake(now) {
            self.backoff.want(now);
        } else if self.backoff.next().is_some() && self.keys.current().is_some() && self.up {
            self.backoff.settle();
        }
        if self.backoff.next().is_none_or(|next| next > now) {
            return;
        }
        let only = self
            .link
            .as_ref()
            .filter(|link| rekey && self.backoff.attempts < 2 && !link.last_path_is_silent(now))
            .and_then(Link::best_target);
        let attempts = self.backoff.attempts;
        self.backoff.attempted(now, &mut self.rng);
        if self.all_ordered_away() {
            // Only a restart of the peer could change anything; it would end the orders it gave.
            self.backoff.defer(now + COVERED_PAUSE);
        }
        tracing::debug!(peer = %self.config.name, attempts, rekey, "handshake");
        self.initiate(only, now, wall_ns, local, sink);
    }

    /// Sends one initiation, the same over every candidate, or to `only` one address.
    fn initiate(
        &mut self,
        only: Option<Target>,
        now: Instant,
        wall_ns: u64,
        local: &PrivateKey,
        sink: &mut dyn DatagramSink,
    ) {
        let index = self.new_index();
        let hello = self.hello(self.keys.next_generation(), wall_ns);
        let started =
            Initiator::start(local, &self.config.public_key, &hello, index, &mut self.rng);
        let Ok((initiator, message)) = started else {
            return self.drops.count(Drop::BadHandshake);
        };
        self.attempts
            .retain(|a| now.saturating_duration_since(a.at) < HANDSHAKE_LIFE);
        if self.attempts.len() >= MAX_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { initiator, at: now });
        if let Some(target) = only {
            self.candidates.learn(target.uplink, target.remote, now);
        }
        let (absent, orders) = (&self.absent, &self.orders);
        let usable = |uplink: UplinkId, remote: SocketAddr| {
            let ordered =
                super::orders::order_for(orders, uplink, remote) == wire::control::Admin::Down;
            absent
                .get(usize::from(uplink.0))
                .is_some_and(Option::is_none)
                && !ordered
        };
        for candidate in self
            .candidates
            .iter_mut()
            .filter(|c| usable(c.uplink, c.remote))
        {
            if only.is_some_and(|t| t.uplink != candidate.uplink || t.remote != candidate.remote) {
                continue;
            }
            let mut message: [u8; INITIATION_LEN] = message;
            candidate.macs.fill(&mut message, now);
            let target = Target {
                uplink: candidate.uplink,
                remote: candidate.remote,
                local: None,
            };
            write_message(&message, &target, sink, &mut self.drops);
        }
    }

    fn send_message(&mut self, message: &[u8], to: &Arrival, sink: &mut dyn DatagramSink) {
        let target = Target {
            uplink: to.uplink,
            remote: to.remote,
            local: to.local,
        };
        write_message(message, &target, sink, &mut self.drops);
    }

    fn hello(&self, generation: u32, wall_ns: u64) -> Hello {
        let uplinks = self.uplinks.roles.iter().enumerate();
        Hello {
            instance: self.config.instance,
            timestamp: wall_ns,
            generation,
            ciphers: offered_ciphers(aes_in_hardware()),
            capabilities: CAPABILITY_ORDERED | if self.config.vnet { CAPABILITY_VNET } else { 0 },
            max_frame: self.config.max_frame,
            name: self.config.local_name.clone(),
            uplinks: uplinks
                .map(|(id, &role): (usize, &RoleCode)| (id as u8, role))
                .collect(),
            vlans: Some(self.config.vlans.clone()).filter(|vlans| !vlans.is_all()),
            peer_instance: self.link.as_ref().map_or(0, |link| link.instance),
            ..Hello::default()
        }
    }

    /// Whether the peer was heard lately: then an old-looking initiation is a replay, not a machine without a clock.
    fn session_alive(&self, now: Instant) -> bool {
        self.up
            && self
                .last_heard
                .is_some_and(|heard| now.saturating_duration_since(heard).as_secs() < 3)
    }

    fn is_lower(&self) -> bool {
        self.config.local_key < self.config.public_key
    }

    fn new_index(&mut self) -> u32 {
        loop {
            let index = u32::from(self.config.slot) << 20 | self.rng.next_u32() >> 12;
            if !self.keys.uses(index) && !self.awaits(index) {
                return index;
            }
        }
    }
}

fn write_message(
    message: &[u8],
    target: &Target,
    sink: &mut dyn DatagramSink,
    drops: &mut crate::Drops,
) {
    match sink.reserve(target, message.len()) {
        Some(slot) => {
            slot.copy_from_slice(message);
            sink.commit();
        }
        None => drops.count(Drop::SendQueueFull),
    }
}
