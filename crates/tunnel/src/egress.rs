//! What waits for the paths of a peer: fair turns between flows, taken in bites as large as a path's pacing allows.

use std::time::{Duration, Instant};

use wire::{
    superframe::{Shape, SuperFrame},
    vnet::{VNET_LEN, VnetHeader},
};

use crate::{
    queue::{FairQueue, Item, QueueCounters, QueueLimits, Store},
    record::Record,
};

/// What is known of a frame that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    flow: u32,
    vnet: bool,
}

/// The super-frame that is being cut.
#[derive(Clone, Copy, Debug)]
struct Head {
    handle: u32,
    /// Segments that have gone.
    gone: usize,
    /// All have.
    finished: bool,
}

/// What a path is to send in one go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bite<'a> {
    pub bytes: &'a [u8],
    pub vnet: bool,
    pub flow: u32,
}

/// A FQ-CoDel queue (RFC 8290) of frames and super-frames; the latter leave in pieces of whole segments.
#[derive(Debug)]
pub(crate) struct Egress {
    queue: FairQueue,
    store: Store<Waiting>,
    head: Option<Head>,
    scratch: Vec<u8>,
}

impl Egress {
    /// `secret` is random, so that nobody can choose flows that share a turn with somebody else's.
    pub(crate) fn new(secret: u64) -> Self {
        Self {
            queue: FairQueue::new(QueueLimits::default(), secret),
            store: Store::default(),
            head: None,
            scratch: Vec::new(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.head.is_none_or(|head| head.finished)
    }

    /// Bytes that wait, all of a super-frame that is being cut aside.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.queue.bytes())
    }

    /// Frames dropped because they stood too long, and because there was no room, since the queue was made.
    pub(crate) fn counters(&self) -> QueueCounters {
        self.queue.counters()
    }

    /// Bytes of memory that grew with traffic.
    pub(crate) fn memory(&self) -> usize {
        self.store.memory() + self.scratch.capacity()
    }

    /// See [`FairQueue::set_patience`].
    pub(crate) fn set_patience(&mut self, target: Duration, interval: Duration) {
        self.queue.set_patience(target, interval);
    }

    /// Queues a record; others may give way to it.
    pub(crate) fn push(&mut self, record: &Record<'_>, now: Instant) {
        let tag = Waiting {
            flow: record.flow,
            vnet: record.vnet,
        };
        let item = Item {
            handle: self.store.keep(tag, record.bytes),
            len: record.bytes.len() as u32,
            flow: record.flow,
        };
        let Self { queue, store, .. } = self;
        queue.push(item, now, &mut |gone| store.release(gone.handle));
    }

    /// The next bytes to send: a frame, or as many segments of a super-frame as fit into `most` bytes, at least one.
    pub(crate) fn next(&mut self, most: usize, now: Instant) -> Option<Bite<'_>> {
        if let Some(done) = self.head.filter(|head| head.finished) {
            self.store.release(done.handle);
            self.head = None;
        }
        let head = match self.head {
            Some(head) => head,
            None => self.pop(now)?,
        };
        let (&Waiting { flow, vnet }, bytes) = self.store.get(head.handle)?;
        let whole = vnet.then(|| super_frame(bytes)).flatten();
        let Some(whole) = whole.filter(|_| head.gone > 0 || bytes.len() > most) else {
            self.head = Some(Head {
                finished: true,
                ..head
            });
            return Some(Bite { bytes, vnet, flow });
        };
        let shape = whole.shape();
        let left = shape.segments() - head.gone;
        let take = bite_of(shape, most, left);
        let range = head.gone..head.gone + take;
        let room = VNET_LEN + shape.header_len() + shape.payload_of(range.clone())?.len();
        if self.scratch.len() < room {
            self.scratch.resize(room, 0);
        }
        let (front, body) = self.scratch.split_at_mut(VNET_LEN);
        let (header, len) = whole.cut(range, body)?;
        front.copy_from_slice(&header.encode());
        self.head = Some(Head {
            gone: head.gone + take,
            finished: take == left,
            ..head
        });
        Some(Bite {
            bytes: &self.scratch[..VNET_LEN + len],
            vnet,
            flow,
        })
    }

    fn pop(&mut self, now: Instant) -> Option<Head> {
        let Self { queue, store, .. } = self;
        let item = queue.pop(now, &mut |gone| store.release(gone.handle))?;
        Some(Head {
            handle: item.handle,
            gone: 0,
            finished: false,
        })
    }
}

/// How many of the `left` segments go into `most` bytes. A small rest goes along: a bite of its own would be all header.
fn bite_of(shape: &Shape, most: usize, left: usize) -> usize {
    let payload = most.saturating_sub(VNET_LEN + shape.header_len());
    let take = (payload / shape.segment_size()).max(1);
    if take + take / 2 >= left { left } else { take }
}

fn super_frame(record: &[u8]) -> Option<SuperFrame<'_>> {
    let (header, frame) = VnetHeader::split(record).ok()?;
    SuperFrame::check(header, frame)
        .ok()
        .filter(|whole| whole.shape().segments() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::vnet::{Gso, GsoKind};

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    /// A TCP super-frame of `payload` bytes in segments of 1000, its payload counting up, with virtio-net header.
    fn tcp(payload: usize) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(((40 + payload) as u16).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([
            0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 9, 0, 0, 0, 0,
        ]);
        frame.extend((0..payload).map(|n| n as u8));
        let header = VnetHeader {
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
            hdr_len: 54,
            gso: Some(Gso {
                kind: GsoKind::TcpV4,
                size: 1000,
                ecn: false,
            }),
            ..VnetHeader::PLAIN
        };
        [&header.encode()[..], &frame].concat()
    }

    fn record(bytes: &[u8], vnet: bool, flow: u32) -> Record<'_> {
        Record {
            bytes,
            vnet,
            longest: 1054,
            flow,
        }
    }

    #[test]
    fn a_super_frame_leaves_in_bites_that_together_are_all_of_it() {
        let now = epoch();
        let mut egress = Egress::new(1);
        egress.push(&record(&tcp(20_500), true, 1), now);
        let mut payload: Vec<u8> = Vec::new();
        let mut sizes = Vec::new();
        while let Some(bite) = egress.next(3_200, now) {
            assert!(bite.vnet && bite.flow == 1);
            sizes.push(bite.bytes.len());
            payload.extend(&bite.bytes[12 + 54..]);
        }
        assert_eq!(sizes, [[3066; 6].as_slice(), &[2566]].concat());
        assert!(payload.iter().enumerate().all(|(n, &byte)| byte == n as u8));
        assert!(egress.is_empty() && egress.queue.is_empty());
    }

    #[test]
    fn what_fits_goes_whole_and_plain_frames_always_do() {
        let now = epoch();
        let mut egress = Egress::new(1);
        let long = tcp(9_000);
        egress.push(&record(&long, true, 1), now);
        egress.push(&record(&[7; 1514], false, 1), now);
        assert_eq!(egress.next(65_000, now).unwrap().bytes, long);
        assert!(!egress.is_empty());
        assert_eq!(egress.next(100, now).unwrap().bytes.len(), 1514);
        assert!(egress.is_empty() && egress.next(100, now).is_none());
    }

    #[test]
    fn a_bite_has_a_segment_at_least_and_a_small_rest_goes_along() {
        let now = epoch();
        let mut egress = Egress::new(1);
        egress.push(&record(&tcp(5_000), true, 1), now);
        let mut sizes = Vec::new();
        while let Some(bite) = egress.next(1, now) {
            sizes.push(bite.bytes.len() - 66);
        }
        assert_eq!(sizes, [1000; 5]);
        egress.push(&record(&tcp(7_000), true, 1), now);
        while let Some(bite) = egress.next(4_100 + 66, now) {
            sizes.push(bite.bytes.len() - 66);
        }
        assert_eq!(sizes[5..], [4000, 3000]);
    }

    #[test]
    fn a_flow_that_stands_is_dropped_from() {
        let now = epoch();
        let mut egress = Egress::new(1);
        for n in 0..1000u32 {
            egress.push(
                &record(&[7; 1514], false, 1),
                now + Duration::from_millis(n.into()),
            );
            if n % 2 == 0 {
                egress.next(65_000, now + Duration::from_millis(n.into()));
            }
        }
        assert!(egress.counters().codel_drops > 10);
    }
}
