//! When a segment counts as lost: time-based, with a reordering window that adapts (RACK, RFC 8985 section 6.2), or the
//! thresholds of QUIC (RFC 9002 section 6.1).

use std::time::{Duration, Instant};

/// Recoveries for which a widened window stays (RFC 8985 section 6.2, step 4).
const PERSIST: u32 = 16;
/// Segments beyond the hole after which, without known reordering, nothing is waited for.
pub(super) const THRESHOLD: u64 = 3;

/// Which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// RFC 8985.
    Rack,
    /// RFC 9002: 3 packets, or 9/8 of a round trip.
    Quic,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rack {
    pub(super) detection: Detection,
    /// Departure, number and round trip of the segment that was sent last among those delivered.
    latest: Option<(Instant, u64, Duration)>,
    reordering_seen: bool,
    multiplier: u32,
    persist: u32,
    /// The window was widened when this was the next segment: once per round trip.
    widened_at: Option<u64>,
}

impl Rack {
    pub(super) fn new(detection: Detection) -> Self {
        Self {
            detection,
            latest: None,
            reordering_seen: false,
            multiplier: 1,
            persist: PERSIST,
            widened_at: None,
        }
    }

    /// A segment was delivered.
    pub(super) fn delivered(&mut self, sent_at: Instant, number: u64, rtt: Duration) {
        if self
            .latest
            .is_none_or(|(at, n, _)| (at, n) <= (sent_at, number))
        {
            self.latest = Some((sent_at, number, rtt));
        }
    }

    /// A segment sent once was delivered after one that was sent later.
    pub(super) fn reordered(&mut self) {
        self.reordering_seen = true;
    }

    /// A duplicate was reported, hence a retransmission was needless. `una`, `next`: oldest outstanding and next segment.
    pub(super) fn duplicate(&mut self, una: u64, next: u64) {
        if self.widened_at.is_none_or(|at| una >= at) {
            self.widened_at = Some(next);
            self.multiplier += 1;
            self.persist = PERSIST;
        }
    }

    pub(super) fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.multiplier = 1;
        }
    }

    /// How long a segment sent before the latest delivered one may still be on its way.
    pub(super) fn window(
        &self,
        (least, smoothed): (Duration, Duration),
        recovering: bool,
        sacked: u64,
    ) -> Duration {
        if self.detection == Detection::Quic {
            let round = self.latest.map_or(smoothed, |(.., rtt)| rtt.max(smoothed));
            return (round / 8).max(Duration::from_millis(1));
        }
        if !self.reordering_seen && (recovering || sacked >= THRESHOLD) {
            return Duration::ZERO;
        }
        (least / 4 * self.multiplier).min(smoothed)
    }

    /// Whether a segment in flight is lost: `None` when it was sent after the latest delivered one, else when it is.
    pub(super) fn lost_at(
        &self,
        sent_at: Instant,
        number: u64,
        window: Duration,
    ) -> Option<Instant> {
        let (at, latest, rtt) = self.latest?;
        ((sent_at, number) < (at, latest)).then(|| sent_at + rtt + window)
    }
}
