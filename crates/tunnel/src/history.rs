//! Records sent lately, kept so that they can be sent again on another path: small ones in one ring of bytes, large ones in the
//! buffers they came in.

use std::{collections::VecDeque, time::Instant};

use crate::{
    params::{HISTORY_KEEP, MAX_HISTORY_BYTES},
    record::Lent,
};

const FIRST_SIZE: usize = 64 << 10;
/// Records kept, however small they are.
const MAX_RECORDS: usize = 65_536;
/// Unused buffers kept for the next large records. What one wake-up acknowledges is about half as many.
const MAX_SPARE: usize = 32;

#[derive(Debug)]
struct Entry {
    start: usize,
    len: usize,
    at: Instant,
    flow: u32,
    vnet: bool,
    /// The buffer that has the bytes; empty: they are in the ring.
    own: Vec<u8>,
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
    /// Where those in the ring start, oldest first.
    starts: VecDeque<usize>,
    /// Bytes of all buffers that hold one record.
    owned: usize,
    spare: Vec<Vec<u8>>,
}

impl History {
    /// Keeps `bytes` as record `number`, which must be the one after the last.
    pub(crate) fn push(&mut self, number: u64, bytes: &[u8], flow: u32, vnet: bool, now: Instant) {
        self.begin(number);
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
        self.starts.push_back(start);
        self.entries.push_back(Entry {
            start,
            len: bytes.len(),
            at: now,
            flow,
            vnet,
            own: Vec::new(),
        });
    }

    /// The same for a record in a buffer that can be kept; leaves another of its length instead.
    pub(crate) fn push_lent(&mut self, number: u64, lent: &mut Lent<'_>, now: Instant) {
        let size = lent.buffer.len();
        if self.ring.len() + size > MAX_HISTORY_BYTES {
            // Frames of one size fill the ring, and leave no room beside it.
            let record = lent.record();
            return self.push(number, record.bytes, record.flow, record.vnet, now);
        }
        self.begin(number);
        let old = |first: &Entry| now.saturating_duration_since(first.at) >= HISTORY_KEEP;
        while self.ring.len() + self.owned + size > MAX_HISTORY_BYTES
            || self.spare.is_empty() && self.entries.front().is_some_and(old)
        {
            if !self.pop_oldest() {
                break;
            }
        }
        let fitting = self.spare.iter().rposition(|spare| spare.len() == size);
        let other = fitting.map_or_else(|| vec![0; size], |at| self.spare.remove(at));
        self.owned += size;
        self.entries.push_back(Entry {
            start: lent.range.start,
            len: lent.range.len(),
            at: now,
            flow: lent.flow,
            vnet: lent.vnet,
            own: std::mem::replace(lent.buffer, other),
        });
    }

    /// The record `number`, if it is still here.
    pub(crate) fn get(&self, number: u64) -> Option<Kept<'_>> {
        let entry = self.entries.get(number.checked_sub(self.first)? as usize)?;
        let bytes = if entry.own.is_empty() {
            &self.ring
        } else {
            &entry.own
        };
        let bytes = bytes.get(entry.start..entry.start + entry.len)?;
        (!bytes.is_empty()).then_some(Kept {
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
            self.pop_oldest();
        }
    }

    /// Frees the memory of an idle session.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.ring.len()
            + self.owned
            + self.spare.iter().map(Vec::len).sum::<usize>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.starts.capacity() * size_of::<usize>()
    }

    fn begin(&mut self, number: u64) {
        if self.entries.is_empty() {
            self.first = number;
        }
        debug_assert_eq!(number, self.first + self.entries.len() as u64);
        if self.entries.len() == MAX_RECORDS {
            self.pop_oldest();
        }
        if self.starts.is_empty() {
            self.write = 0;
        }
    }

    fn pop_oldest(&mut self) -> bool {
        let Some(oldest) = self.entries.pop_front() else {
            return false;
        };
        self.first += 1;
        if !oldest.own.is_empty() {
            self.owned -= oldest.own.len();
            if self.spare.len() < MAX_SPARE {
                self.spare.push(oldest.own);
            }
        } else {
            self.starts.pop_front();
        }
        true
    }

    /// A record that can never fit leaves a hole: everything before it is dropped with it, so that numbers stay dense.
    fn skip(&mut self, number: u64) {
        while self.pop_oldest() {}
        self.first = number + 1;
    }

    /// Whether the next record fits without touching the oldest one.
    fn fits(&self, len: usize) -> bool {
        let Some(&oldest) = self.starts.front() else {
            return len <= self.ring.len();
        };
        let newest_is_behind = self.write > oldest;
        if newest_is_behind {
            self.write + len <= self.ring.len() || len <= oldest
        } else {
            self.write + len <= oldest
        }
    }

    fn make_room(&mut self, len: usize, now: Instant) -> bool {
        let young = self
            .entries
            .front()
            .is_none_or(|oldest| now.saturating_duration_since(oldest.at) < HISTORY_KEEP);
        let size = (self.ring.len() * 2)
            .max(FIRST_SIZE)
            .max(len.next_power_of_two())
            .min(MAX_HISTORY_BYTES);
        if young && self.ring.len() < size && size + self.owned <= MAX_HISTORY_BYTES {
            self.grow(size);
            return true;
        }
        let popped = self.pop_oldest();
        if self.starts.is_empty() {
            self.write = 0;
        }
        popped
    }

    fn grow(&mut self, size: usize) {
        let mut ring = vec![0; size];
        let mut write = 0;
        self.starts.clear();
        for entry in &mut self.entries {
            if !entry.own.is_empty() {
                continue;
            }
            ring[write..write + entry.len]
                .copy_from_slice(&self.ring[entry.start..entry.start + entry.len]);
            entry.start = write;
            self.starts.push_back(write);
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

    /// Hands over record `number` as a super-frame of `len` bytes in a buffer of 64 KiB.
    fn lend(history: &mut History, number: u64, len: usize, now: Instant) {
        let mut buffer = vec![0xee; 64 << 10];
        buffer[12..12 + len].fill(number as u8);
        let mut lent = Lent {
            buffer: &mut buffer,
            range: 12..12 + len,
            vnet: true,
            longest: len,
            flow: 7,
        };
        history.push_lent(number, &mut lent, now);
        assert_eq!(buffer.len(), 64 << 10);
    }

    #[test]
    fn large_records_keep_their_buffers_between_small_ones() {
        let mut history = History::default();
        let mut now = epoch();
        for n in 0..3_000 {
            now += Duration::from_millis(1);
            let large = |n: u64| n.is_multiple_of(3);
            match large(n) {
                true => lend(&mut history, n, 20_000 + n as usize, now),
                false => history.push(n, &record(n), 7, false, now),
            }
            // A few are settled at a time, as acknowledgements come.
            if n.is_multiple_of(16) {
                history.forget_before(now - Duration::from_millis(40));
            }
            for back in 0..30.min(n) {
                let kept = history.get(n - back).unwrap();
                let expected = match large(n - back) {
                    true => vec![(n - back) as u8; 20_000 + (n - back) as usize],
                    false => record(n - back),
                };
                assert!(kept.bytes == expected && kept.vnet == large(n - back));
            }
        }
        assert!(history.owned <= 20 * (64 << 10), "{}", history.owned);
        assert!(history.spare.len() <= MAX_SPARE);
        assert_eq!(history.ring.len(), FIRST_SIZE);
        history.release();
        assert_eq!(history.memory(), 0);
    }

    #[test]
    fn large_and_small_records_share_one_bound() {
        let now = epoch();
        for small_first in [false, true] {
            let mut history = History::default();
            for n in 0..20_000 {
                match (n < 10_000) == small_first {
                    true => history.push(n, &record(n), 7, false, now),
                    false => lend(&mut history, n, 30_000, now),
                }
                assert!(history.ring.len() + history.owned <= MAX_HISTORY_BYTES);
                assert!(history.get(n).is_some());
            }
            let spare = MAX_SPARE * (64 << 10);
            let lists = history.entries.capacity() * size_of::<Entry>()
                + history.starts.capacity() * size_of::<usize>();
            assert!(history.memory() <= MAX_HISTORY_BYTES + spare + lists);
        }
    }
}
