//! Topology Change state machine (clause 17.31): tells the others, and forgets what was learned.

use super::event::{RstpSink, TopologyChangeCause};
use super::port::{Port, PortRole, seconds};
use super::tree::Tree;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Inactive,
    Learning,
    Active,
}

/// At most one transition of port `at`; whether there was one.
pub(super) fn step(tree: &mut Tree, at: usize, sink: &mut dyn RstpSink) -> bool {
    let port = &mut tree.ports[at];
    match port.machines.topology {
        State::Inactive if port.learn => learning(port),
        State::Learning if port.is_active() && port.forward && !port.oper_edge => {
            detected(tree, at);
        }
        State::Learning if has_news(port) => learning(port),
        State::Learning if !port.is_active() && !port.learn && !port.learning => {
            inactive(port, sink);
        }
        State::Active if !port.is_active() || port.oper_edge => learning(port),
        State::Active if port.rcvd_tcn => {
            // NOTIFIED_TCN
            new_tc_while(tree, at);
            notified_tc(tree, at);
        }
        State::Active if port.rcvd_tc => notified_tc(tree, at),
        State::Active if port.rcvd_tc_ack => {
            // ACKNOWLEDGED
            port.timers.tc_while = 0;
            port.rcvd_tc_ack = false;
        }
        State::Active if port.tc_prop => propagating(tree, at, sink),
        _ => return false,
    }
    true
}

const fn has_news(port: &Port) -> bool {
    port.rcvd_tc || port.rcvd_tcn || port.rcvd_tc_ack || port.tc_prop
}

/// INACTIVE. A flush takes effect at once.
pub(super) fn inactive(port: &mut Port, sink: &mut dyn RstpSink) {
    port.machines.topology = State::Inactive;
    port.timers.tc_while = 0;
    port.tc_ack = false;
    sink.flush(port.id);
}

const fn learning(port: &mut Port) {
    port.machines.topology = State::Learning;
    (port.rcvd_tc, port.rcvd_tcn, port.rcvd_tc_ack) = (false, false, false);
    port.tc_prop = false;
}

fn detected(tree: &mut Tree, at: usize) {
    new_tc_while(tree, at);
    set_tc_prop_tree(tree, at);
    let port = &mut tree.ports[at];
    port.machines.topology = State::Active;
    port.new_info = true;
    let cause = TopologyChangeCause::Detected(port.id);
    tree.topology_change_cause.get_or_insert(cause);
}

fn notified_tc(tree: &mut Tree, at: usize) {
    let port = &mut tree.ports[at];
    (port.rcvd_tcn, port.rcvd_tc) = (false, false);
    if port.role == PortRole::Designated {
        port.tc_ack = true;
    }
    let cause = TopologyChangeCause::Heard(port.id);
    tree.topology_change_cause.get_or_insert(cause);
    set_tc_prop_tree(tree, at);
}

fn propagating(tree: &mut Tree, at: usize, sink: &mut dyn RstpSink) {
    new_tc_while(tree, at);
    let port = &mut tree.ports[at];
    port.tc_prop = false;
    sink.flush(port.id);
}

/// newTcWhile (clause 17.21.7).
fn new_tc_while(tree: &mut Tree, at: usize) {
    let (root_times, port) = (tree.root_times, &mut tree.ports[at]);
    if port.timers.tc_while != 0 {
        return;
    }
    if port.send_rstp {
        port.timers.tc_while = port.hello_time() + 1;
        port.new_info = true;
    } else {
        port.timers.tc_while = seconds(root_times.max_age) + seconds(root_times.forward_delay);
    }
}

/// setTcPropTree (clause 17.21.18).
fn set_tc_prop_tree(tree: &mut Tree, at: usize) {
    let others = tree.ports.iter_mut().enumerate().filter(|(i, _)| *i != at);
    others.for_each(|(_, port)| port.tc_prop = true);
}
