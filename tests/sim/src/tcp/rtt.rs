//! Smoothed round trip and the retransmission timeout (RFC 6298), with the floor of Linux.

use std::time::{Duration, Instant};

/// Linux adds at least this much to the smoothed round trip (`TCP_RTO_MIN`).
const VARIANCE_FLOOR: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(120);
/// Before the first measurement.
const INITIAL: Duration = Duration::from_secs(1);
/// How long the least round trip is remembered; Linux: `tcp_min_rtt_wlen`.
const WINDOW: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    variance: Duration,
    least: Option<(Duration, Instant)>,
    backoff: u32,
}

impl RoundTrip {
    pub(super) fn sample(&mut self, rtt: Duration, now: Instant) {
        if let Some(smoothed) = self.smoothed {
            self.variance = (self.variance * 3 + smoothed.abs_diff(rtt)) / 4;
            self.smoothed = Some((smoothed * 7 + rtt) / 8);
        } else {
            self.smoothed = Some(rtt);
            self.variance = rtt / 2;
        }
        let stale = |(least, at): (Duration, Instant)| rtt <= least || now - at > WINDOW;
        if self.least.is_none_or(stale) {
            self.least = Some((rtt, now));
        }
        self.backoff = 0;
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    pub(super) fn least(&self) -> Option<Duration> {
        self.least.map(|(rtt, _)| rtt)
    }

    pub(super) fn timeout(&self) -> Duration {
        let once = self.smoothed.map_or(INITIAL, |smoothed| {
            smoothed + (self.variance * 4).max(VARIANCE_FLOOR)
        });
        (once * (1 << self.backoff.min(10))).min(LONGEST)
    }

    pub(super) fn back_off(&mut self) {
        self.backoff += 1;
    }
}
