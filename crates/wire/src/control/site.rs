//! Control messages about sites with several gateways (protocol §16.3): LEASE asks a remote
//! gateway for the right to forward, GRANT answers, ADDRESSES names stations.

use super::put;
use crate::ethernet::Mac;
use crate::malformed::Malformed;
use crate::reader::Reader;
use crate::vlan::{VlanId, VlanSet};
use crate::vlan_list::{put_vlans, read_vlans};
use bytes::BufMut;

/// Type of LEASE.
pub const LEASE: u8 = 16;
/// Type of GRANT.
pub const GRANT: u8 = 17;
/// Type of ADDRESSES.
pub const ADDRESSES: u8 = 18;
/// Stations in one ADDRESSES at most: it fits a datagram of the smallest path.
pub const MAX_ADDRESSES: usize = 128;

const ALONE: u8 = 1;
const MAC_LEN: usize = 6;

/// A gateway asks for, refreshes and gives back the right to forward between its site and the
/// receiver. What the newest one does not name is given back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Counts up in a session, whatever the message says.
    pub number: u64,
    /// How long the right is to last from the moment this was sent, in milliseconds.
    pub term_ms: u16,
    /// Which gateway of its site asks, as in beacons.
    pub gateway: u64,
    /// The sender hears no other gateway of its site on the LAN.
    pub alone: bool,
    /// The VLANs the sender wants to forward, all of them.
    pub vlans: VlanSet,
}

/// The answer to a [`Lease`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// That of the LEASE: the term began when that one was sent.
    pub number: u64,
    /// The VLANs the receiver may forward for that term, all of them.
    pub vlans: VlanSet,
    /// Of those it asked for, the ones that another gateway of its site holds.
    pub held: VlanSet,
    /// Which gateway: of several the one that asked last. It means nothing when `held` is empty, and
    /// neither does its age.
    pub holder: u64,
    /// How long ago that one asked, in milliseconds.
    pub held_age_ms: u16,
}

/// Stations in one VLAN behind the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses<'a> {
    /// Their VLAN.
    pub vlan: VlanId,
    macs: &'a [u8],
}

impl Addresses<'_> {
    /// The stations' addresses; one that no station can have is left out.
    pub fn macs(&self) -> impl Iterator<Item = Mac> + '_ {
        let (macs, _) = self.macs.as_chunks::<MAC_LEN>();
        let macs = macs.iter().copied().map(Mac);
        macs.filter(|mac| !mac.is_multicast() && *mac != Mac::default())
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteMessage<'a> {
    /// See [`Lease`].
    Lease(Box<Lease>),
    /// See [`Grant`].
    Grant(Box<Grant>),
    /// See [`Addresses`].
    Addresses(Addresses<'a>),
}

impl<'a> SiteMessage<'a> {
    /// Reads the value of a [`super::Control::Site`].
    ///
    /// # Errors
    /// What is wrong with it; such a message is to be dropped, and those behind it count.
    pub fn parse(kind: u8, value: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let message = match kind {
            LEASE => Self::Lease(Box::new(Lease {
                number: reader.u64()?,
                term_ms: reader.u16()?,
                gateway: reader.u64()?,
                // Bits that are not known are left for later versions.
                alone: reader.u8()? & ALONE != 0,
                vlans: read_vlans(&mut reader)?,
            })),
            GRANT => Self::Grant(Box::new(Grant {
                number: reader.u64()?,
                held_age_ms: reader.u16()?,
                holder: reader.u64()?,
                vlans: read_vlans(&mut reader)?,
                held: read_vlans(&mut reader)?,
            })),
            ADDRESSES => Self::Addresses(Addresses {
                vlan: VlanId::new(reader.u16()?).ok_or(Malformed::OutOfRange)?,
                macs: reader.rest(),
            }),
            _ => return Err(Malformed::OutOfRange),
        };
        let whole = match &message {
            Self::Addresses(addresses) => addresses.macs.len().is_multiple_of(MAC_LEN),
            _ => reader.is_empty(),
        };
        if whole {
            Ok(message)
        } else {
            Err(Malformed::WrongLength)
        }
    }
}

/// Appends a LEASE.
pub fn put_lease(out: &mut Vec<u8>, lease: &Lease) {
    put(out, LEASE, |out| {
        out.put_u64(lease.number);
        out.put_u16(lease.term_ms);
        out.put_u64(lease.gateway);
        out.put_u8(if lease.alone { ALONE } else { 0 });
        put_vlans(out, &lease.vlans);
    });
}

/// Appends a GRANT.
pub fn put_grant(out: &mut Vec<u8>, grant: &Grant) {
    put(out, GRANT, |out| {
        out.put_u64(grant.number);
        out.put_u16(grant.held_age_ms);
        out.put_u64(grant.holder);
        put_vlans(out, &grant.vlans);
        put_vlans(out, &grant.held);
    });
}

/// Appends an ADDRESSES with the first [`MAX_ADDRESSES`] of `macs`; how many that were.
pub fn put_addresses(
    out: &mut Vec<u8>,
    vlan: VlanId,
    macs: impl IntoIterator<Item = Mac>,
) -> usize {
    let mut count = 0;
    put(out, ADDRESSES, |out| {
        out.put_u16(vlan.get());
        for mac in macs.into_iter().take(MAX_ADDRESSES) {
            out.put_slice(&mac.0);
            count += 1;
        }
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Control, Controls};

    fn vlans(ids: &[u16]) -> VlanSet {
        ids.iter().filter_map(|&id| VlanId::new(id)).collect()
    }

    fn site_messages(section: &[u8]) -> Vec<SiteMessage<'_>> {
        Controls::new(section)
            .map(|control| match control {
                Ok(Control::Site { kind, value }) => SiteMessage::parse(kind, value).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn they_come_back_as_they_were_written() {
        let lease = Lease {
            number: 7,
            term_ms: 120,
            gateway: 3,
            alone: true,
            vlans: vlans(&[0, 10, 11]),
        };
        let grant = Grant {
            number: 7,
            vlans: vlans(&[10]),
            held: vlans(&[0, 11]),
            holder: 4,
            held_age_ms: 25,
        };
        let macs = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];
        let mut section = Vec::new();
        put_lease(&mut section, &lease);
        put_grant(&mut section, &grant);
        put_addresses(&mut section, VlanId::MAX, macs);
        let read = site_messages(&section);
        assert_eq!(read[0], SiteMessage::Lease(Box::new(lease)));
        assert_eq!(read[1], SiteMessage::Grant(Box::new(grant)));
        let SiteMessage::Addresses(addresses) = &read[2] else {
            panic!("{:?}", read[2]);
        };
        assert_eq!(addresses.vlan, VlanId::MAX);
        assert_eq!(addresses.macs().collect::<Vec<_>>(), macs);
    }

    #[test]
    fn a_grant_of_the_longest_lists_fits_a_small_datagram() {
        let every_second: VlanSet = (0..4094).step_by(2).filter_map(VlanId::new).collect();
        let mut section = Vec::new();
        let grant = Grant {
            number: u64::MAX,
            held: every_second.clone(),
            vlans: every_second,
            holder: 0,
            held_age_ms: 0,
        };
        put_grant(&mut section, &grant);
        assert!(section.len() < 1100, "{}", section.len());
        let many = (0..200).map(|i| Mac([2, 0, 0, 0, 0, i]));
        let mut section = Vec::new();
        let written = put_addresses(&mut section, VlanId::UNTAGGED, many);
        assert_eq!((written, section.len()), (MAX_ADDRESSES, 3 + 2 + 6 * 128));
    }

    #[test]
    fn what_is_too_long_or_no_station_is_refused() {
        let long = [0, 10, 2, 0, 0, 0, 0, 1, 9];
        assert_eq!(
            SiteMessage::parse(ADDRESSES, &long),
            Err(Malformed::WrongLength)
        );
        let mut lease = vec![0; 19];
        lease.extend([0, 0]);
        assert_eq!(
            SiteMessage::parse(LEASE, &lease),
            Err(Malformed::WrongLength)
        );
        assert!(SiteMessage::parse(LEASE, &lease[..20]).is_ok());
        let group = [0, 10, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let Ok(SiteMessage::Addresses(addresses)) = SiteMessage::parse(ADDRESSES, &group) else {
            panic!("well-formed");
        };
        assert_eq!(addresses.macs().count(), 0);
    }
}
