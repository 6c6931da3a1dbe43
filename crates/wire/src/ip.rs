//! Read-only views of IPv4 (RFC 791) and IPv6 (RFC 8200) packets, as far as telling flows apart
//! needs them. No checksum is verified.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of DCCP.
pub const DCCP: u8 = 33;
/// Protocol number of SCTP.
pub const SCTP: u8 = 132;
/// Protocol number of UDP-Lite.
pub const UDP_LITE: u8 = 136;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
/// RFC 8200 §4.1 has a sender use at most 6; more than this is not looked through.
const MAX_EXTENSIONS: usize = 8;
const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

/// An IPv4 packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ipv4<'a> {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// It is a fragment, the first one included: only that one would have ports.
    pub fragment: bool,
    /// The bytes behind the header and its options, up to the total length.
    pub payload: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// Reads a packet from the bytes behind the EtherType; padding behind it is fine. `None` when
    /// version or lengths are wrong. A total length of 0 or beyond the bytes, as of a super-frame
    /// that is still to be cut, counts as "to the end".
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; IPV4_HEADER_LEN] = bytes.first_chunk()?;
        let [
            version,
            _,
            t0,
            t1,
            _,
            _,
            f0,
            f1,
            _,
            protocol,
            _,
            _,
            addresses @ ..,
        ] = *header;
        let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
        let header_len = usize::from(version & 0x0f) * 4;
        if version >> 4 != 4 || header_len < IPV4_HEADER_LEN {
            return None;
        }
        let end = match usize::from(u16::from_be_bytes([t0, t1])) {
            0 => bytes.len(),
            total => total.min(bytes.len()),
        };
        Some(Self {
            src: Ipv4Addr::new(s0, s1, s2, s3),
            dst: Ipv4Addr::new(d0, d1, d2, d3),
            protocol,
            // More-fragments flag and offset: all but reserved and don't-fragment.
            fragment: u16::from_be_bytes([f0, f1]) & 0x3fff != 0,
            payload: bytes.get(header_len..end)?,
        })
    }
}

/// An IPv6 packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ipv6<'a> {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// What the last extension header that could be looked through names. Of a fragment: what its
    /// fragment header names, so that all fragments of a packet agree.
    pub protocol: u8,
    /// It is a fragment, the first one included.
    pub fragment: bool,
    /// The bytes behind those headers.
    pub payload: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// Reads a packet from the bytes behind the EtherType. `None` when the version is wrong or the
    /// fixed header cut. Walks up to 8 extension headers; one that is cut is left in the payload.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk::<IPV6_HEADER_LEN>()?;
        let [version, _, _, _, l0, l1, protocol, _, addresses @ ..] = *header;
        if version >> 4 != 6 {
            return None;
        }
        let (src, dst) = addresses.split_first_chunk::<16>()?;
        let dst: &[u8; 16] = dst.first_chunk()?;
        let len = match usize::from(u16::from_be_bytes([l0, l1])) {
            0 => payload.len(),
            len => len.min(payload.len()),
        };
        let mut packet = Self {
            src: Ipv6Addr::from(*src),
            dst: Ipv6Addr::from(*dst),
            protocol,
            fragment: false,
            payload: payload.get(..len)?,
        };
        for _ in 0..MAX_EXTENSIONS {
            if packet.fragment || packet.skip_extension().is_none() {
                break;
            }
        }
        Some(packet)
    }

    /// Steps over one extension header; `None` when there is none, or not all of it.
    fn skip_extension(&mut self) -> Option<()> {
        let [next, len, f0, f1] = *self.payload.first_chunk()?;
        let len = match self.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(len) + 1) * 8,
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            FRAGMENT => 8,
            _ => return None,
        };
        self.payload = self.payload.get(len..)?;
        if self.protocol == FRAGMENT {
            // Offset and more-fragments; an "atomic" fragment (RFC 6946) has neither and is whole.
            self.fragment = u16::from_be_bytes([f0, f1]) & 0xfff9 != 0;
        }
        self.protocol = next;
        Some(())
    }
}

/// Source and destination port at the start of `payload`, for the protocols that have them there.
#[must_use]
pub fn ports(protocol: u8, payload: &[u8]) -> Option<(u16, u16)> {
    let [s0, s1, d0, d1] = *payload.first_chunk()?;
    matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE)
        .then_some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ipv4(first: u8, total: u16, fragment: u16, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![
            first, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
        ];
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
        bytes.extend_from_slice(tail);
        bytes
    }

    fn ipv6(next: u8, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, tail.len() as u8, next, 64];
        bytes.extend([1; 16]);
        bytes.extend([2; 16]);
        bytes.extend_from_slice(tail);
        bytes
    }

    #[test]
    fn ipv4_packets() {
        let tail = [0, 1, 0, 2, 9, 9];
        for (first, total, fragment, expected) in [
            (0x45, 26, 0, Some((false, 6))),
            (0x45, 24, 0x4000, Some((false, 4))),
            (0x45, 26, 0x2000, Some((true, 6))),
            (0x45, 26, 0x0001, Some((true, 6))),
            (0x46, 26, 0, Some((false, 2))),
            (0x45, 0, 0, Some((false, 6))),
            (0x45, 2000, 0, Some((false, 6))),
            (0x44, 26, 0, None),
            (0x65, 26, 0, None),
            (0x47, 26, 0, None),
            (0x45, 19, 0, None),
        ] {
            let bytes = ipv4(first, total, fragment, &tail);
            let found = Ipv4::parse(&bytes).map(|packet| (packet.fragment, packet.payload.len()));
            assert_eq!(found, expected, "{first:x} {total} {fragment:x}");
        }
        let bytes = ipv4(0x45, 26, 0, &tail);
        let packet = Ipv4::parse(&bytes).unwrap();
        assert_eq!(
            (packet.src, packet.dst),
            ([192, 0, 2, 1].into(), [192, 0, 2, 2].into())
        );
        assert_eq!(ports(packet.protocol, packet.payload), Some((1, 2)));
        assert_eq!(Ipv4::parse(&bytes[..19]), None);
    }

    #[test]
    fn ipv6_extensions_are_walked() {
        let ports = [0, 1, 0, 2];
        let options = [FRAGMENT, 0, 0, 0, 0, 0, 0, 0];
        for (next, headers, protocol, fragment, left) in [
            (TCP, vec![], TCP, false, 4),
            (HOP_BY_HOP, vec![UDP, 0, 0, 0, 0, 0, 0, 0], UDP, false, 4),
            (
                AUTHENTICATION,
                vec![TCP, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                TCP,
                false,
                4,
            ),
            (FRAGMENT, vec![UDP, 0, 0, 1, 0, 0, 0, 0], UDP, true, 4),
            (FRAGMENT, vec![UDP, 0, 0, 8, 0, 0, 0, 0], UDP, true, 4),
            (FRAGMENT, vec![UDP, 0, 0, 0, 0, 0, 0, 0], UDP, false, 4),
            (
                DESTINATION,
                [&options[..], &[TCP, 0, 1, 0, 0, 0, 0, 0]].concat(),
                TCP,
                true,
                4,
            ),
            (ROUTING, vec![TCP, 9, 0, 0, 0, 0, 0, 0], ROUTING, false, 12),
        ] {
            let bytes = ipv6(next, &[&headers[..], &ports].concat());
            let packet = Ipv6::parse(&bytes).unwrap();
            let found = (packet.protocol, packet.fragment, packet.payload.len());
            assert_eq!(found, (protocol, fragment, left), "{next} {headers:?}");
        }
        let endless = ipv6(HOP_BY_HOP, &[0; 200]);
        assert_eq!(
            Ipv6::parse(&endless).unwrap().payload.len(),
            200 - 8 * MAX_EXTENSIONS
        );
        assert_eq!(Ipv6::parse(&endless[..39]), None);
        assert_eq!(Ipv6::parse(&[0x40; 60]), None);
    }

    #[test]
    fn ports_only_where_there_are_some() {
        assert_eq!(ports(1, &[0, 1, 0, 2]), None);
        assert_eq!(ports(TCP, &[0, 1, 0]), None);
        assert_eq!(ports(SCTP, &[0, 1, 0, 2]), Some((1, 2)));
    }

    proptest! {
        #[test]
        fn hostile_bytes(version in prop_oneof![Just(0x45u8), Just(0x60), any::<u8>()],
                         rest in proptest::collection::vec(any::<u8>(), 0..120)) {
            let bytes = [&[version][..], &rest].concat();
            let _ = (Ipv4::parse(&bytes), Ipv6::parse(&bytes));
        }
    }
}
