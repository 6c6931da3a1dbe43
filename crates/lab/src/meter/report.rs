//! What a log of sent and arrived packets says about a stretch of time.

use std::time::{Duration, Instant};

use crate::echo::percentile;

/// One direction in a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowReport {
    /// Packets sent in it, without those that may still be on their way.
    pub sent: u64,
    /// Those of them that have arrived (at any time).
    pub received: u64,
    /// Those of them that have not.
    pub lost: u64,
    /// Copies of them beyond the first.
    pub duplicated: u64,
    /// Arrivals in the stretch behind a packet that was sent after them.
    pub late: u64,
    /// The longest time between two arrivals, the last one before the stretch included, and its
    /// end when nothing has arrived since.
    pub longest_gap: Duration,
    /// When that gap began, since the meter's start.
    pub gap_at: Duration,
    /// The median one-way delay of the arrivals.
    pub delay_p50: Duration,
    /// The one-way delay that 99 of 100 arrivals do not exceed.
    pub delay_p99: Duration,
    /// The longest one-way delay.
    pub delay_max: Duration,
}

impl FlowReport {
    /// The longest gap in milliseconds.
    pub fn gap_ms(&self) -> f64 {
        self.longest_gap.as_secs_f64() * 1e3
    }
}

/// Both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MeterReport {
    /// From `a` to `b`.
    pub a_to_b: FlowReport,
    /// From `b` to `a`.
    pub b_to_a: FlowReport,
}

impl MeterReport {
    /// The longer of both directions' gaps: the outage.
    pub fn outage(&self) -> Duration {
        self.a_to_b.longest_gap.max(self.b_to_a.longest_gap)
    }

    /// Lost in both directions together.
    pub fn lost(&self) -> u64 {
        self.a_to_b.lost + self.b_to_a.lost
    }

    /// Duplicated in both directions together.
    pub fn duplicated(&self) -> u64 {
        self.a_to_b.duplicated + self.b_to_a.duplicated
    }
}

/// An arrived packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Its number, from 0.
    pub(super) number: u64,
    /// When it arrived.
    pub(super) at: Instant,
}

/// The stretch of time a report is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// Packets sent after this may still arrive.
    pub(super) settled: Instant,
    pub(super) start: Instant,
}

/// Everything one direction has seen. Both lists are in the order of time.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// When each packet was sent, by its number.
    pub(super) sent: Vec<Instant>,
    pub(super) arrivals: Vec<Arrival>,
}

impl Log {
    /// Whether anything has arrived after this.
    pub(super) fn arrived_since(&self, since: Instant) -> bool {
        self.arrivals.last().is_some_and(|last| last.at > since)
    }

    pub(super) fn report(&self, window: Window) -> FlowReport {
        let mut report = FlowReport::default();
        self.count(window, &mut report);
        self.gap(window, &mut report);
        self.delays(window, &mut report);
        report
    }

    fn count(&self, window: Window, report: &mut FlowReport) {
        let first = self.sent.partition_point(|sent| *sent < window.from);
        let end = self
            .sent
            .partition_point(|sent| *sent < window.to.min(window.settled));
        let mut copies = vec![0u64; end.saturating_sub(first)];
        for arrival in &self.arrivals {
            let index = usize::try_from(arrival.number)
                .unwrap_or(usize::MAX)
                .wrapping_sub(first);
            if let Some(count) = copies.get_mut(index) {
                *count += 1;
            }
        }
        report.sent = copies.len() as u64;
        report.received = copies.iter().filter(|count| **count > 0).count() as u64;
        report.lost = report.sent - report.received;
        report.duplicated = copies.iter().map(|count| count.saturating_sub(1)).sum();
    }

    fn gap(&self, window: Window, report: &mut FlowReport) {
        let first = self
            .arrivals
            .partition_point(|arrival| arrival.at < window.from);
        let end = self
            .arrivals
            .partition_point(|arrival| arrival.at <= window.to);
        let before = first
            .checked_sub(1)
            .and_then(|index| self.arrivals.get(index));
        let mut last = before.map_or(window.from, |arrival| arrival.at);
        let inside = self.arrivals.get(first..end).unwrap_or_default();
        for at in inside.iter().map(|arrival| arrival.at).chain([window.to]) {
            let gap = at.saturating_duration_since(last);
            if gap > report.longest_gap {
                report.longest_gap = gap;
                report.gap_at = last.saturating_duration_since(window.start);
            }
            last = at;
        }
        let mut highest = before.map(|_| self.highest_before(first)).unwrap_or(0);
        for arrival in inside {
            report.late += u64::from(arrival.number < highest);
            highest = highest.max(arrival.number);
        }
    }

    fn highest_before(&self, end: usize) -> u64 {
        let before = self.arrivals.get(..end).unwrap_or_default();
        before
            .iter()
            .map(|arrival| arrival.number)
            .max()
            .unwrap_or(0)
    }

    fn delays(&self, window: Window, report: &mut FlowReport) {
        let inside = |arrival: &&Arrival| arrival.at >= window.from && arrival.at <= window.to;
        let delay = |arrival: &Arrival| {
            let sent = self.sent.get(usize::try_from(arrival.number).ok()?)?;
            Some(arrival.at.saturating_duration_since(*sent))
        };
        let mut delays: Vec<Duration> = self
            .arrivals
            .iter()
            .filter(inside)
            .filter_map(delay)
            .collect();
        delays.sort_unstable();
        report.delay_p50 = percentile(&delays, 0.5);
        report.delay_p99 = percentile(&delays, 0.99);
        report.delay_max = percentile(&delays, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One packet per millisecond from `start`, `arrivals` as (number, millisecond).
    fn log(start: Instant, sent: u32, arrivals: &[(u64, u32)]) -> Log {
        Log {
            sent: (0..sent).map(|ms| start + MS * ms).collect(),
            arrivals: arrivals
                .iter()
                .map(|(number, ms)| Arrival {
                    number: *number,
                    at: start + MS * *ms,
                })
                .collect(),
        }
    }

    fn window(start: Instant, from: u32, to: u32, settled: u32) -> Window {
        Window {
            from: start + MS * from,
            to: start + MS * to,
            settled: start + MS * settled,
            start,
        }
    }

    #[test]
    fn losses_copies_and_late_ones_are_counted() {
        let start = Instant::now();
        let log = log(
            start,
            10,
            &[(0, 1), (1, 2), (3, 4), (2, 5), (3, 6), (5, 7), (9, 12)],
        );
        let report = log.report(window(start, 0, 20, 20));
        assert_eq!((report.sent, report.received, report.lost), (10, 6, 4));
        assert_eq!((report.duplicated, report.late), (1, 1));
        // Arrived at 12, and nothing until the end.
        assert_eq!((report.longest_gap, report.gap_at), (MS * 8, MS * 12));
        assert_eq!((report.delay_p50, report.delay_max), (MS * 2, MS * 3));
    }

    #[test]
    fn a_window_starts_with_the_arrival_before_it() {
        let start = Instant::now();
        let log = log(start, 10, &[(0, 1), (1, 2), (8, 9), (9, 10)]);
        let report = log.report(window(start, 5, 10, 10));
        assert_eq!((report.longest_gap, report.gap_at), (MS * 7, MS * 2));
        assert_eq!((report.sent, report.lost), (5, 3));
        assert_eq!(report.late, 0);
    }

    #[test]
    fn what_may_still_arrive_is_not_lost() {
        let start = Instant::now();
        let log = log(start, 10, &[(0, 1), (1, 2), (2, 3)]);
        let report = log.report(window(start, 0, 10, 4));
        assert_eq!((report.sent, report.received, report.lost), (4, 3, 1));
        assert_eq!(report.longest_gap, MS * 7, "a gap goes on until now");
    }

    #[test]
    fn nothing_at_all_is_one_long_gap() {
        let start = Instant::now();
        let report = log(start, 10, &[]).report(window(start, 2, 10, 10));
        assert_eq!(
            (report.sent, report.lost, report.longest_gap),
            (8, 8, MS * 8)
        );
    }
}
