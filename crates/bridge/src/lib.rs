//! Floor 1: a VLAN-aware learning switch (IEEE 802.1Q, C-VLANs, independent learning), pure: it
//! decides, and whoever calls it moves the bytes. One of its ports is a peer, however many paths
//! lead there.
//!
//! The way of a frame: [`Bridge::ingress`] says which VLAN it is in and learns its source;
//! [`Bridge::egress`] names the ports it leaves by; [`Bridge::egress_form`] and [`form::encode`]
//! give it the tag that each of them wants.

mod bridge;
mod drop;
pub mod fdb;
pub mod foreign;
pub mod form;
mod port;
pub mod rstp;
pub mod site;
pub mod storm;

pub use bridge::{AddPortError, Bridge, BridgeConfig, Ingress};
pub use drop::DropReason;
pub use form::{Form, encode};
pub use port::{MAX_PORTS, PortId, PortKind, PortSet, PortState, PortVlans};
