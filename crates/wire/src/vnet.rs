//! The virtio-net header (virtio 1.2 §5.1.6.1, `virtio_net_hdr_v1`): what stands before an Ethernet
//! frame when its checksum is still partial, or when it is a super-frame that is still to be cut.
//!
//! Parsing tells only that the values are known ones. Whether they fit the frame behind them says
//! [`crate::superframe`].

use crate::malformed::Malformed;

/// Bytes of the header, `num_buffers` included.
pub const VNET_LEN: usize = 12;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What a super-frame holds many segments of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams over either, one per segment.
    UdpL4,
}

/// How to cut a super-frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Which protocol's headers each segment gets.
    pub kind: GsoKind,
    /// The TCP header has CWR set, which only the first segment keeps.
    pub ecn: bool,
    /// Payload bytes behind the TCP or UDP header of each segment but the last, which may have
    /// fewer.
    pub size: u16,
}

/// A virtio-net header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct VnetHeader {
    /// The checksum is partial: its field holds the folded sum of the pseudo-header, and what
    /// reaches a wire gets the complement of the sum from `csum_start` to the end of the frame.
    pub needs_csum: bool,
    /// The checksum has been verified by who delivers the frame.
    pub data_valid: bool,
    /// The frame is a super-frame.
    pub gso: Option<Gso>,
    /// Bytes of all headers of a super-frame: a hint, which Linux gives too small and too large.
    pub hdr_len: u16,
    /// Offset in the frame of the first byte that the checksum covers.
    pub csum_start: u16,
    /// Offset of the checksum's field behind `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// The header of a frame that is complete as it is.
    pub const PLAIN: Self = Self {
        needs_csum: false,
        data_valid: false,
        gso: None,
        hdr_len: 0,
        csum_start: 0,
        csum_offset: 0,
    };

    /// Reads the first [`VNET_LEN`] of `bytes`; what is behind them does not matter. `num_buffers`
    /// is ignored: Linux leaves those bytes of a TAP's reader as they were.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] for fewer bytes, [`Malformed::UnknownFlags`] for flags that are
    /// neither of the two above, and [`Malformed::OutOfRange`] for a type of super-frame that is
    /// none of [`GsoKind`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let header: &[u8; VNET_LEN] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1, _, _] = *header;
        if flags & !(NEEDS_CSUM | DATA_VALID) != 0 {
            return Err(Malformed::UnknownFlags);
        }
        let kind = match gso_type & !GSO_ECN {
            // ECN without segments says nothing, and is not refused.
            GSO_NONE => None,
            GSO_TCPV4 => Some(GsoKind::TcpV4),
            GSO_TCPV6 => Some(GsoKind::TcpV6),
            GSO_UDP_L4 => Some(GsoKind::UdpL4),
            _ => return Err(Malformed::OutOfRange),
        };
        Ok(Self {
            needs_csum: flags & NEEDS_CSUM != 0,
            data_valid: flags & DATA_VALID != 0,
            gso: kind.map(|kind| Gso {
                kind,
                ecn: gso_type & GSO_ECN != 0,
                size: u16::from_le_bytes([g0, g1]),
            }),
            hdr_len: u16::from_le_bytes([h0, h1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
        })
    }

    /// Splits what a TAP device with virtio-net headers gave, or a record that has one: the header,
    /// and the frame behind it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn split(record: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let header = Self::parse(record)?;
        Ok((header, record.get(VNET_LEN..).unwrap_or_default()))
    }

    /// The header as bytes, little-endian, `num_buffers` 0.
    #[must_use]
    pub const fn encode(&self) -> [u8; VNET_LEN] {
        let flags = if self.needs_csum { NEEDS_CSUM } else { 0 }
            | if self.data_valid { DATA_VALID } else { 0 };
        let (gso_type, size) = match self.gso {
            None => (GSO_NONE, 0),
            Some(gso) => {
                let kind = match gso.kind {
                    GsoKind::TcpV4 => GSO_TCPV4,
                    GsoKind::TcpV6 => GSO_TCPV6,
                    GsoKind::UdpL4 => GSO_UDP_L4,
                };
                (kind | if gso.ecn { GSO_ECN } else { 0 }, gso.size)
            }
        };
        let [h0, h1] = self.hdr_len.to_le_bytes();
        let [g0, g1] = size.to_le_bytes();
        let [s0, s1] = self.csum_start.to_le_bytes();
        let [o0, o1] = self.csum_offset.to_le_bytes();
        [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1, 0, 0]
    }

    /// Whether the frame is complete as it is: nothing is to be computed or cut. That its checksum
    /// has been verified is not needed for that.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        !self.needs_csum && self.gso.is_none()
    }

    /// Moves what the header points at: by +4 bytes when a VLAN tag was put in before it, by −4
    /// when one was taken out. At the ends of 16 bits the values stay, and no longer pass a check.
    pub const fn shift(&mut self, by: isize) {
        let by = if by > i16::MAX as isize {
            i16::MAX
        } else if by < i16::MIN as isize {
            i16::MIN
        } else {
            by as i16
        };
        if self.needs_csum {
            self.csum_start = self.csum_start.saturating_add_signed(by);
        }
        if self.hdr_len != 0 {
            self.hdr_len = self.hdr_len.saturating_add_signed(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TSO: VnetHeader = VnetHeader {
        needs_csum: true,
        data_valid: false,
        gso: Some(Gso {
            kind: GsoKind::TcpV6,
            ecn: true,
            size: 1440,
        }),
        hdr_len: 74,
        csum_start: 54,
        csum_offset: 16,
    };

    #[test]
    fn bytes_are_those_of_the_standard() {
        let bytes = [1, 0x84, 74, 0, 0xa0, 5, 54, 0, 16, 0, 0, 0];
        assert_eq!(TSO.encode(), bytes);
        assert_eq!(VnetHeader::parse(&bytes), Ok(TSO));
        assert_eq!(VnetHeader::PLAIN.encode(), [0; VNET_LEN]);
        let record = [&bytes[..], &[7, 8]].concat();
        assert_eq!(VnetHeader::split(&record), Ok((TSO, &[7, 8][..])));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let with = |at: usize, value: u8| {
            let mut bytes = TSO.encode();
            bytes[at] = value;
            VnetHeader::parse(&bytes)
        };
        assert_eq!(with(0, 4), Err(Malformed::UnknownFlags));
        for kind in [2, 3, 6, 0x21, 0x41] {
            assert_eq!(with(1, kind), Err(Malformed::OutOfRange), "{kind}");
        }
        assert_eq!(with(11, 9), Ok(TSO), "num_buffers");
        assert_eq!(VnetHeader::parse(&[0; 11]), Err(Malformed::Truncated));
    }

    #[test]
    fn plain_is_what_needs_no_work() {
        assert!(VnetHeader::PLAIN.is_plain() && !TSO.is_plain());
        let mut header = VnetHeader::PLAIN;
        header.data_valid = true;
        assert!(header.is_plain());
        header.needs_csum = true;
        assert!(!header.is_plain());
    }

    #[test]
    fn a_tag_moves_what_is_pointed_at() {
        let mut header = TSO;
        header.shift(4);
        assert_eq!((header.csum_start, header.hdr_len), (58, 78));
        assert_eq!(header.csum_offset, 16);
        header.shift(-8);
        assert_eq!((header.csum_start, header.hdr_len), (50, 70));
        header.shift(isize::MIN);
        assert_eq!((header.csum_start, header.hdr_len), (0, 0));
        let mut plain = VnetHeader::PLAIN;
        plain.shift(4);
        assert_eq!(plain, VnetHeader::PLAIN);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_again(bytes in proptest::collection::vec(any::<u8>(), 0..20),
                                         flags in 0u8..6, kind in 0u8..7) {
            let mut bytes = bytes;
            if let Some(start) = bytes.get_mut(..2) {
                start.copy_from_slice(&[flags, kind]);
            }
            if let Ok(header) = VnetHeader::parse(&bytes) {
                prop_assert_eq!(VnetHeader::parse(&header.encode()), Ok(header));
                let meaningful = if header.gso.is_some() { 0..10 } else { 6..10 };
                prop_assert_eq!(&header.encode()[meaningful.clone()], &bytes[meaningful]);
            }
        }
    }
}
