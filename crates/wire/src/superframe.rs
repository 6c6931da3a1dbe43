//! Super-frames: Ethernet frames of up to 64 KiB that hold many TCP segments or UDP datagrams
//! behind one set of headers, as Linux hands them to a device that cuts them (GSO). Here they are
//! checked, and cut into shorter ones.
//!
//! A header from outside, of a peer or a TAP device, is acted on or handed to a kernel only after
//! [`Shape::check`] or [`SuperFrame::check`], and then as [`Shape::header`] gives it. Neither reads
//! payload, so a super-frame of which only parts arrived can be checked, and what arrived cut out.

use std::ops::Range;

use crate::ethernet::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_SERVICE_VLAN, ETHERTYPE_VLAN, HEADER_LEN, TAG_LEN,
};
use crate::ip::{TCP, UDP};
use crate::vnet::{Gso, GsoKind, VnetHeader};

mod cut;
mod nested;

pub use nested::NestedSuperFrame;

/// The longest headers a super-frame can have: Ethernet, two VLAN tags, IPv4 with all options, TCP
/// with all options. [`Shape::check`] looks at no byte behind them.
pub const MAX_HEADER_LEN: usize = HEADER_LEN + 2 * TAG_LEN + 60 + 60;
/// The longest super-frame: an IP packet of 64 KiB less one byte, and the longest Ethernet header.
/// Longer ones (BIG TCP) say so in ways that a segment's header cannot, and are refused.
pub const MAX_FRAME_LEN: usize = HEADER_LEN + 2 * TAG_LEN + 65_535;
/// The fewest payload bytes per TCP segment. Linux goes down to 8: its smallest segment is 48 bytes
/// with options, of which there can be 40.
pub const MIN_TCP_SIZE: usize = 8;
/// The most segments of a TCP super-frame. 64 KiB in the smallest segments that Linux makes in
/// practice, 36 bytes and a timestamp, are 1819; more are an attempt to make us work.
pub const MAX_TCP_SEGMENTS: usize = 2048;
/// The most datagrams of a UDP super-frame: Linux's `UDP_MAX_SEGMENTS`.
pub const MAX_UDP_SEGMENTS: usize = 128;

/// Offset of the checksum in a TCP header.
const TCP_CSUM: u16 = 16;
/// Offset of the checksum in a UDP header.
const UDP_CSUM: u16 = 6;
const UDP_HEADER_LEN: usize = 8;
const TCP_HEADER_LEN: usize = 20;
const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;

/// Why a virtio-net header is not acted on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The frame ends within its headers, or the part of it that is known does.
    #[error("the frame ends within its headers")]
    Truncated,
    /// The frame is no TCP or UDP over IP, or not the kind that the header names. IPv6 extension
    /// headers, IP fragments, and TCP segments with SYN or RST are not cut either.
    #[error("the packet is not of the kind that the virtio-net header names")]
    WrongKind,
    /// The lengths in the IP or UDP header are not that of the frame.
    #[error("the packet's lengths are not that of the frame")]
    WrongLength,
    /// The checksum is outside of the frame, or not where the packet has it, or a super-frame has
    /// no partial one.
    #[error("the virtio-net header places the checksum where it cannot be")]
    WrongChecksum,
    /// The segments are too short, or too many.
    #[error("the segments are too short or too many")]
    WrongSize,
}

/// How a checked frame is made up. Offsets and lengths are bytes of the Ethernet frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    header: VnetHeader,
    /// Where the IP header begins. Only meaningful if there are several segments.
    l3: usize,
    header_len: usize,
    len: usize,
    /// Payload bytes per segment, at least 1.
    size: usize,
    segments: usize,
}

impl Shape {
    /// Checks a virtio-net header against a frame of `len` bytes, of which only the first ones need
    /// be known: `head`. [`MAX_HEADER_LEN`] bytes are always enough; if fewer are, the shape's
    /// [`header_len`](Self::header_len) is not above `head.len()` for a frame of several segments.
    ///
    /// A super-frame has at most two VLAN tags, IPv4 or IPv6 without extension headers, TCP or UDP
    /// as the header says, a partial checksum at its place, and lengths that agree. A partial
    /// checksum of a frame that is not to be cut may be anywhere behind the Ethernet header: Linux
    /// leaves that of an inner packet to us (VXLAN, GRE), whose layout we do not know; what a wrong
    /// place spoils is this frame alone.
    ///
    /// # Errors
    /// [`Refused`], whatever the bytes are; it never panics.
    pub fn check(header: VnetHeader, head: &[u8], len: usize) -> Result<Self, Refused> {
        let head = head.get(..len).unwrap_or(head);
        if len < HEADER_LEN {
            return Err(Refused::Truncated);
        }
        if len > MAX_FRAME_LEN {
            return Err(Refused::WrongLength);
        }
        match header.gso {
            None => Self::whole(header, len),
            Some(gso) => Self::segmented(header, gso, head, len),
        }
    }

    /// A frame that is not to be cut: one segment, all of it header.
    fn whole(header: VnetHeader, len: usize) -> Result<Self, Refused> {
        let mut clean = VnetHeader::PLAIN;
        if header.needs_csum {
            let (start, offset) = (header.csum_start, header.csum_offset);
            let end = usize::from(start) + usize::from(offset) + 2;
            if usize::from(start) < HEADER_LEN || end > len {
                return Err(Refused::WrongChecksum);
            }
            clean.needs_csum = true;
            (clean.csum_start, clean.csum_offset) = (start, offset);
        }
        Ok(Self {
            header: clean,
            l3: 0,
            header_len: len,
            len,
            size: 1,
            segments: 1,
        })
    }

    fn segmented(header: VnetHeader, gso: Gso, head: &[u8], len: usize) -> Result<Self, Refused> {
        let (ethertype, l3) = find_l3(head).ok_or(Refused::Truncated)?;
        let protocol = match gso.kind {
            GsoKind::UdpL4 => UDP,
            GsoKind::TcpV4 | GsoKind::TcpV6 => TCP,
        };
        let ip = head.get(l3..).ok_or(Refused::Truncated)?;
        let ip_len = len.checked_sub(l3).ok_or(Refused::Truncated)?;
        let l4 = l3
            + match (ethertype, gso.kind) {
                (ETHERTYPE_IPV4, GsoKind::TcpV4 | GsoKind::UdpL4) => {
                    check_ipv4(ip, ip_len, protocol)?
                }
                (ETHERTYPE_IPV6, GsoKind::TcpV6 | GsoKind::UdpL4) => {
                    check_ipv6(ip, ip_len, protocol)?
                }
                _ => return Err(Refused::WrongKind),
            };
        let transport = head.get(l4..).ok_or(Refused::Truncated)?;
        let l4_len = len.checked_sub(l4).ok_or(Refused::WrongLength)?;
        let (l4_header, field) = match protocol {
            TCP => (check_tcp(transport)?, TCP_CSUM),
            _ => (check_udp(transport, l4_len)?, UDP_CSUM),
        };
        if !header.needs_csum || usize::from(header.csum_start) != l4 || header.csum_offset != field
        {
            return Err(Refused::WrongChecksum);
        }
        let payload = l4_len.checked_sub(l4_header).ok_or(Refused::WrongLength)?;
        let segments = count_segments(gso, payload)?;
        let header_len = l4 + l4_header;
        Ok(Self {
            header: VnetHeader {
                data_valid: false,
                hdr_len: header_len as u16,
                ..header
            }
            .for_segments(segments),
            l3,
            header_len,
            len,
            size: gso.size.into(),
            segments,
        })
    }

    /// The header as it may be acted on: hints replaced by what was found, no claim that a checksum
    /// has been verified, and no segmentation for a single segment.
    #[must_use]
    pub const fn header(&self) -> VnetHeader {
        self.header
    }

    /// Bytes of all headers in front of the payload. All bytes of a frame that is not to be cut.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Bytes of the whole frame, at most [`MAX_FRAME_LEN`].
    #[must_use]
    pub const fn frame_len(&self) -> usize {
        self.len
    }

    /// How many frames it is to be cut into: at least 1, at most [`MAX_TCP_SEGMENTS`].
    #[must_use]
    pub const fn segments(&self) -> usize {
        self.segments
    }

    /// Payload bytes of each segment but the last; of a frame that is not to be cut, its payload
    /// as far as it was looked for.
    #[must_use]
    pub const fn segment_size(&self) -> usize {
        if self.segments > 1 {
            self.size
        } else {
            self.len - self.header_len
        }
    }

    /// Bytes of the longest frame that comes of it, to compare with a port's MTU.
    #[must_use]
    pub const fn segment_len(&self) -> usize {
        self.header_len + self.segment_size()
    }

    /// Where in the frame the payload of `segments` is. `None` when these are none, or not all of
    /// them are there.
    #[must_use]
    pub fn payload_of(&self, segments: Range<usize>) -> Option<Range<usize>> {
        if segments.is_empty() || segments.end > self.segments {
            return None;
        }
        // Below 64 KiB each time: a segment begins before the frame's end.
        let start = self.header_len + segments.start * self.size;
        let end = match segments.end == self.segments {
            true => self.len,
            false => self.header_len + segments.end * self.size,
        };
        Some(start..end)
    }

    /// The segments whose payload lies wholly within `known` bytes of the frame: what can be saved
    /// of a super-frame that arrived in part, given that its headers did. Empty when there are none.
    /// A frame that is not to be cut is there when all of it is.
    #[must_use]
    pub fn segments_within(&self, known: Range<usize>) -> Range<usize> {
        let before = known.start.saturating_sub(self.header_len);
        let first = before.div_ceil(self.size).min(self.segments);
        let end = match known.end >= self.len {
            true => self.segments,
            false => known.end.saturating_sub(self.header_len) / self.size,
        };
        let whole = self.header_len < self.len || known.start == 0;
        if whole && first < end {
            first..end
        } else {
            0..0
        }
    }
}

impl VnetHeader {
    /// A single segment is no super-frame, and needs no hint for cutting.
    fn for_segments(self, segments: usize) -> Self {
        if segments > 1 {
            return self;
        }
        Self {
            gso: None,
            hdr_len: 0,
            ..self
        }
    }
}

/// A frame that was checked against its virtio-net header.
#[derive(Copy, Clone, Debug)]
pub struct SuperFrame<'a> {
    shape: Shape,
    frame: &'a [u8],
}

impl<'a> SuperFrame<'a> {
    /// Checks `frame`, without its virtio-net header, as [`Shape::check`] does.
    ///
    /// # Errors
    /// [`Refused`], whatever the bytes are; it never panics.
    pub fn check(header: VnetHeader, frame: &'a [u8]) -> Result<Self, Refused> {
        let shape = Shape::check(header, frame, frame.len())?;
        Ok(Self { shape, frame })
    }

    /// A frame that was checked by its head, now with a buffer of its full length; payload that is
    /// not known may be any bytes there. `None` when the buffer has another length.
    ///
    /// The head must be the one that was checked: with another, what comes of a cut is still within
    /// its bounds, but may be nonsense.
    #[must_use]
    pub fn new(shape: Shape, frame: &'a [u8]) -> Option<Self> {
        (frame.len() == shape.len).then_some(Self { shape, frame })
    }

    /// How it is made up.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// [`Shape::header`].
    #[must_use]
    pub const fn header(&self) -> VnetHeader {
        self.shape.header
    }

    /// [`Shape::header_len`].
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.shape.header_len
    }

    /// [`Shape::segments`].
    #[must_use]
    pub const fn segments(&self) -> usize {
        self.shape.segments
    }

    /// [`Shape::segment_size`].
    #[must_use]
    pub const fn segment_size(&self) -> usize {
        self.shape.segment_size()
    }

    /// All bytes of the frame.
    #[must_use]
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// The bytes behind the headers; none of a frame that is not to be cut.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.frame.get(self.shape.header_len..).unwrap_or_default()
    }
}

/// The EtherType behind at most two VLAN tags, and where what it names begins. With a third tag,
/// that is the EtherType.
fn find_l3(head: &[u8]) -> Option<(u16, usize)> {
    let mut at = HEADER_LEN;
    for tags in 0..=2 {
        let ethertype = be16(head, at - 2)?;
        if tags == 2 || !matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN) {
            return Some((ethertype, at));
        }
        at += TAG_LEN;
    }
    None
}

/// The header's length, of a packet of `len` bytes that is no fragment.
fn check_ipv4(ip: &[u8], len: usize, protocol: u8) -> Result<usize, Refused> {
    let header: &[u8; IPV4_HEADER_LEN] = ip.first_chunk().ok_or(Refused::Truncated)?;
    let [version, _, t0, t1, _, _, f0, f1, _, found, ..] = *header;
    let header_len = usize::from(version & 0x0f) * 4;
    // More-fragments flag and offset: all but reserved and don't-fragment.
    let fragment = u16::from_be_bytes([f0, f1]) & 0x3fff != 0;
    if version >> 4 != 4 || header_len < IPV4_HEADER_LEN || fragment || found != protocol {
        return Err(Refused::WrongKind);
    }
    if usize::from(u16::from_be_bytes([t0, t1])) != len {
        return Err(Refused::WrongLength);
    }
    Ok(header_len)
}

/// The same for IPv6. Extension headers would have to be the same in all segments; Linux sends none
/// with TCP or UDP unless a program asks for them.
fn check_ipv6(ip: &[u8], len: usize, protocol: u8) -> Result<usize, Refused> {
    let header: &[u8; IPV6_HEADER_LEN] = ip.first_chunk().ok_or(Refused::Truncated)?;
    let [version, _, _, _, l0, l1, found, ..] = *header;
    if version >> 4 != 6 || found != protocol {
        return Err(Refused::WrongKind);
    }
    if usize::from(u16::from_be_bytes([l0, l1])) + IPV6_HEADER_LEN != len {
        return Err(Refused::WrongLength);
    }
    Ok(IPV6_HEADER_LEN)
}

/// The TCP header's length. A SYN takes a sequence number of its own, which would have to be taken
/// into account; it and RST carry no segments.
fn check_tcp(transport: &[u8]) -> Result<usize, Refused> {
    let header: &[u8; TCP_HEADER_LEN] = transport.first_chunk().ok_or(Refused::Truncated)?;
    let [.., offset, flags, _, _, _, _, _, _] = *header;
    let header_len = usize::from(offset >> 4) * 4;
    if header_len < TCP_HEADER_LEN || flags & (TCP_SYN | TCP_RST) != 0 {
        return Err(Refused::WrongKind);
    }
    if transport.len() < header_len {
        return Err(Refused::Truncated);
    }
    Ok(header_len)
}

/// The UDP header's length, of a datagram of `len` bytes.
fn check_udp(transport: &[u8], len: usize) -> Result<usize, Refused> {
    let header: &[u8; UDP_HEADER_LEN] = transport.first_chunk().ok_or(Refused::Truncated)?;
    let [_, _, _, _, l0, l1, _, _] = *header;
    if usize::from(u16::from_be_bytes([l0, l1])) != len {
        return Err(Refused::WrongLength);
    }
    Ok(UDP_HEADER_LEN)
}

fn count_segments(gso: Gso, payload: usize) -> Result<usize, Refused> {
    let (min, max) = match gso.kind {
        GsoKind::UdpL4 => (1, MAX_UDP_SEGMENTS),
        GsoKind::TcpV4 | GsoKind::TcpV6 => (MIN_TCP_SIZE, MAX_TCP_SEGMENTS),
    };
    let size = usize::from(gso.size);
    if size < min {
        return Err(Refused::WrongSize);
    }
    let segments = payload.div_ceil(size).max(1);
    if segments > max {
        return Err(Refused::WrongSize);
    }
    Ok(segments)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

#[cfg(test)]
pub(crate) mod tests;
