//! When the next datagrams of a path may go, so that they leave evenly at a rate.

use std::time::{Duration, Instant};

/// What goes at once takes this long at the present rate.
const QUANTUM: Duration = Duration::from_micros(500);
/// So much of a late start is made up for: timers fire late, and a loop has other things to do.
const CREDIT: Duration = Duration::from_millis(1);
/// One datagram of this size may always go.
const DATAGRAM: usize = 1500;

/// Spaces the datagrams of one path.
#[derive(Debug)]
pub(crate) struct Pacer {
    next: Instant,
    /// Bytes per second; `None`: as fast as they come.
    rate: Option<u64>,
    /// At most this, whatever the rate.
    ceiling: Option<u64>,
}

impl Pacer {
    pub(crate) fn new(rate: u64, now: Instant) -> Self {
        Self {
            next: now,
            rate: Some(rate.max(1)),
            ceiling: None,
        }
    }

    /// Holds for what is sent from now on.
    pub(crate) fn set_rate(&mut self, rate: Option<u64>) {
        self.rate = rate
            .into_iter()
            .chain(self.ceiling)
            .min()
            .map(|rate| rate.max(1));
    }

    /// What an operator allows; holds from the next [`Self::set_rate`] on.
    pub(crate) fn set_ceiling(&mut self, ceiling: Option<u64>) {
        self.ceiling = ceiling;
    }

    /// Whether an operator set a ceiling.
    pub(crate) fn is_limited(&self) -> bool {
        self.ceiling.is_some()
    }

    /// Notes bytes that went, in time or not.
    pub(crate) fn on_sent(&mut self, bytes: usize, now: Instant) {
        let Some(rate) = self.rate else {
            self.next = now;
            return;
        };
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let nanos = bytes as u64 * 1_000_000_000 / rate;
        self.next = self.next.max(earliest) + Duration::from_nanos(nanos);
    }

    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.rate.is_none() || self.next <= now
    }

    /// When it opens next; may be past.
    pub(crate) fn next_open(&self) -> Instant {
        self.next
    }

    /// Bytes that one go may have.
    pub(crate) fn quantum(&self) -> usize {
        self.rate.map_or(usize::MAX, |rate| {
            let bytes = rate.saturating_mul(QUANTUM.as_micros() as u64) / 1_000_000;
            (bytes as usize).max(DATAGRAM)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    /// Bytes sent in a second by a sender whose timers fire `late`.
    fn in_a_second(rate: u64, late: Duration) -> usize {
        let start = epoch();
        let mut pacer = Pacer::new(rate, start);
        let (mut now, mut bytes) = (start, 0);
        while now < start + 1_000_000 * US {
            let mut go = pacer.quantum();
            while pacer.is_open(now) && go >= 1500 {
                pacer.on_sent(1500, now);
                bytes += 1500;
                go -= 1500;
            }
            now = pacer.next_open().max(now) + late;
        }
        bytes
    }

    #[test]
    fn a_late_timer_loses_no_rate() {
        for rate in [250_000, 6_250_000, 125_000_000] {
            let got = in_a_second(rate, 300 * US) as u64;
            assert!(got.abs_diff(rate) <= rate / 100 + 1500, "{rate}: {got}");
        }
    }

    #[test]
    fn a_pause_earns_no_more_than_a_millisecond() {
        let start = epoch();
        let mut pacer = Pacer::new(6_250_000, start);
        pacer.on_sent(1500, start);
        let later = start + 1_000_000 * US;
        let mut bytes = 0;
        while pacer.is_open(later) {
            pacer.on_sent(1500, later);
            bytes += 1500;
        }
        assert!((6_000..=9_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn without_a_rate_it_is_always_open() {
        let start = epoch();
        let mut pacer = Pacer::new(1, start);
        pacer.set_rate(None);
        pacer.on_sent(64_000, start);
        assert!(pacer.is_open(start));
        assert_eq!(pacer.quantum(), usize::MAX);
    }
}
