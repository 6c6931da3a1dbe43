//! From the configuration to a node.

use std::time::Duration;

use anyhow::Context as _;
use node::{
    BudgetPeriod, Mac, Mode, Node, NodeAddresses, NodeBudget, NodeConfig, NodePeer, NodePort,
    NodeUplink, PortVlans, PresharedKey, PrivateKey, PublicKey, Role, RoleCode, StormLimit,
    StormLimits, VlanId, VlanSet,
};

use crate::{
    config::{self, Config, PortVlan},
    setup::OpenPort,
};

/// The node that `config` describes, with fresh randomness.
pub(super) fn node(config: &Config, ports: &[OpenPort]) -> anyhow::Result<Node> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no randomness")?;
    let node = NodeConfig {
        name: config.node.name.clone(),
        private_key: PrivateKey::from_bytes(*config.node.private_key.expose()),
        seed,
        uplinks: config.uplinks.iter().map(uplink).collect(),
        vnet: true,
        peers: config.peers.iter().map(peer).collect(),
        ports: ports.iter().filter_map(|open| port(config, open)).collect(),
        addresses: NodeAddresses {
            limit: config.switch.fdb_limit as usize,
            ageing: Duration::from_secs(config.switch.ageing_time_s.into()),
        },
        relay: config.node.relay,
    };
    for port in ports {
        tracing::debug!(port = %config.ports[port.index].name, mac = %Mac(port.mac), mtu = port.mtu, "port");
    }
    Ok(Node::new(node, std::time::Instant::now()))
}

fn uplink(uplink: &config::UplinkConfig) -> NodeUplink {
    let role = match uplink.role {
        config::Role::Primary => Role::Primary,
        config::Role::Backup => Role::Backup,
        config::Role::Metered => Role::Metered,
    };
    NodeUplink {
        name: uplink.name.clone(),
        role: RoleCode {
            role,
            overflow: uplink.overflow,
        },
        rate_limit: uplink.rate_limit,
        budget: uplink.budget.map(|budget| NodeBudget {
            bytes: budget.bytes,
            period: match budget.period {
                config::BudgetPeriod::Hour => BudgetPeriod::Hour,
                config::BudgetPeriod::Day => BudgetPeriod::Day,
                config::BudgetPeriod::Month => BudgetPeriod::Month,
            },
        }),
    }
}

fn peer(peer: &config::PeerConfig) -> NodePeer {
    let psk = peer.preshared_key.as_ref();
    NodePeer {
        name: peer.name.clone(),
        public_key: PublicKey::from_bytes(peer.public_key.0),
        preshared_key: psk.map_or_else(PresharedKey::default, |key| {
            PresharedKey::from_bytes(*key.expose())
        }),
        mode: match peer.mode {
            config::Mode::Failover => Mode::Failover,
            config::Mode::Balance => Mode::Balance,
            config::Mode::Aggregate => Mode::Aggregate,
            config::Mode::Redundant => Mode::Redundant,
        },
        vlans: peer.vlans.as_ref().map_or_else(VlanSet::all, vlan_set),
    }
}

fn port(config: &Config, open: &OpenPort) -> Option<NodePort> {
    let port = config.ports.get(open.index)?;
    let vlans = match &port.vlan {
        PortVlan::Transparent => PortVlans::Transparent,
        PortVlan::Access(vlan) => PortVlans::Access(VlanId::new(*vlan)?),
        PortVlan::Trunk { vlans, native } => PortVlans::Trunk {
            allowed: vlan_set(vlans),
            native: native.and_then(VlanId::new),
        },
    };
    Some(NodePort {
        name: port.name.clone(),
        vlans,
        mtu: open.mtu,
        storm: storm_limits(port.storm),
        present: open.tap.is_some(),
    })
}

fn storm_limits(limits: config::StormLimits) -> StormLimits {
    let limit = |limit: Option<config::StormLimit>| {
        limit.map(|limit| match limit {
            config::StormLimit::Frames(rate) => StormLimit::Frames(rate),
            config::StormLimit::Bits(rate) => StormLimit::Bits(rate),
        })
    };
    StormLimits {
        broadcast: limit(limits.broadcast),
        multicast: limit(limits.multicast),
        unknown: limit(limits.unknown),
    }
}

fn vlan_set(vlans: &config::VlanSet) -> VlanSet {
    VlanSet::from_ranges(vlans.iter().filter_map(VlanId::new).map(|vlan| vlan..=vlan))
}
