//! The bytes behind the handles of a [`super::FairQueue`].

use crate::params::MAX_SUPER_RECORD;

/// Buffers come in sizes of 2 KiB times a power of two; the last is that of the longest frame.
const SMALLEST: usize = 2 << 10;
const CLASSES: usize = 6;
/// Unused buffers of one size that are kept, bytes.
const MAX_SPARE: usize = 4 << 20;

#[derive(Debug)]
struct Kept<T> {
    tag: T,
    len: usize,
    bytes: Vec<u8>,
}

/// Frames, each with a tag of the caller's, and buffers for more. It takes what it is given: the queue bounds it.
#[derive(Debug)]
pub struct Store<T> {
    slots: Vec<Option<Kept<T>>>,
    free: Vec<u32>,
    spare: [Vec<Vec<u8>>; CLASSES],
    longest: usize,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self::new(MAX_SUPER_RECORD as usize)
    }
}

impl<T> Store<T> {
    /// A store whose longest buffers have `longest` bytes, so that they can be exchanged for others of that length.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            spare: Default::default(),
            longest,
        }
    }

    /// Copies `bytes`; returns the handle for [`Self::get`] and [`Self::release`].
    pub fn keep(&mut self, tag: T, bytes: &[u8]) -> u32 {
        let mut buffer = self.buffer(bytes.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        let kept = Kept {
            tag,
            len: bytes.len(),
            bytes: buffer,
        };
        let handle = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[handle as usize] = Some(kept);
        handle
    }

    /// What is kept under `handle`.
    #[must_use]
    pub fn get(&self, handle: u32) -> Option<(&T, &[u8])> {
        let kept = self.slots.get(handle as usize)?.as_ref()?;
        Some((&kept.tag, &kept.bytes[..kept.len]))
    }

    /// The same with the buffer, which begins with the frame, and the frame's length. The buffer may be exchanged for another
    /// of its length.
    pub fn get_mut(&mut self, handle: u32) -> Option<(&T, &mut Vec<u8>, usize)> {
        let kept = self.slots.get_mut(handle as usize)?.as_mut()?;
        Some((&kept.tag, &mut kept.bytes, kept.len))
    }

    /// Gives the buffer back.
    pub fn release(&mut self, handle: u32) {
        let Some(kept) = self.slots.get_mut(handle as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(handle);
        let spare = &mut self.spare[class_of(kept.bytes.len())];
        if (spare.len() + 1) * kept.bytes.len() <= MAX_SPARE {
            spare.push(kept.bytes);
        }
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory(&self) -> usize {
        let kept = self.slots.iter().flatten().map(|kept| kept.bytes.len());
        let spare = self.spare.iter().flatten().map(Vec::len);
        kept.chain(spare).sum::<usize>() + self.slots.capacity() * size_of::<Option<Kept<T>>>()
    }

    fn buffer(&mut self, len: usize) -> Vec<u8> {
        let class = class_of(len);
        let spare = self.spare.get_mut(class).and_then(Vec::pop);
        let size = match class + 1 {
            CLASSES => self.longest,
            _ => SMALLEST << class,
        };
        let mut buffer = spare.unwrap_or_else(|| vec![0; size.max(len)]);
        if buffer.len() < len {
            buffer.resize(len, 0); // longer than it was made for, or exchanged
        }
        buffer
    }
}

fn class_of(len: usize) -> usize {
    let class = len.div_ceil(SMALLEST).next_power_of_two().ilog2();
    (class as usize).min(CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_what_is_kept_stays_whole() {
        let mut store = Store::default();
        for round in 0..3u8 {
            let sizes = [60, 2048, 2049, 9000, 40_000, 65_547, 65_570];
            let handles = sizes.map(|len| store.keep(len, &vec![round; len]));
            for (handle, len) in handles.into_iter().zip(sizes) {
                let (&tag, bytes) = store.get(handle).unwrap();
                assert!(tag == len && bytes.len() == len);
                assert!(bytes.iter().all(|&byte| byte == round));
                store.release(handle);
                assert!(store.get(handle).is_none());
            }
        }
        assert_eq!(store.slots.len(), 7);
        assert_eq!(store.spare.iter().map(Vec::len).sum::<usize>(), 7);
    }

    #[test]
    fn few_spare_buffers_of_a_size_are_kept() {
        let mut store = Store::default();
        let handles: Vec<u32> = (0..200).map(|_| store.keep((), &[0; 65_000])).collect();
        handles.into_iter().for_each(|handle| store.release(handle));
        assert!(store.memory() <= MAX_SPARE + (64 << 10));
    }
}
