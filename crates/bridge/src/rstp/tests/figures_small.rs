//! Figures 17-13 to 17-16 and 17-23, in every combination of what they look at.

use super::super::bridge_detection::{self, State as Detection};
use super::super::port::Port;
use super::super::port_protocol_migration::{self, State as Migration};
use super::super::port_receive::{self, State as Receive};
use super::super::port_state_transition::{self, State as Forwarding};
use super::super::port_timers;
use super::{Row, Sink, bit, hold, port};
use wire::bpdu::{Bpdu, RstBpdu};

#[test]
fn timers_count_down_to_zero() {
    let mut port = port(0);
    port.timers.hello_when = 2;
    port.timers.tc_while = 1;
    port.tx_count = 1;
    let fd_while = port.timers.fd_while;
    port_timers::tick(&mut port);
    port_timers::tick(&mut port);
    assert_eq!(port.timers.fd_while, fd_while - 2);
    let timers = &port.timers;
    assert_eq!(
        (timers.hello_when, timers.tc_while, port.tx_count),
        (0, 0, 0)
    );
}

const RECEIVE: [Row<Port>; 2] = [
    (
        "DISCARD",
        |p| (p.rcvd_bpdu || p.timers.edge_delay_while != 3) && !p.port_enabled,
        |p| {
            p.machines.receive = Receive::Discard;
            (p.rcvd_bpdu, p.rcvd_rstp, p.rcvd_stp, p.rcvd_msg) = (false, false, false, false);
            p.timers.edge_delay_while = 3;
        },
    ),
    (
        "RECEIVE",
        |p| {
            let free = p.machines.receive == Receive::Discard || !p.rcvd_msg;
            p.rcvd_bpdu && p.port_enabled && free
        },
        |p| {
            p.machines.receive = Receive::Receive;
            (p.oper_edge, p.rcvd_bpdu, p.rcvd_msg) = (false, false, true);
            p.heard = true;
            match p.rcvd {
                Some(Bpdu::Rst(_)) => p.rcvd_rstp = true,
                _ => p.rcvd_stp = true,
            }
            p.timers.edge_delay_while = 3;
        },
    ),
];

#[test]
fn port_receive() {
    for bits in 0..1 << 6 {
        let mut port = port(0);
        port.rcvd = Some(if bit(bits, 0) {
            Bpdu::Rst(RstBpdu::default())
        } else {
            Bpdu::Tcn
        });
        (port.rcvd_bpdu, port.port_enabled) = (bit(bits, 1), bit(bits, 2));
        (port.rcvd_msg, port.oper_edge) = (bit(bits, 3), true);
        port.timers.edge_delay_while = if bit(bits, 4) { 3 } else { 1 };
        port.machines.receive = if bit(bits, 5) {
            Receive::Receive
        } else {
            Receive::Discard
        };
        hold(&RECEIVE, &port, port_receive::step);
    }
}

const MIGRATION: [Row<Port>; 5] = [
    (
        "CHECKING_RSTP, again",
        |p| {
            let waits = p.timers.mdelay_while != 3 && p.timers.mdelay_while != 0;
            p.machines.migration == Migration::CheckingRstp && waits && !p.port_enabled
        },
        checking,
    ),
    (
        "SENSING, from CHECKING_RSTP",
        |p| p.machines.migration == Migration::CheckingRstp && p.timers.mdelay_while == 0,
        sensing,
    ),
    (
        "SENSING, from SELECTING_STP",
        |p| {
            let over = p.timers.mdelay_while == 0 || !p.port_enabled || p.mcheck;
            p.machines.migration == Migration::SelectingStp && over
        },
        sensing,
    ),
    (
        "CHECKING_RSTP, from SENSING",
        |p| {
            let rstp = !p.send_rstp && p.rcvd_rstp;
            p.machines.migration == Migration::Sensing && (!p.port_enabled || p.mcheck || rstp)
        },
        checking,
    ),
    (
        "SELECTING_STP",
        |p| p.machines.migration == Migration::Sensing && p.send_rstp && p.rcvd_stp,
        |p| {
            p.machines.migration = Migration::SelectingStp;
            p.send_rstp = false;
            p.timers.mdelay_while = 3;
        },
    ),
];

fn checking(p: &mut Port) {
    p.machines.migration = Migration::CheckingRstp;
    (p.mcheck, p.send_rstp) = (false, true);
    p.timers.mdelay_while = 3;
}

fn sensing(p: &mut Port) {
    p.machines.migration = Migration::Sensing;
    (p.rcvd_rstp, p.rcvd_stp) = (false, false);
}

#[test]
fn port_protocol_migration() {
    let states = [
        Migration::CheckingRstp,
        Migration::Sensing,
        Migration::SelectingStp,
    ];
    for state in states {
        for bits in 0..3 << 5 {
            let mut port = port(0);
            port.machines.migration = state;
            (port.port_enabled, port.mcheck) = (bit(bits, 0), bit(bits, 1));
            (port.send_rstp, port.rcvd_rstp, port.rcvd_stp) =
                (bit(bits, 2), bit(bits, 3), bit(bits, 4));
            port.timers.mdelay_while = [0, 1, 3][(bits >> 5) as usize];
            hold(&MIGRATION, &port, |port| {
                port_protocol_migration::step(port, true, &mut Sink::default())
            });
        }
    }
}

const DETECTION: [Row<Port>; 2] = [
    (
        "NOT_EDGE",
        |p| {
            let closed = !p.port_enabled && !p.config.admin_edge;
            p.machines.detection == Detection::Edge && (closed || !p.oper_edge)
        },
        |p| {
            p.machines.detection = Detection::NotEdge;
            p.oper_edge = false;
        },
    ),
    (
        "EDGE",
        |p| {
            let waited = p.timers.edge_delay_while == 0 && p.send_rstp && p.proposing;
            let auto = waited && p.config.auto_edge && !p.heard;
            let admin = !p.port_enabled && p.config.admin_edge;
            p.machines.detection == Detection::NotEdge && (admin || auto)
        },
        |p| {
            p.machines.detection = Detection::Edge;
            p.oper_edge = true;
        },
    ),
];

#[test]
fn bridge_detection() {
    for bits in 0..1 << 9 {
        let mut port = port(0);
        (port.port_enabled, port.oper_edge) = (bit(bits, 0), bit(bits, 1));
        (port.config.admin_edge, port.config.auto_edge) = (bit(bits, 2), bit(bits, 3));
        (port.send_rstp, port.proposing, port.heard) = (bit(bits, 4), bit(bits, 5), bit(bits, 6));
        port.timers.edge_delay_while = u16::from(bit(bits, 7));
        port.machines.detection = if bit(bits, 8) {
            Detection::Edge
        } else {
            Detection::NotEdge
        };
        hold(&DETECTION, &port, bridge_detection::step);
    }
}

#[test]
fn port_state_transition() {
    use Forwarding::{Discarding, Forwarding as Forwards, Learning};
    let expected = |state, learn: bool, forward: bool| match state {
        Discarding if learn => Some(Learning),
        Learning if !learn => Some(Discarding),
        Learning if forward => Some(Forwards),
        Forwards if !forward => Some(Discarding),
        _ => None,
    };
    for state in [Discarding, Learning, Forwards] {
        for bits in 0..4 {
            let (mut port, mut sink) = (port(0), Sink::default());
            port.machines.state = state;
            (port.learn, port.forward) = (bit(bits, 0), bit(bits, 1));
            let next = expected(state, port.learn, port.forward);
            let moved = port_state_transition::step(&mut port, &mut sink);
            assert_eq!(moved.then_some(port.machines.state), next);
            let told = next.map(port_state_transition::port_state);
            assert_eq!(sink.states.first().map(|(_, state)| *state), told);
            if let Some(next) = next {
                assert_eq!(port.learning, next != Discarding);
                assert_eq!(port.forwarding, next == Forwards);
            }
        }
    }
}
