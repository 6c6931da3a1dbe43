//! Port Information (figure 17-18), Port Transmit (17-17) and Topology Change (17-24).

use super::super::config::RstpConfig;
use super::super::port::{InfoIs, Port, PortRole};
use super::super::port_information::{self, State as Information};
use super::super::port_transmit::{self, State as Transmit};
use super::super::topology_change::{self, State as Topology};
use super::super::tree::Tree;
use super::super::vector::PriorityVector;
use super::{Row, Sink, TIMES, bit, hold, port};
use wire::bpdu::{
    Bpdu, BpduRole, BridgeIdentifier, ConfigBpdu, Message, PortIdentifier, RstBpdu, Times,
};
use wire::ethernet::Mac;

fn bridge(number: u8) -> BridgeIdentifier {
    BridgeIdentifier::new(32_768, Mac([2, 0, 0, 0, 0, number]))
}

/// What bridge `number` says of root 1 at this cost.
fn vector(number: u8, root_path_cost: u32) -> PriorityVector {
    PriorityVector {
        root: bridge(1),
        root_path_cost,
        designated_bridge: bridge(number),
        designated_port: PortIdentifier::new(128, 1),
    }
}

fn message(vector: PriorityVector, times: Times) -> Message {
    Message {
        root: vector.root,
        root_path_cost: vector.root_path_cost,
        bridge: vector.designated_bridge,
        port: vector.designated_port,
        times,
    }
}

/// A port of bridge 5, whose information is that of bridge 3 at cost 100.
fn informed(info_is: InfoIs) -> Port {
    let mut port = port(0);
    (port.port_enabled, port.selected, port.reselect) = (true, true, false);
    port.machines.information = Information::Current;
    port.info_is = info_is;
    port.port_priority = vector(3, 100);
    port.port_times = TIMES;
    port.designated_priority = vector(5, 200);
    port.timers.rcvd_info_while = 1;
    (port.synced, port.agreed, port.agree, port.proposing) = (true, true, true, true);
    port
}

fn receive(port: &mut Port, bpdu: Bpdu) -> Sink {
    let mut sink = Sink::default();
    port.rcvd = Some(bpdu);
    port.rcvd_msg = true;
    assert!(port_information::step(port, true, &mut sink));
    assert!(!port.rcvd_msg, "taken");
    sink
}

fn designated(vector: PriorityVector) -> RstBpdu {
    RstBpdu {
        role: BpduRole::Designated,
        message: message(vector, TIMES),
        ..RstBpdu::default()
    }
}

#[test]
fn superior_designated() {
    let later = Times {
        message_age: 256,
        ..TIMES
    };
    let better = designated(vector(2, 100));
    let worse_of_the_same = designated(vector(3, 150));
    let mut other_times = designated(vector(3, 100));
    other_times.message.times = later;
    // Unknown is read as if it was a Configuration BPDU (clause 9.2.9).
    let mut unknown = better;
    unknown.role = BpduRole::Unknown;
    let config = Bpdu::Config(ConfigBpdu {
        message: better.message,
        ..ConfigBpdu::default()
    });
    let rsts = [better, worse_of_the_same, other_times, unknown].map(Bpdu::Rst);
    for bpdu in rsts.into_iter().chain([config]) {
        let mut port = informed(InfoIs::Received);
        receive(&mut port, bpdu);
        let message = bpdu.message().unwrap();
        assert_eq!(port.port_priority, PriorityVector::of_message(message));
        assert_eq!(port.port_times, message.times);
        assert_eq!(port.info_is, InfoIs::Received);
        assert!(port.reselect && !port.selected, "another selection");
        assert!(!port.agreed && !port.proposing && !port.synced);
        assert_eq!(port.timers.rcvd_info_while, 6, "three hellos");
        // What we agreed to holds for what is better or the same, not for what is worse.
        let still = port.msg_priority <= vector(3, 100);
        assert_eq!(port.agree, still, "{bpdu:?}");
    }
}

#[test]
fn repeated_designated() {
    let mut port = informed(InfoIs::Received);
    let mut rst = designated(vector(3, 100));
    (rst.proposal, rst.topology_change) = (true, true);
    receive(&mut port, Bpdu::Rst(rst));
    assert!(port.selected && !port.reselect);
    assert!(port.proposed && port.rcvd_tc);
    assert_eq!(port.timers.rcvd_info_while, 6);
}

#[test]
fn inferior_designated_is_a_dispute_when_it_learns() {
    for learning in [false, true] {
        let mut port = informed(InfoIs::Mine);
        port.learning = true;
        let mut rst = designated(vector(4, 100));
        rst.learning = learning;
        let sink = receive(&mut port, Bpdu::Rst(rst));
        assert_eq!((port.disputed, port.agreed), (learning, !learning));
        assert_eq!(sink.events.len(), usize::from(learning));
        assert_eq!(port.port_priority, vector(3, 100), "it keeps its own");
    }
}

/// Role, vector, agreement flag, point-to-point, newest information unsent: agreed.
#[test]
fn agreements() {
    let other_root = PriorityVector {
        root: bridge(2),
        ..vector(4, 0)
    };
    for (role, said, flag, cable, unsent, expected) in [
        (BpduRole::Root, vector(4, 300), true, true, false, true),
        (BpduRole::Alternate, vector(4, 300), true, true, false, true),
        (BpduRole::Root, vector(3, 100), true, true, false, true),
        (BpduRole::Root, vector(4, 300), false, true, false, false),
        (BpduRole::Root, vector(4, 300), true, false, false, false),
        (BpduRole::Root, vector(4, 300), true, true, true, false),
        (BpduRole::Root, other_root, true, true, false, false),
    ] {
        let mut port = informed(InfoIs::Mine);
        (port.agreed, port.new_info) = (false, unsent);
        port.link.full_duplex = cable;
        let rst = RstBpdu {
            role,
            agreement: flag,
            ..designated(said)
        };
        receive(&mut port, Bpdu::Rst(rst));
        assert_eq!(port.agreed, expected, "{rst:?}");
        assert_eq!(port.proposing, !expected);
    }
    // From somebody who knows better it is no agreement, and changes nothing.
    let mut port = informed(InfoIs::Mine);
    let mut rst = designated(vector(4, 50));
    (rst.role, rst.agreement) = (BpduRole::Root, true);
    port.agreed = false;
    receive(&mut port, Bpdu::Rst(rst));
    assert!(!port.agreed && port.proposing);
}

#[test]
fn own_bpdus_and_notifications() {
    let mut port = informed(InfoIs::Mine);
    let own = designated(port.designated_priority);
    let sink = receive(&mut port, Bpdu::Rst(own));
    assert!(port.disputed && port.self_looped && !port.agreed);
    assert_eq!(sink.events.len(), 1);
    let sink = receive(&mut port, Bpdu::Rst(own));
    assert_eq!(sink.events, [], "told once");
    receive(&mut port, Bpdu::Tcn);
    assert!(port.rcvd_tcn);
}

#[test]
fn information_too_old_is_worth_nothing() {
    for (age, seconds) in [
        (0, 6),
        (19 * 256, 6),
        (19 * 256 + 127, 6),
        (19 * 256 + 128, 0),
    ] {
        let mut port = informed(InfoIs::Received);
        let mut rst = designated(vector(2, 100));
        rst.message.times.message_age = age;
        receive(&mut port, Bpdu::Rst(rst));
        assert_eq!(port.timers.rcvd_info_while, seconds, "age {age}/256 s");
    }
}

#[test]
fn it_ages_and_is_updated() {
    let mut sink = Sink::default();
    let mut port = informed(InfoIs::Received);
    assert!(!port_information::step(&mut port, true, &mut sink), "fresh");
    port.timers.rcvd_info_while = 0;
    assert!(port_information::step(&mut port, true, &mut sink));
    assert_eq!(port.info_is, InfoIs::Aged);
    assert!(port.reselect && !port.selected);
    assert!(!port_information::step(&mut port, true, &mut sink));
    (port.selected, port.updt_info) = (true, true);
    assert!(port_information::step(&mut port, true, &mut sink));
    assert_eq!(port.info_is, InfoIs::Mine);
    assert_eq!(port.port_priority, port.designated_priority);
    assert!(port.new_info && !port.updt_info && !port.agreed && !port.synced);
    // An agreement to worse information of ours is one to better information.
    (port.agreed, port.synced, port.updt_info) = (true, true, true);
    port.designated_priority = vector(5, 100);
    assert!(port_information::step(&mut port, true, &mut sink));
    assert!(port.agreed && port.synced);
    port.updt_info = true;
    port.designated_priority = vector(5, 101);
    assert!(port_information::step(&mut port, true, &mut sink));
    assert!(!port.agreed && !port.synced);
    port.port_enabled = false;
    assert!(port_information::step(&mut port, true, &mut sink));
    assert_eq!(port.info_is, InfoIs::Disabled);
}

#[test]
fn transmission() {
    const HOLD: u8 = 6;
    for bits in 0..1 << 11 {
        let mut port = port(0);
        port.machines.transmit = Transmit::Idle;
        (port.port_enabled, port.new_info, port.send_rstp) = (true, bit(bits, 0), bit(bits, 1));
        (port.selected, port.updt_info) = (bit(bits, 2), bit(bits, 3));
        port.tx_count = if bit(bits, 4) { HOLD } else { HOLD - 1 };
        port.timers.hello_when = u16::from(bit(bits, 5));
        port.timers.tc_while = u16::from(bit(bits, 6));
        port.role = [
            PortRole::Root,
            PortRole::Designated,
            PortRole::Alternate,
            PortRole::Backup,
        ][(bits >> 7 & 3) as usize];
        (port.tc_ack, port.proposing) = (bit(bits, 9), bit(bits, 10));
        let (before, mut sink) = (port.clone(), Sink::default());
        let moved = port_transmit::step(&mut port, Mac([2, 0, 0, 0, 0, 5]), HOLD, &mut sink);
        let sent: Vec<Bpdu> = sink
            .sent
            .iter()
            .map(|(_, frame)| Bpdu::parse_frame(frame).expect("our own"))
            .collect();
        check_transmission(&before, &port, moved, &sent);
    }
}

fn check_transmission(before: &Port, after: &Port, moved: bool, sent: &[Bpdu]) {
    let open = before.selected && !before.updt_info;
    if open && before.timers.hello_when == 0 {
        let tells = match before.role {
            PortRole::Designated => true,
            PortRole::Root => before.timers.tc_while != 0,
            _ => false,
        };
        assert!(moved && sent.is_empty(), "TRANSMIT_PERIODIC");
        assert_eq!(after.new_info, before.new_info || tells);
        assert_eq!(after.timers.hello_when, 2);
        return;
    }
    let free = open && before.new_info && before.tx_count < 6;
    let expected = match (before.send_rstp, before.role) {
        (true, _) => free.then_some("rst"),
        (false, PortRole::Designated) => free.then_some("config"),
        (false, PortRole::Root) => free.then_some("tcn"),
        _ => None,
    };
    let kinds = sent.iter().map(|bpdu| match bpdu {
        Bpdu::Rst(rst) => {
            assert_eq!(rst.proposal, before.proposing);
            assert_eq!(rst.topology_change, before.timers.tc_while != 0);
            "rst"
        }
        Bpdu::Config(config) => {
            assert_eq!(config.topology_change_ack, before.tc_ack);
            "config"
        }
        Bpdu::Tcn => "tcn",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), Vec::from_iter(expected));
    assert_eq!(moved, expected.is_some());
    if moved {
        assert_eq!(after.tx_count, before.tx_count + 1);
        assert!(!after.new_info);
        assert_eq!(after.timers.hello_when, 2);
        assert_eq!(after.tc_ack, before.tc_ack && expected == Some("tcn"));
    }
}

fn new_tc_while(t: &mut Tree) {
    let p = &mut t.ports[0];
    if p.timers.tc_while == 0 {
        p.timers.tc_while = if p.send_rstp { 3 } else { 35 };
        p.new_info |= p.send_rstp;
    }
}

fn active(p: &Port) -> bool {
    matches!(p.role, PortRole::Root | PortRole::Designated)
}

fn learning(t: &mut Tree) {
    let p = &mut t.ports[0];
    p.machines.topology = Topology::Learning;
    (p.rcvd_tc, p.rcvd_tcn, p.rcvd_tc_ack, p.tc_prop) = (false, false, false, false);
}

fn notified_tc(t: &mut Tree) {
    let p = &mut t.ports[0];
    (p.rcvd_tcn, p.rcvd_tc) = (false, false);
    p.tc_ack |= p.role == PortRole::Designated;
    t.ports[1].tc_prop = true;
}

const TOPOLOGY: [Row<Tree>; 9] = [
    (
        "LEARNING, from INACTIVE",
        |t| t.ports[0].machines.topology == Topology::Inactive && t.ports[0].learn,
        learning,
    ),
    (
        "DETECTED",
        |t| {
            let p = &t.ports[0];
            p.machines.topology == Topology::Learning && active(p) && p.forward && !p.oper_edge
        },
        |t| {
            new_tc_while(t);
            t.ports[1].tc_prop = true;
            t.ports[0].new_info = true;
            t.ports[0].machines.topology = Topology::Active;
        },
    ),
    (
        "LEARNING, again",
        |t| {
            let p = &t.ports[0];
            let news = p.rcvd_tc || p.rcvd_tcn || p.rcvd_tc_ack || p.tc_prop;
            p.machines.topology == Topology::Learning && news
        },
        learning,
    ),
    (
        "INACTIVE",
        |t| {
            let p = &t.ports[0];
            let news = p.rcvd_tc || p.rcvd_tcn || p.rcvd_tc_ack || p.tc_prop;
            let off = !active(p) && !p.learn && !p.learning && !news;
            p.machines.topology == Topology::Learning && off
        },
        |t| {
            let p = &mut t.ports[0];
            p.machines.topology = Topology::Inactive;
            p.timers.tc_while = 0;
            p.tc_ack = false;
        },
    ),
    (
        "LEARNING, from ACTIVE",
        |t| {
            let p = &t.ports[0];
            p.machines.topology == Topology::Active && (!active(p) || p.oper_edge)
        },
        learning,
    ),
    (
        "NOTIFIED_TCN",
        |t| t.ports[0].machines.topology == Topology::Active && t.ports[0].rcvd_tcn,
        |t| {
            new_tc_while(t);
            notified_tc(t);
        },
    ),
    (
        "NOTIFIED_TC",
        |t| t.ports[0].machines.topology == Topology::Active && t.ports[0].rcvd_tc,
        notified_tc,
    ),
    (
        "ACKNOWLEDGED",
        |t| t.ports[0].machines.topology == Topology::Active && t.ports[0].rcvd_tc_ack,
        |t| {
            t.ports[0].timers.tc_while = 0;
            t.ports[0].rcvd_tc_ack = false;
        },
    ),
    (
        "PROPAGATING",
        |t| {
            let p = &t.ports[0];
            p.machines.topology == Topology::Active && p.tc_prop && !p.oper_edge
        },
        |t| {
            new_tc_while(t);
            t.ports[0].tc_prop = false;
        },
    ),
];

#[test]
fn topology_change() {
    let states = [Topology::Inactive, Topology::Learning, Topology::Active];
    for state in states {
        for bits in 0..3 << 10 {
            let mut tree = Tree::new(&RstpConfig::new(Mac([2, 0, 0, 0, 0, 5])));
            tree.ports = vec![port(0), port(1)];
            let p = &mut tree.ports[0];
            p.machines.topology = state;
            (p.learn, p.forward) = (bit(bits, 0) || bit(bits, 1), bit(bits, 1));
            p.learning = bit(bits, 2);
            (p.rcvd_tc, p.rcvd_tcn, p.rcvd_tc_ack) = (bit(bits, 3), bit(bits, 4), bit(bits, 5));
            (p.tc_prop, p.oper_edge) = (bit(bits, 6), bit(bits, 7));
            p.timers.tc_while = u16::from(bit(bits, 8));
            p.send_rstp = bit(bits, 9);
            p.role =
                [PortRole::Root, PortRole::Designated, PortRole::Alternate][(bits >> 10) as usize];
            hold(&TOPOLOGY, &tree, |tree| {
                let moved = topology_change::step(tree, 0, &mut Sink::default());
                // Only for events.
                tree.topology_change_cause = None;
                moved
            });
        }
    }
}
