//! A node without peers: a VLAN switch on interfaces that it takes over.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time; what was measured is shown

use std::thread;
use std::time::{Duration, Instant};

use lab::daemon::Keys;
use lab::transfer::{TcpOptions, tcp};
use lab::{Daemon, DaemonOptions, Namespace, Plug, Veth};
use netns::station::{ALL, Station, frame, mac};
use netns::{program, turn};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);

/// A switch with one veth per port, the other end of each in a host of its own.
struct Switch {
    host: Namespace,
    daemon: Daemon,
    stations: Vec<Station>,
}

/// Ports with these keys, on interfaces `port0`, `port1` and so on.
fn switch(ports: &[&str], more: &str) -> Switch {
    let host = Namespace::new("switch").unwrap();
    let mut stations = Vec::new();
    for at in 0..ports.len() {
        stations.push(Station::plug(&host, &format!("port{at}")).unwrap());
    }
    let mut daemon = start(&host, ports, more);
    let forwards = |status: &Value| {
        let ports = status["ports"].as_array().unwrap();
        ports.len() >= stations.len() && ports.iter().all(|port| port["state"] == "forwarding")
    };
    daemon.wait_status(SOON, forwards).unwrap();
    Switch {
        host,
        daemon,
        stations,
    }
}

fn start(host: &Namespace, ports: &[&str], more: &str) -> Daemon {
    let mut config = "[node]\nname = \"s\"\nprivate-key-file = \"s.key\"\n".to_owned();
    for (at, keys) in ports.iter().enumerate() {
        config += &format!("[[port]]\ndevice = \"port{at}\"\n{keys}\n");
    }
    config += more;
    let keys = Keys::generate(&program::binary().unwrap()).unwrap();
    let options = DaemonOptions {
        binary: program::binary().unwrap(),
        ..DaemonOptions::new(host, &config).unwrap()
    };
    Daemon::start(options.file("s.key", &keys.private)).unwrap()
}

impl Switch {
    /// Sends a frame from station `from`, and says what the others get of it, by station.
    fn pass(&mut self, from: usize, frame: &[u8]) -> Vec<(usize, Vec<u8>)> {
        self.stations[from].send(frame);
        thread::sleep(Duration::from_millis(30));
        let mut got = Vec::new();
        for at in 0..self.stations.len() {
            let received = self.stations[at].receive();
            got.extend(received.into_iter().map(|frame| (at, frame)));
        }
        got
    }

    fn drops(&self, reason: &str) -> u64 {
        self.daemon.status().unwrap()["drops"][reason]
            .as_u64()
            .unwrap_or(0)
    }

    fn port(&self, name: &str) -> Value {
        let status = self.daemon.status().unwrap();
        let ports = status["ports"].as_array().unwrap();
        ports
            .iter()
            .find(|port| port["name"] == name)
            .unwrap()
            .clone()
    }
}

const C: u16 = 0x8100;
const S: u16 = 0x88a8;

#[test]
fn vlans_are_kept_apart_and_tags_put_on_and_off() {
    if !lab::can_run("vlans_are_kept_apart_and_tags_put_on_and_off") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut switch = switch(
        &[
            "vlan = 10",
            "vlan = 11",
            "trunk = [10, 11]\nnative = 11",
            "trunk = [10, 20]",
            "",
        ],
        "",
    );
    let tagged = |vlan: u16| frame(1, ALL, &[(C, vlan)], 1);
    let plain = frame(1, ALL, &[], 1);
    for (from, sent, expected) in [
        // From access port 10 into the trunks that carry it, and to the transparent port.
        (
            0,
            plain.clone(),
            vec![(2, tagged(10)), (3, tagged(10)), (4, tagged(10))],
        ),
        // The native VLAN has no tag on its trunk.
        (1, plain.clone(), vec![(2, plain.clone()), (4, tagged(11))]),
        (2, plain.clone(), vec![(1, plain.clone()), (4, tagged(11))]),
        (
            2,
            tagged(10),
            vec![(0, plain.clone()), (3, tagged(10)), (4, tagged(10))],
        ),
        (3, tagged(20), vec![(4, tagged(20))]),
        (
            4,
            tagged(10),
            vec![(0, plain.clone()), (2, tagged(10)), (3, tagged(10))],
        ),
        // Untagged is VLAN 0 on the transparent port, and nobody else's.
        (4, plain.clone(), vec![]),
        // A priority stays with a tag, and is no VLAN.
        (
            3,
            frame(1, ALL, &[(C, 0xa00a)], 1),
            vec![
                (0, plain.clone()),
                (2, frame(1, ALL, &[(C, 0xa00a)], 1)),
                (4, frame(1, ALL, &[(C, 0xa00a)], 1)),
            ],
        ),
        (
            0,
            frame(1, ALL, &[(C, 0xa000)], 1),
            vec![
                (2, frame(1, ALL, &[(C, 0xa00a)], 1)),
                (3, frame(1, ALL, &[(C, 0xa00a)], 1)),
                (4, frame(1, ALL, &[(C, 0xa00a)], 1)),
            ],
        ),
        // Foreign tags have no business here.
        (0, tagged(10), vec![]),
        (3, tagged(11), vec![]),
        (3, plain.clone(), vec![]),
    ] {
        assert_eq!(
            switch.pass(from, &sent),
            expected,
            "from {from}: {:x?}",
            &sent[..18]
        );
    }
    for reason in ["tagged-on-access", "vlan-not-allowed", "untagged-on-trunk"] {
        assert_eq!(switch.drops(reason), 1, "{reason}");
    }
}

#[test]
fn double_tags_pass_untouched_and_count_as_untagged() {
    if !lab::can_run("double_tags_pass_untouched_and_count_as_untagged") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut switch = switch(&["", "", "vlan = 10", "trunk = [10]"], "");
    let double = frame(1, ALL, &[(S, 10), (C, 20)], 2);
    assert_eq!(switch.pass(0, &double), [(1, double.clone())]);
    let within = frame(1, ALL, &[(C, 10), (S, 10), (C, 20)], 2);
    assert_eq!(
        switch.pass(2, &double),
        [(0, within.clone()), (1, within.clone()), (3, within)]
    );
    let c_in_c = frame(1, ALL, &[(C, 10), (C, 20)], 2);
    let inner = frame(1, ALL, &[(C, 20)], 2);
    assert_eq!(
        switch.pass(3, &c_in_c),
        [(0, c_in_c.clone()), (1, c_in_c), (2, inner)]
    );
}

#[test]
fn addresses_are_learned_per_vlan_and_shown() {
    if !lab::can_run("addresses_are_learned_per_vlan_and_shown") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut switch = switch(
        &["trunk = [10, 11]", "trunk = [10, 11]", "trunk = [10, 11]"],
        "",
    );
    // The same address in two VLANs at two ports.
    switch.pass(0, &frame(7, ALL, &[(C, 10)], 0));
    switch.pass(1, &frame(7, ALL, &[(C, 11)], 0));
    for (vlan, to) in [(10, 0), (11, 1)] {
        let unicast = frame(9, mac(7), &[(C, vlan)], 3);
        assert_eq!(switch.pass(2, &unicast), [(to, unicast.clone())]);
    }
    let output = switch.daemon.client(&["fdb", "--json"]).unwrap();
    assert!(output.status.success());
    let fdb: Value = serde_json::from_slice(&output.stdout).unwrap();
    let seen: Vec<_> = fdb
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            assert!(entry["age_s"].as_u64().unwrap() < 60);
            (
                entry["vlan"].as_u64().unwrap(),
                entry["mac"].as_str().unwrap(),
                entry["port"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (10, "02:00:00:00:00:07", "port0"),
            (10, "02:00:00:00:00:09", "port2"),
            (11, "02:00:00:00:00:07", "port1"),
            (11, "02:00:00:00:00:09", "port2"),
        ]
    );
    let output = switch.daemon.client(&["fdb"]).unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("02:00:00:00:00:07") && table.contains("port1"),
        "{table}"
    );
    // An interface that goes takes its addresses along; frames to them are flooded again.
    switch.stations[0].host.set_up("eth0", false).unwrap();
    switch
        .daemon
        .wait_status(SOON, |status| {
            status["ports"][0]["reason"] == "carrier-lost"
        })
        .unwrap();
    let unicast = frame(9, mac(7), &[(C, 10)], 4);
    assert_eq!(switch.pass(2, &unicast), [(1, unicast.clone())]);
}

#[test]
fn a_storm_is_limited_where_it_comes_in() {
    if !lab::can_run("a_storm_is_limited_where_it_comes_in") {
        return;
    }
    let _turn = turn::take().unwrap();
    let limits = "storm-limit = { broadcast = 100, unknown = 200 }";
    let mut switch = switch(&[limits, "", ""], "");
    let mut storm = |from: usize, to: [u8; 6]| -> usize {
        let mut got = 0;
        for n in 0..2000u32 {
            switch.stations[from].send(&frame(1, to, &[], n as u8));
            got += switch.stations[2].receive().len();
        }
        thread::sleep(Duration::from_millis(50));
        got + switch.stations[2].receive().len()
    };
    let group = [1, 0, 0x5e, 0, 0, 1];
    // The burst of a quarter of a second, and what the limit lets through while it lasts.
    let broadcasts = storm(0, ALL);
    assert!((25..300).contains(&broadcasts), "{broadcasts}");
    let unknown = storm(0, mac(77));
    assert!((50..600).contains(&unknown), "{unknown}");
    assert_eq!(storm(0, group), 2000, "not limited");
    assert_eq!(storm(1, ALL), 2000, "another port");
    let dropped = switch.drops("storm-broadcast") + switch.drops("storm-unknown-unicast");
    assert_eq!(dropped as usize, 4000 - broadcasts - unknown);
    assert_eq!(switch.port("port0")["storm_drops"], dropped);
    assert_eq!(switch.port("port1")["storm_drops"], 0);
}

/// The stations' own kernels speak, at access ports: full offloads, and the switch's host takes no part.
#[test]
fn tcp_crosses_as_super_frames_and_the_host_stays_silent() {
    if !lab::can_run("tcp_crosses_as_super_frames_and_the_host_stays_silent") {
        return;
    }
    let _turn = turn::take().unwrap();
    // A TAP port on the same VLAN manages the switch; the interface itself is not the host's.
    let manage = "[[port]]\nname = \"manage\"\nvlan = 10\naddress = \"10.7.0.254/24\"\ngateway = \"10.7.0.1\"\n";
    let mut switch = switch(&["vlan = 10", "vlan = 10"], manage);
    switch.host.sysctl("ipv4/ip_forward", "1").unwrap();
    let hosts = [
        switch.stations[0].host.clone(),
        switch.stations[1].host.clone(),
    ];
    for (host, address) in hosts.iter().zip(["10.7.0.1/24", "10.7.0.2/24"]) {
        host.add_address("eth0", address).unwrap();
    }
    let options = TcpOptions {
        duration: Duration::from_secs(2),
        ..TcpOptions::default()
    };
    let address = "10.7.0.2".parse().unwrap();
    let report = tcp(&hosts[0], &hosts[1], address, &options).unwrap();
    println!(
        "TCP through the switch: {:.2} Gbit/s",
        report.goodput_bps / 1e9
    );
    // Without super-frames this machine does not come near.
    assert!(report.goodput_bps > 1e9, "{report:?}");
    let frames = switch.stations[1].receive();
    let largest = frames.iter().map(Vec::len).max().unwrap_or(0);
    assert!(largest > 20_000, "the largest frame has {largest} bytes");
    // The management address answers once, and from the TAP's address only.
    let tap = switch.host.link("manage").unwrap().mac.unwrap();
    hosts[0]
        .run("ping", &["-c", "3", "-i", "0.2", "-W", "2", "10.7.0.254"])
        .unwrap();
    let arp = hosts[0]
        .run("ip", &["neigh", "show", "10.7.0.254"])
        .unwrap();
    let text = tap.map(|byte| format!("{byte:02x}")).join(":");
    assert!(arp.contains(&text), "{arp} is not {text}");
    // The host's default route goes there too.
    let route = switch.host.run("ip", &["route"]).unwrap();
    assert!(route.contains("default via 10.7.0.1 dev manage"), "{route}");
    // Frames to the interface's own address are the switch's as well: its host neither answers nor routes.
    switch
        .stations
        .iter_mut()
        .for_each(|station| drop(station.receive()));
    let own = switch.host.link("port0").unwrap().mac.unwrap();
    let got = switch.pass(0, &echo_request(own));
    assert_eq!(got.len(), 1, "{got:x?}");
    assert_eq!(got[0].0, 1, "flooded to the other port, and not answered");
}

/// A station's own tunnel hands over super-frames that tell of the inner packet only.
#[test]
fn super_frames_of_a_tunnel_are_cut() {
    if !lab::can_run("super_frames_of_a_tunnel_are_cut") {
        return;
    }
    let _turn = turn::take().unwrap();
    let switch = switch(&["", ""], "");
    let hosts = [0, 1].map(|at| switch.stations[at].host.clone());
    for (at, host) in hosts.iter().enumerate() {
        let (own, other) = (at + 1, 2 - at);
        host.add_address("eth0", &format!("10.7.0.{own}/24"))
            .unwrap();
        let remote = format!("10.7.0.{other}");
        let make = "link add vx0 type vxlan id 7 dstport 4789 dev eth0 remote";
        let words: Vec<&str> = make.split(' ').chain([remote.as_str()]).collect();
        if let Err(error) = host.run("ip", &words) {
            println!("SKIPPED: no VXLAN here: {error}");
            return;
        }
        host.add_address("vx0", &format!("10.8.0.{own}/24"))
            .unwrap();
        host.set_up("vx0", true).unwrap();
    }
    let options = TcpOptions {
        duration: Duration::from_secs(1),
        ..TcpOptions::default()
    };
    let address = "10.8.0.2".parse().unwrap();
    let report = tcp(&hosts[0], &hosts[1], address, &options).unwrap();
    println!(
        "TCP in VXLAN through the switch: {:.2} Gbit/s",
        report.goodput_bps / 1e9
    );
    assert!(report.goodput_bps > 1e8, "{report:?}");
    assert_eq!(switch.drops("bad-offload-header"), 0);
}

/// An ICMP echo request to the management address, in a frame to `to`.
fn echo_request(to: [u8; 6]) -> Vec<u8> {
    let mut frame = [to, mac(1)].concat();
    frame.extend([
        8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 7, 0, 1, 10, 7, 0, 254,
    ]);
    let sum = |bytes: &[u8]| {
        let sum: u32 = bytes
            .chunks(2)
            .map(|b| u32::from(u16::from_be_bytes([b[0], b[1]])))
            .sum();
        (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
    };
    let checksum = sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum);
    frame.extend([8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    frame.resize(60, 0);
    frame
}

#[test]
fn an_interface_comes_goes_and_is_given_back() {
    if !lab::can_run("an_interface_comes_goes_and_is_given_back") {
        return;
    }
    let _turn = turn::take().unwrap();
    let host = Namespace::new("switch").unwrap();
    let station = Namespace::new("station").unwrap();
    Veth::join(Plug::new(&station, "a"), Plug::new(&host, "port0")).unwrap();
    host.set_up("port0", false).unwrap();
    let before = host.run("ip", &["-d", "link", "show", "port0"]).unwrap();
    let mut daemon = start(&host, &["mtu = 1400", ""], "");
    let state = |status: &Value, at: usize, reason: Value| {
        status["ports"][at]["kind"] == "device" && status["ports"][at]["reason"] == reason
    };
    let absent = daemon
        .wait_status(SOON, |status| {
            state(status, 0, Value::Null) && state(status, 1, "device-absent".into())
        })
        .unwrap();
    assert_eq!(absent["ports"][1]["state"], "discarding");
    let warning = absent["warnings"].to_string();
    assert!(
        warning.contains("port1 is not there; the port waits"),
        "{warning}"
    );
    let during = host.run("ip", &["-d", "link", "show", "port0"]).unwrap();
    assert!(
        during.contains("mtu 1400") && during.contains("promiscuity 1"),
        "{during}"
    );
    assert!(
        host.run("nft", &["list", "ruleset"])
            .unwrap()
            .contains("policy drop")
    );
    // It appears, loses its carrier, gets it back, and goes.
    Veth::join(Plug::new(&station, "b"), Plug::new(&host, "port1")).unwrap();
    daemon
        .wait_status(SOON, |status| state(status, 1, Value::Null))
        .unwrap();
    station.set_up("b", false).unwrap();
    daemon
        .wait_status(SOON, |status| state(status, 1, "carrier-lost".into()))
        .unwrap();
    station.set_up("b", true).unwrap();
    daemon
        .wait_status(SOON, |status| state(status, 1, Value::Null))
        .unwrap();
    host.set_up("port1", false).unwrap();
    daemon
        .wait_status(SOON, |status| state(status, 1, "device-down".into()))
        .unwrap();
    host.netlink(async |netlink| netlink.delete_link("port1").await.unwrap());
    daemon
        .wait_status(SOON, |status| state(status, 1, "device-absent".into()))
        .unwrap();
    // Another of the same name is as good.
    Veth::join(Plug::new(&station, "c"), Plug::new(&host, "port1")).unwrap();
    daemon
        .wait_status(SOON, |status| state(status, 1, Value::Null))
        .unwrap();
    daemon.stop(SOON).unwrap();
    for event in ["port-up", "port-down"] {
        assert!(daemon.log().contains(event), "{}", daemon.log());
    }
    let after = host.run("ip", &["-d", "link", "show", "port0"]).unwrap();
    assert_eq!(after, before);
    assert_eq!(host.run("nft", &["list", "ruleset"]).unwrap(), "");
}

#[test]
fn the_host_says_nothing_of_its_own() {
    if !lab::can_run("the_host_says_nothing_of_its_own") {
        return;
    }
    let _turn = turn::take().unwrap();
    let host = Namespace::new("switch").unwrap();
    let station = Namespace::new("station").unwrap();
    Veth::join(Plug::new(&station, "a"), Plug::new(&host, "port0")).unwrap();
    host.set_up("port0", false).unwrap();
    let index = station.link("a").unwrap().index;
    let heard = station
        .enter(|| sys::PacketSocket::open(index).unwrap())
        .unwrap();
    let mut daemon = start(&host, &[""], "");
    let forwards = |status: &Value| status["ports"][0]["state"] == "forwarding";
    daemon.wait_status(SOON, forwards).unwrap();
    // No router solicitation, no group report.
    thread::sleep(Duration::from_millis(1500));
    let mut frames = sys::packet::FrameBuffers::new();
    let silent = heard.receive(&mut frames).is_err();
    assert!(silent, "{:x?}", frames.records().collect::<Vec<_>>());
}

#[test]
fn what_a_killed_daemon_left_is_put_back() {
    if !lab::can_run("what_a_killed_daemon_left_is_put_back") {
        return;
    }
    let _turn = turn::take().unwrap();
    let host = Namespace::new("switch").unwrap();
    let station = Namespace::new("station").unwrap();
    Veth::join(Plug::new(&station, "a"), Plug::new(&host, "port0")).unwrap();
    let mut daemon = start(&host, &["mtu = 1400"], "");
    let forwards = |status: &Value| status["ports"][0]["state"] == "forwarding";
    daemon.wait_status(SOON, forwards).unwrap();
    daemon.kill().unwrap();
    let start = Instant::now();
    while !host.run("nft", &["list", "ruleset"]).unwrap().is_empty() {
        assert!(start.elapsed() < SOON, "the chain outlived its owner");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(host.link("port0").unwrap().mtu, 1400);
    daemon.restart().unwrap();
    daemon.wait_status(SOON, forwards).unwrap();
    daemon.stop(SOON).unwrap();
    assert_eq!(host.link("port0").unwrap().mtu, 1500);
}

#[test]
fn interfaces_in_use_are_refused() {
    if !lab::can_run("interfaces_in_use_are_refused") {
        return;
    }
    let _turn = turn::take().unwrap();
    let host = Namespace::new("switch").unwrap();
    let station = Namespace::new("station").unwrap();
    Veth::join(Plug::new(&station, "a"), Plug::new(&host, "port0")).unwrap();
    let refused = |words: &str| {
        let mut daemon = start(&host, &[""], "");
        let start = Instant::now();
        while daemon.ended().unwrap().is_none() && start.elapsed() < SOON {
            thread::sleep(Duration::from_millis(10));
        }
        let status = daemon.ended().unwrap();
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(1),
            "{}",
            daemon.log()
        );
        assert!(daemon.log().contains(words), "{}", daemon.log());
    };
    host.add_address("port0", "10.3.0.1/24").unwrap();
    refused("has an address of this host, 10.3.0.1/24");
    host.delete_address("port0", "10.3.0.1/24").unwrap();
    host.netlink(async |netlink| {
        netlink.create_bridge("br0").await.unwrap();
        netlink.set_master("port0", Some("br0")).await.unwrap();
    });
    refused("is a member of br0");
    assert_eq!(host.run("nft", &["list", "ruleset"]).unwrap(), "");
}
