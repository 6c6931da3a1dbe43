//! Switch and peers composed into one node, pure: frames and datagrams in, frames and datagrams out, time from the caller.
//!
//! [`Node`] is the one façade. One straight egress: [`Node::handle_frame`] → switch → peer. One straight ingress:
//! [`Node::handle_datagram`] → peer → switch → port. Everything else (handshakes, timers, orders) leaves this way early.

mod budget;
mod config;
mod deadlines;
mod forward;
mod io;
mod node;
mod peers;
mod ports;
mod snapshot;

pub use bridge::{
    PortVlans,
    fdb::FdbEntry,
    storm::{StormLimit, StormLimits},
};
pub use config::{
    BudgetPeriod, NodeAddresses, NodeBudget, NodeConfig, NodePeer, NodePort, NodeUplink, PortIndex,
};
pub use io::{FrameSink, Io};
pub use node::{Node, NodeCommand, NodeEvent};
pub use ports::PortChange;
pub use snapshot::{NodeSnapshot, PortKindSnapshot, PortSnapshot};
pub use tunnel::{
    Arrival, DatagramSink, Endpoint, Event, Mode, PathOp, PathSnapshot, PathState, PeerSnapshot,
    Target, UplinkId, UplinkState,
    crypto::{NULL_CIPHER, PresharedKey, PrivateKey, PublicKey},
    queue,
};
pub use wire::{
    control::{Role, RoleCode},
    ethernet::Mac,
    flow::flow_hash,
    vlan::{VlanId, VlanSet},
    vnet::{GsoKind, VnetHeader},
};
