//! More than two gateways: everybody with everybody, or around one that relays.

#![allow(clippy::disallowed_methods)] // real daemons take real time

use std::thread;
use std::time::Duration;

use lab::daemon::Keys;
use lab::{Daemon, DaemonOptions, Namespace, Segment};
use netns::station::{ALL, Station, frame, mac};
use netns::{program, turn};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);

/// Three gateways on one underlay, each with a station on an interface that it takes over.
struct Office {
    daemons: Vec<Daemon>,
    stations: Vec<Station>,
    _underlay: Segment,
}

/// `peers[n]`: whom gateway n knows; `keys`: more lines for its `[node]`.
fn office(peers: [&[usize]; 3], keys: [&str; 3], peer_keys: &str) -> Office {
    let binary = program::binary().unwrap();
    let mut underlay = Segment::new("underlay").unwrap();
    let secrets: Vec<Keys> = (0..3).map(|_| Keys::generate(&binary).unwrap()).collect();
    let (mut daemons, mut stations) = (Vec::new(), Vec::new());
    for at in 0..3 {
        let host = Namespace::new(&format!("g{at}")).unwrap();
        underlay.plug(&host, "line").unwrap();
        host.add_address("line", &format!("10.0.0.{}/24", at + 1))
            .unwrap();
        stations.push(Station::plug(&host, "lan").unwrap());
        let mut config = format!(
            "[node]\nname = \"g{at}\"\nprivate-key-file = \"own.key\"\n{}\n[[port]]\ndevice = \"lan\"\n",
            keys[at]
        );
        for &peer in peers[at] {
            let (key, last) = (&secrets[peer].public, peer + 1);
            config += &format!(
                "[[peer]]\nname = \"g{peer}\"\npublic-key = \"{key}\"\nendpoints = [\"10.0.0.{last}\"]\n{peer_keys}\n"
            );
        }
        let options = DaemonOptions {
            binary: binary.clone(),
            ..DaemonOptions::new(&host, &config).unwrap()
        };
        let options = options.file("own.key", &secrets[at].private);
        daemons.push(Daemon::start(options).unwrap());
    }
    for (daemon, peers) in daemons.iter_mut().zip(peers) {
        for peer in peers {
            daemon.wait_peer_up(&format!("g{peer}"), SOON).unwrap();
        }
        let forwards = |status: &Value| {
            let mut ports = status["ports"].as_array().unwrap().iter();
            ports.all(|port| port["state"] == "forwarding")
        };
        daemon.wait_status(SOON, forwards).unwrap();
    }
    Office {
        daemons,
        stations,
        _underlay: underlay,
    }
}

impl Office {
    /// Sends a frame from one station, and says what all of them get.
    fn pass(&mut self, from: usize, frame: &[u8]) -> Vec<(usize, Vec<u8>)> {
        self.stations[from].send(frame);
        thread::sleep(Duration::from_millis(100));
        let mut got = Vec::new();
        for (at, station) in self.stations.iter_mut().enumerate() {
            got.extend(station.receive().into_iter().map(|frame| (at, frame)));
        }
        got
    }
}

/// Every station hears each of the others, once; then those that are known are reached alone.
fn everybody_hears_everybody_once(office: &mut Office) {
    for from in 0..3 {
        let all = frame(from as u8, ALL, &[], 1);
        let others = (0..3).filter(|&at| at != from).map(|at| (at, all.clone()));
        assert_eq!(
            office.pass(from, &all),
            others.collect::<Vec<_>>(),
            "from {from}"
        );
    }
    for from in 0..3 {
        for to in (0..3).filter(|&to| to != from) {
            let one = frame(from as u8, mac(to as u8), &[(0x8100, 7)], 2);
            // In this VLAN nobody was heard yet, or only some.
            let got = office.pass(from, &one);
            assert_eq!(
                got.iter().filter(|(at, _)| *at == to).count(),
                1,
                "{from} to {to}"
            );
            let plain = frame(from as u8, mac(to as u8), &[], 3);
            assert_eq!(
                office.pass(from, &plain),
                [(to, plain.clone())],
                "{from} to {to}"
            );
        }
    }
}

#[test]
fn a_full_mesh_has_no_loop_and_no_copies() {
    if !lab::can_run("a_full_mesh_has_no_loop_and_no_copies") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut office = office([&[1, 2], &[0, 2], &[0, 1]], [""; 3], "");
    everybody_hears_everybody_once(&mut office);
}

#[test]
fn a_hub_with_relay_joins_its_spokes() {
    if !lab::can_run("a_hub_with_relay_joins_its_spokes") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut office = office([&[1, 2], &[0], &[0]], ["relay = true", "", ""], "");
    everybody_hears_everybody_once(&mut office);
}

#[test]
fn without_relay_spokes_hear_the_hub_only() {
    if !lab::can_run("without_relay_spokes_hear_the_hub_only") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut office = office([&[1, 2], &[0], &[0]], [""; 3], "");
    let all = frame(1, ALL, &[], 1);
    assert_eq!(office.pass(1, &all), [(0, all.clone())]);
    let all = frame(0, ALL, &[], 1);
    assert_eq!(office.pass(0, &all), [(1, all.clone()), (2, all.clone())]);
}

#[test]
fn a_peer_carries_only_its_vlans_either_way() {
    if !lab::can_run("a_peer_carries_only_its_vlans_either_way") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut office = office([&[1], &[0], &[]], [""; 3], "vlans = [10]");
    for (vlan, passes) in [(10, true), (11, false)] {
        for (from, to) in [(0, 1), (1, 0)] {
            let all = frame(from as u8, ALL, &[(0x8100, vlan)], 1);
            let expected = passes.then_some((to, all.clone()));
            assert_eq!(
                office.pass(from, &all),
                expected.into_iter().collect::<Vec<_>>()
            );
        }
    }
    let untagged = frame(0, ALL, &[], 1);
    assert_eq!(office.pass(0, &untagged), []);
    let status = office.daemons[0].status().unwrap();
    assert_eq!(status["ports"][1]["vlans"], "10", "{status:#}");
}
