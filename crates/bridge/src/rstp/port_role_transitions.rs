//! Port Role Transitions state machine (clause 17.29): from the role that was selected to what the
//! port may do, in an order that never closes a loop.

use super::port::{Port, PortRole};
use super::tree::Tree;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the standard's names")]
pub(super) enum State {
    InitPort,
    DisablePort,
    DisabledPort,
    RootPort,
    DesignatedPort,
    BlockPort,
    AlternatePort,
}

/// At most one transition of port `at`; whether there was one.
pub(super) fn step(tree: &mut Tree, at: usize) -> bool {
    let port = &mut tree.ports[at];
    if port.machines.role == State::InitPort {
        // What INIT_PORT sets, a port has from its beginning.
        block(port, State::DisablePort);
        return true;
    }
    if !port.selected || port.updt_info {
        return false;
    }
    if port.role != port.selected_role {
        enter_role(port);
        return true;
    }
    match port.machines.role {
        State::InitPort => false,
        State::DisablePort => blocked(port, disabled_port),
        State::DisabledPort => {
            let settled = port.timers.fd_while == port.max_age() && is_at_rest(port);
            !settled && blocked(port, disabled_port)
        }
        State::RootPort => root_port_step(tree, at),
        State::DesignatedPort => designated_port_step(port),
        State::BlockPort => blocked(port, alternate_port),
        State::AlternatePort => alternate_port_step(tree, at),
    }
}

fn enter_role(port: &mut Port) {
    match port.selected_role {
        PortRole::Disabled => block(port, State::DisablePort),
        PortRole::Alternate | PortRole::Backup => block(port, State::BlockPort),
        PortRole::Root => root_port(port),
        PortRole::Designated => {
            port.machines.role = State::DesignatedPort;
            port.role = port.selected_role;
        }
    }
}

/// DISABLE_PORT (figure 17-19) and BLOCK_PORT (figure 17-22).
const fn block(port: &mut Port, state: State) {
    port.machines.role = state;
    port.role = port.selected_role;
    (port.learn, port.forward) = (false, false);
}

/// Goes on when the port does neither learn nor forward any more.
fn blocked(port: &mut Port, next: fn(&mut Port)) -> bool {
    let is_blocked = !port.learning && !port.forwarding;
    if is_blocked {
        next(port);
    }
    is_blocked
}

const fn is_at_rest(port: &Port) -> bool {
    !port.sync && !port.re_root && port.synced
}

const fn come_to_rest(port: &mut Port) {
    port.synced = true;
    port.timers.rr_while = 0;
    (port.sync, port.re_root) = (false, false);
}

/// DISABLED_PORT (figure 17-19).
const fn disabled_port(port: &mut Port) {
    port.machines.role = State::DisabledPort;
    port.timers.fd_while = port.max_age();
    come_to_rest(port);
}

/// ALTERNATE_PORT (figure 17-22).
const fn alternate_port(port: &mut Port) {
    port.machines.role = State::AlternatePort;
    port.timers.fd_while = port.forward_delay();
    come_to_rest(port);
}

/// ROOT_PORT (figure 17-20).
const fn root_port(port: &mut Port) {
    port.machines.role = State::RootPort;
    port.role = PortRole::Root;
    port.timers.rr_while = port.fwd_delay();
}

/// Figure 17-20.
fn root_port_step(tree: &mut Tree, at: usize) -> bool {
    if root_handshake(tree, at) {
        return true;
    }
    if !tree.ports[at].forward && !tree.ports[at].re_root {
        // REROOT: setReRootTree (clause 17.21.15)
        tree.ports.iter_mut().for_each(|port| port.re_root = true);
        return true;
    }
    let rapid = !tree.ports[at].forward && tree.rstp_version && re_rooted(tree, at);
    let port = &mut tree.ports[at];
    let ready = port.timers.fd_while == 0 || rapid && port.timers.rb_while == 0;
    if port.re_root && port.forward {
        // REROOTED
        port.re_root = false;
    } else if ready && !port.learn {
        // ROOT_LEARN
        port.timers.fd_while = port.forward_delay();
        port.learn = true;
    } else if ready && port.learn && !port.forward {
        // ROOT_FORWARD
        port.timers.fd_while = 0;
        port.forward = true;
    } else if port.timers.rr_while == port.fwd_delay() {
        return false;
    }
    root_port(port);
    true
}

/// ROOT_PROPOSED and ROOT_AGREED.
fn root_handshake(tree: &mut Tree, at: usize) -> bool {
    if tree.ports[at].proposed && !tree.ports[at].agree {
        set_sync_tree(tree);
        let port = &mut tree.ports[at];
        port.proposed = false;
        root_port(port);
        // The first of the two alternatives below may hold as well; it comes next.
        return true;
    }
    let agrees = agrees(tree, at);
    if agrees {
        let port = &mut tree.ports[at];
        (port.proposed, port.sync) = (false, false);
        (port.agree, port.new_info) = (true, true);
        root_port(port);
    }
    agrees
}

/// Figure 17-22.
fn alternate_port_step(tree: &mut Tree, at: usize) -> bool {
    if tree.ports[at].proposed && !tree.ports[at].agree {
        // ALTERNATE_PROPOSED
        set_sync_tree(tree);
        let port = &mut tree.ports[at];
        port.proposed = false;
        alternate_port(port);
        return true;
    }
    let agrees = agrees(tree, at);
    let port = &mut tree.ports[at];
    let recent = 2 * port.hello_time();
    if agrees {
        // ALTERNATE_AGREED
        (port.proposed, port.agree, port.new_info) = (false, true, true);
    } else if port.role == PortRole::Backup && port.timers.rb_while != recent {
        // BACKUP_PORT
        port.timers.rb_while = recent;
    } else if port.timers.fd_while == port.forward_delay() && is_at_rest(port) {
        return false;
    }
    alternate_port(port);
    true
}

fn agrees(tree: &Tree, at: usize) -> bool {
    let port = &tree.ports[at];
    if port.agree {
        port.proposed
    } else {
        all_synced(tree)
    }
}

/// Figure 17-21. A disputed port that may learn would do so and stop at once; here it stops before.
const fn designated_port_step(port: &mut Port) -> bool {
    let timers = &port.timers;
    let retired = timers.rr_while == 0 || !port.re_root;
    let ready = (timers.fd_while == 0 || port.agreed || port.oper_edge) && retired && !port.sync;
    if !port.forward && !port.agreed && !port.proposing && !port.oper_edge {
        // DESIGNATED_PROPOSE
        port.proposing = true;
        port.timers.edge_delay_while = port.edge_delay();
        port.new_info = true;
    } else if becomes_synced(port) {
        // DESIGNATED_SYNCED
        port.timers.rr_while = 0;
        port.synced = true;
        port.sync = false;
    } else if timers.rr_while == 0 && port.re_root {
        // DESIGNATED_RETIRED
        port.re_root = false;
    } else if must_discard(port) || port.disputed && ready && !port.oper_edge {
        // DESIGNATED_DISCARD
        (port.learn, port.forward, port.disputed) = (false, false, false);
        port.timers.fd_while = port.forward_delay();
    } else if ready && !port.learn {
        // DESIGNATED_LEARN
        port.learn = true;
        port.timers.fd_while = port.forward_delay();
    } else if ready && port.learn && !port.forward {
        // DESIGNATED_FORWARD
        port.forward = true;
        port.timers.fd_while = 0;
        port.agreed = port.send_rstp;
    } else {
        return false;
    }
    true
}

const fn becomes_synced(port: &Port) -> bool {
    let harmless = !port.learning && !port.forwarding || port.agreed || port.oper_edge;
    if port.synced { port.sync } else { harmless }
}

const fn must_discard(port: &Port) -> bool {
    let told = port.sync && !port.synced || port.re_root && port.timers.rr_while != 0;
    (told || port.disputed) && !port.oper_edge && (port.learn || port.forward)
}

/// setSyncTree (clause 17.21.14).
fn set_sync_tree(tree: &mut Tree) {
    tree.ports.iter_mut().for_each(|port| port.sync = true);
}

/// allSynced (clause 17.20.3); as in IEEE 802.1Q, information that is still to be updated does not
/// count as synced.
fn all_synced(tree: &Tree) -> bool {
    tree.ports.iter().all(|port| {
        let decided = port.selected && port.role == port.selected_role && !port.updt_info;
        decided && (port.synced || port.role == PortRole::Root)
    })
}

/// reRooted (clause 17.20.10).
fn re_rooted(tree: &Tree, at: usize) -> bool {
    let mut others = tree.ports.iter().enumerate().filter(|(i, _)| *i != at);
    others.all(|(_, port)| port.timers.rr_while == 0)
}
