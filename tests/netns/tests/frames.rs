//! Frames of any size and with any tags, over lines of any MTU.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time; what was measured is shown

use std::thread;
use std::time::{Duration, Instant};

use lab::{Direction, End, MeterOptions, Profile, Way};
use netns::pair::TAP;
use netns::{Kind, LineSpec, Pair, PairOptions, turn};
use sys::tap::{Tap, TapOptions};

const SOON: Duration = Duration::from_secs(5);

/// A slow meter of packets with `payload` bytes behind the UDP header. (Linux sets "don't
/// fragment" on them.)
fn sized(payload: usize) -> MeterOptions {
    MeterOptions {
        rate: 200,
        payload,
        grace: Duration::from_millis(500),
    }
}

fn cable(mtu: u32) -> LineSpec {
    LineSpec::new(Kind::Cable(Profile::line(50.0, 5))).mtu(mtu)
}

#[test]
fn full_packets_cross_lines_of_any_mtu() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "full_packets_cross_lines_of_any_mtu",
        Duration::from_millis(50),
        || {
            for (mtus, port, payload) in [
                ([1280, 1280], "", 1472),
                ([1400, 1500], "", 1472),
                ([1492, 1280], "", 1472),
                ([1500, 1400], "mtu = 9000", 8972),
            ] {
                let lines = mtus.map(cable).to_vec();
                let mut pair = Pair::start(PairOptions::new("failover", lines).port(port)).unwrap();
                for number in [1, 2] {
                    let meter = pair.meter_with(sized(payload)).unwrap();
                    thread::sleep(Duration::from_millis(500));
                    let report = meter.stop();
                    let text = format!("MTUs {mtus:?}, over line{number}: {report:?}");
                    assert_eq!(report.lost(), 0, "{text}\n{}", pair.describe());
                    assert!(report.a_to_b.sent > 80, "{text}");
                    let peer = Pair::peer_of(End::A);
                    pair.daemon(End::A)
                        .client(&["path", "drain", peer, "line1"])
                        .unwrap();
                }
            }
        },
    );
}

#[test]
fn the_mtu_of_a_line_is_found_and_no_packet_is_fragmented() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "the_mtu_of_a_line_is_found_and_no_packet_is_fragmented",
        Duration::from_millis(50),
        || {
            let black_hole = LineSpec::new(Kind::Cable(Profile {
                mtu_black_hole: Some(1390),
                ..Profile::line(50.0, 5)
            }));
            let lines = vec![cable(1500), black_hole];
            let mut pair = Pair::start(PairOptions::new("balance", lines)).unwrap();
            let found = pair.wait(2 * SOON, "the MTU of both lines", |pair| {
                let mtu = |line| Ok::<_, anyhow::Error>(pair.path(End::A, line)?["mtu"].as_u64());
                // UDP payload: 28 bytes of headers less. The search ends near what a line takes.
                let near = |found: Option<u64>, limit: u64| {
                    found.is_some_and(|found| found <= limit && found + 32 >= limit)
                };
                Ok(near(mtu(1)?, 1472) && near(mtu(2)?, 1362))
            });
            found.unwrap();
            // Nothing the search did counts as loss.
            for line in [1, 2] {
                let path = pair.path(End::A, line).unwrap();
                assert!(path["loss"].as_f64().unwrap_or(0.0) < 0.01, "{path:#}");
            }
        },
    );
}

#[test]
fn a_line_that_begins_to_swallow_full_packets_is_survived() {
    let _turn = turn::take().unwrap();
    lab::timed(
        "a_line_that_begins_to_swallow_full_packets_is_survived",
        Duration::from_millis(50),
        || {
            for count in [1, 2] {
                let lines = vec![cable(1500); count];
                let mut pair = Pair::start(PairOptions::new("failover", lines)).unwrap();
                let full = |pair: &Pair| Ok(pair.path(End::A, 1)?["mtu"].as_u64() >= Some(1440));
                pair.wait(2 * SOON, "a full MTU", full).unwrap();
                let meter = pair.meter_with(sized(1472)).unwrap();
                thread::sleep(Duration::from_millis(700));
                let mark = meter.mark();
                let cable = pair.line(1).unwrap().cable().unwrap();
                cable.update(Way::Both, |profile| profile.mtu_black_hole = Some(1300));
                thread::sleep(Duration::from_millis(2500));
                let settled = meter.mark() - Duration::from_millis(500);
                let report = meter.report_between(mark, settled);
                println!("{count} lines: {report:?}");
                let swallowed = cable.stats(Direction::AToB).too_big;
                assert!(swallowed > 0, "nothing was swallowed");
                // Twice the 300 ms after which everything is sent again, smaller.
                let gap = report.outage();
                assert!(
                    gap < Duration::from_millis(600),
                    "{count} lines: {gap:?}\n{}",
                    pair.describe()
                );
                assert_eq!(
                    report.lost(),
                    0,
                    "{count} lines: {report:?}\n{}",
                    pair.describe()
                );
            }
        },
    );
}

/// A host beyond the gateway, in a kernel bridge with its port: we hold its network card.
struct Station(Tap);

impl Station {
    fn attach(pair: &Pair, end: End, mtu: u32) -> Self {
        let host = pair.host(end);
        let open = || Tap::open("station", TapOptions::default()).unwrap();
        let tap = host.enter(open).unwrap();
        host.netlink(async |netlink| {
            netlink.create_bridge("br0").await.unwrap();
            for device in ["station", TAP] {
                netlink.set_mtu(device, mtu).await.unwrap();
                netlink.set_master(device, Some("br0")).await.unwrap();
            }
        });
        for device in ["station", "br0"] {
            host.set_up(device, true).unwrap();
        }
        Self(tap)
    }

    /// Sends until the other receives `wanted` (frames are lost while bridges and paths begin).
    fn exchange(&self, frame: &[u8], to: &Self, wanted: &[u8]) -> bool {
        (0..20).any(|_| {
            self.0.write(frame).unwrap();
            to.receives(wanted, Duration::from_millis(100))
        })
    }

    fn receives(&self, wanted: &[u8], timeout: Duration) -> bool {
        let start = Instant::now();
        let mut buffer = vec![0; 70_000];
        while start.elapsed() < timeout {
            match self.0.read(&mut buffer) {
                Ok(length) if &buffer[..length] == wanted => return true,
                Ok(_) => {}
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        false
    }
}

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

/// A frame with these tags (EtherType and control information) and `payload` bytes behind them.
fn frame(from: [u8; 6], to: [u8; 6], tags: &[(u16, u16)], payload: usize) -> Vec<u8> {
    let mut frame = [to, from].concat();
    for (ethertype, tci) in tags {
        frame.extend(ethertype.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    // An EtherType for experiments (IEEE 802).
    frame.extend([0x88, 0xb6]);
    frame.extend((0..payload).map(|at| at as u8));
    frame
}

fn stations(ports: [&str; 2], mtu: u32) -> (Pair, [Station; 2]) {
    let mut options = PairOptions::new("failover", vec![cable(1280), cable(1500)]);
    options.port = ports.map(|keys| format!("mtu = {mtu}\n{keys}"));
    options.addressed = false;
    let pair = Pair::start(options).unwrap();
    let stations = [End::A, End::B].map(|end| Station::attach(&pair, end, mtu));
    (pair, stations)
}

#[test]
fn full_frames_with_two_tags_cross_small_lines() {
    if !lab::can_run("full_frames_with_two_tags_cross_small_lines") {
        return;
    }
    let _turn = turn::take().unwrap();
    // The kernel's bridge counts all tags but one as payload.
    let (pair, [a, b]) = stations(["", ""], 1504);
    for tags in [
        &[][..],
        &[(0x8100, 10)],
        &[(0x8100, 0xa00a), (0x8100, 20)],
        &[(0x88a8, 10), (0x8100, 20)],
    ] {
        for size in [46, 1200, 1500] {
            let (there, back) = (frame(A, B, tags, size), frame(B, A, tags, size));
            assert!(
                a.exchange(&there, &b, &there),
                "{tags:x?} {size}\n{}",
                pair.describe()
            );
            assert!(
                b.exchange(&back, &a, &back),
                "back: {tags:x?} {size}\n{}",
                pair.describe()
            );
        }
    }
}

#[test]
fn an_access_port_meets_a_trunk() {
    if !lab::can_run("an_access_port_meets_a_trunk") {
        return;
    }
    let _turn = turn::take().unwrap();
    let (pair, [a, b]) = stations(["vlan = 10", "trunk = [10, 20]"], 1500);
    let (plain, tagged) = (frame(A, B, &[], 1500), frame(A, B, &[(0x8100, 10)], 1500));
    assert!(
        a.exchange(&plain, &b, &tagged),
        "untagged to VLAN 10\n{}",
        pair.describe()
    );
    let (plain, tagged) = (frame(B, A, &[], 1500), frame(B, A, &[(0x8100, 10)], 1500));
    assert!(
        b.exchange(&tagged, &a, &plain),
        "VLAN 10 to untagged\n{}",
        pair.describe()
    );
    // Other VLANs stay away, and tags have no business at an access port.
    let broadcast = [0xff; 6];
    for foreign in [
        frame(B, broadcast, &[(0x8100, 20)], 100),
        frame(B, broadcast, &[], 100),
    ] {
        b.0.write(&foreign).unwrap();
        let mut bare = foreign.clone();
        if foreign.len() > 114 {
            bare.drain(12..16);
        }
        assert!(
            !a.receives(&bare, Duration::from_millis(200)),
            "{:x?}",
            &foreign[..18]
        );
    }
    let tagged = frame(A, broadcast, &[(0x8100, 10)], 100);
    a.0.write(&tagged).unwrap();
    assert!(!b.receives(&tagged, Duration::from_millis(200)));
}
