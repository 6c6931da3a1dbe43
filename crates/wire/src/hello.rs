//! Hello (protocol §2): what the ends tell each other inside of both handshake messages.

use crate::control::RoleCode;
use crate::malformed::Malformed;
use crate::reader::Reader;
use crate::vlan::{VlanId, VlanSet};
use bytes::BufMut;

/// Bytes of an encoded Hello.
pub const HELLO_LEN: usize = 512;
/// A name longer than this many bytes is cut.
pub const MAX_NAME_LEN: usize = 64;
/// A longer name of a site is cut; refuse a configuration with one.
pub const MAX_SITE_LEN: usize = 32;
/// Uplinks after these are left out.
pub const MAX_UPLINKS: usize = 16;
/// VLAN ranges after these are left out: the peer is then offered less than it could have, never
/// more. Refuse a configuration with more of them, so that it does not happen.
pub const MAX_VLAN_RANGES: usize = 64;
/// The longest record of a node that does not say: a frame of 1500 bytes behind two VLAN tags.
pub const DEFAULT_MAX_FRAME: u32 = 1522;

/// Cipher bit: AES-256-GCM is supported, or chosen.
pub const CIPHER_AES_256_GCM: u8 = 1;
/// Cipher bit: ChaCha20-Poly1305 is supported, or chosen.
pub const CIPHER_CHACHA20_POLY1305: u8 = 2;
/// Cipher bit: AES is preferred, being done in hardware.
pub const CIPHER_PREFER_AES: u8 = 4;
/// Capability bit: records may have virtio-net headers, and with them partial checksums.
pub const CAPABILITY_VNET: u64 = 1;
/// Capability bit: records may be ordered ([`crate::payload::Order`]).
pub const CAPABILITY_ORDERED: u64 = 2;

const END: u8 = 0;
const INSTANCE: u8 = 1;
const TIMESTAMP: u8 = 2;
const GENERATION: u8 = 3;
const CIPHERS: u8 = 4;
const CAPABILITIES: u8 = 5;
const MAX_FRAME: u8 = 6;
const NAME: u8 = 7;
const UPLINKS: u8 = 8;
const VLANS: u8 = 9;
const PEER_INSTANCE: u8 = 10;
const VERSIONS: u8 = 11;
const SITE: u8 = 12;

/// The protocol versions that this implementation speaks, lowest and highest.
pub const VERSIONS_SPOKEN: (u8, u8) = (1, 1);

/// What one end says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Random, made when the process starts: a change means that the node restarted.
    pub instance: u64,
    /// Wall clock, nanoseconds since 1970; 0: no clock.
    pub timestamp: u64,
    /// Counts the keys of the session.
    pub generation: u32,
    /// `CIPHER_…` bits.
    pub ciphers: u8,
    /// `CAPABILITY_…` bits; unknown ones are kept.
    pub capabilities: u64,
    /// The longest record this node takes, in bytes.
    pub max_frame: u32,
    /// For people only: at most [`MAX_NAME_LEN`] bytes, nothing that would upset a terminal.
    pub name: String,
    /// Uplink ids (0 to 254) and their roles, at most [`MAX_UPLINKS`].
    pub uplinks: Vec<(u8, RoleCode)>,
    /// The VLANs this end allows; `None`: all.
    pub vlans: Option<VlanSet>,
    /// The instance this node last knew of the other; 0: none.
    pub peer_instance: u64,
    /// The protocol versions it speaks, lowest and highest: the highest that both speak is used.
    pub versions: (u8, u8),
    /// The site whose LAN the node shares with other gateways, at most [`MAX_SITE_LEN`] bytes;
    /// empty: none.
    pub site: String,
}

impl Default for Hello {
    /// What a Hello without any field says.
    fn default() -> Self {
        Self {
            instance: 0,
            timestamp: 0,
            generation: 0,
            ciphers: 0,
            capabilities: 0,
            max_frame: DEFAULT_MAX_FRAME,
            name: String::new(),
            uplinks: Vec::new(),
            vlans: None,
            peer_instance: 0,
            versions: VERSIONS_SPOKEN,
            site: String::new(),
        }
    }
}

impl Hello {
    /// The Hello's bytes. It always fits: what is beyond [`MAX_NAME_LEN`], [`MAX_UPLINKS`] and
    /// [`MAX_VLAN_RANGES`] is left out.
    #[must_use]
    pub fn encode(&self) -> [u8; HELLO_LEN] {
        let mut fields = Vec::with_capacity(HELLO_LEN);
        put(&mut fields, INSTANCE, &self.instance.to_be_bytes());
        put(&mut fields, TIMESTAMP, &self.timestamp.to_be_bytes());
        put(&mut fields, GENERATION, &self.generation.to_be_bytes());
        put(&mut fields, CIPHERS, &[self.ciphers]);
        put(&mut fields, CAPABILITIES, &self.capabilities.to_be_bytes());
        put(&mut fields, MAX_FRAME, &self.max_frame.to_be_bytes());
        let name = sanitise(&self.name, MAX_NAME_LEN);
        if !name.is_empty() {
            put(&mut fields, NAME, name.as_bytes());
        }
        let uplinks = self.uplinks.iter().take(MAX_UPLINKS);
        let uplinks: Vec<u8> = uplinks
            .flat_map(|&(id, role)| [id, role.to_byte()])
            .collect();
        put(&mut fields, UPLINKS, &uplinks);
        if let Some(vlans) = &self.vlans {
            put(&mut fields, VLANS, &encode_vlans(vlans));
        }
        put(
            &mut fields,
            PEER_INSTANCE,
            &self.peer_instance.to_be_bytes(),
        );
        put(&mut fields, VERSIONS, &[self.versions.0, self.versions.1]);
        let site = sanitise(&self.site, MAX_SITE_LEN);
        if !site.is_empty() {
            put(&mut fields, SITE, site.as_bytes());
        }
        fields.resize(HELLO_LEN, END);
        let mut out = [0; HELLO_LEN];
        out.copy_from_slice(&fields);
        out
    }

    /// Reads a Hello. Fields may come in any order; of a repeated one the last counts, except that
    /// VLAN ranges and uplinks add up (an uplink has the role it is first named with). Unknown ones
    /// are skipped.
    ///
    /// # Errors
    /// [`Malformed::MissingField`] without an instance or a generation, else what is wrong with a
    /// field.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut hello = Self::default();
        let (mut has_instance, mut has_generation) = (false, false);
        while !reader.is_empty() {
            let kind = reader.u8()?;
            if kind == END {
                break;
            }
            let len = reader.u16()?;
            hello.read_field(kind, reader.bytes(len.into())?)?;
            has_instance |= kind == INSTANCE;
            has_generation |= kind == GENERATION;
        }
        if has_instance && has_generation {
            Ok(hello)
        } else {
            Err(Malformed::MissingField)
        }
    }

    /// The highest protocol version that both ends speak, if there is one.
    #[must_use]
    pub fn common_version(&self, other: &Self) -> Option<u8> {
        let highest = self.versions.1.min(other.versions.1);
        (highest >= self.versions.0.max(other.versions.0)).then_some(highest)
    }

    fn read_field(&mut self, kind: u8, value: &[u8]) -> Result<(), Malformed> {
        match kind {
            INSTANCE => self.instance = u64::from_be_bytes(fixed(value)?),
            TIMESTAMP => self.timestamp = u64::from_be_bytes(fixed(value)?),
            GENERATION => self.generation = u32::from_be_bytes(fixed(value)?),
            CIPHERS => self.ciphers = u8::from_be_bytes(fixed(value)?),
            CAPABILITIES => self.capabilities = u64::from_be_bytes(fixed(value)?),
            MAX_FRAME => self.max_frame = u32::from_be_bytes(fixed(value)?),
            NAME => self.name = sanitise(&String::from_utf8_lossy(value), MAX_NAME_LEN),
            UPLINKS => read_uplinks(&mut self.uplinks, value)?,
            VLANS => read_vlans(self.vlans.get_or_insert_default(), value)?,
            PEER_INSTANCE => self.peer_instance = u64::from_be_bytes(fixed(value)?),
            VERSIONS => self.versions = fixed::<2>(value).map(|[low, high]| (low, high))?,
            SITE => self.site = sanitise(&String::from_utf8_lossy(value), MAX_SITE_LEN),
            _ => {}
        }
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.put_u8(kind);
    out.put_u16(value.len() as u16);
    out.put_slice(value);
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed::WrongLength)
}

fn encode_vlans(vlans: &VlanSet) -> Vec<u8> {
    let ranges = vlans.ranges().take(MAX_VLAN_RANGES);
    ranges
        .flat_map(|range| [range.start().get(), range.end().get()])
        .flat_map(u16::to_be_bytes)
        .collect()
}

fn read_vlans(vlans: &mut VlanSet, value: &[u8]) -> Result<(), Malformed> {
    let (ranges, rest) = value.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Malformed::WrongLength);
    }
    for &[a, b, c, d] in ranges {
        let vlan = |bytes| VlanId::new(u16::from_be_bytes(bytes)).ok_or(Malformed::OutOfRange);
        let (first, last) = (vlan([a, b])?, vlan([c, d])?);
        if first > last {
            return Err(Malformed::OutOfRange);
        }
        vlans.insert_range(first..=last);
    }
    Ok(())
}

fn read_uplinks(uplinks: &mut Vec<(u8, RoleCode)>, value: &[u8]) -> Result<(), Malformed> {
    let (pairs, rest) = value.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Malformed::WrongLength);
    }
    for &[id, role] in pairs {
        if id == u8::MAX {
            return Err(Malformed::OutOfRange);
        }
        let known = uplinks.iter().any(|&(other, _)| other == id);
        if uplinks.len() < MAX_UPLINKS && !known {
            uplinks.push((id, RoleCode::from_byte(role)));
        }
    }
    Ok(())
}

/// A name that may be shown: control characters, and those that turn the direction of writing or
/// break lines, become `?`; cut to `max` bytes at a character's end.
fn sanitise(name: &str, max: usize) -> String {
    let mut shown = String::new();
    for char in name.chars() {
        let hostile = char.is_control()
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let char = if hostile { '?' } else { char };
        if shown.len() + char.len_utf8() > max {
            break;
        }
        shown.push(char);
    }
    shown
}

#[cfg(test)]
mod tests;
