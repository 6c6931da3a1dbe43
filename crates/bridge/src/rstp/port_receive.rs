//! Port Receive state machine (clause 17.23): takes BPDUs one by one.

use super::config::MIGRATE_TIME;
use super::port::Port;
use wire::bpdu::Bpdu;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Discard,
    Receive,
}

/// At most one transition; whether there was one.
pub(super) fn step(port: &mut Port) -> bool {
    let timer = port.timers.edge_delay_while;
    if !port.port_enabled && (port.rcvd_bpdu || timer != MIGRATE_TIME) {
        discard(port);
        return true;
    }
    let ready = match port.machines.receive {
        State::Discard => true,
        State::Receive => !port.rcvd_msg,
    };
    if port.rcvd_bpdu && port.port_enabled && ready {
        receive(port);
        return true;
    }
    false
}

fn discard(port: &mut Port) {
    port.machines.receive = State::Discard;
    (port.rcvd_bpdu, port.rcvd_rstp, port.rcvd_stp) = (false, false, false);
    port.rcvd_msg = false;
    port.timers.edge_delay_while = MIGRATE_TIME;
}

fn receive(port: &mut Port) {
    port.machines.receive = State::Receive;
    port.heard = true;
    updt_bpdu_version(port);
    (port.oper_edge, port.rcvd_bpdu) = (false, false);
    port.rcvd_msg = true;
    port.timers.edge_delay_while = MIGRATE_TIME;
}

/// updtBPDUVersion (clause 17.21.22).
fn updt_bpdu_version(port: &mut Port) {
    match port.rcvd {
        Some(Bpdu::Config(_) | Bpdu::Tcn) => port.rcvd_stp = true,
        Some(Bpdu::Rst(_)) => port.rcvd_rstp = true,
        None => {}
    }
}
