//! Port Information state machine (clause 17.27): whose information is the best on a LAN, the
//! neighbour's while it is fresh, or our own.

use super::event::{RstpEvent, RstpSink};
use super::port::{InfoIs, Port, seconds};
use super::vector::PriorityVector;
use wire::bpdu::{Bpdu, BpduRole, Message, TICKS_PER_SECOND, Times};

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Disabled,
    Aged,
    Current,
}

/// What a BPDU is worth (rcvInfo, clause 17.21.8).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum ReceivedInfo {
    SuperiorDesignated,
    RepeatedDesignated,
    InferiorDesignated,
    InferiorRootAlternate,
    /// What this port has sent itself.
    Own,
    Other,
}

/// At most one transition; whether there was one.
pub(super) fn step(port: &mut Port, rstp_version: bool, sink: &mut dyn RstpSink) -> bool {
    if !port.port_enabled && port.info_is != InfoIs::Disabled {
        disabled(port);
        return true;
    }
    let to_update = port.selected && port.updt_info;
    match port.machines.information {
        State::Disabled if port.port_enabled => aged(port),
        State::Disabled if port.rcvd_msg => disabled(port),
        State::Aged | State::Current if to_update => update(port),
        State::Current if is_outdated(port) => aged(port),
        State::Current if port.rcvd_msg && !port.updt_info => receive(port, rstp_version, sink),
        _ => return false,
    }
    true
}

fn is_outdated(port: &Port) -> bool {
    let over = port.info_is == InfoIs::Received && port.timers.rcvd_info_while == 0;
    over && !port.updt_info && !port.rcvd_msg
}

fn disabled(port: &mut Port) {
    port.machines.information = State::Disabled;
    port.rcvd_msg = false;
    (port.proposing, port.proposed) = (false, false);
    (port.agree, port.agreed) = (false, false);
    port.timers.rcvd_info_while = 0;
    port.info_is = InfoIs::Disabled;
    (port.self_looped, port.heard) = (false, false);
    port.disputed = false;
    (port.reselect, port.selected) = (true, false);
}

const fn aged(port: &mut Port) {
    port.machines.information = State::Aged;
    port.info_is = InfoIs::Aged;
    (port.reselect, port.selected) = (true, false);
}

fn update(port: &mut Port) {
    port.machines.information = State::Current;
    (port.proposing, port.proposed) = (false, false);
    port.agreed = port.agreed && better_or_same_info(port, InfoIs::Mine);
    port.synced = port.synced && port.agreed;
    port.port_priority = port.designated_priority;
    port.port_times = port.designated_times;
    port.updt_info = false;
    port.info_is = InfoIs::Mine;
    port.new_info = true;
}

/// RECEIVE and the state that follows from it.
fn receive(port: &mut Port, rstp_version: bool, sink: &mut dyn RstpSink) {
    let Some(bpdu) = port.rcvd.take() else {
        port.rcvd_msg = false;
        return;
    };
    match rcv_info(port, &bpdu) {
        ReceivedInfo::SuperiorDesignated => superior_designated(port, &bpdu),
        ReceivedInfo::RepeatedDesignated => {
            record_proposal(port, &bpdu);
            set_tc_flags(port, &bpdu);
            updt_rcvd_info_while(port);
        }
        ReceivedInfo::InferiorDesignated => record_dispute(port, &bpdu, sink),
        ReceivedInfo::InferiorRootAlternate => {
            record_agreement(port, &bpdu, rstp_version);
            set_tc_flags(port, &bpdu);
        }
        ReceivedInfo::Own => own_bpdu(port, sink),
        ReceivedInfo::Other => {}
    }
    port.rcvd_msg = false;
}

fn superior_designated(port: &mut Port, bpdu: &Bpdu) {
    (port.agreed, port.proposing) = (false, false);
    record_proposal(port, bpdu);
    set_tc_flags(port, bpdu);
    port.agree = port.agree && better_or_same_info(port, InfoIs::Received);
    port.synced = port.synced && port.agreed;
    port.port_priority = port.msg_priority;
    record_times(port);
    updt_rcvd_info_while(port);
    port.info_is = InfoIs::Received;
    (port.reselect, port.selected) = (true, false);
}

/// betterorsameInfo (clause 17.21.1).
fn better_or_same_info(port: &Port, new_info_is: InfoIs) -> bool {
    let new = match new_info_is {
        InfoIs::Received => &port.msg_priority,
        _ => &port.designated_priority,
    };
    port.info_is == new_info_is && *new <= port.port_priority
}

/// rcvInfo (clause 17.21.8).
fn rcv_info(port: &mut Port, bpdu: &Bpdu) -> ReceivedInfo {
    let Some(message) = bpdu.message() else {
        // setTcFlags (clause 17.21.17) for a notification, which has no other information.
        port.rcvd_tcn = true;
        return ReceivedInfo::Other;
    };
    port.msg_priority = PriorityVector::of_message(message);
    port.msg_times = msg_times(message);
    if port.msg_priority.same_source(&port.designated_priority) {
        return ReceivedInfo::Own;
    }
    match bpdu {
        Bpdu::Rst(rst) if matches!(rst.role, BpduRole::Root | BpduRole::Alternate) => {
            if port.msg_priority >= port.port_priority {
                ReceivedInfo::InferiorRootAlternate
            } else {
                ReceivedInfo::Other
            }
        }
        _ => designated_info(port),
    }
}

fn designated_info(port: &Port) -> ReceivedInfo {
    let (new, old) = (&port.msg_priority, &port.port_priority);
    if new == old && port.msg_times == port.port_times && port.info_is == InfoIs::Received {
        ReceivedInfo::RepeatedDesignated
    } else if new < old || new.same_source(old) {
        ReceivedInfo::SuperiorDesignated
    } else {
        ReceivedInfo::InferiorDesignated
    }
}

/// The received times; Hello Time is at least 1 s (clause 17.21.13).
fn msg_times(message: &Message) -> Times {
    Times {
        hello_time: message.times.hello_time.max(TICKS_PER_SECOND),
        ..message.times
    }
}

/// recordTimes (clause 17.21.13).
const fn record_times(port: &mut Port) {
    port.port_times = port.msg_times;
}

/// recordProposal (clause 17.21.11).
const fn record_proposal(port: &mut Port, bpdu: &Bpdu) {
    if let Bpdu::Rst(rst) = bpdu
        && matches!(rst.role, BpduRole::Designated)
        && rst.proposal
    {
        port.proposed = true;
    }
}

/// recordAgreement (clause 17.21.9), and more careful: an agreement counts only if it can be one to
/// what this port says now. One that names another root, or comes while our newest information
/// waits for TxHoldCount, answers something that is no longer true, and the neighbour may have acted
/// on it; while old news of a lost root go round, believing it closes loops.
fn record_agreement(port: &mut Port, bpdu: &Bpdu, rstp_version: bool) {
    let current = !port.new_info && port.msg_priority.root == port.port_priority.root;
    port.agreed = match bpdu {
        Bpdu::Rst(rst) => rst.agreement && rstp_version && port.oper_point_to_point() && current,
        _ => false,
    };
    if port.agreed {
        port.proposing = false;
    }
}

/// recordDispute (clause 17.21.10).
fn record_dispute(port: &mut Port, bpdu: &Bpdu, sink: &mut dyn RstpSink) {
    let Bpdu::Rst(rst) = bpdu else {
        return;
    };
    if rst.role == BpduRole::Designated && rst.learning {
        if !port.disputed && port.learning {
            sink.event(RstpEvent::Dispute {
                port: port.id,
                bridge: rst.message.bridge,
            });
        }
        (port.disputed, port.agreed) = (true, false);
    }
}

/// A port that hears itself would send every frame round and round, so it discards as in a dispute.
fn own_bpdu(port: &mut Port, sink: &mut dyn RstpSink) {
    if !port.self_looped {
        port.self_looped = true;
        sink.event(RstpEvent::SelfLoop { port: port.id });
    }
    (port.disputed, port.agreed) = (true, false);
}

/// setTcFlags (clause 17.21.17).
const fn set_tc_flags(port: &mut Port, bpdu: &Bpdu) {
    match bpdu {
        Bpdu::Config(config) => {
            port.rcvd_tc |= config.topology_change;
            port.rcvd_tc_ack |= config.topology_change_ack;
        }
        Bpdu::Rst(rst) => port.rcvd_tc |= rst.topology_change,
        Bpdu::Tcn => port.rcvd_tcn = true,
    }
}

/// updtRcvdInfoWhile (clause 17.21.23): three hellos, or nothing for what is too old.
fn updt_rcvd_info_while(port: &mut Port) {
    let times = &port.port_times;
    port.timers.rcvd_info_while = if next_message_age(times) <= times.max_age {
        3 * seconds(times.hello_time)
    } else {
        0
    };
}

/// Message Age one bridge further: 1 s more, and rounded to whole seconds.
pub(super) const fn next_message_age(times: &Times) -> u16 {
    const HALF: u16 = TICKS_PER_SECOND / 2;
    let age = times.message_age.saturating_add(TICKS_PER_SECOND);
    age.saturating_add(HALF) / TICKS_PER_SECOND * TICKS_PER_SECOND
}
