//! The receiving end of one path: which packet numbers arrived, and when to say so.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use wire::control::AckHeader;

use crate::params::{ACK_DELAY, ACK_EVERY};

/// Ranges reported at most; the oldest are forgotten first.
const MAX_RANGES: usize = 32;
/// Acknowledgements of a busy path are at least this far apart, unless something is amiss.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Received numbers of one path and the acknowledgement that is owed for them.
#[derive(Debug)]
pub(crate) struct Acks {
    /// Ascending, disjoint, not adjacent.
    ranges: Vec<(u64, u64)>,
    largest_at: Instant,
    received_bytes: u64,
    unacked: u32,
    due: Option<Instant>,
    last_sent: Instant,
    elsewhere: bool,
    /// Something arrived out of order since the last datagram that asks for an acknowledgement.
    disorder: bool,
}

impl Acks {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            ranges: Vec::with_capacity(MAX_RANGES + 1),
            largest_at: now,
            received_bytes: 0,
            unacked: 0,
            due: None,
            last_sent: now,
            elsewhere: false,
            disorder: false,
        }
    }

    /// Notes an authenticated datagram of `size` bytes of UDP payload.
    ///
    /// Whether numbers before it are missing.
    pub(crate) fn on_datagram(&mut self, number: u64, size: usize, now: Instant) -> bool {
        self.received_bytes += size as u64;
        let in_order = self
            .ranges
            .last()
            .is_none_or(|&(_, high)| number == high + 1);
        let ahead = self.ranges.last().is_none_or(|&(_, high)| number > high);
        if ahead {
            self.largest_at = now;
        }
        match self.ranges.last_mut() {
            Some((_, high)) if number == *high + 1 => *high = number,
            _ => self.insert(number),
        }
        self.disorder |= !in_order;
        if !in_order && self.unacked > 0 {
            // A gap or a straggler is news for the sender's loss detection.
            self.due = Some(
                now.min(self.due.unwrap_or(now))
                    .max(self.last_sent + MIN_INTERVAL),
            );
        }
        ahead && !in_order
    }

    /// The datagram asks for an acknowledgement; `urgent`: at once, `elsewhere`: on another path too even if idle.
    pub(crate) fn on_eliciting(&mut self, urgent: bool, elsewhere: bool, now: Instant) {
        self.unacked += 1;
        self.elsewhere |= elsewhere;
        let due = if urgent {
            now
        } else if std::mem::take(&mut self.disorder) || self.unacked >= ACK_EVERY {
            now.max(self.last_sent + MIN_INTERVAL)
        } else {
            now + ACK_DELAY
        };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// When an acknowledgement must go out.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the sender asked for an answer on another path too.
    pub(crate) fn wanted_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// The acknowledgement as it stands; `None` before anything arrived.
    pub(crate) fn header(&self, path: u8, now: Instant, epoch: Instant) -> Option<AckHeader> {
        let &(_, largest) = self.ranges.last()?;
        let micros = |duration: Duration| duration.as_micros();
        Some(AckHeader {
            path,
            largest,
            delay_us: micros(now.saturating_duration_since(self.largest_at))
                .min(u128::from(u32::MAX)) as u32,
            arrival_us: micros(self.largest_at.saturating_duration_since(epoch)) as u32,
            received_bytes: self.received_bytes,
        })
    }

    /// Received numbers, descending.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().rev().map(|&(low, high)| low..=high)
    }

    /// The acknowledgement was sent.
    pub(crate) fn on_sent(&mut self, now: Instant) {
        self.unacked = 0;
        self.due = None;
        self.elsewhere = false;
        self.last_sent = now;
    }

    fn insert(&mut self, number: u64) {
        let at = self.ranges.partition_point(|&(_, high)| high < number);
        if self.ranges.get(at).is_some_and(|&(low, _)| low <= number) {
            return; // there already
        }
        let joins_left = at > 0 && self.ranges[at - 1].1 + 1 == number;
        let joins_right = self
            .ranges
            .get(at)
            .is_some_and(|&(low, _)| number + 1 == low);
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = number,
            (false, true) => self.ranges[at].0 = number,
            (false, false) => {
                self.ranges.insert(at, (number, number));
                if self.ranges.len() > MAX_RANGES {
                    self.ranges.remove(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn after(numbers: &[u64]) -> Vec<RangeInclusive<u64>> {
        let now = epoch();
        let mut acks = Acks::new(now);
        for &number in numbers {
            acks.on_datagram(number, 100, now);
        }
        acks.ranges().collect()
    }

    #[test]
    fn ranges_merge_from_both_sides() {
        assert_eq!(after(&[0, 1, 2]), [0..=2]);
        assert_eq!(after(&[0, 2, 1]), [0..=2]);
        assert_eq!(after(&[5, 1, 3]), [5..=5, 3..=3, 1..=1]);
        assert_eq!(after(&[1, 2, 4, 5, 3, 3]), [1..=5]);
    }

    #[test]
    fn the_oldest_ranges_are_forgotten() {
        let numbers: Vec<u64> = (0..100).map(|n| n * 2).collect();
        let ranges = after(&numbers);
        assert_eq!((ranges.len(), ranges[0].clone()), (MAX_RANGES, 198..=198));
    }

    #[test]
    fn an_acknowledgement_is_due_late_when_all_is_well_and_at_once_on_a_gap() {
        let now = epoch();
        let mut acks = Acks::new(now - MIN_INTERVAL);
        acks.on_datagram(0, 100, now);
        acks.on_eliciting(false, false, now);
        assert_eq!(acks.due(), Some(now + ACK_DELAY));
        acks.on_datagram(2, 100, now);
        assert_eq!(acks.due(), Some(now));
        acks.on_sent(now);
        assert_eq!(acks.due(), None);
        acks.on_eliciting(true, false, now);
        assert_eq!(acks.due(), Some(now));
    }
}
