//! TCP segments as far as putting them together needs to know them.

use std::net::IpAddr;
use std::ops::Range;

use super::MIN_TCP_SIZE;
use crate::checksum::Sum;
use crate::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Frame};
use crate::ip::{Ipv4, Ipv6, TCP, ports};
use crate::vnet::VnetHeader;

/// Offset of the checksum in a TCP header.
pub(super) const CSUM_OFFSET: u16 = 16;
const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP_HEADER_LEN: usize = 20;
const DONT_FRAGMENT: u16 = 0x4000;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const ECE: u8 = 0x40;

/// What names a flow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    // Compared in this order: ports tell most flows apart.
    ports: (u16, u16),
    addresses: (IpAddr, IpAddr),
    vlans: [u16; 2],
}

impl Default for Key {
    fn default() -> Self {
        let none = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        Self {
            ports: (0, 0),
            addresses: (none, none),
            vlans: [0; 2],
        }
    }
}

/// What a frame is to the coalescer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// No TCP: it belongs to none of our flows.
    Other,
    /// It may belong to any of them: a fragment, or headers that are cut.
    Unclear,
    /// Of this flow, and whether it may be put together with others.
    Tcp(Key, Option<Segment>),
}

impl Arrival {
    pub(super) fn of(header: VnetHeader, frame: &[u8]) -> Self {
        let Some(parsed) = Frame::parse(frame) else {
            return Self::Other;
        };
        let inner = parsed.inner();
        let (addresses, protocol, fragment, payload) = match inner.ethertype {
            ETHERTYPE_IPV4 => {
                let Some(ip) = Ipv4::parse(inner.payload) else {
                    return Self::Unclear;
                };
                let addresses = (ip.src.into(), ip.dst.into());
                (addresses, ip.protocol, ip.fragment, ip.payload)
            }
            ETHERTYPE_IPV6 => {
                let Some(ip) = Ipv6::parse(inner.payload) else {
                    return Self::Unclear;
                };
                let addresses = (ip.src.into(), ip.dst.into());
                (addresses, ip.protocol, ip.fragment, ip.payload)
            }
            _ => return Self::Other,
        };
        if protocol != TCP {
            return Self::Other;
        }
        let Some(ports) = ports(protocol, payload).filter(|_| !fragment) else {
            return Self::Unclear;
        };
        let key = Key {
            ports,
            addresses,
            vlans: inner.vlans,
        };
        let l3 = frame.len() - inner.payload.len();
        Self::Tcp(key, Segment::read(header, frame, l3))
    }
}

/// A TCP segment that may be put together with others: whole, with payload, correct checksums and
/// no flag that means more than that data follows. Offsets are bytes of the frame.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    l3: usize,
    pub(super) l4: usize,
    pub(super) header_len: usize,
    pub(super) payload_len: usize,
    pub(super) sequence: u32,
    flags: u8,
    /// Of IPv4: the identification, and whether fragmenting is forbidden.
    pub(super) identification: Option<(u16, bool)>,
}

impl Segment {
    fn read(header: VnetHeader, frame: &[u8], l3: usize) -> Option<Self> {
        if header.gso.is_some() {
            return None;
        }
        let ip = frame.get(l3..)?;
        let (ip_len, identification) = read_ip(ip)?;
        let transport = ip.get(ip_len..)?;
        let fixed: &[u8; TCP_HEADER_LEN] = transport.first_chunk()?;
        let [_, _, _, _, s0, s1, s2, s3, _, _, _, _, offset, flags, ..] = *fixed;
        let tcp_len = usize::from(offset >> 4) * 4;
        let payload_len = transport.len().checked_sub(tcp_len)?;
        // Urgent data, congestion told (CWR), and the ends of a connection but for FIN stay alone.
        let plain = flags & ACK != 0 && flags & !(ACK | PSH | FIN | ECE) == 0;
        if tcp_len < TCP_HEADER_LEN || payload_len == 0 || !plain {
            return None;
        }
        let segment = Self {
            l3,
            l4: l3 + ip_len,
            header_len: l3 + ip_len + tcp_len,
            payload_len,
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            flags,
            identification,
        };
        segment.is_intact(header, frame).then_some(segment)
    }

    /// Whether the checksums are right, so that making new ones hides no damage.
    fn is_intact(&self, header: VnetHeader, frame: &[u8]) -> bool {
        let (Some(ip), Some(transport)) = (frame.get(self.l3..self.l4), frame.get(self.l4..))
        else {
            return false;
        };
        let pseudo = self.pseudo_sum(ip, transport.len());
        let transport_ok = if header.needs_csum {
            let at = usize::from(CSUM_OFFSET);
            let field = transport.get(at..at + 2);
            usize::from(header.csum_start) == self.l4
                && header.csum_offset == CSUM_OFFSET
                && field == Some(&pseudo.folded().to_be_bytes()[..])
        } else {
            pseudo.bytes(transport).is_valid()
        };
        transport_ok && (self.identification.is_none() || Sum::new().bytes(ip).is_valid())
    }

    /// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) of a segment with `len` bytes.
    fn pseudo_sum(&self, ip: &[u8], len: usize) -> Sum {
        let addresses = match self.identification {
            Some(_) => ip.get(12..IPV4_HEADER_LEN),
            None => ip.get(8..IPV6_HEADER_LEN),
        };
        Sum::new()
            .bytes(addresses.unwrap_or_default())
            .word(TCP.into())
            .word(len as u16)
    }

    /// Whether others may follow it. Linux cuts no smaller segments than [`MIN_TCP_SIZE`].
    pub(super) fn begins(&self) -> bool {
        !self.is_last() && self.payload_len >= MIN_TCP_SIZE
    }

    /// The sender asks for it to be delivered at once, or is done.
    pub(super) const fn is_last(&self) -> bool {
        self.flags & (PSH | FIN) != 0
    }

    /// Whether the headers of `self`, at the start of `bytes`, are those of `other` but for what
    /// goes on from segment to segment: lengths, identification, sequence, checksums, PSH and FIN.
    pub(super) fn same_headers(&self, bytes: &[u8], other: &Self, frame: &[u8]) -> bool {
        if (self.l3, self.l4, self.header_len) != (other.l3, other.l4, other.header_len)
            || self.identification.is_some() != other.identification.is_some()
            || (self.flags ^ other.flags) & !(PSH | FIN) != 0
        {
            return false;
        }
        let same = |range: Range<usize>| bytes.get(range.clone()) == frame.get(range);
        let (l3, l4) = (self.l3, self.l4);
        let same_ip = match self.identification {
            Some(_) => same(l3..l3 + 2) && same(l3 + 6..l3 + 10) && same(l3 + 12..l4),
            None => same(l3..l3 + 4) && same(l3 + 6..l4),
        };
        // Ports; acknowledgement, data offset and reserved bits; window; urgent pointer, options.
        same(0..l3)
            && same_ip
            && same(l4..l4 + 4)
            && same(l4 + 8..l4 + 13)
            && same(l4 + 14..l4 + 16)
            && same(l4 + 18..self.header_len)
    }

    /// Gives the whole, whose headers are at the start of `bytes`, PSH and FIN of its last segment.
    pub(super) fn copy_last_flags(&self, bytes: &mut [u8]) {
        if let Some(flags) = bytes.get_mut(self.l4 + 13) {
            *flags |= self.flags & (PSH | FIN);
        }
    }

    /// Makes the headers at the start of `bytes` those of all of `bytes`, at most 64 KiB, with a
    /// partial checksum.
    pub(super) fn lengthen(&self, bytes: &mut [u8]) {
        let (ip_len, l4_len) = (bytes.len() - self.l3, bytes.len() - self.l4);
        let Some(ip) = bytes.get_mut(self.l3..self.l4) else {
            return;
        };
        if self.identification.is_some() {
            put16(ip, 2, ip_len as u16);
            put16(ip, 10, 0);
            let checksum = Sum::new().bytes(ip).checksum();
            put16(ip, 10, checksum);
        } else {
            put16(ip, 4, l4_len as u16);
        }
        let partial = self.pseudo_sum(ip, l4_len).folded();
        put16(bytes, self.l4 + usize::from(CSUM_OFFSET), partial);
    }
}

/// The IP header's length and the identification, of a packet that fills `ip` and has neither
/// options nor extension headers.
fn read_ip(ip: &[u8]) -> Option<(usize, Option<(u16, bool)>)> {
    if ip.first()? >> 4 == 6 {
        let [_, _, _, _, l0, l1, next, ..] = *ip.first_chunk::<IPV6_HEADER_LEN>()?;
        let len = usize::from(u16::from_be_bytes([l0, l1])) + IPV6_HEADER_LEN;
        return (next == TCP && len == ip.len()).then_some((IPV6_HEADER_LEN, None));
    }
    let [version, _, t0, t1, i0, i1, f0, f1, ..] = *ip.first_chunk::<IPV4_HEADER_LEN>()?;
    let len = usize::from(u16::from_be_bytes([t0, t1]));
    let fragment = u16::from_be_bytes([f0, f1]);
    if version != 0x45 || fragment & !DONT_FRAGMENT != 0 || len != ip.len() {
        return None;
    }
    let identification = (u16::from_be_bytes([i0, i1]), fragment != 0);
    Some((IPV4_HEADER_LEN, Some(identification)))
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    let place = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    if let Some(place) = place {
        *place = value.to_be_bytes();
    }
}
