//! Port Protocol Migration state machine (clause 17.24): STP where the neighbour knows only that.

use super::config::MIGRATE_TIME;
use super::event::{RstpEvent, RstpSink};
use super::port::Port;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    CheckingRstp,
    SelectingStp,
    Sensing,
}

/// At most one transition; whether there was one.
pub(super) fn step(port: &mut Port, rstp_version: bool, sink: &mut dyn RstpSink) -> bool {
    let timer = port.timers.mdelay_while;
    let restarted = !port.port_enabled || port.mcheck;
    match port.machines.migration {
        State::CheckingRstp if timer == 0 => sensing(port),
        State::CheckingRstp if timer != MIGRATE_TIME && !port.port_enabled => {
            checking_rstp(port, rstp_version, sink);
        }
        State::SelectingStp if timer == 0 || restarted => sensing(port),
        State::Sensing if restarted || rstp_version && !port.send_rstp && port.rcvd_rstp => {
            checking_rstp(port, rstp_version, sink);
        }
        State::Sensing if port.send_rstp && port.rcvd_stp => selecting_stp(port, sink),
        _ => return false,
    }
    true
}

fn checking_rstp(port: &mut Port, rstp_version: bool, sink: &mut dyn RstpSink) {
    port.machines.migration = State::CheckingRstp;
    port.mcheck = false;
    if port.send_rstp != rstp_version && port.port_enabled {
        let rstp = rstp_version;
        sink.event(RstpEvent::Protocol {
            port: port.id,
            rstp,
        });
    }
    port.send_rstp = rstp_version;
    port.timers.mdelay_while = MIGRATE_TIME;
}

fn selecting_stp(port: &mut Port, sink: &mut dyn RstpSink) {
    port.machines.migration = State::SelectingStp;
    port.send_rstp = false;
    port.timers.mdelay_while = MIGRATE_TIME;
    sink.event(RstpEvent::Protocol {
        port: port.id,
        rstp: false,
    });
}

const fn sensing(port: &mut Port) {
    port.machines.migration = State::Sensing;
    (port.rcvd_rstp, port.rcvd_stp) = (false, false);
}
