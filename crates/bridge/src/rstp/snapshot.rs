//! What there is to see of a spanning tree.

use super::port::{Port, PortRole};
use super::port_state_transition::port_state;
use super::tree::Tree;
use super::vector::PriorityVector;
use crate::port::{PortId, PortState};
use wire::bpdu::{BridgeIdentifier, Times};

/// A bridge's state (clause 14.8.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RstpSnapshot {
    /// This bridge.
    pub bridge: BridgeIdentifier,
    /// The root bridge; this one, when it is.
    pub root: BridgeIdentifier,
    /// The cost of the path there.
    pub root_path_cost: u32,
    /// The port towards it; `None` at the root.
    pub root_port: Option<PortId>,
    /// The times in force, which are the root's.
    pub times: Times,
    /// Whether a topology change is being told.
    pub topology_change: bool,
    /// How often the topology has changed.
    pub topology_changes: u64,
    /// How often the machines did not come to rest within their bound; an error when not 0.
    pub unsettled: u64,
    /// The most rounds in which they did.
    pub rounds: usize,
    /// The ports, by ascending id.
    pub ports: Vec<RstpPortSnapshot>,
}

/// A port's state (clause 14.8.2.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RstpPortSnapshot {
    /// The port.
    pub port: PortId,
    /// Its role.
    pub role: PortRole,
    /// Its state.
    pub state: PortState,
    /// Its cost.
    pub path_cost: u32,
    /// Whose word counts on this LAN, and what it says: the port priority vector.
    pub priority: PriorityVector,
    /// No bridge is behind it.
    pub edge: bool,
    /// The LAN has only one other end.
    pub point_to_point: bool,
    /// STP is spoken here, since the neighbour knows nothing else.
    pub stp: bool,
    /// BPDU guard has shut it.
    pub shut: bool,
    /// Root guard keeps it from being root.
    pub root_guarded: bool,
    /// It hears its own BPDUs.
    pub self_looped: bool,
    /// BPDUs received that counted.
    pub received: u64,
    /// Frames refused as BPDUs.
    pub invalid: u64,
    /// BPDUs sent.
    pub sent: u64,
}

impl RstpSnapshot {
    pub(super) fn of(tree: &Tree) -> Self {
        let root_port = tree.root_port.and_then(|at| tree.ports.get(at));
        Self {
            bridge: tree.bridge_identifier,
            root: tree.root_priority.root,
            root_path_cost: tree.root_priority.root_path_cost,
            root_port: root_port.map(|port| port.id),
            times: tree.root_times,
            topology_change: tree.topology_changing,
            topology_changes: tree.topology_changes,
            unsettled: tree.unsettled,
            rounds: tree.rounds,
            ports: tree.ports.iter().map(RstpPortSnapshot::of).collect(),
        }
    }

    /// The state of one port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<&RstpPortSnapshot> {
        self.ports.iter().find(|port| port.port == id)
    }
}

impl RstpPortSnapshot {
    fn of(port: &Port) -> Self {
        Self {
            port: port.id,
            role: port.role,
            state: port_state(port.machines.state),
            path_cost: port.path_cost(),
            priority: port.port_priority,
            edge: port.oper_edge,
            point_to_point: port.oper_point_to_point(),
            stp: !port.send_rstp,
            shut: port.shut,
            root_guarded: port.root_guarded,
            self_looped: port.self_looped,
            received: port.counters.received,
            invalid: port.counters.invalid,
            sent: port.counters.sent,
        }
    }
}
