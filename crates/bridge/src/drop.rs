//! Why the switch does not forward a frame.

use std::fmt;

/// Names what became of a frame that goes nowhere; each is counted under its name.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// It came from a port that the switch does not have (any more).
    UnknownPort,
    /// The port it came from is discarding.
    PortDiscarding,
    /// The port it came from only learns yet.
    PortLearning,
    /// Too short for an Ethernet header, or for the VLAN tag it begins.
    Runt,
    /// Its tag names VLAN 4095, which IEEE 802.1Q reserves.
    ReservedVlan,
    /// It has a VLAN tag, and the port is an access port.
    TaggedOnAccess,
    /// It has no VLAN tag, and the port is a trunk without native VLAN.
    UntaggedOnTrunk,
    /// The port it came from is not a member of its VLAN.
    VlanNotAllowed,
    /// A PAUSE frame: it means the one link it was sent on.
    Pause,
    /// To an address of the link, which a VLAN bridge does not forward.
    LinkLocal,
    /// Its destination is behind the port it came from.
    SamePort,
    /// From one peer to another, and the node is not a relay.
    SplitHorizon,
    /// No other port that forwards is a member of its VLAN.
    NoEgressPort,
    /// A broadcast beyond the limit of the port it came from.
    StormBroadcast,
    /// A multicast beyond the limit of the port it came from.
    StormMulticast,
    /// To an unknown station, beyond the limit of the port it came from.
    StormUnknown,
}

impl DropReason {
    /// Every reason, for listings.
    pub const ALL: [Self; 16] = [
        Self::UnknownPort,
        Self::PortDiscarding,
        Self::PortLearning,
        Self::Runt,
        Self::ReservedVlan,
        Self::TaggedOnAccess,
        Self::UntaggedOnTrunk,
        Self::VlanNotAllowed,
        Self::Pause,
        Self::LinkLocal,
        Self::SamePort,
        Self::SplitHorizon,
        Self::NoEgressPort,
        Self::StormBroadcast,
        Self::StormMulticast,
        Self::StormUnknown,
    ];

    /// The name under which it is counted and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPort => "unknown-port",
            Self::PortDiscarding => "port-discarding",
            Self::PortLearning => "port-learning",
            Self::Runt => "runt",
            Self::ReservedVlan => "reserved-vlan",
            Self::TaggedOnAccess => "tagged-on-access",
            Self::UntaggedOnTrunk => "untagged-on-trunk",
            Self::VlanNotAllowed => "vlan-not-allowed",
            Self::Pause => "pause",
            Self::LinkLocal => "link-local",
            Self::SamePort => "same-port",
            Self::SplitHorizon => "split-horizon",
            Self::NoEgressPort => "no-egress-port",
            Self::StormBroadcast => "storm-broadcast",
            Self::StormMulticast => "storm-multicast",
            Self::StormUnknown => "storm-unknown-unicast",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_kebab_case_and_differ() {
        let names: BTreeSet<_> = DropReason::ALL
            .into_iter()
            .map(DropReason::as_str)
            .collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase()),
                "{name}"
            );
        }
    }
}
