//! The ports of the switch: what they are, and which VLANs they carry.

use crate::drop::DropReason;
use crate::form::Form;
use wire::ethernet::Tag;
use wire::vlan::{VlanId, VlanSet};

/// A switch has at most this many ports, and their ids are below it.
pub const MAX_PORTS: u16 = 1024;

/// Names a port of the switch. Whoever adds the port chooses it, below [`MAX_PORTS`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

/// What is behind a port. VLAN 0 stands for frames without a VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// An Ethernet port of this node.
    Local(PortVlans),
    /// A peer, and the VLANs that both ends let it carry.
    Peer(VlanSet),
}

/// How a local port handles VLANs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per port, and never moved for a frame"
)]
pub enum PortVlans {
    /// A piece of wire: every frame passes as it is, tagged ones in their VLAN, others in VLAN 0.
    Transparent,
    /// Frames without tag, all in this VLAN; tagged ones are dropped (except for those that have
    /// only a priority).
    Access(VlanId),
    /// Tagged frames of several VLANs.
    Trunk {
        /// The VLANs whose frames are tagged here. 0 is none of them: a tag cannot say it.
        allowed: VlanSet,
        /// The VLAN of frames without tag; without it, they are dropped.
        native: Option<VlanId>,
    },
}

/// What a port does with frames (IEEE 802.1Q §8.4).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum PortState {
    /// Nothing goes in or out.
    Discarding,
    /// Sources are learned; nothing goes in or out.
    Learning,
    /// Normal work.
    #[default]
    Forwarding,
}

impl PortKind {
    /// Whether this is a peer's port.
    #[must_use]
    pub const fn is_peer(&self) -> bool {
        matches!(self, Self::Peer(_))
    }

    /// Whether frames in `vlan` leave through this port.
    #[must_use]
    pub fn carries(&self, vlan: VlanId) -> bool {
        match self {
            Self::Peer(vlans) => vlans.contains(vlan),
            Self::Local(PortVlans::Transparent) => true,
            Self::Local(PortVlans::Access(own)) => *own == vlan,
            Self::Local(PortVlans::Trunk { allowed, native }) => {
                *native == Some(vlan) || vlan != VlanId::UNTAGGED && allowed.contains(vlan)
            }
        }
    }

    /// How a frame in `vlan` leaves through this port.
    #[must_use]
    pub fn form(&self, vlan: VlanId) -> Form {
        match self {
            Self::Local(PortVlans::Access(_)) => Form::Untagged,
            Self::Local(PortVlans::Trunk { native, .. }) if *native == Some(vlan) => Form::Untagged,
            _ if vlan == VlanId::UNTAGGED => Form::AsIs,
            _ => Form::Tagged(vlan),
        }
    }

    /// Whether frames to reserved link-local addresses may pass this port: where it is, or may be,
    /// a piece of the wire between two transparent ports.
    pub(crate) const fn passes_link_local(&self) -> bool {
        matches!(self, Self::Peer(_) | Self::Local(PortVlans::Transparent))
    }

    /// The VLAN of a frame that came in here with this outer tag (IEEE 802.1Q §6.9, §8.6.2).
    pub(crate) fn classify(&self, tag: Option<Tag>) -> Result<VlanId, DropReason> {
        let id = VlanId::new(tag.map_or(0, |tag| tag.vlan)).ok_or(DropReason::ReservedVlan)?;
        // A priority tag names no VLAN, so the frame counts as untagged.
        let tagged = id != VlanId::UNTAGGED;
        let vlan = match self {
            Self::Local(PortVlans::Access(_)) if tagged => return Err(DropReason::TaggedOnAccess),
            Self::Local(PortVlans::Access(own)) => *own,
            Self::Local(PortVlans::Trunk { native, .. }) if !tagged => {
                native.ok_or(DropReason::UntaggedOnTrunk)?
            }
            _ => id,
        };
        if self.carries(vlan) {
            Ok(vlan)
        } else {
            Err(DropReason::VlanNotAllowed)
        }
    }
}

/// The ports by which a frame leaves, ascending. Reuse it: it keeps its buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet {
    ports: Vec<PortId>,
}

impl PortSet {
    /// No port.
    #[must_use]
    pub const fn new() -> Self {
        Self { ports: Vec::new() }
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = PortId> + '_ {
        self.ports.iter().copied()
    }

    /// The ports in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[PortId] {
        &self.ports
    }

    /// How many ports.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.ports.clear();
    }

    pub(crate) fn push(&mut self, port: PortId) {
        self.ports.push(port);
    }
}

impl<'a> IntoIterator for &'a PortSet {
    type Item = PortId;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, PortId>>;

    fn into_iter(self) -> Self::IntoIter {
        self.ports.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlan(id: u16) -> VlanId {
        VlanId::new(id).unwrap()
    }

    fn trunk(allowed: &[u16], native: Option<u16>) -> PortKind {
        let allowed = allowed.iter().copied().map(vlan).collect();
        PortKind::Local(PortVlans::Trunk {
            allowed,
            native: native.map(vlan),
        })
    }

    fn peer(vlans: &[u16]) -> PortKind {
        PortKind::Peer(vlans.iter().copied().map(vlan).collect())
    }

    const TRANSPARENT: PortKind = PortKind::Local(PortVlans::Transparent);

    /// Port, VID of the outer tag (`None`: no tag), expected VLAN or reason.
    #[test]
    fn classification() {
        use DropReason::{ReservedVlan, TaggedOnAccess, UntaggedOnTrunk, VlanNotAllowed};
        let access = PortKind::Local(PortVlans::Access(vlan(10)));
        for (kind, tag, expected) in [
            (&TRANSPARENT, None, Ok(0)),
            (&TRANSPARENT, Some(0), Ok(0)),
            (&TRANSPARENT, Some(10), Ok(10)),
            (&TRANSPARENT, Some(4094), Ok(4094)),
            (&TRANSPARENT, Some(4095), Err(ReservedVlan)),
            (&access, None, Ok(10)),
            (&access, Some(0), Ok(10)),
            (&access, Some(10), Err(TaggedOnAccess)),
            (&access, Some(11), Err(TaggedOnAccess)),
            (&access, Some(4095), Err(ReservedVlan)),
            (&trunk(&[10, 11], None), None, Err(UntaggedOnTrunk)),
            (&trunk(&[10, 11], None), Some(0), Err(UntaggedOnTrunk)),
            (&trunk(&[10, 11], None), Some(11), Ok(11)),
            (&trunk(&[10, 11], None), Some(12), Err(VlanNotAllowed)),
            (&trunk(&[10, 11], Some(10)), None, Ok(10)),
            (&trunk(&[10, 11], Some(10)), Some(0), Ok(10)),
            (&trunk(&[10, 11], Some(10)), Some(10), Ok(10)),
            (&trunk(&[11], Some(10)), Some(10), Ok(10)),
            (&trunk(&[11], Some(10)), Some(4095), Err(ReservedVlan)),
            (&trunk(&[11], Some(0)), None, Ok(0)),
            (&trunk(&[0, 11], None), None, Err(UntaggedOnTrunk)),
            (&peer(&[0, 10]), None, Ok(0)),
            (&peer(&[0, 10]), Some(0), Ok(0)),
            (&peer(&[0, 10]), Some(10), Ok(10)),
            (&peer(&[0, 10]), Some(11), Err(VlanNotAllowed)),
            (&peer(&[10]), None, Err(VlanNotAllowed)),
            (&peer(&[10]), Some(4095), Err(ReservedVlan)),
        ] {
            let tag = tag.map(|vlan| Tag {
                vlan,
                priority: 5,
                dei: false,
            });
            let found = kind.classify(tag).map(VlanId::get);
            assert_eq!(found, expected, "{kind:?} {tag:?}");
        }
    }

    #[test]
    fn membership_and_form() {
        let access = PortKind::Local(PortVlans::Access(vlan(10)));
        let tagged = |id| Some(Form::Tagged(vlan(id)));
        for (kind, id, expected) in [
            (&TRANSPARENT, 0, Some(Form::AsIs)),
            (&TRANSPARENT, 10, tagged(10)),
            (&access, 10, Some(Form::Untagged)),
            (&access, 0, None),
            (&access, 11, None),
            (&trunk(&[10, 11], Some(10)), 10, Some(Form::Untagged)),
            (&trunk(&[10, 11], Some(10)), 11, tagged(11)),
            (&trunk(&[10, 11], Some(10)), 12, None),
            (&trunk(&[0, 10], None), 0, None),
            (&trunk(&[10], Some(0)), 0, Some(Form::Untagged)),
            (&peer(&[0, 10]), 0, Some(Form::AsIs)),
            (&peer(&[0, 10]), 10, tagged(10)),
            (&peer(&[0, 10]), 11, None),
        ] {
            let found = kind.carries(vlan(id)).then(|| kind.form(vlan(id)));
            assert_eq!(found, expected, "{kind:?} {id}");
        }
    }
}
