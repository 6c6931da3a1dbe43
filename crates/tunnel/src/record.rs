//! What a peer is given to carry.

use std::ops::Range;

/// One frame for a peer, or a super-frame that stands for many.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The frame; with `vnet` behind its 12-byte virtio-net header.
    pub bytes: &'a [u8],
    /// Whether it begins with a virtio-net header. Only for a peer that takes such records
    /// ([`crate::Peer::takes_vnet`]).
    pub vnet: bool,
    /// The longest frame that it stands for, bytes: its own length, or that of a segment.
    pub longest: usize,
    /// The flow it belongs to: those of one flow keep their order where the mode allows.
    pub flow: u32,
}

/// A record in a buffer that its owner can do without: it is kept for sending again as it is, not copied.
#[derive(Debug)]
pub struct Lent<'a> {
    /// The buffer. After the call it may be another of the same length, with anything in it.
    pub buffer: &'a mut Vec<u8>,
    /// Where in it the record is.
    pub range: Range<usize>,
    /// As in [`Record`].
    pub vnet: bool,
    /// As in [`Record`].
    pub longest: usize,
    /// As in [`Record`].
    pub flow: u32,
}

impl Lent<'_> {
    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            bytes: self.buffer.get(self.range.clone()).unwrap_or_default(),
            vnet: self.vnet,
            longest: self.longest,
            flow: self.flow,
        }
    }
}

impl<'a> Record<'a> {
    /// A frame as it is on a wire.
    #[must_use]
    pub fn plain(frame: &'a [u8], flow: u32) -> Self {
        Self {
            bytes: frame,
            vnet: false,
            longest: frame.len(),
            flow,
        }
    }
}
