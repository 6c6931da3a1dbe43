//! Port State Transition state machine (clause 17.30): makes what the role wants come true.

use super::event::RstpSink;
use super::port::Port;
use crate::port::PortState;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Discarding,
    Learning,
    Forwarding,
}

/// At most one transition; whether there was one.
pub(super) fn step(port: &mut Port, sink: &mut dyn RstpSink) -> bool {
    let next = match port.machines.state {
        State::Discarding if port.learn => State::Learning,
        State::Learning if !port.learn => State::Discarding,
        State::Learning if port.forward => State::Forwarding,
        State::Forwarding if !port.forward => State::Discarding,
        _ => return false,
    };
    enter(port, next, sink);
    true
}

/// Enters a state and tells the switch, which both enables and disables (clauses 17.21.3 to 6).
pub(super) fn enter(port: &mut Port, state: State, sink: &mut dyn RstpSink) {
    port.machines.state = state;
    port.learning = state != State::Discarding;
    port.forwarding = state == State::Forwarding;
    sink.set_state(port.id, port_state(state));
}

/// The same in the switch's terms.
pub(super) const fn port_state(state: State) -> PortState {
    match state {
        State::Discarding => PortState::Discarding,
        State::Learning => PortState::Learning,
        State::Forwarding => PortState::Forwarding,
    }
}
