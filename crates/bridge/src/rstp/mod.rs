//! The Rapid Spanning Tree Protocol (IEEE 802.1D-2004 clause 17) of one bridge, pure. [`Rstp`] is
//! the way in; outputs go into a [`RstpSink`] that the caller lends.
//!
//! One file per state machine, with the standard's names of states, variables and procedures:
//!
//! | Machine | Clause | File |
//! |---|---|---|
//! | Port Timers | 17.22 | `port_timers` |
//! | Port Receive | 17.23 | `port_receive` |
//! | Port Protocol Migration | 17.24 | `port_protocol_migration` |
//! | Bridge Detection | 17.25 | `bridge_detection` |
//! | Port Transmit | 17.26 | `port_transmit` |
//! | Port Information | 17.27 | `port_information` |
//! | Port Role Selection | 17.28 | `port_role_selection` |
//! | Port Role Transitions | 17.29 | `port_role_transitions` |
//! | Port State Transition | 17.30 | `port_state_transition` |
//! | Topology Change | 17.31 | `topology_change` |
//!
//! A machine's `step` makes at most one transition and says whether it did; `tree` runs all of them
//! until none moves. States that the standard leaves unconditionally are functions, not values.
//!
//! Where this goes beyond the text of 2004, it follows later editions of IEEE 802.1Q: a port that
//! must not become root (`restrictedRole`, our root guard), no BPDU out of a port that is not
//! enabled, repeated information only where information was received. Three
//! things it leaves open are decided for safety: a port that hears itself discards; one that has
//! heard a bridge does not take itself for an edge before its link was down; an agreement counts
//! only if it can be one to what the port says now.

mod bridge_detection;
mod config;
mod event;
mod facade;
mod port;
mod port_information;
mod port_protocol_migration;
mod port_receive;
mod port_role_selection;
mod port_role_transitions;
mod port_state_transition;
mod port_timers;
mod port_transmit;
mod snapshot;
mod topology_change;
mod tree;
mod vector;

pub use config::{
    DEFAULT_PATH_COST, ForceVersion, Link, PointToPoint, RstpConfig, RstpConfigError,
    RstpPortConfig, path_cost,
};
pub use event::{RstpEvent, RstpSink, TopologyChangeCause};
pub use facade::{AddRstpPortError, Received, Rstp};
pub use port::PortRole;
pub use snapshot::{RstpPortSnapshot, RstpSnapshot};
pub use vector::PriorityVector;

#[cfg(test)]
mod tests;
