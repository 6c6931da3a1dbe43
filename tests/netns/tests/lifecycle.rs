//! What a daemon makes and changes on its machine, and that it undoes it, however it ends.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time; what was measured is shown

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lab::echo::wait_reachable;
use lab::{End, Namespace};
use netns::pair::TAP;
use netns::{Kind, LineSpec, Pair, PairOptions, turn};
use sys::tap::{Tap, TapOptions};

const SOON: Duration = Duration::from_secs(5);

/// Interfaces, addresses and numbers of routing rules of a host.
fn everything(host: &Namespace) -> (Vec<String>, Vec<(u32, IpAddr)>, Vec<u32>) {
    host.netlink(async |netlink| {
        let links = netlink.links().await.unwrap();
        let addresses = netlink.addresses(None).await.unwrap();
        let mut rules = netlink.rule_priorities(false).await.unwrap();
        rules.extend(netlink.rule_priorities(true).await.unwrap());
        (
            links
                .iter()
                .map(|link| format!("{} {}", link.name, link.mtu))
                .collect(),
            addresses
                .iter()
                .map(|there| (there.ifindex, there.address))
                .collect(),
            rules,
        )
    })
}

fn one_line(uplink: [&str; 2]) -> PairOptions {
    let mut spec = LineSpec::new(Kind::Router);
    spec.uplink = uplink.map(str::to_owned);
    PairOptions::new("failover", vec![spec])
}

/// Makes a TAP device that stays, as an administrator does.
fn make_tap(host: &Namespace, mtu: u32) {
    let options = TapOptions {
        persist: true,
        ..TapOptions::default()
    };
    host.enter(|| drop(Tap::open(TAP, options).unwrap()))
        .unwrap();
    host.set_mtu(TAP, mtu).unwrap();
}

fn reach(pair: &Pair) {
    let (a, b) = (pair.host(End::A), pair.host(End::B));
    wait_reachable(a, b, pair.address(End::B), SOON).unwrap();
}

#[test]
fn sigterm_leaves_the_machine_as_it_was() {
    if !lab::can_run("sigterm_leaves_the_machine_as_it_was") {
        return;
    }
    let _turn = turn::take().unwrap();
    let options = one_line(["gateway = \"10.1.1.1\"", "gateway = \"10.1.2.1\""])
        .port("gateway = \"10.77.0.254\"");
    let mut before = None;
    let mut pair = Pair::start_unready(options, |lines| {
        before = Some(everything(lines[0].host(End::A)));
        Ok(())
    })
    .unwrap();
    pair.wait_all_up(SOON).unwrap();
    reach(&pair);
    assert_ne!(Some(everything(pair.host(End::A))), before);
    let status = pair.daemon(End::A).stop(SOON).unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(Some(everything(pair.host(End::A))), before);
    let left = std::fs::read_dir(pair.daemon(End::A).directory()).unwrap();
    let left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.iter().all(|name| !name.contains("sock")), "{left:?}");
}

#[test]
fn the_peer_hears_of_an_orderly_end_at_once() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "the_peer_hears_of_an_orderly_end_at_once",
        Duration::from_millis(50),
        || {
            let mut pair = Pair::start(one_line(["", ""])).unwrap();
            pair.daemon(End::A).stop(SOON).unwrap();
            let down = pair.wait(SOON, "B sees the end", |pair| {
                Ok(pair.peer(End::B)?["state"] == "down")
            });
            let took = down.unwrap();
            assert!(took < Duration::from_millis(300), "{took:?}");
        },
    );
}

#[test]
fn an_adopted_tap_is_restored() {
    if !lab::can_run("an_adopted_tap_is_restored") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut before = None;
    let mut pair = Pair::start_unready(one_line(["", ""]).port("mtu = 1300"), |lines| {
        make_tap(lines[0].host(End::A), 1400);
        before = Some(everything(lines[0].host(End::A)));
        Ok(())
    })
    .unwrap();
    pair.wait_all_up(SOON).unwrap();
    reach(&pair);
    assert_eq!(pair.host(End::A).link(TAP).unwrap().mtu, 1300);
    pair.daemon(End::A).stop(SOON).unwrap();
    assert_eq!(Some(everything(pair.host(End::A))), before);
    assert!(
        !pair.host(End::A).link(TAP).unwrap().up,
        "it was off before"
    );
}

#[test]
fn a_killed_daemon_is_cleaned_up_after_by_the_next() {
    if !lab::can_run("a_killed_daemon_is_cleaned_up_after_by_the_next") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut before = None;
    let options = one_line(["gateway = \"10.1.1.1\"", ""]).port("mtu = 1300");
    let mut pair = Pair::start_unready(options, |lines| {
        make_tap(lines[0].host(End::A), 1400);
        before = Some(everything(lines[0].host(End::A)));
        Ok(())
    })
    .unwrap();
    pair.wait_all_up(SOON).unwrap();
    pair.daemon(End::A).kill().unwrap();
    assert_eq!(
        pair.host(End::A).link(TAP).unwrap().mtu,
        1300,
        "nobody could undo it"
    );
    pair.daemon(End::A).restart().unwrap();
    pair.wait_all_up(SOON).unwrap();
    reach(&pair);
    pair.daemon(End::A).stop(SOON).unwrap();
    assert_eq!(Some(everything(pair.host(End::A))), before);
}

#[test]
fn a_persistent_tap_stays_and_is_taken_again() {
    if !lab::can_run("a_persistent_tap_stays_and_is_taken_again") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut pair = Pair::start(one_line(["", ""]).port("persist = true")).unwrap();
    let index = pair.host(End::A).link(TAP).unwrap().index;
    pair.daemon(End::A).stop(SOON).unwrap();
    assert_eq!(pair.host(End::A).link(TAP).unwrap().index, index);
    pair.daemon(End::A).restart().unwrap();
    pair.wait_all_up(SOON).unwrap();
    reach(&pair);
    assert_eq!(pair.host(End::A).link(TAP).unwrap().index, index);
}

#[test]
fn a_paused_daemon_is_back_within_a_second() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "a_paused_daemon_is_back_within_a_second",
        Duration::from_millis(100),
        || {
            let lines = vec![LineSpec::cable(50.0, 20), LineSpec::cable(50.0, 20)];
            let mut pair = Pair::start(PairOptions::new("failover", lines)).unwrap();
            let meter = pair.meter().unwrap();
            pair.daemon(End::A).pause().unwrap();
            std::thread::sleep(Duration::from_secs(10));
            let start = Instant::now();
            pair.daemon(End::A).resume().unwrap();
            // Twice the goal of 1 s is allowed here.
            let flowing = meter.wait_flowing(Duration::from_secs(2));
            flowing.unwrap_or_else(|error| panic!("{error:#}\n{}", pair.describe()));
            let paths = pair.wait_all_up(Duration::from_secs(2)).unwrap();
            println!(
                "flowing and all up {:?} (up: {paths:?}) after it went on",
                start.elapsed()
            );
        },
    );
}

#[test]
fn the_port_joins_a_kernel_bridge_and_leaves_it() {
    if !lab::can_run("the_port_joins_a_kernel_bridge_and_leaves_it") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut options = one_line(["", ""]);
    options.port[0] = "bridge = \"br0\"\npersist = true".to_owned();
    options.addressed = false;
    options.port[1] = "address = \"10.77.0.2/24\"".to_owned();
    let mut pair = Pair::start(options).unwrap();
    // It appears later: the port joins it then.
    let host = pair.host(End::A).clone();
    host.netlink(async |netlink| netlink.create_bridge("br0").await)
        .unwrap();
    host.set_up("br0", true).unwrap();
    host.add_address("br0", "10.77.0.1/24").unwrap();
    wait_reachable(&host, pair.host(End::B), pair.address(End::B), 2 * SOON).unwrap();
    let bridge = host.link("br0").unwrap().index;
    assert_eq!(host.link(TAP).unwrap().master, Some(bridge));
    pair.daemon(End::A).stop(SOON).unwrap();
    assert_eq!(host.link(TAP).unwrap().master, None);
}
