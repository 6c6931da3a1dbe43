//! Uplinks that come, go, move, and stand behind routers.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time; what was measured is shown

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::echo::wait_reachable;
use lab::{End, Namespace};
use netns::pair::other;
use netns::{Kind, LineSpec, Pair, PairOptions, turn};
use sys::netlink::Route;

const SOON: Duration = Duration::from_secs(5);
/// Twice the goal of one second.
const FOLLOWS: Duration = Duration::from_secs(2);

fn veths(count: usize) -> Vec<LineSpec> {
    (0..count).map(|_| LineSpec::new(Kind::Veth)).collect()
}

fn reach(pair: &Pair) {
    for end in [End::A, End::B] {
        let (from, to) = (pair.host(end), pair.host(other(end)));
        let reached = wait_reachable(from, to, pair.address(other(end)), SOON);
        reached.unwrap_or_else(|error| panic!("{error:#}\n{}", pair.describe()));
    }
}

#[test]
fn a_device_that_is_absent_at_first_is_waited_for() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "a_device_that_is_absent_at_first_is_waited_for",
        Duration::from_millis(100),
        || {
            let options = PairOptions::new("failover", veths(2));
            let mut pair = Pair::start_unready(options, |lines| lines[1].unplug()).unwrap();
            pair.wait_up(&[1], SOON).unwrap();
            let path = pair.path(End::A, 2).unwrap();
            assert_eq!(path["state"], "absent", "{path}");
            pair.lines[1].replug().unwrap();
            let took = pair.wait_all_up(FOLLOWS).unwrap();
            println!("up {took:?} after it appeared");
        },
    );
}

#[test]
fn a_device_made_anew_is_followed() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "a_device_made_anew_is_followed",
        Duration::from_millis(100),
        || {
            // On the only line too: then nothing tells the peer but the new device.
            for count in [1, 2] {
                let mut pair = Pair::start(PairOptions::new("failover", veths(count))).unwrap();
                let meter = pair.meter().unwrap();
                pair.lines[0].unplug().unwrap();
                let gone = pair.wait(SOON, "line1 absent", |pair| {
                    Ok(pair.path(End::A, 1)?["state"] == "absent")
                });
                gone.unwrap();
                thread::sleep(Duration::from_millis(500));
                pair.lines[0].replug().unwrap();
                let start = Instant::now();
                let flowing = meter.wait_flowing(FOLLOWS);
                flowing.unwrap_or_else(|error| {
                    panic!("{count} lines: {error:#}\n{}", pair.describe())
                });
                let flowing = start.elapsed();
                pair.wait_all_up(FOLLOWS.saturating_sub(flowing)).unwrap();
                println!(
                    "{count} lines: flowing after {flowing:?}, up after {:?}",
                    start.elapsed()
                );
            }
        },
    );
}

#[test]
fn one_side_that_knows_the_other_is_enough() {
    if !lab::can_run("one_side_that_knows_the_other_is_enough") {
        return;
    }
    let _turn = turn::take().unwrap();
    for dials in [[true, false], [false, true]] {
        let mut options = PairOptions::new("balance", veths(2));
        options.dials = dials;
        let pair = Pair::start(options).unwrap();
        reach(&pair);
    }
}

#[test]
fn unpinned_endpoints_find_their_lines() {
    if !lab::can_run("unpinned_endpoints_find_their_lines") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut options = PairOptions::new("failover", veths(3));
    options.pinned = false;
    let pair = Pair::start(options).unwrap();
    reach(&pair);
}

#[test]
fn a_gateway_of_its_own_needs_no_route() {
    if !lab::can_run("a_gateway_of_its_own_needs_no_route") {
        return;
    }
    let _turn = turn::take().unwrap();
    let line = |number: u8| {
        let mut spec = LineSpec::new(Kind::Router);
        spec.uplink = [1, 2].map(|side| format!("gateway = \"10.{number}.{side}.1\""));
        spec
    };
    let options = PairOptions::new("failover", vec![line(1), line(2)]);
    let mut pair = Pair::start_unready(options, |lines| {
        for line in lines {
            for end in [End::A, End::B] {
                without_route(line.host(end), line, end);
            }
        }
        Ok(())
    })
    .unwrap();
    pair.wait_all_up(SOON)
        .unwrap_or_else(|error| panic!("{error:#}"));
    reach(&pair);
    // And it follows when the line loses everything and gets it back.
    pair.lines[0].set_carrier(End::A, false).unwrap();
    thread::sleep(Duration::from_millis(300));
    pair.lines[0].set_carrier(End::A, true).unwrap();
    pair.wait_all_up(SOON).unwrap();
}

/// Takes the route to the other side out of the main table.
fn without_route(host: &Namespace, line: &netns::Line, end: End) {
    let router = line.router().unwrap();
    for v6 in [false, true] {
        let network = router.network(other(end), v6);
        let (address, prefix) = network.split_once('/').unwrap();
        let gateway = router.gateway(end, v6);
        let route = Route::via(address.parse().unwrap(), prefix.parse().unwrap(), gateway);
        host.netlink(async |netlink| netlink.delete_route(&route).await)
            .unwrap();
    }
}

#[test]
fn ipv6_alone_and_beside_ipv4() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "ipv6_alone_and_beside_ipv4",
        Duration::from_millis(100),
        || {
            let line = || LineSpec::new(Kind::Router);
            for lines in [vec![line().v6(), line().v6()], vec![line(), line().v6()]] {
                let mut pair = Pair::start(PairOptions::new("failover", lines)).unwrap();
                reach(&pair);
                let meter = pair.meter_on(1).unwrap();
                pair.line(1).unwrap().cut(lab::Way::Both).unwrap();
                thread::sleep(Duration::from_millis(500));
                meter.wait_flowing(Duration::from_millis(500)).unwrap();
                pair.line(1).unwrap().heal().unwrap();
                pair.wait_all_up(SOON).unwrap();
            }
        },
    );
}

/// Passes UDP between A, who takes it for B, and B, who sees it; changes its port on B's side on
/// demand, as a NAT does that forgot.
fn forward(
    outside: &Namespace,
    near: SocketAddr,
    far: SocketAddr,
    mapping: &AtomicUsize,
    stop: &AtomicBool,
) {
    let towards_b = |host: &Namespace| {
        let bound = host
            .enter(|| UdpSocket::bind("0.0.0.0:0"))
            .unwrap()
            .unwrap();
        bound.connect(far).unwrap();
        bound.set_nonblocking(true).unwrap();
        bound
    };
    let inside = outside.enter(|| UdpSocket::bind(near)).unwrap().unwrap();
    inside.set_nonblocking(true).unwrap();
    let (mut mapped, mut present) = (0, towards_b(outside));
    let (mut a, mut buffer) = (None, vec![0; 65_536]);
    while !stop.load(Ordering::Relaxed) {
        let wanted = mapping.load(Ordering::Relaxed);
        if wanted != mapped {
            (mapped, present) = (wanted, towards_b(outside));
        }
        while let Ok((length, from)) = inside.recv_from(&mut buffer) {
            a = Some(from);
            let _ = present.send(&buffer[..length]);
        }
        while let (Ok(length), Some(a)) = (present.recv(&mut buffer), a) {
            let _ = inside.send_to(&buffer[..length], a);
        }
        thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn a_nat_that_forgets_is_survived() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "a_nat_that_forgets_is_survived",
        Duration::from_millis(100),
        || {
            let mut options = PairOptions::new("failover", vec![LineSpec::new(Kind::Router)]);
            options.endpoints[0] =
                Some("[{ address = \"10.1.1.1:1830\", uplink = \"line1\" }]".to_owned());
            options.dials = [true, false];
            let mut pair = Pair::start_unready(options, |_| Ok(())).unwrap();
            let router = pair.line(1).unwrap().router().unwrap().host().clone();
            let (near, far) = (
                "10.1.1.1:1830".parse().unwrap(),
                "10.1.2.2:1830".parse().unwrap(),
            );
            let (mapping, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| forward(&router, near, far, &mapping, &stop));
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    pair.wait_all_up(SOON).unwrap();
                    let meter = pair.meter().unwrap();
                    thread::sleep(Duration::from_millis(500));
                    for _ in 0..3 {
                        let before = pair.path(End::B, 1).unwrap()["remote"].clone();
                        let mark = meter.mark();
                        mapping.fetch_add(1, Ordering::Relaxed);
                        let followed = pair.wait(FOLLOWS, "B follows to the new port", |pair| {
                            let path = pair.path(End::B, 1)?;
                            Ok(path["state"] == "up" && path["remote"] != before)
                        });
                        let followed = followed.unwrap();
                        thread::sleep(Duration::from_millis(1000));
                        let gap = meter.report_since(mark).outage();
                        println!("followed after {followed:?}, gap {gap:?}");
                        assert!(gap < FOLLOWS, "{gap:?}\n{}", pair.describe());
                    }
                }));
                stop.store(true, Ordering::Relaxed);
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            });
        },
    );
}

#[test]
fn strict_reverse_path_filters_are_explained() {
    if !lab::can_run("strict_reverse_path_filters_are_explained") {
        return;
    }
    let _turn = turn::take().unwrap();
    // A line that the main table would not answer over: its gateway is its own.
    let mut second = LineSpec::new(Kind::Router);
    second.uplink[0] = "gateway = \"10.2.1.1\"".to_owned();
    let options = PairOptions::new("failover", vec![LineSpec::new(Kind::Router), second]);
    let mut pair = Pair::start_unready(options, |lines| {
        without_route(lines[1].host(End::A), &lines[1], End::A);
        lines[1]
            .host(End::A)
            .sysctl("ipv4/conf/line2/rp_filter", "1")
    })
    .unwrap();
    pair.wait_up(&[1], SOON).unwrap();
    let log = pair.daemon(End::A).log();
    assert!(log.contains("rp_filter is strict on \"line2\""), "{log}");
    assert!(
        log.contains("sysctl -w net.ipv4.conf.line2.rp_filter=2"),
        "{log}"
    );
    assert!(!log.contains("rp_filter is strict on \"line1\""), "{log}");
}

#[test]
fn nothing_is_dialled_through_the_tunnel_itself() {
    if !lab::can_run("nothing_is_dialled_through_the_tunnel_itself") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut options = PairOptions::new("failover", veths(1));
    options.uplinks[0] = false;
    options.port[0] = "gateway = \"10.77.0.2\"".to_owned();
    options.endpoints[0] = Some("[\"10.80.1.2:1830\", \"192.0.2.9:1830\"]".to_owned());
    let mut pair = Pair::start_unready(options, |_| Ok(())).unwrap();
    let up = pair.wait(SOON, "up", |pair| Ok(pair.peer(End::B)?["state"] == "up"));
    up.unwrap();
    reach(&pair);
    let leads = "leads into the tunnel itself";
    // It comes with the next look-up.
    let end = Instant::now() + SOON;
    while !pair.daemon(End::A).log().contains(leads) && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(500));
    let log = pair.daemon(End::A).log();
    let warned = log.lines().filter(|line| line.contains(leads));
    let warned: Vec<&str> = warned.collect();
    assert_eq!(warned.len(), 1, "{log}");
    assert!(warned[0].contains("192.0.2.9:1830"), "{log}");
    let peer = pair.peer(End::A).unwrap();
    assert!(!peer["paths"].to_string().contains("192.0.2.9"), "{peer:#}");
}
