//! The façade.

use super::super::{
    AddRstpPortError, Link, PortRole, Received, Rstp, RstpConfig, RstpConfigError, RstpEvent,
    RstpPortConfig,
};
use super::Sink;
use crate::port::{MAX_PORTS, PortId, PortState};
use std::time::{Duration, Instant};
use wire::bpdu::{Bpdu, BpduError, BpduRole, BridgeIdentifier, Message, RstBpdu};
use wire::ethernet::Mac;

const P0: PortId = PortId(0);
const SECOND: Duration = Duration::from_secs(1);

#[allow(clippy::disallowed_methods, reason = "a point to count from")]
fn start() -> Instant {
    Instant::now()
}

fn config() -> RstpConfig {
    RstpConfig::new(Mac([2, 0, 0, 0, 0, 5]))
}

/// One port, up.
fn one(port: RstpPortConfig, now: Instant, sink: &mut Sink) -> Rstp {
    let mut rstp = Rstp::new(&config(), now).unwrap();
    rstp.add_port(P0, port, sink).unwrap();
    assert!(rstp.port_up(P0, Link::default(), now, sink));
    rstp
}

fn better_root() -> Bpdu {
    Bpdu::Rst(RstBpdu {
        role: BpduRole::Designated,
        proposal: true,
        message: Message {
            root: BridgeIdentifier::new(0, Mac([2, 0, 0, 0, 0, 1])),
            bridge: BridgeIdentifier::new(0, Mac([2, 0, 0, 0, 0, 1])),
            times: super::TIMES,
            ..Message::default()
        },
        ..RstBpdu::default()
    })
}

#[test]
fn configurations_out_of_range_are_refused() {
    use RstpConfigError as Error;
    let with = |change: fn(&mut RstpConfig)| {
        let mut config = config();
        change(&mut config);
        config.check()
    };
    assert_eq!(config().check(), Ok(()));
    assert_eq!(with(|c| c.priority = 5), Err(Error::Priority(5)));
    let group = Mac([1, 0, 0, 0, 0, 5]);
    assert_eq!(
        with(|c| c.address = Mac([1, 0, 0, 0, 0, 5])),
        Err(Error::Address(group))
    );
    assert_eq!(with(|c| c.hello_time = 0), Err(Error::HelloTime(0)));
    assert_eq!(with(|c| c.hello_time = 11), Err(Error::HelloTime(11)));
    assert_eq!(with(|c| c.max_age = 5), Err(Error::MaxAge(5)));
    assert_eq!(with(|c| c.max_age = 41), Err(Error::MaxAge(41)));
    assert_eq!(with(|c| c.forward_delay = 3), Err(Error::ForwardDelay(3)));
    assert_eq!(with(|c| c.forward_delay = 31), Err(Error::ForwardDelay(31)));
    assert_eq!(with(|c| c.tx_hold_count = 0), Err(Error::TxHoldCount(0)));
    assert_eq!(with(|c| c.tx_hold_count = 11), Err(Error::TxHoldCount(11)));
    let short = with(|c| c.forward_delay = 10);
    assert_eq!(short, Err(Error::ForwardDelayForMaxAge));
    assert_eq!(with(|c| c.hello_time = 10), Err(Error::MaxAgeForHelloTime));
    let port = RstpPortConfig {
        priority: 8,
        ..RstpPortConfig::default()
    };
    assert_eq!(port.check(), Err(Error::PortPriority(8)));
    let port = RstpPortConfig {
        path_cost: Some(0),
        ..RstpPortConfig::default()
    };
    assert_eq!(port.check(), Err(Error::PathCost(0)));
}

#[test]
fn ports_come_and_go() {
    let (now, mut sink) = (start(), Sink::default());
    let mut rstp = Rstp::new(&config(), now).unwrap();
    assert_eq!(rstp.poll_timeout(), None, "nothing to do");
    let port = RstpPortConfig::default();
    assert_eq!(rstp.add_port(PortId(7), port, &mut sink), Ok(()));
    assert_eq!(sink.states, [(PortId(7), PortState::Discarding)]);
    assert_eq!(sink.flushed, [PortId(7)]);
    let again = rstp.add_port(PortId(7), port, &mut sink);
    assert_eq!(again, Err(AddRstpPortError::Exists(7)));
    let beyond = rstp.add_port(PortId(MAX_PORTS), port, &mut sink);
    assert_eq!(beyond, Err(AddRstpPortError::OutOfRange(MAX_PORTS)));
    assert!(!rstp.port_up(P0, Link::default(), now, &mut sink));
    assert!(rstp.port_up(PortId(7), Link::default(), now, &mut sink));
    let taken = rstp.handle_bpdu(PortId(7), better_root(), now, &mut sink);
    assert_eq!(taken, Received::Taken);
    assert_eq!(rstp.snapshot().root_port, Some(PortId(7)));
    // A port before the root port, and gone again.
    rstp.add_port(PortId(3), port, &mut sink).unwrap();
    assert_eq!(rstp.snapshot().root_port, Some(PortId(7)));
    assert!(rstp.remove_port(PortId(3), now, &mut sink));
    assert_eq!(rstp.snapshot().root_port, Some(PortId(7)));
    assert!(rstp.remove_port(PortId(7), now, &mut sink));
    assert!(!rstp.remove_port(PortId(7), now, &mut sink));
    let snapshot = rstp.snapshot();
    assert_eq!((snapshot.root, snapshot.root_port), (snapshot.bridge, None));
    assert_eq!(
        sink.states.last(),
        Some(&(PortId(7), PortState::Discarding))
    );
    assert_eq!(rstp.poll_timeout(), None);
}

#[test]
fn the_agreement_leaves_after_other_ports_are_blocked() {
    let (now, mut sink) = (start(), Sink::default());
    let mut rstp = one(RstpPortConfig::default(), now, &mut sink);
    let edge = RstpPortConfig::default();
    rstp.add_port(PortId(1), edge, &mut sink).unwrap();
    rstp.port_up(PortId(1), Link::default(), now, &mut sink);
    for second in 1..30 {
        // A neighbour that proposes nothing, so that port 1 forwards by its timers alone.
        let late = now + SECOND * second;
        rstp.handle_timeout(late, &mut sink);
        let mut hello = RstBpdu {
            role: BpduRole::Root,
            ..RstBpdu::default()
        };
        hello.message.root = BridgeIdentifier::new(61_440, Mac([2, 0, 0, 0, 0, 9]));
        hello.message.bridge = hello.message.root;
        rstp.handle_bpdu(PortId(1), Bpdu::Rst(hello), late, &mut sink);
    }
    let snapshot = rstp.snapshot();
    assert_eq!(snapshot.ports[1].state, PortState::Forwarding);
    let order = std::cell::RefCell::new(Vec::new());
    struct Order<'a>(&'a std::cell::RefCell<Vec<String>>);
    impl super::RstpSink for Order<'_> {
        fn send(&mut self, port: PortId, frame: &[u8]) {
            if let Ok(Bpdu::Rst(rst)) = Bpdu::parse_frame(frame) {
                let agreement = rst.agreement;
                self.0
                    .borrow_mut()
                    .push(format!("send {} {agreement}", port.0));
            }
        }
        fn set_state(&mut self, port: PortId, state: PortState) {
            self.0.borrow_mut().push(format!("{} {state:?}", port.0));
        }
        fn flush(&mut self, _: PortId) {}
        fn event(&mut self, _: RstpEvent) {}
    }
    let late = now + SECOND * 30;
    rstp.handle_bpdu(P0, better_root(), late, &mut Order(&order));
    let order = order.into_inner();
    let place = |text: &str| order.iter().position(|entry| entry == text);
    let (blocked, agreed) = (place("1 Discarding"), place("send 0 true"));
    assert!(blocked.is_some() && agreed.is_some(), "{order:?}");
    assert!(blocked < agreed, "{order:?}");
}

#[test]
fn bpdu_guard_shuts_until_enabled() {
    let (now, mut sink) = (start(), Sink::default());
    let guarded = RstpPortConfig {
        bpdu_guard: true,
        admin_edge: true,
        ..RstpPortConfig::default()
    };
    let mut rstp = one(guarded, now, &mut sink);
    assert_eq!(rstp.snapshot().ports[0].state, PortState::Forwarding);
    assert!(!rstp.enable_port(P0, now, &mut sink), "it is not shut");
    let frame = better_root().write_frame(Mac([2, 0, 0, 0, 0, 1]));
    let received = rstp.handle_frame(P0, &frame, now, &mut sink);
    assert_eq!(received, Ok(Received::Guarded));
    let port = &rstp.snapshot().ports[0];
    assert!(port.shut && port.state == PortState::Discarding);
    assert_eq!(port.role, PortRole::Disabled);
    let received = rstp.handle_frame(P0, &frame, now, &mut sink);
    assert_eq!(received, Ok(Received::NoPort));
    rstp.port_down(P0, now, &mut sink);
    rstp.port_up(P0, Link::default(), now, &mut sink);
    assert!(rstp.snapshot().ports[0].shut, "a flap does not open it");
    assert!(rstp.enable_port(P0, now, &mut sink));
    assert_eq!(rstp.snapshot().ports[0].state, PortState::Forwarding);
    let told = |event: &&RstpEvent| matches!(event, RstpEvent::BpduGuard { .. });
    assert_eq!(sink.events.iter().filter(told).count(), 1);
}

#[test]
fn what_is_no_bpdu_is_counted() {
    let (now, mut sink) = (start(), Sink::default());
    let mut rstp = one(RstpPortConfig::default(), now, &mut sink);
    let refused = rstp.handle_frame(P0, &[0; 60], now, &mut sink);
    assert_eq!(refused, Err(BpduError::NotBpdu));
    let snapshot = rstp.snapshot();
    assert_eq!(
        (snapshot.ports[0].invalid, snapshot.ports[0].received),
        (1, 0)
    );
}

#[test]
fn seconds_do_not_drift_with_late_calls() {
    let (now, mut sink) = (start(), Sink::default());
    let mut rstp = one(RstpPortConfig::default(), now, &mut sink);
    for second in 1..100 {
        let due = rstp.poll_timeout();
        assert_eq!(due, Some(now + SECOND * second));
        rstp.handle_timeout(now + SECOND * second + Duration::from_millis(70), &mut sink);
    }
    // Two seconds at once are two seconds.
    rstp.handle_timeout(now + SECOND * 101, &mut sink);
    assert_eq!(rstp.poll_timeout(), Some(now + SECOND * 102));
}

#[test]
fn after_a_stall_ports_begin_anew() {
    let (now, mut sink) = (start(), Sink::default());
    let mut rstp = one(RstpPortConfig::default(), now, &mut sink);
    rstp.handle_bpdu(P0, better_root(), now, &mut sink);
    assert_eq!(rstp.snapshot().ports[0].state, PortState::Forwarding);
    sink.states.clear();
    // The tick was due after 1 s; three hellos later the neighbours have forgotten us.
    let late = now + SECOND * 7;
    rstp.handle_timeout(late, &mut sink);
    assert_eq!(sink.states.first(), Some(&(P0, PortState::Discarding)));
    assert!(
        sink.events
            .contains(&RstpEvent::Stalled { late: SECOND * 6 })
    );
    assert_eq!(rstp.poll_timeout(), Some(late + SECOND));
    let port = &rstp.snapshot().ports[0];
    assert_eq!(
        (port.role, port.state),
        (PortRole::Designated, PortState::Discarding)
    );
}

#[test]
fn a_topology_change_counts_once() {
    let (now, mut sink) = (start(), Sink::default());
    let mut rstp = one(RstpPortConfig::default(), now, &mut sink);
    rstp.handle_bpdu(P0, better_root(), now, &mut sink);
    let snapshot = rstp.snapshot();
    assert!(snapshot.topology_change);
    assert_eq!(snapshot.topology_changes, 1);
    // tcWhile is Hello Time and a second more.
    for second in 1..=3 {
        rstp.handle_timeout(now + SECOND * second, &mut sink);
    }
    let snapshot = rstp.snapshot();
    assert!(!snapshot.topology_change);
    assert_eq!(snapshot.topology_changes, 1);
    assert_eq!(snapshot.unsettled, 0);
}
