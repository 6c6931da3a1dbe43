//! Delivery rate samples (draft-ietf-ccwg-bbr, section 4.1): what was delivered between the sending of a segment and its
//! acknowledgement, over the longer of the times that sending and acknowledging took.

use std::time::{Duration, Instant};

/// What a sender remembers of its state when a segment leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// Segments delivered so far.
    pub(super) delivered: u64,
    /// When the last of them was.
    pub(super) delivered_at: Instant,
    /// When the segment was sent whose delivery was the last.
    pub(super) first_sent_at: Instant,
    pub(super) app_limited: bool,
}

/// A delivery rate, and for what it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateSample {
    /// Segments per second.
    pub(super) rate: f64,
    /// Segments delivered when the sampled one was sent.
    pub(super) prior_delivered: u64,
    /// The application gave too little, so that the path may carry more.
    pub(super) app_limited: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Deliveries {
    pub(super) delivered: u64,
    pub(super) delivered_at: Instant,
    pub(super) first_sent_at: Instant,
    /// Until this many are delivered samples are limited by the application.
    pub(super) app_limited_until: u64,
}

impl Deliveries {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            delivered: 0,
            delivered_at: now,
            first_sent_at: now,
            app_limited_until: 0,
        }
    }

    /// A segment leaves; `idle`: nothing else is in flight.
    pub(super) fn depart(&mut self, idle: bool, now: Instant) -> Departure {
        if idle {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Departure {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            app_limited: self.delivered < self.app_limited_until,
        }
    }

    /// The sample of an acknowledgement whose latest segment was sent at `sent_at`. `least`: no true interval is shorter.
    pub(super) fn sample(
        &mut self,
        of: &Departure,
        sent_at: Instant,
        least: Option<Duration>,
    ) -> Option<RateSample> {
        self.first_sent_at = sent_at;
        let send = sent_at.saturating_duration_since(of.first_sent_at);
        let ack = self.delivered_at.saturating_duration_since(of.delivered_at);
        let interval = send.max(ack);
        if interval.is_zero() || least.is_some_and(|least| interval < least) {
            return None;
        }
        Some(RateSample {
            rate: (self.delivered - of.delivered) as f64 / interval.as_secs_f64(),
            prior_delivered: of.delivered,
            app_limited: of.app_limited,
        })
    }
}
