//! What a node is made with.

use std::time::Duration;

use bridge::{PortVlans, storm::StormLimits};
use tunnel::{
    Mode,
    crypto::{PresharedKey, PrivateKey, PublicKey},
};
use wire::{control::RoleCode, vlan::VlanSet};

/// A local port: its place in [`NodeConfig::ports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIndex(pub u16);

/// An uplink; its place in the list is its id, on the wire too.
#[derive(Clone, Debug)]
pub struct NodeUplink {
    /// Its name in the configuration.
    pub name: String,
    /// Its role.
    pub role: RoleCode,
    /// What it sends to one peer at most, bits per second.
    pub rate_limit: Option<u64>,
    /// What it may carry.
    pub budget: Option<NodeBudget>,
}

/// What an uplink may carry, all headers counted, both directions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeBudget {
    /// Bytes.
    pub bytes: u64,
    /// In which time.
    pub period: BudgetPeriod,
}

/// Periods of a budget, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// A peer.
pub struct NodePeer {
    /// Its name in the configuration.
    pub name: String,
    /// Its identity.
    pub public_key: PublicKey,
    /// The extra secret, zero for none.
    pub preshared_key: PresharedKey,
    /// How its paths are used.
    pub mode: Mode,
    /// What it may carry; VLAN 0 is untagged.
    pub vlans: VlanSet,
}

/// A local Ethernet port.
#[derive(Clone, Debug)]
pub struct NodePort {
    /// Its name.
    pub name: String,
    /// Its VLANs.
    pub vlans: PortVlans,
    /// Largest payload of its frames, bytes.
    pub mtu: u16,
    /// How many frames that go to many it may bring in.
    pub storm: StormLimits,
    /// It is there from the beginning; else [`crate::NodeCommand::Port`] tells when it is.
    pub present: bool,
}

/// What the switch remembers of the stations it has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAddresses {
    /// At most this many; behind one port seven eighths of them.
    pub limit: usize,
    /// One not heard for longer than this is forgotten.
    pub ageing: Duration,
}

impl Default for NodeAddresses {
    /// As many as a large data centre has; the time that IEEE 802.1Q recommends.
    fn default() -> Self {
        Self {
            limit: 65_536,
            ageing: Duration::from_secs(300),
        }
    }
}

impl NodeAddresses {
    /// One port, a single hostile machine behind it perhaps, does not get all.
    pub(crate) const fn limit_per_port(&self) -> usize {
        self.limit - self.limit / 8
    }
}

/// Everything.
pub struct NodeConfig {
    /// This node's name.
    pub name: String,
    /// Its identity.
    pub private_key: PrivateKey,
    /// Random bytes from the operating system (or fixed, in a simulation): the one source of all randomness.
    pub seed: [u8; 32],
    /// Uplinks, at least one, at most 16.
    pub uplinks: Vec<NodeUplink>,
    /// Whether peers may send us super-frames and partial checksums, and we them.
    pub vnet: bool,
    /// Peers.
    pub peers: Vec<NodePeer>,
    /// Local ports.
    pub ports: Vec<NodePort>,
    /// What the switch remembers.
    pub addresses: NodeAddresses,
    /// Whether frames pass from one peer to another. Peers of such a hub must not be peers of each other, nor hubs.
    pub relay: bool,
}

impl NodeConfig {
    /// Longest frame that any port of this node takes: its MTU, Ethernet header and two VLAN tags.
    pub(crate) fn max_frame(&self) -> u32 {
        let mtu = self
            .ports
            .iter()
            .map(|port| u32::from(port.mtu))
            .max()
            .unwrap_or(1500);
        mtu + 14 + 8
    }
}
