//! One module per target, each with `run` and `seeds`.

pub mod bridge_frame;
pub mod bridge_rstp;
pub mod ethernet_flow;
pub mod wire_beacon;
pub mod wire_bpdu;
pub mod wire_coalesce;
pub mod wire_control;
pub mod wire_handshake;
pub mod wire_hello;
pub mod wire_payload;
pub mod wire_site;
pub mod wire_vnet;
