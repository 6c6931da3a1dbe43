//! How often one peer's initiations may make us work (`docs/protocol.md` §2, timestamp).
//!
//! An initiation can be recorded and sent again by anyone. That does no harm to a session, since
//! nothing gives way before the new keys are confirmed, but each costs a response and a pending
//! key. The timestamp inside bounds this for peers with a clock; a peer without one still gets in,
//! slowly.

use std::time::Instant;

use super::bucket::TokenBucket;

/// Initiations newer than all before, per second and at once.
const NEWER_PER_SECOND: u32 = 10;
/// Initiations that may be replays, per second.
const OTHER_PER_SECOND: u32 = 1;

/// The limits for one peer. Ask it after [`Responder::read`](super::Responder::read) has
/// authenticated the initiation: before, the timestamp could be anyone's.
#[derive(Clone, Debug)]
pub struct InitiationLimiter {
    newest: Option<u64>,
    confirmed: Option<u64>,
    newer: TokenBucket,
    other: TokenBucket,
}

impl Default for InitiationLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl InitiationLimiter {
    /// No initiation seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            newest: None,
            confirmed: None,
            newer: TokenBucket::new(NEWER_PER_SECOND, NEWER_PER_SECOND),
            other: TokenBucket::new(OTHER_PER_SECOND, 1),
        }
    }

    /// Whether to answer an initiation with this timestamp (nanoseconds since 1970, by the peer's
    /// clock). A newer one than any before passes up to 10 times a second; another one only while
    /// no session is alive (the peer may have lost its clock), or when it is newer than the last
    /// confirmed one, and once a second.
    pub fn admit(&mut self, timestamp: u64, session_alive: bool, now: Instant) -> bool {
        if self.newest.is_none_or(|newest| timestamp > newest) {
            let admitted = self.newer.take(now);
            if admitted {
                self.newest = Some(timestamp);
            }
            return admitted;
        }
        let unproven = self
            .confirmed
            .is_some_and(|confirmed| timestamp > confirmed);
        (!session_alive || unproven) && self.other.take(now)
    }

    /// The handshake begun with this timestamp ended in a datagram under its keys, so it was no
    /// replay: newer now means newer than this, even when it is lower than what came before. Thus a
    /// peer whose clock was set back can rekey.
    pub fn confirm(&mut self, timestamp: u64) {
        self.newest = Some(timestamp);
        self.confirmed = Some(timestamp);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn origin() -> Instant {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    #[test]
    fn newer_timestamps_pass_up_to_ten_a_second() {
        let (start, mut limiter) = (origin(), InitiationLimiter::new());
        let passed = (1..=100).filter(|t| limiter.admit(*t, true, start)).count();
        assert_eq!(passed, 10);
        let later = start + Duration::from_secs(1);
        let passed = (101..=200)
            .filter(|t| limiter.admit(*t, true, later))
            .count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn a_replay_is_refused_while_a_session_is_alive() {
        let (start, mut limiter) = (origin(), InitiationLimiter::new());
        assert!(limiter.admit(1000, false, start));
        for second in 0..10 {
            let now = start + Duration::from_secs(second);
            assert!(!limiter.admit(1000, true, now));
            assert!(!limiter.admit(999, true, now));
        }
    }

    #[test]
    fn a_peer_without_a_clock_gets_in_once_a_second() {
        let (start, mut limiter) = (origin(), InitiationLimiter::new());
        assert!(limiter.admit(0, false, start));
        let passed = (0..1000)
            .filter(|ms| limiter.admit(0, false, start + Duration::from_millis(*ms * 10)))
            .count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn a_peer_whose_clock_went_back_can_rekey_after_confirmation() {
        let (start, mut limiter) = (origin(), InitiationLimiter::new());
        assert!(limiter.admit(1_000_000, false, start));
        limiter.confirm(1_000_000);
        // It reboots without a clock: in, since no session is alive.
        assert!(limiter.admit(5, false, start + Duration::from_secs(60)));
        limiter.confirm(5);
        assert!(limiter.admit(125, true, start + Duration::from_secs(180)));
        // Someone sends an old one again; the next rekey still passes.
        assert!(limiter.admit(999_999, true, start + Duration::from_secs(181)));
        assert!(limiter.admit(245, true, start + Duration::from_secs(300)));
    }
}
