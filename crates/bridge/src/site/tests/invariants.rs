//! What must hold at every moment in a network of gateways.

use super::world::{State, VLANS, World, vlan};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// The pairs of gateways of different sites that carry a VLAN now. A stopped gateway counts: it
    /// could go on at any moment.
    pub(super) fn carrying(&self, id: u16) -> Vec<(usize, usize)> {
        let live = |node: usize| self.nodes[node].state != State::Crashed;
        let carries = |a: usize, b: usize| {
            self.nodes[a]
                .sites
                .carries(b as u16, vlan(id), self.clock(a))
        };
        let pairs = self
            .sessions
            .iter()
            .filter(|(_, session)| session.number != 0);
        let pairs = pairs.map(|(&pair, _)| pair);
        let carrying = pairs.filter(|&(a, b)| live(a) && live(b) && carries(a, b) && carries(b, a));
        carrying.collect()
    }

    /// Never two pairs of gateways between two sites, never two gateways of one site; nor two that
    /// think they may forward to the same gateway, whatever that one accepts.
    pub(super) fn check(&self) {
        if self.split_allowed {
            return;
        }
        for id in VLANS {
            for remote in 0..self.nodes.len() {
                self.check_holders(id, remote);
            }
            let carrying = self.carrying(id);
            let site = |node: usize| self.nodes[node].site.unwrap_or(node as u64);
            let mut between = BTreeSet::new();
            let mut speakers: BTreeMap<u64, usize> = BTreeMap::new();
            for &(a, b) in &carrying {
                assert!(
                    between.insert((site(a), site(b))),
                    "VLAN {id} at {:?}: {carrying:?} carry at once",
                    self.now
                );
                for node in [a, b] {
                    let speaker = *speakers.entry(site(node)).or_insert(node);
                    assert!(
                        speaker == node || self.scattered_allowed,
                        "VLAN {id} at {:?}: two gateways of one site: {carrying:?}",
                        self.now
                    );
                }
            }
        }
    }

    fn check_holders(&self, id: u16, remote: usize) {
        let mut holders: BTreeMap<u64, usize> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let pair = (at.min(remote), at.max(remote));
            let session = self.sessions.get(&pair).is_some_and(|s| s.number != 0);
            let holder = node.sites.holder();
            let may = holder.may_forward(remote as u16, vlan(id), self.clock(at));
            if let (Some(site), true) = (node.site, may && session && node.state != State::Crashed)
            {
                let other = holders.insert(site, at);
                assert_eq!(
                    other, None,
                    "VLAN {id} at {:?}: {at} too may forward to {remote}",
                    self.now
                );
            }
        }
    }
}
