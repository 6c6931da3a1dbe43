//! What happened in one run, as numbers over time. Times are seconds after the load began.

use std::time::{Duration, Instant};

use lab::Stall;
use serde_json::Value;

use crate::scenario::{Direction, Mode, Scenario};

/// Seconds from `zero` to `at`, negative before it.
pub(crate) fn seconds_since(zero: Instant, at: Instant) -> f64 {
    match at.checked_duration_since(zero) {
        Some(after) => after.as_secs_f64(),
        None => -(zero - at).as_secs_f64(),
    }
}

/// When bytes arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals {
    /// Seconds, ascending.
    times: Vec<f64>,
    /// Bytes up to and with that time.
    sums: Vec<u64>,
}

impl Arrivals {
    /// Takes what arrived; arrivals within `grain` of another count at its time.
    pub(crate) fn add(&mut self, at: Duration, bytes: u64, grain: Duration) {
        let (at, sum) = (at.as_secs_f64(), self.total() + bytes);
        match (self.times.last(), self.sums.last_mut()) {
            (Some(last), Some(sums)) if at - last < grain.as_secs_f64() => *sums = sum,
            _ => {
                self.times.push(at);
                self.sums.push(sum);
            }
        }
    }

    fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    fn until(&self, at: f64) -> u64 {
        let count = self.times.partition_point(|time| *time <= at);
        count.checked_sub(1).map_or(0, |index| self.sums[index])
    }

    /// Bytes that arrived in a stretch of time.
    pub(crate) fn between(&self, from: f64, to: f64) -> u64 {
        self.until(to) - self.until(from)
    }

    /// The longest time without an arrival in a stretch of time, its ends included, seconds.
    pub(crate) fn longest_stall(&self, from: f64, to: f64) -> f64 {
        let begin = self.times.partition_point(|time| *time <= from);
        let end = self.times.partition_point(|time| *time < to);
        let inside = self.times.get(begin..end).unwrap_or_default();
        let (mut last, mut longest) = (from, 0f64);
        for time in inside.iter().chain([&to]) {
            longest = longest.max(time - last);
            last = *time;
        }
        longest
    }
}

/// A TCP flow.
#[derive(Debug, Clone)]
pub(crate) struct FlowRecord {
    /// Which way.
    pub(crate) direction: Direction,
    /// Payload at the receiver.
    pub(crate) arrivals: Arrivals,
}

/// A packet of a stream, or a ping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Packet {
    /// When it was sent.
    pub(crate) at: f64,
    /// How long until it arrived, or its answer.
    pub(crate) delay_ms: Option<f64>,
}

/// A UDP stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamRecord {
    /// As in the scenario.
    pub(crate) name: String,
    /// Which way.
    pub(crate) direction: Direction,
    /// All of them.
    pub(crate) packets: Vec<Packet>,
}

/// Counters at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: f64,
    /// Of each line, each way: bytes of IP delivered.
    pub(crate) delivered: Vec<[u64; 2]>,
    /// Of each line, each way: packets that found its queue full.
    pub(crate) queue_full: Vec<[u64; 2]>,
    /// TCP's retransmission timeouts at A and B.
    pub(crate) timeouts: [u64; 2],
    /// TCP's segments sent again by A and B.
    pub(crate) resent: [u64; 2],
}

/// One run.
#[derive(Debug)]
pub(crate) struct Record {
    /// What was played.
    pub(crate) scenario: Scenario,
    /// In which mode.
    pub(crate) mode: Mode,
    /// The TCP flows.
    pub(crate) flows: Vec<FlowRecord>,
    /// The UDP streams.
    pub(crate) streams: Vec<StreamRecord>,
    /// Round trips from A to B; those before 0 without load.
    pub(crate) pings: Vec<Packet>,
    /// Counters, ten times a second.
    pub(crate) samples: Vec<Sample>,
    /// What happened when, for people.
    pub(crate) events: Vec<(f64, String)>,
    /// How the machine stood still meanwhile.
    pub(crate) stall: Stall,
    /// Processor time that both daemons used during the load, seconds.
    pub(crate) daemon_cpu: f64,
    /// `status --json` of A and B at the end of the load.
    pub(crate) status: [Value; 2],
}

impl Record {
    /// TCP payload that arrived this way, all flows together, bytes.
    pub(crate) fn delivered(&self, direction: Direction, from: f64, to: f64) -> u64 {
        let flows = self.flows.iter().filter(|flow| flow.direction == direction);
        flows.map(|flow| flow.arrivals.between(from, to)).sum()
    }

    /// How a counter grew in a stretch of time, to the grain of the samples.
    pub(crate) fn grown(&self, from: f64, to: f64, counter: impl Fn(&Sample) -> u64) -> u64 {
        // The last sample before, and the first one after.
        let before = self.samples.iter().rfind(|sample| sample.at <= from);
        let after = self.samples.iter().find(|sample| sample.at >= to);
        let before = before.or(self.samples.first()).map_or(0, &counter);
        let after = after.or(self.samples.last()).map_or(0, &counter);
        after.saturating_sub(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(times: &[(u64, u64)]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for (ms, bytes) in times {
            arrivals.add(Duration::from_millis(*ms), *bytes, Duration::from_millis(2));
        }
        arrivals
    }

    #[test]
    fn bytes_are_counted_between_two_times() {
        let some = arrivals(&[(10, 5), (11, 6), (20, 7), (500, 8)]);
        assert_eq!(some.times.len(), 3, "11 ms counts at 10 ms");
        assert_eq!(some.between(0.0, 1.0), 26);
        assert_eq!(some.between(0.01, 0.02), 7, "the begin is outside");
        assert_eq!(some.between(0.0, 0.005), 0);
        assert_eq!(Arrivals::default().between(0.0, 1.0), 0);
    }

    #[test]
    fn the_ends_of_the_window_bound_stalls() {
        let some = arrivals(&[(100, 1), (200, 1), (450, 1)]);
        let stall = |from, to| (some.longest_stall(from, to) * 1e3).round() as u64;
        assert_eq!(stall(0.1, 0.5), 250);
        assert_eq!(stall(0.15, 0.3), 100, "nothing more came until the end");
        assert_eq!(stall(0.0, 0.9), 450, "nor until this one");
        assert_eq!(stall(0.5, 2.0), 1500);
    }

    #[test]
    fn times_before_zero_are_negative() {
        let zero = Instant::now();
        let before = zero - Duration::from_millis(500);
        assert_eq!(seconds_since(zero, before), -0.5);
        assert_eq!(seconds_since(before, zero), 0.5);
    }
}
