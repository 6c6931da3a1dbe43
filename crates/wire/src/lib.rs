//! Floor 0: bytes and types. Every format that crosses a wire is read and written here, without
//! state, time or I/O. Nothing in this crate panics on what a stranger sent.
//!
//! The tunnel's own formats follow `docs/protocol.md`; the section numbers in these modules are
//! that page's.

pub mod beacon;
pub mod bpdu;
pub mod checksum;
pub mod coalesce;
pub mod control;
pub mod datagram;
pub mod ethernet;
pub mod flow;
pub mod handshake;
pub mod hello;
pub mod ip;
pub mod malformed;
pub mod payload;
pub mod reader;
pub mod segment;
pub mod superframe;
pub mod vlan;
pub mod vlan_list;
pub mod vnet;
