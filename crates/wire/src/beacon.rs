//! Beacons (protocol §16.2): what the gateways of one site tell each other on their LAN.
//!
//! A beacon ends with one tag for each other gateway of the site, made with a key that only these
//! two know. [`Received`] is a beacon whose tag nobody has looked at yet.

use crate::malformed::Malformed;
use crate::reader::Reader;
use crate::vlan::{VlanId, VlanSet};
use crate::vlan_list::{put_vlans, read_vlans};
use bytes::BufMut;

/// EtherType of beacons: IEEE 802 Local Experimental 1 (IEEE 802 §9.2.4).
pub const ETHERTYPE_BEACON: u16 = 0x88b5;
/// Where beacons go: a group address of our own, which bridges forward.
pub const BEACON_GROUP: [u8; 6] = [0x03, 0x72, 0x77, 0x00, 0x00, 0x01];
/// Bytes of a tag.
pub const TAG_LEN: usize = 16;
/// Other gateways of a site at most; the rest is left out.
pub const MAX_MATES: usize = 8;
/// VLANs with a priority of their own at most; the rest is left out.
pub const MAX_VLAN_PRIORITIES: usize = 32;
/// A beacon is never longer, in bytes: it fits every Ethernet.
pub const MAX_BEACON_LEN: usize = 1500;

const VERSION: u8 = 1;
const READY: u8 = 1;

/// A number that a gateway heard in another's beacon.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    /// Whose beacon.
    pub gateway: u64,
    /// Which run of it.
    pub instance: u64,
    /// The newest number heard.
    pub number: u64,
}

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Beacon {
    /// Who speaks; made from its public key.
    pub gateway: u64,
    /// Random, made when the process starts.
    pub instance: u64,
    /// Counts the beacons of this run.
    pub number: u64,
    /// Made from the name of the site.
    pub site: u64,
    /// It has been well for as long as it takes to be given VLANs back.
    pub ready: bool,
    /// How many remote sites it reaches.
    pub reach: u16,
    /// The higher, the more it wants to forward.
    pub priority: u16,
    /// Priorities for single VLANs, instead of the one above.
    pub vlan_priorities: Vec<(VlanId, u16)>,
    /// What it heard from the others.
    pub echoes: Vec<Echo>,
    /// The VLANs it could forward.
    pub serves: VlanSet,
    /// The VLANs it speaks for.
    pub claims: VlanSet,
}

impl Beacon {
    /// Appends the beacon (the Ethernet payload), with the tag that `tag` makes for each of `mates`
    /// of the bytes to be authenticated. At most [`MAX_BEACON_LEN`] bytes.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        mates: &[u64],
        mut tag: impl FnMut(u64, &[u8]) -> [u8; TAG_LEN],
    ) {
        let start = out.len();
        out.put_u8(VERSION);
        out.put_u8(if self.ready { READY } else { 0 });
        out.put_u64(self.gateway);
        out.put_u64(self.instance);
        out.put_u64(self.number);
        out.put_u64(self.site);
        out.put_u16(self.reach);
        out.put_u16(self.priority);
        let priorities = self.vlan_priorities.iter().take(MAX_VLAN_PRIORITIES);
        out.put_u8(priorities.len() as u8);
        for (vlan, priority) in priorities {
            out.put_u16(vlan.get());
            out.put_u16(*priority);
        }
        let echoes = self.echoes.iter().take(MAX_MATES);
        out.put_u8(echoes.len() as u8);
        for echo in echoes {
            out.put_u64(echo.gateway);
            out.put_u64(echo.instance);
            out.put_u64(echo.number);
        }
        put_vlans(out, &shortened(&self.serves));
        put_vlans(out, &self.claims);
        let mates = &mates[..mates.len().min(MAX_MATES)];
        out.put_u8(mates.len() as u8);
        let signed = out.len();
        for &mate in mates {
            let tag = tag(mate, &out[start..signed]);
            out.put_u64(mate);
            out.put_slice(&tag);
        }
    }

    /// The priority in one VLAN.
    #[must_use]
    pub fn priority_in(&self, vlan: VlanId) -> u16 {
        let own = self.vlan_priorities.iter().find(|(id, _)| *id == vlan);
        own.map_or(self.priority, |&(_, priority)| priority)
    }
}

/// As many of the VLANs as fit with everything else: fewer than could be, never others.
fn shortened(vlans: &VlanSet) -> VlanSet {
    const MAX_RANGES: usize = 64;
    VlanSet::from_ranges(vlans.ranges().take(MAX_RANGES))
}

/// A beacon that came in, from whomever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    beacon: Beacon,
    signed: &'a [u8],
    tags: &'a [u8],
}

impl<'a> Received<'a> {
    /// Reads the payload of a frame with [`ETHERTYPE_BEACON`]; padding behind it is ignored.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != VERSION {
            return Err(Malformed::OutOfRange);
        }
        let beacon = read_beacon(&mut reader)?;
        let mates = usize::from(reader.u8()?);
        if mates > MAX_MATES {
            return Err(Malformed::OutOfRange);
        }
        let signed = &payload[..payload.len() - reader.remaining()];
        let tags = reader.bytes(mates * (8 + TAG_LEN))?;
        Ok(Self {
            beacon,
            signed,
            tags,
        })
    }

    /// Who says to have sent it: with that one's key the tag is to be checked.
    #[must_use]
    pub const fn gateway(&self) -> u64 {
        self.beacon.gateway
    }

    /// The beacon, if `check` finds the tag for gateway `own` to be right for the bytes
    /// authenticated. Compare tags in constant time.
    pub fn verify(
        self,
        own: u64,
        check: impl FnOnce(&[u8], &[u8; TAG_LEN]) -> bool,
    ) -> Option<Beacon> {
        let (entries, _) = self.tags.as_chunks::<{ 8 + TAG_LEN }>();
        let own = own.to_be_bytes();
        let entry = entries.iter().find(|entry| entry[..8] == own)?;
        let tag = entry.last_chunk()?;
        check(self.signed, tag).then_some(self.beacon)
    }
}

fn read_beacon(reader: &mut Reader<'_>) -> Result<Beacon, Malformed> {
    // Bits that are not known are left for later versions.
    let ready = reader.u8()? & READY != 0;
    let mut beacon = Beacon {
        ready,
        gateway: reader.u64()?,
        instance: reader.u64()?,
        number: reader.u64()?,
        site: reader.u64()?,
        reach: reader.u16()?,
        priority: reader.u16()?,
        vlan_priorities: Vec::new(),
        echoes: Vec::new(),
        serves: VlanSet::empty(),
        claims: VlanSet::empty(),
    };
    let priorities = usize::from(reader.u8()?);
    if priorities > MAX_VLAN_PRIORITIES {
        return Err(Malformed::OutOfRange);
    }
    for _ in 0..priorities {
        let vlan = VlanId::new(reader.u16()?).ok_or(Malformed::OutOfRange)?;
        beacon.vlan_priorities.push((vlan, reader.u16()?));
    }
    let echoes = usize::from(reader.u8()?);
    if echoes > MAX_MATES {
        return Err(Malformed::OutOfRange);
    }
    for _ in 0..echoes {
        beacon.echoes.push(Echo {
            gateway: reader.u64()?,
            instance: reader.u64()?,
            number: reader.u64()?,
        });
    }
    beacon.serves = read_vlans(reader)?;
    beacon.claims = read_vlans(reader)?;
    Ok(beacon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Beacon {
        let vlans = |step| (0..4094).step_by(step).filter_map(VlanId::new);
        let echo = Echo {
            gateway: 3,
            instance: 4,
            number: 5,
        };
        Beacon {
            gateway: 1,
            instance: 2,
            number: 9,
            site: 77,
            ready: true,
            reach: 2,
            priority: 100,
            vlan_priorities: vlans(100).take(32).map(|vlan| (vlan, 200)).collect(),
            echoes: vec![echo; MAX_MATES],
            serves: vlans(70).collect(),
            claims: vlans(2).collect(),
        }
    }

    fn sum(mate: u64, bytes: &[u8]) -> [u8; TAG_LEN] {
        let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        let mut tag = [0; TAG_LEN];
        tag[..8].copy_from_slice(&(sum ^ mate).to_be_bytes());
        tag
    }

    #[test]
    fn the_largest_fits_a_frame_and_comes_back() {
        let mut out = Vec::new();
        full().encode(&mut out, &[11, 12, 13, 14, 15, 16, 17, 18], sum);
        assert!(out.len() <= MAX_BEACON_LEN, "{}", out.len());
        out.extend([0; 20]);
        let received = Received::parse(&out).unwrap();
        let beacon = received.verify(13, |bytes, tag| sum(13, bytes) == *tag);
        assert_eq!(beacon, Some(full()));
    }

    #[test]
    fn a_changed_byte_or_another_key_is_noticed() {
        let mut out = Vec::new();
        full().encode(&mut out, &[11, 12], sum);
        let verify = |bytes: &[u8], own: u64| {
            let received = Received::parse(bytes).unwrap();
            received.verify(own, |bytes, tag| sum(own, bytes) == *tag)
        };
        assert!(verify(&out, 11).is_some());
        assert!(verify(&out, 19).is_none(), "not meant for this one");
        out[30] ^= 1;
        assert!(verify(&out, 11).is_none());
    }

    #[test]
    fn a_short_one_is_refused() {
        let mut out = Vec::new();
        full().encode(&mut out, &[11], sum);
        for short in 0..out.len() {
            assert!(Received::parse(&out[..short]).is_err(), "{short}");
        }
        out[0] = 2;
        assert_eq!(Received::parse(&out), Err(Malformed::OutOfRange));
    }

    #[test]
    fn more_than_fits_is_left_out() {
        let mut beacon = full();
        beacon.serves = beacon.claims.clone();
        let mut out = Vec::new();
        beacon.encode(&mut out, &[1; 20], sum);
        assert!(out.len() <= MAX_BEACON_LEN, "{}", out.len());
        let read = Received::parse(&out).unwrap().verify(1, |_, _| true);
        let serves = read.unwrap().serves;
        assert!(serves.is_subset(&beacon.serves) && serves.len() == 64);
    }
}
