//! Records sent lately, kept in one ring of bytes so that they can be sent again on another path.

use std::{collections::VecDeque, time::Instant};

use crate::params::{HISTORY_KEEP, MAX_HISTORY_BYTES};

const FIRST_SIZE: usize = 64 << 10;
/// Records kept, however small they are.
const MAX_RECORDS: usize = 65_536;

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    len: usize,
    at: Instant,
    flow: u32,
    vnet: bool,
}

/// A record of the past.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept<'a> {
    pub bytes: &'a [u8],
    pub vnet: bool,
    pub flow: u32,
    /// When it was first sent.
    pub at: Instant,
}

/// The last records by number. Grows while what it would overwrite is still young; shrinks to nothing when told.
#[derive(Debug, Default)]
pub(crate) struct History {
    ring: Vec<u8>,
    write: usize,
    first: u64,
    entries: VecDeque<Entry>,
}

impl History {
    /// Keeps `bytes` as record `number`, which must be the one after the last.
    pub(crate) fn push(&mut self, number: u64, bytes: &[u8], flow: u32, vnet: bool, now: Instant) {
        if self.entries.is_empty() {
            self.first = number;
            self.write = 0;
        }
        debug_assert_eq!(number, self.first + self.entries.len() as u64);
        if self.entries.len() == MAX_RECORDS {
            self.first += 1;
            self.entries.pop_front();
        }
        while !self.fits(bytes.len()) {
            if !self.make_room(bytes.len(), now) {
                return self.skip(number);
            }
        }
        let start = if self.write + bytes.len() > self.ring.len() {
            0
        } else {
            self.write
        };
        self.ring[start..start + bytes.len()].copy_from_slice(bytes);
        self.write = start + bytes.len();
        self.entries.push_back(Entry {
            start,
            len: bytes.len(),
            at: now,
            flow,
            vnet,
        });
    }

    /// The record `number`, if it is still here.
    pub(crate) fn get(&self, number: u64) -> Option<Kept<'_>> {
        let entry = self.entries.get(number.checked_sub(self.first)? as usize)?;
        let bytes = self.ring.get(entry.start..entry.start + entry.len)?;
        Some(Kept {
            bytes,
            vnet: entry.vnet,
            flow: entry.flow,
            at: entry.at,
        })
    }

    /// Forgets records first sent before `before`.
    pub(crate) fn forget_before(&mut self, before: Instant) {
        while self
            .entries
            .front()
            .is_some_and(|oldest| oldest.at < before)
        {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// Frees the memory of an idle session.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.ring.len() + self.entries.capacity() * size_of::<Entry>()
    }

    /// A record that can never fit leaves a hole: everything before it is dropped with it, so that numbers stay dense.
    fn skip(&mut self, number: u64) {
        self.entries.clear();
        self.first = number + 1;
    }

    /// Whether the next record fits without touching the oldest one.
    fn fits(&self, len: usize) -> bool {
        let Some(oldest) = self.entries.front() else {
            return len <= self.ring.len();
        };
        let newest_is_behind = self.write > oldest.start;
        if newest_is_behind {
            self.write + len <= self.ring.len() || len <= oldest.start
        } else {
            self.write + len <= oldest.start
        }
    }

    fn make_room(&mut self, len: usize, now: Instant) -> bool {
        let young = self
            .entries
            .front()
            .is_none_or(|oldest| now.saturating_duration_since(oldest.at) < HISTORY_KEEP);
        if young && self.ring.len() < MAX_HISTORY_BYTES {
            self.grow(len);
            return true;
        }
        self.first += 1;
        self.entries.pop_front().is_some()
    }

    fn grow(&mut self, len: usize) {
        let size = (self.ring.len() * 2)
            .max(FIRST_SIZE)
            .max(len.next_power_of_two())
            .min(MAX_HISTORY_BYTES);
        let mut ring = vec![0; size];
        let mut write = 0;
        for entry in &mut self.entries {
            ring[write..write + entry.len]
                .copy_from_slice(&self.ring[entry.start..entry.start + entry.len]);
            entry.start = write;
            write += entry.len;
        }
        self.ring = ring;
        self.write = write;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn record(number: u64) -> Vec<u8> {
        vec![number as u8; 60 + (number as usize * 37) % 1400]
    }

    fn assert_kept_is_true(history: &History, below: u64) -> u64 {
        (0..below)
            .filter(|&n| {
                history
                    .get(n)
                    .inspect(|kept| assert_eq!(kept.bytes, record(n)))
                    .is_some()
            })
            .count() as u64
    }

    #[test]
    fn young_records_make_it_grow_to_its_bound() {
        let now = epoch();
        let mut history = History::default();
        for n in 0..20_000 {
            history.push(n, &record(n), 0, false, now);
        }
        assert_eq!(history.ring.len(), MAX_HISTORY_BYTES);
        assert!(assert_kept_is_true(&history, 20_000) > 9_000);
        assert!(history.get(19_999).is_some());
    }

    #[test]
    fn old_records_are_overwritten_in_place() {
        let now = epoch();
        let mut history = History::default();
        for n in 0..5_000 {
            history.push(n, &record(n), 0, false, now + Duration::from_millis(20 * n));
        }
        assert_eq!(history.ring.len(), FIRST_SIZE);
        assert!(assert_kept_is_true(&history, 5_000) > 25);
    }

    #[test]
    fn what_is_settled_makes_room() {
        let now = epoch();
        let mut history = History::default();
        for n in 0..5_000 {
            let at = now + Duration::from_micros(n);
            history.push(n, &record(n), 0, false, at);
            history.forget_before(at - Duration::from_micros(20));
        }
        assert_eq!(history.ring.len(), FIRST_SIZE);
        assert_eq!(assert_kept_is_true(&history, 5_000), 21);
    }

    #[test]
    fn a_record_too_large_for_the_ring_leaves_a_hole() {
        let now = epoch();
        let mut history = History::default();
        history.push(0, &record(0), 0, false, now);
        history.push(1, &vec![0; MAX_HISTORY_BYTES + 1], 0, false, now);
        history.push(2, &record(2), 0, false, now);
        assert_eq!((history.get(1), history.get(2).is_some()), (None, true));
    }
}
