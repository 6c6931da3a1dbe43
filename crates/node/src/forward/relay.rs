//! Frames from one peer to others, on a hub: they wait until the datagram that brought them has been
//! taken in, since a peer cannot be sent to while another one is being received from.

use std::ops::Range;

use super::{Passing, Ways, forward_to};

/// What of one datagram may wait, bytes: no less than what a peer keeps of unfinished records.
const MAX_BYTES: usize = 8 << 20;

/// See the module. Reused: it keeps its buffers, which are empty on a node that is no hub.
#[derive(Default)]
pub(super) struct Relay {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    peer: usize,
    record: Range<usize>,
    shape: Option<wire::superframe::Shape>,
    flow: u32,
}

impl Relay {
    /// Keeps a frame in its form for `peer`. False when there is no room.
    pub(super) fn push(&mut self, peer: usize, passing: &Passing<'_>, flow: u32) -> bool {
        let start = self.bytes.len();
        if start + passing.record.len() > MAX_BYTES {
            return false;
        }
        self.bytes.extend_from_slice(passing.record);
        self.waiting.push(Waiting {
            peer,
            record: start..self.bytes.len(),
            shape: passing.shape,
            flow,
        });
        true
    }

    /// Sends all.
    pub(super) fn send(&mut self, segments: &mut [u8], ways: &mut Ways<'_>) {
        for waiting in self.waiting.drain(..) {
            let passing = Passing {
                record: &self.bytes[waiting.record],
                shape: waiting.shape,
            };
            forward_to(waiting.peer, &passing, waiting.flow, segments, ways);
        }
        self.bytes.clear();
    }
}
