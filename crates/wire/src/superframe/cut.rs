//! Shorter super-frames, and single segments, out of a longer one.

use std::ops::Range;

use super::{Shape, SuperFrame, be16};
use crate::checksum::Sum;
use crate::vnet::{Gso, GsoKind, VnetHeader};

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

impl SuperFrame<'_> {
    /// Writes a frame of these `segments` to the start of `out` and returns its virtio-net header
    /// and its length in bytes: a shorter super-frame, or with one segment a frame whose checksum is
    /// still partial ([`crate::segment::complete_checksum`] makes it complete). Only headers and the
    /// payload of these segments are read.
    ///
    /// Each header says what Linux would have it say: TCP sequence numbers go on, FIN and PSH are
    /// the last segment's, CWR is the first one's, IPv4 identifications count up, lengths and the
    /// IPv4 header's checksum are those of the new frame, the partial checksum is for its length.
    ///
    /// `None` when `segments` is empty or beyond the last, or when `out` is too short, for which
    /// [`Shape::header_len`] and [`Shape::payload_of`] say how long it has to be.
    #[must_use]
    pub fn cut(&self, segments: Range<usize>, out: &mut [u8]) -> Option<(VnetHeader, usize)> {
        let payload = self.shape.payload_of(segments.clone())?;
        let head = self.frame.get(..self.shape.header_len)?;
        let payload = self.frame.get(payload)?;
        let out = out.get_mut(..head.len() + payload.len())?;
        let (new_head, new_payload) = out.split_at_mut_checked(head.len())?;
        new_head.copy_from_slice(head);
        new_payload.copy_from_slice(payload);
        let header = self.shape.header_of(&segments);
        if segments.len() < self.shape.segments {
            self.shape.adjust(new_head, &segments, payload.len())?;
        }
        Some((header, out.len()))
    }
}

impl Shape {
    fn header_of(&self, segments: &Range<usize>) -> VnetHeader {
        VnetHeader {
            gso: self.header.gso.map(|gso| Gso {
                ecn: gso.ecn && segments.start == 0,
                ..gso
            }),
            ..self.header
        }
        .for_segments(segments.len())
    }

    /// Makes the headers of the whole those of `segments`, with `payload_len` bytes behind them.
    /// `None` only for a head shorter than the checked one.
    fn adjust(&self, head: &mut [u8], segments: &Range<usize>, payload_len: usize) -> Option<()> {
        let l4 = usize::from(self.header.csum_start);
        let l4_len = self.header_len - l4 + payload_len;
        let skipped = segments.start * self.size;
        let is_udp = matches!(
            self.header.gso,
            Some(Gso {
                kind: GsoKind::UdpL4,
                ..
            })
        );
        adjust_ip(head.get_mut(self.l3..l4)?, l4_len, segments.start)?;
        let transport = head.get_mut(l4..)?;
        if is_udp {
            put16(transport, 4, l4_len as u16)?;
        } else {
            let sequence = transport.get_mut(4..8)?.first_chunk_mut()?;
            let moved = u32::from_be_bytes(*sequence).wrapping_add(skipped as u32);
            *sequence = moved.to_be_bytes();
            let flags = transport.get_mut(13)?;
            if segments.end < self.segments {
                *flags &= !(TCP_FIN | TCP_PSH);
            }
            if segments.start > 0 {
                *flags &= !TCP_CWR;
            }
        }
        // Adjusted rather than made anew: with a source route, the pseudo-header has an address
        // that is not in the IP header.
        let field = usize::from(self.header.csum_offset);
        let sum = Sum::new()
            .word(be16(transport, field)?)
            .less((self.len - l4) as u16)
            .word(l4_len as u16);
        put16(transport, field, sum.folded())
    }
}

/// Makes an IP header that of a packet with `l4_len` bytes behind it, `index` segments after the
/// first.
pub(super) fn adjust_ip(ip: &mut [u8], l4_len: usize, index: usize) -> Option<()> {
    if ip.first()? >> 4 == 6 {
        return put16(ip, 4, l4_len as u16);
    }
    put16(ip, 2, (ip.len() + l4_len) as u16)?;
    let identification = be16(ip, 4)?.wrapping_add(index as u16);
    put16(ip, 4, identification)?;
    put16(ip, 10, 0)?;
    put16(ip, 10, Sum::new().bytes(ip).checksum())
}

pub(super) fn put16(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}
