//! The receiving end: what has arrived, and when that is told.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Ack, Range};

/// The longest time an acknowledgement waits (Linux: `TCP_DELACK_MIN`).
const DELAY: Duration = Duration::from_millis(40);
/// Segments that are acknowledged at once, whatever comes.
const EVERY: u64 = 2;
/// Acknowledgements sent without delay at the beginning (Linux: `TCP_MAX_QUICKACKS`).
const QUICK: u64 = 16;

/// See the module.
#[derive(Clone, Debug)]
pub struct Receiver {
    next: u64,
    /// What arrived beyond, the latest first, none touching another.
    beyond: VecDeque<Range>,
    duplicate: Option<Range>,
    unacknowledged: u64,
    due: Option<Instant>,
    urgent: bool,
    quick: u64,
    blocks: usize,
}

impl Receiver {
    /// One that reports at most `blocks` ranges.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        Self {
            next: 0,
            beyond: VecDeque::new(),
            duplicate: None,
            unacknowledged: 0,
            due: None,
            urgent: false,
            quick: QUICK,
            blocks,
        }
    }

    /// All segments before this one arrived.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Segments `first` to before `first + count` arrive.
    pub fn on_data(&mut self, first: u64, count: u64, now: Instant) {
        let end = first + count;
        self.unacknowledged += count;
        if end <= self.next || self.beyond.iter().any(|&(a, b)| a <= first && end <= b) {
            self.duplicate = Some((first, end));
            self.urgent = true;
        } else if first <= self.next {
            self.next = self.next.max(end);
            self.urgent |= !self.beyond.is_empty();
            self.advance();
        } else {
            self.insert((first, end));
            self.urgent = true;
        }
        if self.quick > 0 {
            self.quick -= 1;
            self.urgent = true;
        }
        self.due.get_or_insert(now + DELAY);
    }

    fn advance(&mut self) {
        while let Some(at) = self.beyond.iter().position(|&(a, _)| a <= self.next) {
            if let Some((_, end)) = self.beyond.remove(at) {
                self.next = self.next.max(end);
            }
        }
    }

    fn insert(&mut self, mut new: Range) {
        self.beyond.retain(|&(a, b)| {
            let apart = b < new.0 || new.1 < a;
            if !apart {
                new = (new.0.min(a), new.1.max(b));
            }
            apart
        });
        self.beyond.push_front(new);
    }

    /// The acknowledgement that is due, if one is.
    pub fn poll(&mut self, now: Instant) -> Option<Ack> {
        let due = self.due?;
        if !self.urgent && self.unacknowledged < EVERY && due > now {
            return None;
        }
        (self.urgent, self.unacknowledged, self.due) = (false, 0, None);
        let blocks = self.duplicate.take().into_iter();
        let blocks = blocks.chain(self.beyond.iter().copied()).take(self.blocks);
        Some(Ack {
            next: self.next,
            blocks: blocks.collect(),
        })
    }

    /// When [`Self::poll`] has something, if nothing else comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_segment_and_every_hole_is_told() {
        let now = Instant::now();
        let mut receiver = Receiver::new(3);
        receiver.quick = 0;
        let ack = |next, blocks: &[Range]| {
            Some(Ack {
                next,
                blocks: blocks.to_vec(),
            })
        };
        receiver.on_data(0, 1, now);
        assert_eq!(receiver.poll(now), None);
        receiver.on_data(1, 1, now);
        assert_eq!(receiver.poll(now), ack(2, &[]));
        receiver.on_data(2, 1, now);
        assert_eq!(receiver.poll(now + DELAY), ack(3, &[]));
        receiver.on_data(5, 1, now);
        assert_eq!(receiver.poll(now), ack(3, &[(5, 6)]));
        receiver.on_data(8, 2, now);
        assert_eq!(receiver.poll(now), ack(3, &[(8, 10), (5, 6)]));
        receiver.on_data(5, 1, now);
        assert_eq!(receiver.poll(now), ack(3, &[(5, 6), (8, 10), (5, 6)]));
        receiver.on_data(3, 2, now);
        assert_eq!(receiver.poll(now), ack(6, &[(8, 10)]));
        receiver.on_data(6, 2, now);
        assert_eq!(receiver.poll(now), ack(10, &[]));
        receiver.on_data(4, 1, now);
        assert_eq!(receiver.poll(now), ack(10, &[(4, 5)]));
        assert_eq!(receiver.poll_timeout(), None);
    }
}
