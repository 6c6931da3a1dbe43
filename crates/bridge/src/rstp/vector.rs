//! Priority vectors (clauses 17.5 and 17.6).

use wire::bpdu::{BridgeIdentifier, Message, PortIdentifier};

/// A spanning tree priority vector without the receiving port; the lower one is the better one, by
/// the first component that differs.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PriorityVector {
    /// RootBridgeID.
    pub root: BridgeIdentifier,
    /// RootPathCost.
    pub root_path_cost: u32,
    /// DesignatedBridgeID.
    pub designated_bridge: BridgeIdentifier,
    /// DesignatedPortID.
    pub designated_port: PortIdentifier,
}

impl PriorityVector {
    /// The vector of a bridge that is root (BridgePriority, clause 17.18.3).
    pub(super) fn of_bridge(bridge: BridgeIdentifier) -> Self {
        Self {
            root: bridge,
            root_path_cost: 0,
            designated_bridge: bridge,
            designated_port: PortIdentifier::default(),
        }
    }

    /// The message priority vector (clause 17.6).
    pub(super) const fn of_message(message: &Message) -> Self {
        Self {
            root: message.root,
            root_path_cost: message.root_path_cost,
            designated_bridge: message.bridge,
            designated_port: message.port,
        }
    }

    /// The root path priority vector (clause 17.6): what the port's neighbour says, and the cost
    /// of getting there.
    pub(super) const fn through(self, port_path_cost: u32) -> Self {
        Self {
            root_path_cost: self.root_path_cost.saturating_add(port_path_cost),
            ..self
        }
    }

    /// Whether the same port of the same bridge said both.
    pub(super) fn same_source(&self, other: &Self) -> bool {
        self.designated_bridge.address() == other.designated_bridge.address()
            && self.designated_port.number() == other.designated_port.number()
    }
}
