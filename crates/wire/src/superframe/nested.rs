//! Super-frames whose TCP segments are inside a tunnel of somebody else: VXLAN, Geneve, GRE, IP in IP.
//!
//! Linux hands them over with a virtio-net header that tells of the inner packet only, so no device
//! could cut them by that header alone. Here they are cut at once, outer headers and all.

use super::cut::{adjust_ip, put16};
use super::{
    Refused, Shape, SuperFrame, TCP_CSUM, UDP_HEADER_LEN, be16, check_ipv4, check_ipv6, check_tcp,
    count_segments, find_l3,
};
use crate::checksum::Sum;
use crate::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::ip::{TCP, UDP};
use crate::vnet::{GsoKind, VnetHeader};

/// Protocols of the outer IP header (IANA): IPv4, IPv6, GRE.
const IPV4_WITHIN: u8 = 4;
const IPV6_WITHIN: u8 = 41;
const GRE: u8 = 47;
const GRE_HEADER_LEN: usize = 4;
/// A GRE header with a checksum, or a sequence number, is another one in each segment.
const GRE_CHECKSUM_OR_SEQUENCE: u8 = 0x90;
/// Offset of the checksum in a UDP header.
const UDP_CHECKSUM_AT: usize = 6;

/// A checked super-frame inside a tunnel.
#[derive(Copy, Clone, Debug)]
pub struct NestedSuperFrame<'a> {
    /// The whole frame, with the inner IP and TCP headers as those to be cut by.
    whole: SuperFrame<'a>,
    /// Where the outer IP header begins and ends.
    outer: usize,
    outer_end: usize,
    /// A UDP header follows it.
    is_udp: bool,
}

impl<'a> NestedSuperFrame<'a> {
    /// Checks `frame`: an IP packet that holds another one, at any place in front of the TCP header
    /// that `header` names. What is between (a VXLAN header, say) is the same in all segments.
    ///
    /// # Errors
    /// [`Refused`], whatever the bytes are; it never panics.
    pub fn check(header: VnetHeader, frame: &'a [u8]) -> Result<Self, Refused> {
        let gso = header.gso.ok_or(Refused::WrongKind)?;
        if !header.needs_csum || header.csum_offset != TCP_CSUM {
            return Err(Refused::WrongChecksum);
        }
        let (ethertype, outer) = find_l3(frame).ok_or(Refused::Truncated)?;
        let packet = frame.get(outer..).ok_or(Refused::Truncated)?;
        let (outer_len, protocol) = match ethertype {
            ETHERTYPE_IPV4 => {
                let protocol = *packet.get(9).ok_or(Refused::Truncated)?;
                (check_ipv4(packet, packet.len(), protocol)?, protocol)
            }
            ETHERTYPE_IPV6 => {
                let protocol = *packet.get(6).ok_or(Refused::Truncated)?;
                (check_ipv6(packet, packet.len(), protocol)?, protocol)
            }
            _ => return Err(Refused::WrongKind),
        };
        let outer_end = outer + outer_len;
        let l4 = usize::from(header.csum_start);
        let inner = find_inner(frame, l4, gso.kind).ok_or(Refused::WrongKind)?;
        let between = frame.get(outer_end..inner).ok_or(Refused::WrongKind)?;
        let rest = frame.len() - outer_end;
        match protocol {
            IPV4_WITHIN | IPV6_WITHIN if between.is_empty() => {}
            GRE if between.len() >= GRE_HEADER_LEN
                && between[0] & GRE_CHECKSUM_OR_SEQUENCE == 0 => {}
            UDP if between.len() >= UDP_HEADER_LEN
                && be16(between, 4).map(usize::from) == Some(rest) => {}
            _ => return Err(Refused::WrongKind),
        }
        let l4_header = check_tcp(frame.get(l4..).ok_or(Refused::Truncated)?)?;
        let header_len = l4 + l4_header;
        let payload = frame.len() - header_len; // the TCP header is within the frame
        let shape = Shape {
            header: VnetHeader {
                data_valid: false,
                ..header
            },
            l3: inner,
            header_len,
            len: frame.len(),
            size: gso.size.into(),
            segments: count_segments(gso, payload)?,
        };
        Ok(Self {
            whole: SuperFrame { shape, frame },
            outer,
            outer_end,
            is_udp: protocol == UDP,
        })
    }

    /// As [`Shape::segment_len`].
    #[must_use]
    pub const fn segment_len(&self) -> usize {
        self.whole.shape.segment_len()
    }

    /// Hands every segment to `each` in order, as a plain frame with complete checksums, written to
    /// `buffer`. Returns how many there were, or `None`, and hands over none, when `buffer` is
    /// shorter than [`segment_len`](Self::segment_len).
    pub fn for_each_segment(
        &self,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) -> Option<usize> {
        for index in 0..self.whole.segments() {
            let len = self.whole.segment(index, buffer)?;
            let frame = buffer.get_mut(..len)?;
            self.adjust_outer(frame, index)?;
            each(frame);
        }
        Some(self.whole.segments())
    }

    fn adjust_outer(&self, frame: &mut [u8], index: usize) -> Option<()> {
        let (head, within) = frame.split_at_mut_checked(self.outer_end)?;
        let ip = head.get_mut(self.outer..)?;
        adjust_ip(ip, within.len(), index)?;
        if !self.is_udp {
            return Some(());
        }
        put16(within, 4, within.len() as u16)?;
        // 0 says that there is none (RFC 768; RFC 6935 for tunnels over IPv6).
        if be16(within, UDP_CHECKSUM_AT)? != 0 {
            put16(within, UDP_CHECKSUM_AT, 0)?;
            let addresses = if ip.first()? >> 4 == 6 { 8..40 } else { 12..20 };
            let sum = Sum::new()
                .bytes(ip.get(addresses)?)
                .word(UDP.into())
                .word(within.len() as u16)
                .bytes(within);
            let checksum = match sum.checksum() {
                0 => 0xffff,
                checksum => checksum,
            };
            put16(within, UDP_CHECKSUM_AT, checksum)?;
        }
        Some(())
    }
}

/// Where the IP header begins that ends at `l4` and has all the rest of the frame behind it.
fn find_inner(frame: &[u8], l4: usize, kind: GsoKind) -> Option<usize> {
    let fits = |len: usize| {
        let at = l4.checked_sub(len)?;
        let packet = frame.get(at..)?;
        let found = match kind {
            GsoKind::TcpV4 => check_ipv4(packet, packet.len(), TCP),
            GsoKind::TcpV6 => check_ipv6(packet, packet.len(), TCP),
            GsoKind::UdpL4 => return None,
        };
        (found == Ok(len)).then_some(at)
    };
    match kind {
        GsoKind::TcpV6 => fits(40),
        _ => (20..=60).step_by(4).find_map(fits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnet::Gso;
    use proptest::prelude::*;

    const SIZE: usize = 100;
    const PAYLOAD: usize = 3 * SIZE + 7;

    fn ipv4(protocol: u8, behind: usize) -> Vec<u8> {
        let mut ip = vec![0x45, 0];
        ip.extend((20 + behind as u16).to_be_bytes());
        ip.extend([
            0xff, 0xff, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        let checksum = Sum::new().bytes(&ip).checksum();
        put16(&mut ip, 10, checksum).unwrap();
        ip
    }

    fn ipv6(protocol: u8, behind: usize) -> Vec<u8> {
        let mut ip = vec![0x60, 0, 0, 0];
        ip.extend((behind as u16).to_be_bytes());
        ip.extend([protocol, 64]);
        ip.extend([0xfd; 16]);
        ip.extend([0xfe; 16]);
        ip
    }

    fn is_v6(ip: &[u8]) -> bool {
        ip[0] >> 4 == 6
    }

    fn pseudo(ip: &[u8], protocol: u8, len: usize) -> Sum {
        let addresses = if is_v6(ip) { &ip[8..40] } else { &ip[12..20] };
        Sum::new()
            .bytes(addresses)
            .word(protocol.into())
            .word(len as u16)
    }

    /// An inner packet with a TCP header that has a partial checksum: header lengths of both, bytes.
    fn inner(v6: bool) -> (usize, Vec<u8>) {
        let tcp_len = 20 + PAYLOAD;
        let ip = if v6 {
            ipv6(TCP, tcp_len)
        } else {
            ipv4(TCP, tcp_len)
        };
        let mut tcp = vec![
            0, 80, 0, 81, 0, 0, 0, 9, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
        ];
        put16(&mut tcp, 16, pseudo(&ip, TCP, tcp_len).folded()).unwrap();
        tcp.extend((0..PAYLOAD).map(|n| n as u8));
        (ip.len(), [ip, tcp].concat())
    }

    /// Ways to put it into an outer packet: protocol, what stands between.
    fn between(kind: &str, len: usize) -> (u8, Vec<u8>) {
        match kind {
            "ipip" => (IPV4_WITHIN, Vec::new()),
            "gre" => (GRE, vec![0x20, 0, 8, 0, 0, 0, 0, 7]),
            _ => {
                let ethernet = [&[2; 12][..], &[8, 0]].concat();
                let mut udp = vec![0x12, 0x34, 0x12, 0xb5];
                udp.extend((8 + 8 + 14 + len as u16).to_be_bytes());
                udp.extend([0, u8::from(kind == "vxlan with checksum")]);
                udp.extend([8, 0, 0, 0, 0, 0, 7, 0]);
                (UDP, [udp, ethernet].concat())
            }
        }
    }

    fn nested(kind: &str, outer_v6: bool, inner_v6: bool) -> (VnetHeader, Vec<u8>) {
        let (ip_len, packet) = inner(inner_v6);
        let (protocol, between) = between(kind, packet.len());
        let behind = between.len() + packet.len();
        let outer = if outer_v6 {
            ipv6(protocol, behind)
        } else {
            ipv4(protocol, behind)
        };
        let ethertype = if outer_v6 { [0x86, 0xdd] } else { [8, 0] };
        let head = [&[2; 12][..], &[0x81, 0, 0, 5], &ethertype, &outer, &between].concat();
        let header = VnetHeader {
            needs_csum: true,
            csum_start: (head.len() + ip_len) as u16,
            csum_offset: TCP_CSUM,
            gso: Some(Gso {
                kind: if inner_v6 {
                    GsoKind::TcpV6
                } else {
                    GsoKind::TcpV4
                },
                ecn: false,
                size: SIZE as u16,
            }),
            ..VnetHeader::PLAIN
        };
        (header, [head, packet].concat())
    }

    /// Every number in the headers of an outer and an inner IP packet is right.
    fn assert_whole(kind: &str, frame: &[u8], l4: usize) {
        let outer = &frame[18..];
        let outer_len = if is_v6(outer) { 40 } else { 20 };
        let v4_ok = |ip: &[u8]| Sum::new().bytes(&ip[..20]).is_valid();
        match is_v6(outer) {
            true => assert_eq!(usize::from(be16(outer, 4).unwrap()), outer.len() - 40),
            false => {
                assert_eq!(usize::from(be16(outer, 2).unwrap()), outer.len());
                assert!(v4_ok(outer), "{kind}");
            }
        }
        if kind.starts_with("vxlan") {
            let udp = &outer[outer_len..];
            assert_eq!(usize::from(be16(udp, 4).unwrap()), udp.len());
            let has_checksum = be16(udp, 6) != Some(0);
            assert_eq!(has_checksum, kind == "vxlan with checksum");
            assert!(!has_checksum || pseudo(outer, UDP, udp.len()).bytes(udp).is_valid());
        }
        let v6 = frame[l4 - 40] >> 4 == 6;
        let ip = &frame[l4 - if v6 { 40 } else { 20 }..];
        let tcp = &frame[l4..];
        match v6 {
            true => assert_eq!(usize::from(be16(ip, 4).unwrap()), tcp.len()),
            false => assert!(v4_ok(ip) && usize::from(be16(ip, 2).unwrap()) == ip.len()),
        }
        assert!(pseudo(ip, TCP, tcp.len()).bytes(tcp).is_valid(), "{kind}");
    }

    #[test]
    fn segments_are_right_inside_and_outside() {
        for kind in ["ipip", "gre", "vxlan", "vxlan with checksum"] {
            for (outer_v6, inner_v6) in [(false, false), (true, false), (false, true), (true, true)]
            {
                let (header, frame) = nested(kind, outer_v6, inner_v6);
                assert!(
                    SuperFrame::check(header, &frame).is_err(),
                    "no device could cut it"
                );
                let found = NestedSuperFrame::check(header, &frame).unwrap();
                let l4 = usize::from(header.csum_start);
                assert_eq!(found.segment_len(), l4 + 20 + SIZE);
                let (mut count, mut payload) = (0, Vec::new());
                let segments = found.for_each_segment(&mut [0; 2000], |segment| {
                    assert_whole(kind, segment, l4);
                    let sequence = be16(&segment[l4..], 6).unwrap();
                    assert_eq!(usize::from(sequence), 9 + count * SIZE);
                    if !outer_v6 {
                        let identification = be16(&segment[18..], 4).unwrap();
                        assert_eq!(identification, 0xffff_u16.wrapping_add(count as u16));
                    }
                    payload.extend_from_slice(&segment[l4 + 20..]);
                    count += 1;
                });
                assert_eq!((segments, count), (Some(4), 4));
                assert_eq!(payload, frame[l4 + 20..]);
                let short = found.for_each_segment(&mut [0; 100], |_| unreachable!());
                assert_eq!(short, None);
            }
        }
    }

    #[test]
    fn what_differs_between_segments_is_refused() {
        let (header, frame) = nested("gre", false, false);
        let gre = 18 + 20;
        for flags in [0x80, 0x10, 0xa0] {
            let mut frame = frame.clone();
            frame[gre] = flags;
            assert!(NestedSuperFrame::check(header, &frame).is_err());
        }
        let (header, mut frame) = nested("vxlan", false, false);
        frame[gre + 5] ^= 1;
        assert!(
            NestedSuperFrame::check(header, &frame).is_err(),
            "UDP length"
        );
    }

    proptest! {
        #[test]
        fn hostile_frames(
            flips in proptest::collection::vec((0usize..200, any::<u8>()), 0..6),
            cut in 0usize..300, start in 0u16..120, size in 0u16..300, kind in 0usize..4,
        ) {
            let kind = ["ipip", "gre", "vxlan", "vxlan with checksum"][kind];
            let (mut header, mut frame) = nested(kind, false, false);
            for (at, value) in flips {
                frame[at] = value;
            }
            frame.truncate(frame.len() - cut);
            header.csum_start = if start < 60 { header.csum_start } else { start };
            header.gso.as_mut().unwrap().size = size;
            if let Ok(found) = NestedSuperFrame::check(header, &frame) {
                let mut total = 0;
                found.for_each_segment(&mut [0; 2000], |segment| total += segment.len());
                prop_assert!(total >= frame.len());
            }
        }
    }
}
