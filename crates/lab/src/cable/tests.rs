use std::time::{Duration, Instant};

use super::*;
use crate::Namespace;
use crate::echo::{self, EchoOptions};
use crate::transfer::{self, TcpOptions};

fn options(count: usize) -> EchoOptions {
    let (interval, wait) = (Duration::from_millis(2), Duration::from_millis(300));
    EchoOptions {
        count,
        interval,
        wait,
        pin: None,
    }
}

fn cable(profile: Profile) -> (Namespace, Namespace, Cable) {
    let (a, b) = (Namespace::new("a").unwrap(), Namespace::new("b").unwrap());
    let plugs = (Plug::new(&a, "line"), Plug::new(&b, "line"));
    let options = CableOptions {
        profile,
        ..CableOptions::default()
    };
    let cable = Cable::join(plugs.0, plugs.1, options).unwrap();
    cable.address(End::A, "10.0.0.1/24").unwrap();
    cable.address(End::B, "10.0.0.2/24").unwrap();
    settle(&a, &b);
    (a, b, cable)
}

/// Waits until the cable passes packets, and the neighbours know each other.
fn settle(a: &Namespace, b: &Namespace) {
    echo::wait_reachable(a, b, far(), Duration::from_secs(5)).unwrap();
}

fn far() -> std::net::IpAddr {
    "10.0.0.2".parse().unwrap()
}

#[test]
fn delay_is_exact() {
    let _alone = crate::alone();
    crate::timed("delay_is_exact", Duration::from_millis(3), || {
        let (a, b, _cable) = cable(Profile::line(100.0, 10));
        let report = echo::ping(&a, &b, far(), options(200)).unwrap();
        assert_eq!(report.received, 200, "{report:?}");
        assert!(report.min >= Duration::from_millis(20), "{report:?}");
        // The goal is 0.3 ms each way; the machine may be doing other things too.
        let error = |time: Duration| time.saturating_sub(Duration::from_millis(20));
        assert!(error(report.min) < Duration::from_micros(600), "{report:?}");
        assert!(
            error(report.p50) < Duration::from_micros(1200),
            "{report:?}"
        );
    });
}

#[test]
fn a_distant_host_is_reachable() {
    if !crate::can_run("a_distant_host_is_reachable") {
        return;
    }
    let _alone = crate::alone();
    let (a, b, _cable) = cable(Profile::line(10.0, 100));
    let took = echo::wait_reachable(&a, &b, far(), Duration::from_secs(5)).unwrap();
    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[test]
fn cuts_are_silent_and_each_way() {
    let _alone = crate::alone();
    crate::timed(
        "cuts_are_silent_and_each_way",
        Duration::from_millis(100),
        || {
            let (a, b, cable) = cable(Profile::default());
            let reach = || echo::ping(&a, &b, far(), options(5)).unwrap().received;
            for way in [Way::AToB, Way::BToA, Way::Both] {
                cable.cut(way);
                assert_eq!(reach(), 0, "{way:?}");
                assert!(a.link("line").unwrap().carrier);
                cable.heal();
                settle(&a, &b);
                assert_eq!(reach(), 5, "after {way:?}");
            }
            assert!(cable.stats(Direction::AToB).cut > 0);
            cable.set_carrier(End::A, false).unwrap();
            assert!(!a.link("line").unwrap().carrier);
            assert_eq!(reach(), 0);
            cable.set_carrier(End::A, true).unwrap();
            settle(&a, &b);
        },
    );
}

#[test]
fn large_packets_vanish_in_a_black_hole() {
    if !crate::can_run("large_packets_vanish_in_a_black_hole") {
        return;
    }
    let _alone = crate::alone();
    let (a, b, cable) = cable(Profile::default());
    cable.update(Way::AToB, |profile| profile.mtu_black_hole = Some(1400));
    let receiver = b
        .enter(|| std::net::UdpSocket::bind("10.0.0.2:0"))
        .unwrap()
        .unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let to = receiver.local_addr().unwrap();
    let sender = a
        .enter(|| std::net::UdpSocket::bind("10.0.0.1:0"))
        .unwrap()
        .unwrap();
    sender.send_to(&[1; 1373], to).unwrap();
    sender.send_to(&[2; 1372], to).unwrap();
    let mut buffer = [0; 2000];
    assert_eq!(
        receiver.recv(&mut buffer).unwrap(),
        1372,
        "28 bytes of headers and no more"
    );
    assert_eq!(cable.stats(Direction::AToB).too_big, 1);
}

#[test]
fn the_rate_is_what_tcp_gets() {
    let _alone = crate::alone();
    crate::timed(
        "the_rate_is_what_tcp_gets",
        Duration::from_millis(50),
        || {
            let (a, b, cable) = cable(Profile::line(40.0, 5));
            let tcp = TcpOptions {
                duration: Duration::from_secs(2),
                ..TcpOptions::default()
            };
            let start = Instant::now();
            let report = transfer::tcp(&a, &b, far(), &tcp).unwrap();
            assert!(start.elapsed() < Duration::from_secs(5));
            // 1448 of 1500 bytes are payload.
            let ideal = 40e6 * 1448.0 / 1500.0;
            let share = report.goodput_bps / ideal;
            // Never more than the rate; how close to it depends on what else the machine does.
            assert!(
                (0.4..1.03).contains(&share),
                "{share}: {report:?} {:?}",
                cable.stats(Direction::AToB)
            );
        },
    );
}

#[test]
fn loss_and_copies_are_seen_by_the_far_end() {
    let _alone = crate::alone();
    crate::timed(
        "loss_and_copies_are_seen_by_the_far_end",
        Duration::from_millis(100),
        || {
            let (a, b, cable) = cable(Profile::default());
            cable.update(Way::AToB, |profile| profile.loss = Loss::Random(0.5));
            let report = echo::ping(&a, &b, far(), options(300)).unwrap();
            assert!((90..210).contains(&report.received), "{report:?}");
            cable.set(
                Way::Both,
                &Profile {
                    duplicate: 1.0,
                    ..Profile::default()
                },
            );
            let before = cable.stats(Direction::AToB);
            let report = echo::ping(&a, &b, far(), options(10)).unwrap();
            assert_eq!(report.received, 10, "copies are not counted");
            let after = cable.stats(Direction::AToB);
            assert!(after.delivered - before.delivered >= 20, "{after:?}");
        },
    );
}
