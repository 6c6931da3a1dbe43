//! Ethernet frames (IEEE 802.3) and their VLAN tags (IEEE 802.1Q §9), without FCS.

use std::fmt;
use std::str::FromStr;

/// Bytes of the two addresses and the EtherType.
pub const HEADER_LEN: usize = 14;
/// Bytes of a VLAN tag.
pub const TAG_LEN: usize = 4;
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// EtherType of a C-VLAN tag, the one that names a VLAN here.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// EtherType of an S-VLAN tag. A frame that begins with one counts as untagged.
pub const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

const ADDRESSES_LEN: usize = 12;
const VID_MASK: u16 = 0x0fff;
const DEI: u16 = 0x1000;

/// A MAC address.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations: ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Where PAUSE frames go (IEEE 802.3 Annex 31B): 01:80:c2:00:00:01.
    pub const PAUSE: Self = Self([0x01, 0x80, 0xc2, 0, 0, 1]);

    /// A group address, broadcast included.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// The address of all stations.
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        matches!(self.0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    }

    /// One of the addresses that a VLAN bridge does not forward (IEEE 802.1Q table 8-1):
    /// 01:80:c2:00:00:00 to 0f.
    #[must_use]
    pub const fn is_reserved_link_local(self) -> bool {
        matches!(self.0, [0x01, 0x80, 0xc2, 0, 0, 0..=0x0f])
    }
}

impl From<[u8; 6]> for Mac {
    fn from(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMacError {
    /// Not six groups.
    #[error("a MAC address has 6 groups like 16:b9:3f:58:cb:4c, this has {0}")]
    Groups(usize),
    /// A group that is not two hexadecimal digits.
    #[error("`{0}` in a MAC address is not two hexadecimal digits")]
    Group(String),
}

impl FromStr for Mac {
    type Err = ParseMacError;

    /// Six groups of two hexadecimal digits, with `:` or `-` between them.
    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let separator = if text.contains(':') { ':' } else { '-' };
        let groups = text.split(separator);
        let mut bytes = [0; 6];
        let count = groups.clone().count();
        if count != bytes.len() {
            return Err(ParseMacError::Groups(count));
        }
        for (byte, group) in bytes.iter_mut().zip(groups) {
            let digits = group.len() == 2 && group.bytes().all(|digit| digit.is_ascii_hexdigit());
            let value = digits.then(|| u8::from_str_radix(group, 16).ok()).flatten();
            *byte = value.ok_or_else(|| ParseMacError::Group(group.to_owned()))?;
        }
        Ok(Self(bytes))
    }
}

/// The contents of a VLAN tag.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// VLAN identifier, 12 bits: 0 is a priority tag, 4095 is reserved.
    pub vlan: u16,
    /// Priority code point, 3 bits.
    pub priority: u8,
    /// Drop eligible indicator.
    pub dei: bool,
}

impl Tag {
    /// Splits tag control information.
    #[must_use]
    pub const fn from_tci(tci: u16) -> Self {
        Self {
            vlan: tci & VID_MASK,
            priority: (tci >> 13) as u8,
            dei: tci & DEI != 0,
        }
    }

    /// Tag control information; what is beyond a field's bits is cut.
    #[must_use]
    pub const fn tci(self) -> u16 {
        let dei = if self.dei { DEI } else { 0 };
        (self.priority as u16) << 13 | dei | self.vlan & VID_MASK
    }
}

/// A frame that is long enough for its header, and for its outer VLAN tag if it has one.
#[derive(Copy, Clone, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    dst: Mac,
    src: Mac,
    ethertype: u16,
    tag: Option<Tag>,
}

/// What is behind the VLAN tags of a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Inner<'a> {
    /// VLAN identifiers of the first and the second tag, 0 where there is none.
    pub vlans: [u16; 2],
    /// EtherType behind the tags.
    pub ethertype: u16,
    /// The bytes behind that EtherType.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// `None` for fewer than [`HEADER_LEN`] bytes, or too few for the 0x8100 tag they begin.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let ethertype = u16::from_be_bytes([t0, t1]);
        let mut tag = None;
        if ethertype == ETHERTYPE_VLAN {
            let (tci, _) = split_tag(bytes.get(HEADER_LEN..)?)?;
            tag = Some(Tag::from_tci(tci));
        }
        let (dst, src) = (Mac([d0, d1, d2, d3, d4, d5]), Mac([s0, s1, s2, s3, s4, s5]));
        Some(Self {
            bytes,
            dst,
            src,
            ethertype,
            tag,
        })
    }

    /// All bytes of the frame.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Destination address.
    #[must_use]
    pub const fn dst(&self) -> Mac {
        self.dst
    }

    /// Source address.
    #[must_use]
    pub const fn src(&self) -> Mac {
        self.src
    }

    /// The EtherType (or length) behind the addresses: 0x8100 for a tagged frame.
    #[must_use]
    pub const fn ethertype(&self) -> u16 {
        self.ethertype
    }

    /// The outer tag, where that is a C-VLAN tag (0x8100). With 0x88a8 outside, there is none.
    #[must_use]
    pub const fn tag(&self) -> Option<Tag> {
        self.tag
    }

    /// Looks through up to two VLAN tags of either EtherType.
    #[must_use]
    pub fn inner(&self) -> Inner<'a> {
        let payload = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        let mut inner = Inner {
            vlans: [0; 2],
            ethertype: self.ethertype,
            payload,
        };
        for vlan in &mut inner.vlans {
            if !matches!(inner.ethertype, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN) {
                break;
            }
            let Some((tci, rest)) = split_tag(inner.payload) else {
                break;
            };
            let Some((ethertype, _)) = inner.payload.get(2..).and_then(<[u8]>::split_first_chunk)
            else {
                break;
            };
            *vlan = tci & VID_MASK;
            inner.ethertype = u16::from_be_bytes(*ethertype);
            inner.payload = rest;
        }
        inner
    }

    /// The frame split where its first tag is or would be: addresses, then the rest without the
    /// outer C-VLAN tag.
    fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (addresses, rest) = self.bytes.split_at_checked(ADDRESSES_LEN)?;
        let tag = if self.tag.is_some() { TAG_LEN } else { 0 };
        Some((addresses, rest.get(tag..)?))
    }
}

/// Tag control information and what follows the tag, given the bytes behind the tag's EtherType.
fn split_tag(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let ([a, b, _, _], rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes([*a, *b]), rest))
}

/// Writes `frame` to `out` with a further C-VLAN tag outside, and returns the length written.
/// `None`, and nothing of use in `out`, when it is too short.
#[must_use]
pub fn push_tag(out: &mut [u8], frame: &Frame<'_>, tci: u16) -> Option<usize> {
    let (addresses, rest) = frame.bytes.split_at_checked(ADDRESSES_LEN)?;
    join(out, [addresses, &tag_bytes(tci), rest])
}

/// Writes `frame` to `out` with this C-VLAN tag in place of the one it has, or in addition when it
/// has none, and returns the length written. `None` when `out` is too short.
#[must_use]
pub fn write_tagged(out: &mut [u8], frame: &Frame<'_>, tci: u16) -> Option<usize> {
    let (addresses, rest) = frame.split()?;
    join(out, [addresses, &tag_bytes(tci), rest])
}

/// Writes `frame` to `out` without its outer C-VLAN tag, if it has one, and returns the length
/// written. `None` when `out` is too short.
#[must_use]
pub fn pop_tag(out: &mut [u8], frame: &Frame<'_>) -> Option<usize> {
    let (addresses, rest) = frame.split()?;
    join(out, [addresses, &[], rest])
}

fn tag_bytes(tci: u16) -> [u8; TAG_LEN] {
    let [a, b] = ETHERTYPE_VLAN.to_be_bytes();
    let [c, d] = tci.to_be_bytes();
    [a, b, c, d]
}

fn join(out: &mut [u8], parts: [&[u8]; 3]) -> Option<usize> {
    let mut at = 0;
    for part in parts {
        out.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(at)
}

#[cfg(test)]
mod tests;
