//! Port Transmit state machine (clause 17.26): sends what is new, at once and at every hello, but
//! not more than TxHoldCount in a row.

use super::event::RstpSink;
use super::port::{Port, PortRole};
use wire::bpdu::{Bpdu, BpduRole, ConfigBpdu, Message, RstBpdu};
use wire::ethernet::Mac;

/// State.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    TransmitInit,
    Idle,
}

/// At most one transition; whether there was one.
pub(super) fn step(
    port: &mut Port,
    source: Mac,
    tx_hold_count: u8,
    sink: &mut dyn RstpSink,
) -> bool {
    // IEEE 802.1Q-2011, figure 13-13: nothing is sent by a port that is not enabled.
    if !port.port_enabled {
        let was = port.machines.transmit;
        port.machines.transmit = State::TransmitInit;
        (port.new_info, port.tx_count) = (false, 0);
        return was != State::TransmitInit;
    }
    if port.machines.transmit == State::TransmitInit {
        idle(port);
        return true;
    }
    if !port.selected || port.updt_info {
        return false;
    }
    if port.timers.hello_when == 0 {
        transmit_periodic(port);
        idle(port);
        return true;
    }
    if !port.new_info || port.tx_count >= tx_hold_count {
        return false;
    }
    let Some(bpdu) = next_bpdu(port) else {
        return false;
    };
    port.new_info = false;
    port.tx_count += 1;
    port.counters.sent += 1;
    sink.send(port.id, &bpdu.write_frame(source));
    idle(port);
    true
}

const fn idle(port: &mut Port) {
    port.machines.transmit = State::Idle;
    port.timers.hello_when = port.hello_time();
}

const fn transmit_periodic(port: &mut Port) {
    let root_tells = matches!(port.role, PortRole::Root) && port.timers.tc_while != 0;
    port.new_info |= matches!(port.role, PortRole::Designated) || root_tells;
}

/// What TRANSMIT_RSTP, TRANSMIT_CONFIG or TRANSMIT_TCN sends.
fn next_bpdu(port: &mut Port) -> Option<Bpdu> {
    if port.send_rstp {
        port.tc_ack = false;
        return Some(Bpdu::Rst(rst(port)));
    }
    match port.role {
        PortRole::Designated => {
            let config = Bpdu::Config(config(port));
            port.tc_ack = false;
            Some(config)
        }
        PortRole::Root => Some(Bpdu::Tcn),
        _ => None,
    }
}

/// txConfig (clause 17.21.19).
fn config(port: &Port) -> ConfigBpdu {
    ConfigBpdu {
        topology_change: port.timers.tc_while != 0,
        topology_change_ack: port.tc_ack,
        message: message(port),
    }
}

/// txRstp (clause 17.21.20).
fn rst(port: &Port) -> RstBpdu {
    RstBpdu {
        topology_change: port.timers.tc_while != 0,
        proposal: port.proposing,
        role: match port.role {
            PortRole::Disabled => BpduRole::Unknown,
            PortRole::Root => BpduRole::Root,
            PortRole::Designated => BpduRole::Designated,
            PortRole::Alternate | PortRole::Backup => BpduRole::Alternate,
        },
        learning: port.learning,
        forwarding: port.forwarding,
        agreement: port.agree,
        message: message(port),
    }
}

const fn message(port: &Port) -> Message {
    let vector = port.designated_priority;
    Message {
        root: vector.root,
        root_path_cost: vector.root_path_cost,
        bridge: vector.designated_bridge,
        port: vector.designated_port,
        times: port.designated_times,
    }
}
