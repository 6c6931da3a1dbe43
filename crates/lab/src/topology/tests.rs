use std::time::Duration;

use super::*;
use crate::echo::{self, EchoOptions};

const QUICK: EchoOptions = EchoOptions {
    count: 5,
    interval: Duration::from_millis(5),
    wait: Duration::from_millis(200),
    pin: None,
};

/// Waits until the line passes packets.
fn settle(from: &Namespace, to: &Namespace, address: IpAddr) {
    echo::wait_reachable(from, to, address, Duration::from_secs(5)).unwrap();
}

/// How many of five echoes come back.
fn reach(from: &Namespace, to: &Namespace, address: IpAddr) -> usize {
    echo::ping(from, to, address, QUICK).unwrap().received
}

#[test]
fn a_router_falls_silent_in_one_direction_or_both() {
    crate::timed(
        "a_router_falls_silent_in_one_direction_or_both",
        Duration::from_millis(50),
        || {
            let (a, b) = (Namespace::new("a").unwrap(), Namespace::new("b").unwrap());
            let router = Router::join(7, Plug::new(&a, "line7"), Plug::new(&b, "eth7")).unwrap();
            for v6 in [false, true] {
                let far = router.address(End::B, v6);
                settle(&a, &b, far);
                for way in [Way::AToB, Way::BToA, Way::Both] {
                    router.silence(way).unwrap();
                    assert_eq!(reach(&a, &b, far), 0, "{way:?}");
                    assert!(a.link("line7").unwrap().carrier, "nothing shows");
                    assert_eq!(
                        reach(&a, router.host(), router.gateway(End::A, v6)),
                        5,
                        "gateway"
                    );
                    router.heal().unwrap();
                    settle(&a, &b, far);
                    assert_eq!(reach(&a, &b, far), 5, "after {way:?}");
                }
            }
        },
    );
}

#[test]
fn carrier_goes_and_everything_comes_back() {
    if !crate::can_run("carrier_goes_and_everything_comes_back") {
        return;
    }
    let (a, b) = (Namespace::new("a").unwrap(), Namespace::new("b").unwrap());
    let router = Router::join(8, Plug::new(&a, "line8"), Plug::new(&b, "eth8")).unwrap();
    let indexes = |veth: &Veth| {
        let index = |plug: &Plug| plug.host.link(&plug.device).unwrap().index;
        (index(&veth.a), index(&veth.b))
    };
    let (near, far) = indexes(&router.a);
    assert_ne!(near, far);
    router.set_carrier(End::A, false).unwrap();
    assert!(!a.link("line8").unwrap().carrier && a.link("line8").unwrap().up);
    router.set_carrier(End::A, true).unwrap();
    assert!(a.link("line8").unwrap().carrier);
    for v6 in [false, true] {
        settle(&a, &b, router.address(End::B, v6));
    }
}

#[test]
fn a_segment_joins_many_hosts() {
    crate::timed(
        "a_segment_joins_many_hosts",
        Duration::from_millis(50),
        || {
            let mut segment = Segment::new("lan").unwrap();
            let hosts: Vec<_> = (1..=3)
                .map(|number| Namespace::new(&format!("host{number}")).unwrap())
                .collect();
            for (number, host) in hosts.iter().enumerate() {
                let port = segment.plug(host, "eth0").unwrap();
                assert_eq!(port, number);
                host.add_address("eth0", &format!("10.0.0.{}/24", number + 1))
                    .unwrap();
            }
            settle(&hosts[0], &hosts[2], "10.0.0.3".parse().unwrap());
            segment.port(2).unwrap().set_carrier(End::A, false).unwrap();
            assert_eq!(reach(&hosts[0], &hosts[2], "10.0.0.3".parse().unwrap()), 0);
            settle(&hosts[0], &hosts[1], "10.0.0.2".parse().unwrap());
        },
    );
}
