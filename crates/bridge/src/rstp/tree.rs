//! The bridge's variables (clause 17.18), and the loop that runs all machines.

use super::config::{ForceVersion, RstpConfig};
use super::event::{RstpEvent, RstpSink, TopologyChangeCause};
use super::port::Port;
use super::vector::PriorityVector;
use super::{
    bridge_detection, port_information, port_protocol_migration, port_receive, port_role_selection,
    port_role_transitions, port_state_transition, port_timers, port_transmit, topology_change,
};
use wire::bpdu::{BridgeIdentifier, Times};
use wire::ethernet::Mac;

/// Rounds of the settling loop: so many for the bridge, and for each of its ports. Rest was
/// reached within 20 in every run of the conformance tests.
const MAX_ROUNDS: usize = 64;
const MAX_ROUNDS_PER_PORT: usize = 8;

/// A bridge and its ports.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) bridge_identifier: BridgeIdentifier,
    pub(super) bridge_times: Times,
    pub(super) root_priority: PriorityVector,
    pub(super) root_times: Times,
    /// The root port, by its place among `ports`.
    pub(super) root_port: Option<usize>,
    /// rstpVersion (clause 17.20.11).
    pub(super) rstp_version: bool,
    pub(super) ports: Vec<Port>,
    /// Why the topology changed, until it is told.
    pub(super) topology_change_cause: Option<TopologyChangeCause>,
    pub(super) topology_changing: bool,
    pub(super) topology_changes: u64,
    pub(super) unsettled: u64,
    /// The most rounds that were needed.
    pub(super) rounds: usize,
    address: Mac,
    tx_hold_count: u8,
    /// What was last told of the root.
    told_root: PriorityVector,
}

impl Tree {
    pub(super) fn new(config: &RstpConfig) -> Self {
        let bridge_identifier = BridgeIdentifier::new(config.priority, config.address);
        let own = PriorityVector::of_bridge(bridge_identifier);
        Self {
            bridge_identifier,
            bridge_times: config.times(),
            root_priority: own,
            root_times: config.times(),
            root_port: None,
            rstp_version: config.version == ForceVersion::Rstp,
            ports: Vec::new(),
            topology_change_cause: None,
            topology_changing: false,
            topology_changes: 0,
            unsettled: 0,
            rounds: 0,
            address: config.address,
            tx_hold_count: config.tx_hold_count,
            told_root: own,
        }
    }

    /// A second has passed: Port Timers, then the others.
    pub(super) fn tick(&mut self, sink: &mut dyn RstpSink) {
        self.ports.iter_mut().for_each(port_timers::tick);
        self.settle(sink);
    }

    /// Runs the machines until none moves, then tells what became of it.
    pub(super) fn settle(&mut self, sink: &mut dyn RstpSink) {
        let most = MAX_ROUNDS + MAX_ROUNDS_PER_PORT * self.ports.len();
        match (1..=most).find(|_| !self.round(sink)) {
            Some(rounds) => self.rounds = self.rounds.max(rounds),
            None => {
                self.unsettled += 1;
                sink.event(RstpEvent::Unsettled);
            }
        }
        self.tell(sink);
    }

    /// One step of every machine; whether any moved. BPDUs go out only when the others rest, so
    /// that they say where this leads to.
    fn round(&mut self, sink: &mut dyn RstpSink) -> bool {
        let rstp = self.rstp_version;
        let mut moved = false;
        for port in &mut self.ports {
            moved |= port_receive::step(port);
            moved |= port_protocol_migration::step(port, rstp, sink);
            moved |= bridge_detection::step(port);
            moved |= port_information::step(port, rstp, sink);
        }
        moved |= port_role_selection::step(self, sink);
        for at in 0..self.ports.len() {
            moved |= port_role_transitions::step(self, at);
            moved |= port_state_transition::step(&mut self.ports[at], sink);
            moved |= topology_change::step(self, at, sink);
        }
        if !moved {
            for port in &mut self.ports {
                moved |= port_transmit::step(port, self.address, self.tx_hold_count, sink);
            }
        }
        moved
    }

    fn tell(&mut self, sink: &mut dyn RstpSink) {
        for port in &mut self.ports {
            if port.role != port.told_role {
                port.told_role = port.role;
                sink.event(RstpEvent::Role {
                    port: port.id,
                    role: port.role,
                });
            }
        }
        if self.root_priority != self.told_root {
            self.told_root = self.root_priority;
            let root_port = self.root_port.and_then(|at| self.ports.get(at));
            sink.event(RstpEvent::Root {
                root: self.root_priority.root,
                root_path_cost: self.root_priority.root_path_cost,
                root_port: root_port.map(|port| port.id),
            });
        }
        // A topology change lasts while any tcWhile runs, and counts once (clause 14.8.1.1.3).
        let changing = self.ports.iter().any(|port| port.timers.tc_while != 0);
        let cause = self.topology_change_cause.take();
        if changing && !self.topology_changing {
            self.topology_changes += 1;
            if let Some(cause) = cause {
                sink.event(RstpEvent::TopologyChange(cause));
            }
        }
        self.topology_changing = changing;
    }
}
