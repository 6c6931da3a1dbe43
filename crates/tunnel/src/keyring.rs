//! The keys of one session: which one seals, which ones still open, and when to make a new one.
//!
//! Both ends order keys the same way, by (generation, begun by the lower public key), so that simultaneous handshakes
//! settle on one key without a word.

use std::time::{Duration, Instant};

use crate::{
    crypto::handshake::Established,
    params::{KEY_LIFE, MAX_PENDING, OLD_KEY_LIFE, REKEY_AFTER, REKEY_IDLE, REKEY_RESPONDER_EXTRA},
};

/// One pair of transport keys and its history.
pub(crate) struct Key {
    pub established: Established,
    pub instance: u64,
    begun_by_lower: bool,
    confirmed: bool,
    born: Instant,
    carried_frames: bool,
    expires: Instant,
}

impl Key {
    fn rank(&self) -> (u32, bool) {
        (self.established.generation, self.begun_by_lower)
    }
}

/// All keys of one peer, at most a handful.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: Vec<Key>,
    current: Option<usize>,
}

/// What a datagram under some key told us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A key in use.
    Known,
    /// The first under a key that was only offered until now.
    Confirmed,
}

impl Keyring {
    /// Adds what a handshake made. An initiator's key is confirmed by the response; a responder's by its first datagram.
    pub(crate) fn add(&mut self, established: Established, we_are_lower: bool, now: Instant) {
        let initiator = established.initiator;
        let pending = self.keys.iter().filter(|key| !key.confirmed).count();
        if pending >= MAX_PENDING {
            self.forget_oldest_pending();
        }
        self.keys.push(Key {
            instance: established.remote_hello.instance,
            begun_by_lower: initiator == we_are_lower,
            confirmed: initiator,
            born: now,
            carried_frames: false,
            expires: now + if initiator { KEY_LIFE } else { OLD_KEY_LIFE },
            established,
        });
        self.choose();
    }

    /// The key to seal with.
    pub(crate) fn current(&self) -> Option<&Key> {
        self.keys.get(self.current?)
    }

    /// The key whose local index a datagram names.
    pub(crate) fn find(&self, local_index: u32) -> Option<usize> {
        self.keys
            .iter()
            .position(|key| key.established.local_index == local_index)
    }

    /// The key at `at`, as found by [`Self::find`].
    pub(crate) fn key(&self, at: usize) -> Option<&Key> {
        self.keys.get(at)
    }

    /// There is one key, and both ends use it: a datagram under it changes nothing.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(&self.keys[..], [only] if only.confirmed)
    }

    /// A datagram opened under key `at`.
    pub(crate) fn heard(&mut self, at: usize, slowest_round_trip: Duration, now: Instant) -> Heard {
        let key = &mut self.keys[at];
        let first = !key.confirmed;
        if first {
            key.confirmed = true;
            key.expires = now + KEY_LIFE;
        }
        let rank = key.rank();
        let instance = key.instance;
        // The peer holds this key for good: worse ones are only for what is still on its way.
        let old = now + OLD_KEY_LIFE.max(slowest_round_trip * 3);
        for other in &mut self.keys {
            if other.confirmed && other.instance == instance && other.rank() < rank {
                other.expires = other.expires.min(old);
            }
        }
        self.choose();
        if first {
            Heard::Confirmed
        } else {
            Heard::Known
        }
    }

    /// Keeps only keys made with this run of the peer.
    pub(crate) fn retain_instance(&mut self, instance: u64) {
        self.keys.retain(|key| key.instance == instance);
        self.choose();
    }

    /// A frame was sent or received: the current key is in use.
    pub(crate) fn on_frame(&mut self) {
        if let Some(key) = self.current.and_then(|at| self.keys.get_mut(at)) {
            key.carried_frames = true;
        }
    }

    /// The generation to put into a new handshake.
    pub(crate) fn next_generation(&self) -> u32 {
        self.keys
            .iter()
            .map(|key| key.established.generation)
            .max()
            .map_or(1, |newest| newest.wrapping_add(1))
    }

    /// When the current key ought to be replaced.
    pub(crate) fn rekey_at(&self) -> Option<Instant> {
        let key = self.current()?;
        let age = if key.carried_frames {
            REKEY_AFTER
        } else {
            REKEY_IDLE
        };
        let extra = if key.established.initiator {
            Duration::ZERO
        } else {
            REKEY_RESPONDER_EXTRA
        };
        Some(key.born + age + extra)
    }

    /// Wipes keys that are past their time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.keys.iter().any(|key| key.expires <= now) {
            self.keys.retain(|key| key.expires > now);
            self.choose();
        }
    }

    /// When [`Self::expire`] will have something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.keys.iter().map(|key| key.expires).min()
    }

    /// Whether `index` is taken.
    pub(crate) fn uses(&self, index: u32) -> bool {
        self.find(index).is_some()
    }

    /// Wipes everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn choose(&mut self) {
        self.current = (0..self.keys.len())
            .filter(|&at| self.keys[at].confirmed)
            .max_by_key(|&at| self.keys[at].rank());
    }

    fn forget_oldest_pending(&mut self) {
        if let Some(at) = self.keys.iter().position(|key| !key.confirmed) {
            self.keys.remove(at);
            self.choose();
        }
    }
}
