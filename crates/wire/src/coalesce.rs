//! TCP segments become super-frames, as a network driver does it (GRO): the kernel behind a TAP
//! device takes one frame of 64 KiB much faster than 45 of 1500 bytes.
//!
//! Only what can be cut again into the very same frames is put together, and only after its
//! checksums were verified. The exceptions: a checksum of 0 may come back in its other form, 0xffff;
//! and where IPv4 packets that must not be fragmented all have the same identification, they come
//! back with different ones, which mean nothing there (RFC 6864 §4.1).
//!
//! UDP is left alone. A sender of bulk data hands over super-frames, which come through whole;
//! Linux forwards all other datagrams one by one as well unless told otherwise
//! (`rx-udp-gro-forwarding`), and not every kernel takes them in super-frames from a TAP device.

use crate::superframe::{MAX_TCP_SEGMENTS, MIN_TCP_SIZE};
use crate::vnet::{Gso, GsoKind, VnetHeader};

mod tcp;

use tcp::{Arrival, Key, Segment};

/// Flows that are put together at a time. With more, the one that began first gives way: a batch of
/// frames has seldom more flows that send in bulk.
pub const FLOWS: usize = 8;
/// The longest frame that is made, bytes. Linux cuts longer ones again before they leave by another
/// device (`gso_max_size`).
pub const MAX_LEN: usize = 65_535;

/// Where frames go: the virtio-net header, and the frame, valid for the call only.
pub type Out<'a> = dyn FnMut(VnetHeader, &[u8]) + 'a;

/// Puts together the TCP segments of one batch of frames. Frames of one flow leave in the order in
/// which they came; frames of different flows may overtake each other, within the batch.
#[derive(Debug)]
pub struct Coalescer {
    /// The first `open` of them are in use, in the order in which they began.
    flows: [Flow; FLOWS],
    open: usize,
}

impl Default for Coalescer {
    fn default() -> Self {
        Self::new()
    }
}

impl Coalescer {
    /// Allocates its buffers, [`FLOWS`] times 64 KiB, once and for all.
    #[must_use]
    pub fn new() -> Self {
        Self {
            flows: std::array::from_fn(|_| Flow::new()),
            open: 0,
        }
    }

    /// Takes the next frame of the batch, without its virtio-net header, and a header that passed
    /// [`crate::superframe::Shape::check`], or [`VnetHeader::PLAIN`]. It is handed to `out` at once
    /// or kept, to be handed over with later ones by a further call or by [`flush`](Self::flush).
    ///
    /// All frames of a batch have to come this way, super-frames included, or they overtake.
    pub fn push(&mut self, header: VnetHeader, frame: &[u8], out: &mut Out<'_>) {
        let (key, segment) = match Arrival::of(header, frame) {
            Arrival::Other => return out(header, frame),
            Arrival::Unclear => {
                self.flush(out);
                return out(header, frame);
            }
            Arrival::Tcp(key, segment) => (key, segment),
        };
        let mut open = self.flows.iter_mut().take(self.open);
        if let Some(index) = open.position(|flow| flow.key == key) {
            let flow = self.flows.get_mut(index);
            let joined = segment
                .as_ref()
                .zip(flow)
                .map(|(s, flow)| flow.join(s, frame));
            match joined {
                Some(Joined::Open) => return,
                Some(Joined::Full) => return self.close(index, out),
                Some(Joined::Not) | None => self.close(index, out),
            }
        }
        match segment.filter(Segment::begins) {
            Some(segment) => self.begin(key, &segment, header, frame, out),
            None => out(header, frame),
        }
    }

    /// Hands over all that is kept. At the end of a batch: nothing may wait for a later one.
    pub fn flush(&mut self, out: &mut Out<'_>) {
        for flow in self.flows.iter_mut().take(self.open) {
            flow.finish(out);
        }
        self.open = 0;
    }

    fn begin(
        &mut self,
        key: Key,
        segment: &Segment,
        header: VnetHeader,
        frame: &[u8],
        out: &mut Out<'_>,
    ) {
        if frame.len() > MAX_LEN {
            return out(header, frame);
        }
        if self.open == FLOWS {
            self.close(0, out);
        }
        if let Some(flow) = self.flows.get_mut(self.open) {
            flow.begin(key, segment, header, frame);
            self.open += 1;
        }
    }

    fn close(&mut self, index: usize, out: &mut Out<'_>) {
        if let Some(flows) = self.flows.get_mut(index..self.open)
            && let Some(flow) = flows.first_mut()
        {
            flow.finish(out);
            flows.rotate_left(1);
            self.open -= 1;
        }
    }
}

/// What came of a try to put a segment to a flow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Joined {
    /// It is in, and more may follow.
    Open,
    /// It is in, and nothing may follow.
    Full,
    /// It does not fit.
    Not,
}

/// How the IPv4 identification goes on from segment to segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Counting {
    /// There was no second one yet.
    Unknown,
    Up,
    /// It stays; only where fragmenting is forbidden.
    Constant,
}

/// A super-frame that is being put together.
#[derive(Debug)]
struct Flow {
    key: Key,
    /// The first segment as it came.
    first: Segment,
    header: VnetHeader,
    count: usize,
    next_sequence: u32,
    counting: Counting,
    /// The first frame as it came, and the payload of the others; never grows beyond its capacity.
    bytes: Vec<u8>,
}

impl Flow {
    fn new() -> Self {
        Self {
            key: Key::default(),
            first: Segment::default(),
            header: VnetHeader::PLAIN,
            count: 0,
            next_sequence: 0,
            counting: Counting::Unknown,
            bytes: Vec::with_capacity(MAX_LEN),
        }
    }

    fn begin(&mut self, key: Key, segment: &Segment, header: VnetHeader, frame: &[u8]) {
        self.key = key;
        self.first = *segment;
        self.header = header;
        self.count = 1;
        self.next_sequence = segment.sequence.wrapping_add(segment.payload_len as u32);
        self.counting = Counting::Unknown;
        self.bytes.clear();
        self.bytes.extend_from_slice(frame);
    }

    fn join(&mut self, segment: &Segment, frame: &[u8]) -> Joined {
        let size = self.first.payload_len;
        let fits = segment.sequence == self.next_sequence
            && segment.payload_len <= size
            && self.bytes.len() + segment.payload_len <= MAX_LEN
            && self.count < MAX_TCP_SEGMENTS
            && self.first.same_headers(&self.bytes, segment, frame);
        let Some(counting) = self.counting_with(segment).filter(|_| fits) else {
            return Joined::Not;
        };
        let Some(payload) = frame.get(segment.header_len..) else {
            return Joined::Not;
        };
        self.counting = counting;
        self.count += 1;
        self.next_sequence = self.next_sequence.wrapping_add(segment.payload_len as u32);
        self.bytes.extend_from_slice(payload);
        if segment.is_last() {
            segment.copy_last_flags(&mut self.bytes);
        }
        if segment.is_last() || segment.payload_len < size {
            Joined::Full
        } else {
            Joined::Open
        }
    }

    /// How identifications count if `segment` is the next one; `None` when it cannot be.
    fn counting_with(&self, segment: &Segment) -> Option<Counting> {
        let Some((first, dont_fragment)) = self.first.identification else {
            return Some(Counting::Unknown);
        };
        let (found, _) = segment.identification?;
        let up = found == first.wrapping_add(self.count as u16);
        let constant = found == first && dont_fragment;
        match self.counting {
            Counting::Unknown | Counting::Up if up => Some(Counting::Up),
            Counting::Unknown | Counting::Constant if constant => Some(Counting::Constant),
            _ => None,
        }
    }

    /// Hands over what there is: a single frame as it came.
    fn finish(&mut self, out: &mut Out<'_>) {
        if self.count > 1 {
            self.first.lengthen(&mut self.bytes);
            self.header = VnetHeader {
                needs_csum: true,
                data_valid: false,
                gso: Some(Gso {
                    kind: match self.first.identification {
                        Some(_) => GsoKind::TcpV4,
                        None => GsoKind::TcpV6,
                    },
                    ecn: false,
                    // Both below 64 KiB, as the frame is.
                    size: self.first.payload_len as u16,
                }),
                hdr_len: self.first.header_len as u16,
                csum_start: self.first.l4 as u16,
                csum_offset: tcp::CSUM_OFFSET,
            };
        }
        out(self.header, &self.bytes);
    }
}

#[cfg(test)]
mod tests;
