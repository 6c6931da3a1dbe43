//! Which gateway of a site is to speak for a VLAN: the same answer at each that sees the same.

use wire::beacon::Beacon;
use wire::vlan::{VlanId, VlanSet};

/// Orders the gateways of a site, per VLAN: by how many remote sites they reach, then whether they
/// have been well for long enough, then by priority, then so that VLANs spread evenly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ranking {
    /// All of the configuration, sorted.
    gateways: Vec<u64>,
}

/// What a gateway is judged by in one VLAN; the greatest speaks.
type Rank = (u16, bool, u16, bool, u64);

impl Ranking {
    /// For a site of these gateways, the own one included.
    #[must_use]
    pub(super) fn new(gateways: impl IntoIterator<Item = u64>) -> Self {
        let mut gateways: Vec<u64> = gateways.into_iter().collect();
        gateways.sort_unstable();
        gateways.dedup();
        Self { gateways }
    }

    /// The VLANs in which `own` comes before all `others` that serve them.
    #[must_use]
    pub(super) fn best(&self, own: &Beacon, others: &[&Beacon]) -> VlanSet {
        if others.is_empty() {
            return own.serves.clone();
        }
        let is_best = |vlan: &VlanId| {
            let rank = self.rank(own, *vlan);
            let mut rivals = others.iter().filter(|other| other.serves.contains(*vlan));
            rivals.all(|other| rank > self.rank(other, *vlan))
        };
        own.serves.iter().filter(is_best).collect()
    }

    fn rank(&self, gateway: &Beacon, vlan: VlanId) -> Rank {
        let first = self.first_choice(vlan) == Some(gateway.gateway);
        let score = score(gateway.gateway, vlan);
        let priority = gateway.priority_in(vlan);
        (gateway.reach, gateway.ready, priority, first, score)
    }

    /// People number their VLANs in steps of 1, 10 or 100. The sum of the digits takes turns in all
    /// three cases, where a hash would often give two VLANs to one gateway and none to the other.
    fn first_choice(&self, vlan: VlanId) -> Option<u64> {
        let id = vlan.get();
        let digits = id / 1000 + id / 100 % 10 + id / 10 % 10 + id % 10;
        let count = self.gateways.len().max(1);
        self.gateways.get(usize::from(digits) % count).copied()
    }
}

/// Rendezvous hashing: the order in which the others follow the first choice, and that a gateway's
/// coming or going does not change among the rest. Finaliser of splitmix64.
const fn score(gateway: u64, vlan: VlanId) -> u64 {
    let mixed = gateway ^ (vlan.get() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
