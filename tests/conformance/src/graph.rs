//! What a spanning tree must be, found without one.

use crate::network::{End, Network};
use bridge::PortState;
use bridge::rstp::PortRole;
use wire::bpdu::BridgeIdentifier;

/// Sets that are joined one by one.
pub struct Unions(Vec<usize>);

impl Unions {
    /// `count` sets of one each.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// Which set `at` is in, by one of its members.
    #[must_use]
    pub fn find(&self, mut at: usize) -> usize {
        while self.0[at] != at {
            at = self.0[at];
        }
        at
    }

    /// Joins two sets; `false` when they were one before.
    pub fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a] = b;
        a != b
    }
}

/// A network to be checked.
pub struct Wiring<'a> {
    pub(crate) network: &'a Network,
}

impl Wiring<'_> {
    fn lan(&self, at: usize) -> usize {
        self.network.nodes.len() + at
    }

    /// What is joined by LANs that are up, whatever ports do.
    fn components(&self) -> Unions {
        let mut unions = Unions::new(self.network.nodes.len() + self.network.lans.len());
        for (at, lan) in self.network.lans.iter().enumerate() {
            for &(node, _) in lan.ends.iter().filter(|_| lan.up) {
                unions.join(node, self.lan(at));
            }
        }
        unions
    }

    fn identifier(&self, node: usize) -> BridgeIdentifier {
        let config = &self.network.nodes[node].config;
        BridgeIdentifier::new(config.priority, config.address)
    }

    /// The bridge that must be the root for `node`, and the least cost of getting there, as
    /// Bellman and Ford find it.
    fn expected(&self, components: &Unions, node: usize) -> (BridgeIdentifier, u32) {
        let nodes = self.network.nodes.len();
        let same = |other: &usize| components.find(*other) == components.find(node);
        let members: Vec<usize> = (0..nodes).filter(same).collect();
        let root = members.iter().map(|&member| self.identifier(member)).min();
        let root = root.expect("a node is a member of its own component");
        let mut cost: Vec<Option<u32>> = (0..nodes)
            .map(|at| (self.identifier(at) == root).then_some(0))
            .collect();
        for _ in 0..nodes {
            for lan in self.network.lans.iter().filter(|lan| lan.up) {
                let nearest = lan.ends.iter().filter_map(|&(at, _)| cost[at]).min();
                for &(at, port) in &lan.ends {
                    let through = nearest.map(|nearest| nearest + self.path_cost((at, port)));
                    cost[at] = cost[at].into_iter().chain(through).min();
                }
            }
        }
        (root, cost[node].expect("the root is in the same component"))
    }

    fn path_cost(&self, (node, port): End) -> u32 {
        let snapshot = self.network.nodes[node].rstp.snapshot();
        snapshot.port(port).map_or(0, |port| port.path_cost)
    }

    /// What is not as it must be when the tree has converged; empty when all is.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let components = self.components();
        let mut complaints = Vec::new();
        for node in 0..self.network.nodes.len() {
            let (root, cost) = self.expected(&components, node);
            let owner = &self.network.nodes[node];
            let snapshot = owner.rstp.snapshot();
            if (snapshot.root, snapshot.root_path_cost) != (root, cost) {
                complaints.push(format!(
                    "{} takes {} at {} for the root, not {root} at {cost}",
                    owner.name, snapshot.root, snapshot.root_path_cost
                ));
            }
            for port in &snapshot.ports {
                let told = owner.states.get(&port.port).copied();
                let settled = match port.role {
                    PortRole::Root | PortRole::Designated => PortState::Forwarding,
                    _ => PortState::Discarding,
                };
                if told != Some(port.state) || port.state != settled {
                    complaints.push(format!("{}: {port:?}, told {told:?}", owner.name));
                }
            }
        }
        complaints.extend(self.not_spanning(&components));
        complaints
    }

    /// Bridges and LANs that are joined, but not by ports that forward.
    fn not_spanning(&self, components: &Unions) -> Vec<String> {
        let mut reached = Unions::new(self.network.nodes.len() + self.network.lans.len());
        for (at, lan) in self.network.lans.iter().enumerate() {
            for &end in lan.ends.iter().filter(|_| lan.up) {
                if self.network.forwards(end) && !reached.join(end.0, self.lan(at)) {
                    return vec![format!("{} closes a loop", lan.name)];
                }
            }
        }
        let mut complaints = Vec::new();
        for (at, lan) in self.network.lans.iter().enumerate() {
            for &(node, _) in lan.ends.iter().filter(|_| lan.up) {
                let joined = components.find(node) == components.find(self.lan(at));
                if joined && reached.find(node) != reached.find(self.lan(at)) {
                    let name = &self.network.nodes[node].name;
                    complaints.push(format!("{name} does not reach {}", lan.name));
                }
            }
        }
        complaints
    }
}
