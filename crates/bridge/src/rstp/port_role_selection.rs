//! Port Role Selection state machine (clause 17.28): the root, and every port's role.

use super::event::{RstpEvent, RstpSink};
use super::port::{InfoIs, Port, PortRole};
use super::port_information::next_message_age;
use super::tree::Tree;
use super::vector::PriorityVector;
use wire::bpdu::{PortIdentifier, Times};

/// At most one transition, into ROLE_SELECTION; whether there was one. INIT_BRIDGE is how a
/// [`Tree`] begins: ports are added with the role Disabled.
pub(super) fn step(tree: &mut Tree, sink: &mut dyn RstpSink) -> bool {
    if !tree.ports.iter().any(|port| port.reselect) {
        return false;
    }
    // clearReselectTree (clause 17.21.2)
    tree.ports.iter_mut().for_each(|port| port.reselect = false);
    updt_roles_tree(tree, sink);
    // setSelectedTree (clause 17.21.16): nothing asks for another selection now.
    tree.ports.iter_mut().for_each(|port| port.selected = true);
    true
}

/// updtRolesTree (clause 17.21.25).
fn updt_roles_tree(tree: &mut Tree, sink: &mut dyn RstpSink) {
    let own = PriorityVector::of_bridge(tree.bridge_identifier);
    let best = best_root_path(tree).filter(|(vector, _, _)| *vector < own);
    (tree.root_priority, tree.root_port) = match best {
        Some((vector, _, at)) => (vector, Some(at)),
        None => (own, None),
    };
    tree.root_times = match best.and_then(|(_, _, at)| tree.ports.get(at)) {
        Some(port) => Times {
            message_age: next_message_age(&port.port_times),
            ..port.port_times
        },
        None => tree.bridge_times,
    };
    let (root_port, address) = (tree.root_port, tree.bridge_identifier.address());
    for (at, port) in tree.ports.iter_mut().enumerate() {
        port.designated_priority = PriorityVector {
            designated_bridge: tree.bridge_identifier,
            designated_port: port.port_id,
            ..tree.root_priority
        };
        port.designated_times = Times {
            hello_time: tree.bridge_times.hello_time,
            ..tree.root_times
        };
        let own_lan = port.port_priority.designated_bridge.address() == address;
        select_role(port, root_port == Some(at), own_lan);
        watch_root_guard(port, &tree.root_priority, own_lan, sink);
    }
}

/// The best root path priority vector with the port where it was received, of those that did not
/// come from this bridge and not to a port that must not be root.
fn best_root_path(tree: &Tree) -> Option<(PriorityVector, PortIdentifier, usize)> {
    let address = tree.bridge_identifier.address();
    let candidates = tree.ports.iter().enumerate().filter(|(_, port)| {
        port.info_is == InfoIs::Received
            && port.port_priority.designated_bridge.address() != address
            && !port.config.root_guard
    });
    let path = |(at, port): (usize, &Port)| {
        let vector = port.port_priority.through(port.path_cost());
        (vector, port.port_id, at)
    };
    candidates.map(path).min()
}

fn select_role(port: &mut Port, is_root_port: bool, own_lan: bool) {
    (port.selected_role, port.updt_info) = match port.info_is {
        InfoIs::Disabled => (PortRole::Disabled, false),
        InfoIs::Aged => (PortRole::Designated, true),
        InfoIs::Mine => {
            let same = port.port_priority == port.designated_priority
                && port.port_times == port.designated_times;
            (PortRole::Designated, !same)
        }
        InfoIs::Received if is_root_port => (PortRole::Root, false),
        InfoIs::Received if port.designated_priority < port.port_priority => {
            (PortRole::Designated, true)
        }
        InfoIs::Received if own_lan => (PortRole::Backup, false),
        InfoIs::Received => (PortRole::Alternate, false),
    };
}

/// Tells when root guard begins and stops to keep a port from being the root port.
fn watch_root_guard(
    port: &mut Port,
    root: &PriorityVector,
    own_lan: bool,
    sink: &mut dyn RstpSink,
) {
    let received = port.info_is == InfoIs::Received && !own_lan;
    let better = port.port_priority.through(port.path_cost()) < *root;
    let guarded = port.config.root_guard && received && better;
    if guarded && !port.root_guarded {
        sink.event(RstpEvent::RootGuard {
            port: port.id,
            root: port.port_priority.root,
        });
    } else if !guarded && port.root_guarded {
        sink.event(RstpEvent::RootGuardOver { port: port.id });
    }
    port.root_guarded = guarded;
}
