//! What a node is made with.

use bridge::PortVlans;
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
