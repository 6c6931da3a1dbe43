//! Buffers for records of all lengths, used again and again.

use crate::params::{MAX_PLAYOUT_BYTES, MAX_PLAYOUT_RECORDS};

/// The smallest buffer, bytes. The others are twice as large each.
const SMALLEST: usize = 1 << SHIFT;
const SHIFT: u32 = 8;
/// Up to the longest record that a fragment can name.
const SIZES: usize = (24 - SHIFT + 1) as usize;
/// What full ones together can need: no buffer but the smallest is less than half full.
const MAX_MEMORY: usize = 2 * MAX_PLAYOUT_BYTES + SMALLEST * MAX_PLAYOUT_RECORDS;

/// Buffers that are not in use, by size; how large those in use are.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    spare: [Vec<Vec<u8>>; SIZES],
    /// Bytes of all, in use or not.
    memory: usize,
}

impl Buffers {
    /// A buffer with these bytes.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let size = bytes.len().next_power_of_two().max(SMALLEST);
        let spare = self.spare.get_mut(place(size)).and_then(Vec::pop);
        let mut buffer = spare.unwrap_or_else(|| {
            self.drop_spare(size);
            let buffer = Vec::with_capacity(size);
            self.memory += buffer.capacity();
            buffer
        });
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Takes a buffer back.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        match self.spare.get_mut(place(buffer.capacity())) {
            Some(spare) => spare.push(buffer),
            None => self.memory -= buffer.capacity(),
        }
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        let lists = self.spare.iter().map(Vec::capacity).sum::<usize>();
        self.memory + lists * size_of::<Vec<u8>>()
    }

    /// Frees buffers of other sizes, the largest first, until there is room for one of `size`.
    fn drop_spare(&mut self, size: usize) {
        while self.memory + size > MAX_MEMORY {
            let Some(buffer) = self.spare.iter_mut().rev().find_map(Vec::pop) else {
                return;
            };
            self.memory -= buffer.capacity();
        }
    }
}

/// Where buffers of this size belong, or larger ones that no larger place has.
const fn place(size: usize) -> usize {
    (size.ilog2() - SHIFT) as usize
}
