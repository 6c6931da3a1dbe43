//! A token bucket, as the generic cell rate algorithm (ITU-T I.371): one instant is all its state.

use std::time::{Duration, Instant};

/// At most `burst` at once, and one more every `interval`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    interval: Duration,
    burst: u32,
    /// When the bucket is full again; `None` or the past: it is full now.
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens, refilled with `per_second`.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            burst: burst.max(1),
            full_at: None,
        }
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        if full_at - now > self.interval * (self.burst - 1) {
            return false;
        }
        self.full_at = Some(full_at + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Instant {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let start = origin();
        let mut bucket = TokenBucket::new(10, 4);
        let taken = (0..10).filter(|_| bucket.take(start)).count();
        assert_eq!(taken, 4);
        assert!(!bucket.take(start + Duration::from_millis(99)));
        assert!(bucket.take(start + Duration::from_millis(100)));
        assert!(!bucket.take(start + Duration::from_millis(101)));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..10).filter(|_| bucket.take(later)).count(), 4);
    }
}
