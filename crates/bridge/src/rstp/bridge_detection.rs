//! Bridge Detection state machine (clause 17.25): whether a bridge is behind a port.

use super::port::Port;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Edge,
    NotEdge,
}

/// At most one transition; whether there was one.
pub(super) const fn step(port: &mut Port) -> bool {
    let admin_edge = port.config.admin_edge;
    match port.machines.detection {
        State::Edge if !port.port_enabled && !admin_edge || !port.oper_edge => {
            port.machines.detection = State::NotEdge;
            port.oper_edge = false;
            true
        }
        State::NotEdge if !port.port_enabled && admin_edge || nobody_answers(port) => {
            port.machines.detection = State::Edge;
            port.oper_edge = true;
            true
        }
        _ => false,
    }
}

/// We have proposed, and heard no bridge for EdgeDelay. One that was heard before on the same link
/// may still be there, on a cable that carries one way only; then the forward delays give it time
/// to dispute.
const fn nobody_answers(port: &Port) -> bool {
    let waited = port.timers.edge_delay_while == 0;
    waited && !port.heard && port.config.auto_edge && port.send_rstp && port.proposing
}
