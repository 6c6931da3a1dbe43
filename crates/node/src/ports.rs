//! The ports of a node as its owner sees and changes them.

use std::time::Instant;

use bridge::{PortId, PortKind, PortState, PortVlans, foreign::ForeignWatch};
use wire::{ethernet::Mac, vlan::VlanSet};

use crate::{
    config::{NodePort, PortIndex},
    node::Node,
    snapshot::{PortKindSnapshot, PortSnapshot},
};

/// What became of the interface behind a local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChange {
    /// It can be used.
    Present {
        /// The address of a taken-over interface: its network is then watched for dropping frames of other stations.
        watch: Option<Mac>,
    },
    /// It cannot be used, for this reason.
    Absent(&'static str),
}

/// A local port.
pub(crate) struct LocalPort {
    name: String,
    /// Why it cannot be used; empty when it can.
    reason: &'static str,
}

impl LocalPort {
    pub(crate) fn new(port: NodePort) -> Self {
        Self {
            name: port.name,
            reason: if port.present { "" } else { "device-absent" },
        }
    }
}

impl Node {
    /// False for a port that does not exist.
    pub(crate) fn change_port(&mut self, port: PortIndex, change: PortChange) -> bool {
        let Some(local) = self.ports.get_mut(usize::from(port.0)) else {
            return false;
        };
        let id = PortId(port.0);
        let state = match change {
            PortChange::Present { watch } => {
                local.reason = "";
                let watch = watch.map(|own| ForeignWatch::new(Some(own)));
                self.forwarder.watches.set(id, watch);
                PortState::Forwarding
            }
            PortChange::Absent(reason) => {
                local.reason = reason;
                self.forwarder.watches.set(id, None);
                PortState::Discarding
            }
        };
        self.forwarder.bridge.set_port_state(id, state)
    }

    pub(crate) fn port_snapshots(&self, now: Instant) -> Vec<PortSnapshot> {
        let ids = self.forwarder.bridge.ports();
        ids.map(|id| {
            let state = match self.forwarder.bridge.port_state(id) {
                Some(PortState::Forwarding) => "forwarding",
                Some(PortState::Learning) => "learning",
                Some(PortState::Discarding) | None => "discarding",
            };
            let (kind, vlans) = match self.forwarder.bridge.port_kind(id) {
                Some(PortKind::Peer(vlans)) => (PortKindSnapshot::Peer, ranges(vlans)),
                Some(PortKind::Local(vlans)) => (PortKindSnapshot::Local, local_ranges(vlans)),
                None => (PortKindSnapshot::Local, None),
            };
            PortSnapshot {
                name: self.port_name(id),
                kind,
                state,
                reason: self
                    .ports
                    .get(usize::from(id.0))
                    .map_or("", |port| port.reason),
                storm_drops: self.forwarder.bridge.storm_drops(id),
                blocks_foreign: self.forwarder.watches.is_blocked(id, now),
                vlans,
            }
        })
        .collect()
    }

    pub(crate) fn port_name(&self, id: PortId) -> String {
        let local = self
            .ports
            .get(usize::from(id.0))
            .map(|port| port.name.clone());
        let peer = || {
            let slot = usize::from(id.0).checked_sub(self.ports.len())?;
            self.peers.get(slot).map(|peer| peer.name().to_owned())
        };
        local.or_else(peer).unwrap_or_default()
    }
}

fn ranges(vlans: &VlanSet) -> Option<Vec<(u16, u16)>> {
    (!vlans.is_all()).then(|| {
        vlans
            .ranges()
            .map(|range| (range.start().get(), range.end().get()))
            .collect()
    })
}

fn local_ranges(vlans: &PortVlans) -> Option<Vec<(u16, u16)>> {
    match vlans {
        PortVlans::Transparent => None,
        PortVlans::Access(vlan) => Some(vec![(vlan.get(), vlan.get())]),
        PortVlans::Trunk { allowed, native } => {
            let mut all = allowed.clone();
            if let Some(native) = native {
                all.insert(*native);
            }
            ranges(&all)
        }
    }
}
