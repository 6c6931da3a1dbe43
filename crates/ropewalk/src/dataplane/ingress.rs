//! What the TAP devices gave and this thread has not come to yet: taken from the kernel at once, and served in fair turns.
//!
//! A queue in the kernel would make every frame wait for all before it. Here one that is alone in its flow waits for the frame
//! in hand. While nothing is waiting, frames do not come this way.

use std::time::Instant;

use node::{
    PortIndex, flow_hash,
    queue::{FairQueue, Item, QueueCounters, QueueLimits, Store},
};
use sys::tap::READ_LEN;

struct Waiting {
    port: PortIndex,
    /// With a virtio-net header of this many bytes in front, or none.
    header: usize,
}

/// See the module.
pub(super) struct Ingress {
    queue: FairQueue,
    store: Store<Waiting>,
}

impl Ingress {
    /// `secret` is random, so that nobody can choose flows that share a turn with somebody else's.
    pub(super) fn new(secret: u64) -> Self {
        Self {
            queue: FairQueue::new(QueueLimits::default(), secret),
            store: Store::new(READ_LEN),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Frames dropped so far, and how long the others stayed at most.
    pub(super) fn counters(&self) -> QueueCounters {
        self.queue.counters()
    }

    /// Takes a frame, behind a virtio-net header of `header` bytes, that came from `port`; older ones go when there is no room.
    pub(super) fn push(&mut self, port: PortIndex, header: usize, read: &[u8], now: Instant) {
        let item = Item {
            handle: self.store.keep(Waiting { port, header }, read),
            len: read.len() as u32,
            flow: flow_hash(&read[header.min(read.len())..]),
        };
        let Self { queue, store } = self;
        queue.push(item, now, &mut |gone| store.release(gone.handle));
    }

    /// Hands the next frame to `each`: port, whether it has a virtio-net header, and buffer, which may be exchanged for another
    /// of its length, with how much of it is used. Returns how many bytes that was, or `None`, when nothing waits.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        each: impl FnOnce(PortIndex, bool, &mut Vec<u8>, usize),
    ) -> Option<usize> {
        let Self { queue, store } = self;
        let item = queue.pop(now, &mut |gone| store.release(gone.handle))?;
        if let Some((waiting, buffer, len)) = store.get_mut(item.handle) {
            each(waiting.port, waiting.header > 0, buffer, len);
        }
        store.release(item.handle);
        Some(item.len as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn what_goes_in_comes_out_whole_and_buffers_are_used_again() {
        let (mut ingress, now) = (Ingress::new(1), Instant::now());
        for round in 0..3u8 {
            let sizes = [60, 2048, 2049, 9000, 40_000, 65_547, 65_570];
            for (port, len) in sizes.into_iter().enumerate() {
                let frame = vec![round; len];
                ingress.push(PortIndex(port as u16), 12, &frame, now);
            }
            let mut seen = Vec::new();
            while let Some(bytes) = ingress.pop(now, |port, header, buffer, len| {
                let read = &buffer[..len];
                assert!(header && read.iter().all(|&byte| byte == round));
                assert_eq!(read.len(), sizes[usize::from(port.0)]);
                seen.push(port.0);
            }) {
                assert!(bytes >= 60);
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
            assert!(ingress.is_empty());
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn memory_is_bounded() {
        let (mut ingress, now) = (Ingress::new(1), Instant::now());
        for n in 0..10_000u32 {
            let len = 60 + (n as usize * 7919) % 65_000;
            ingress.push(PortIndex(0), 0, &vec![n as u8; len], now);
        }
        let held = ingress.store.memory();
        assert!(held <= 8 * (4 << 20) + (256 << 10), "{held}");
        assert!(ingress.counters().overflow_drops > 9_000);
    }
}
