//! What a bridge's spanning tree puts out.

use super::port::PortRole;
use crate::port::{PortId, PortState};
use std::fmt;
use std::time::Duration;
use wire::bpdu::BridgeIdentifier;

/// Where outputs go. They must take effect in the order of the calls: an agreement leaves only
/// after the ports that it promises to be blocked are.
pub trait RstpSink {
    /// Sends this frame, untagged.
    fn send(&mut self, port: PortId, frame: &[u8]);
    /// Sets what a port does with frames.
    fn set_state(&mut self, port: PortId, state: PortState);
    /// Forgets the addresses learned at a port.
    fn flush(&mut self, port: PortId);
    /// Something to tell.
    fn event(&mut self, event: RstpEvent);
}

/// How a topology change became known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TopologyChangeCause {
    /// This port began to forward.
    Detected(PortId),
    /// A neighbour said so at this port.
    Heard(PortId),
}

/// Something to tell. Its text is for a log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RstpEvent {
    /// The root, or the way there, is another one. Without a port, this bridge is the root.
    Root {
        /// The root bridge.
        root: BridgeIdentifier,
        /// The cost of the path there.
        root_path_cost: u32,
        /// The port towards it.
        root_port: Option<PortId>,
    },
    /// A port has another role.
    Role {
        /// The port.
        port: PortId,
        /// Its role.
        role: PortRole,
    },
    /// The topology has changed.
    TopologyChange(TopologyChangeCause),
    /// A port with BPDU guard heard a BPDU, and is shut until it is enabled again.
    BpduGuard {
        /// The port.
        port: PortId,
        /// Who sent it, where it says that.
        bridge: Option<BridgeIdentifier>,
    },
    /// A port with root guard hears of a better root, and discards.
    RootGuard {
        /// The port.
        port: PortId,
        /// That root.
        root: BridgeIdentifier,
    },
    /// It no longer does.
    RootGuardOver {
        /// The port.
        port: PortId,
    },
    /// The neighbour takes this LAN for its own, as if it did not hear us: one way is broken.
    Dispute {
        /// The port.
        port: PortId,
        /// The neighbour.
        bridge: BridgeIdentifier,
    },
    /// A port hears its own BPDUs, and discards.
    SelfLoop {
        /// The port.
        port: PortId,
    },
    /// The neighbour's protocol, as it shows now: STP or RSTP.
    Protocol {
        /// The port.
        port: PortId,
        /// Whether it is RSTP.
        rstp: bool,
    },
    /// Nobody called for so long that the neighbours have forgotten us: all ports begin anew.
    Stalled {
        /// How late the call was.
        late: Duration,
    },
    /// The machines did not come to rest within their bound. This is an error of this program.
    Unsettled,
}

impl fmt::Display for RstpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Root {
                root,
                root_path_cost,
                root_port: Some(port),
            } => write!(
                f,
                "the root is {root} by port {}, cost {root_path_cost}",
                port.0
            ),
            Self::Root { root, .. } => write!(f, "this bridge, {root}, is the root"),
            Self::Role { port, role } => write!(f, "port {} is {role}", port.0),
            Self::TopologyChange(TopologyChangeCause::Detected(port)) => {
                write!(f, "topology change: port {} forwards", port.0)
            }
            Self::TopologyChange(TopologyChangeCause::Heard(port)) => {
                write!(f, "topology change: heard at port {}", port.0)
            }
            Self::BpduGuard {
                port,
                bridge: Some(bridge),
            } => write!(
                f,
                "BPDU guard: port {} heard bridge {bridge} and is shut until it is enabled again",
                port.0
            ),
            Self::BpduGuard { port, bridge: None } => write!(
                f,
                "BPDU guard: port {} heard a bridge and is shut until it is enabled again",
                port.0
            ),
            Self::RootGuard { port, root } => write!(
                f,
                "root guard: port {} hears of the better root {root} and discards",
                port.0
            ),
            Self::RootGuardOver { port } => {
                write!(f, "root guard: port {} hears of no better root", port.0)
            }
            Self::Dispute { port, bridge } => write!(
                f,
                "port {}: bridge {bridge} does not hear us; discarding until it does",
                port.0
            ),
            Self::SelfLoop { port } => {
                write!(f, "port {} hears itself and discards", port.0)
            }
            Self::Protocol { port, rstp } => {
                let name = if rstp { "RSTP" } else { "STP" };
                write!(f, "port {}: the neighbour speaks {name}", port.0)
            }
            Self::Stalled { late } => write!(
                f,
                "called {:.1} s late: all ports begin anew",
                late.as_secs_f64()
            ),
            Self::Unsettled => f.write_str("the state machines did not come to rest"),
        }
    }
}
