//! When recent datagrams of one path were sent, kept apart from what is in flight: acknowledgements come back on two paths,
//! and the later copy, which measures the path's own way back, arrives when the datagram is in flight no more.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const MAX_ENTRIES: usize = 256;
const MIN_SPACING: Duration = Duration::from_millis(1);

/// Send times of a sample of the datagrams sent: all of them at low rates, one in a millisecond at high ones.
#[derive(Debug, Default)]
pub(crate) struct SendTimes {
    sent: VecDeque<(u64, Instant)>,
}

impl SendTimes {
    /// Notes that `number` was sent; `round_trip` widens the spacing so that the sample spans it.
    pub(crate) fn push(&mut self, number: u64, now: Instant, round_trip: Option<Duration>) {
        let spacing = round_trip.map_or(MIN_SPACING, |rtt| MIN_SPACING.max(rtt / 128));
        // A datagram right behind a sampled one replaces nothing: the older time is the one an ACK will name first.
        if self
            .sent
            .back()
            .is_some_and(|&(_, at)| now.saturating_duration_since(at) < spacing)
            && self.sent.len() > 8
        {
            return;
        }
        if self.sent.len() == MAX_ENTRIES {
            self.sent.pop_front();
        }
        self.sent.push_back((number, now));
    }

    /// The round trip that an acknowledgement for `largest`, sent `delay` after its arrival, shows; each is used once.
    pub(crate) fn round_trip(
        &mut self,
        largest: u64,
        delay: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let mut newest = None;
        while let Some(&(number, at)) = self.sent.front() {
            if number > largest {
                break;
            }
            newest = Some((number, at));
            self.sent.pop_front();
        }
        let (number, at) = newest?;
        let exact = number == largest;
        let waited = now.saturating_duration_since(at);
        // Between two samples the datagram named was sent a little later than the one timed: it seems slower by less than
        // their spacing, which is as much as a round trip varies anyway.
        (exact || self.sent.len() > 8).then(|| waited.saturating_sub(delay))
    }

    /// Forgets all: the path moved.
    pub(crate) fn clear(&mut self) {
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn a_round_trip_is_measured_once_and_without_the_peers_delay() {
        let start = Instant::now();
        let mut times = SendTimes::default();
        times.push(0, start, None);
        times.push(1, start + 5 * MS, None);
        assert_eq!(times.round_trip(1, 3 * MS, start + 28 * MS), Some(20 * MS));
        assert_eq!(times.round_trip(1, 3 * MS, start + 30 * MS), None);
    }
}
