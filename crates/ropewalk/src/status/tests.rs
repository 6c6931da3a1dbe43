//! The contract of the JSON, and a sample that other tests show.

use super::*;

fn since() -> Option<Timestamp> {
    Some("2026-01-02T03:04:05Z".parse().unwrap())
}

fn path_that_is_up() -> PathStatus {
    PathStatus {
        uplink: "line1".to_owned(),
        local: Some("192.168.100.1:1830".to_owned()),
        remote: Some("192.168.100.2:1830".to_owned()),
        state: PathState::Up,
        role: Role::Primary,
        active: true,
        peer_active: Some(true),
        rtt_ms: Some(20.25),
        jitter_ms: Some(0.5),
        loss: Some(0.002),
        capacity_bps: Some(48_000_000),
        mtu: Some(1452),
        tx_bytes: 5_300_000,
        rx_bytes: 999,
        since: since(),
        reason: None,
        excluded_reason: None,
    }
}

fn path_that_is_down() -> PathStatus {
    PathStatus {
        uplink: "line2".to_owned(),
        local: None,
        remote: Some("[2001:db8::2]:1830".to_owned()),
        state: PathState::Down,
        role: Role::Metered,
        active: false,
        peer_active: None,
        rtt_ms: None,
        jitter_ms: None,
        loss: None,
        capacity_bps: None,
        mtu: None,
        tx_bytes: 0,
        rx_bytes: 0,
        since: since(),
        reason: Some("silent".to_owned()),
        excluded_reason: None,
    }
}

/// A node with one peer over two paths, one of them down.
pub(crate) fn sample() -> Status {
    let port = |name: &str, kind, vlans: &str| PortStatus {
        name: name.to_owned(),
        kind,
        state: PortState::Forwarding,
        reason: None,
        storm_drops: 0,
        role: None,
        vlans: vlans.to_owned(),
    };
    Status {
        node: NodeStatus {
            name: "a".to_owned(),
            public_key: "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_s: 3_725,
        },
        peers: vec![PeerStatus {
            name: "b".to_owned(),
            public_key: "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=".to_owned(),
            state: PeerState::Up,
            mode: Mode::Aggregate,
            effective_mode: Mode::Balance,
            paths: vec![path_that_is_up(), path_that_is_down()],
            outages: Outages {
                count: 1,
                longest_ms: 61,
                total_ms: 61,
            },
        }],
        ports: vec![
            port("bond0", PortKind::Tap, "all"),
            port("b", PortKind::Peer, "0,10,20-29"),
        ],
        forwarders: Vec::new(),
        drops: BTreeMap::from([("replayed".to_owned(), 12), ("no-path".to_owned(), 0)]),
        warnings: vec!["uplink line2: device eth9 is absent".to_owned()],
    }
}

#[test]
fn json_has_the_names_of_the_contract() {
    let json = serde_json::to_value(sample()).unwrap();
    let path = &json["peers"][0]["paths"][0];
    let names: Vec<&str> = path
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut contract = vec![
        "uplink",
        "local",
        "remote",
        "state",
        "role",
        "active",
        "peer_active",
        "rtt_ms",
        "jitter_ms",
        "loss",
        "capacity_bps",
        "mtu",
        "tx_bytes",
        "rx_bytes",
        "since",
        "reason",
        "excluded_reason",
    ];
    contract.sort_unstable();
    assert_eq!(names, contract);
    assert_eq!(path["since"], "2026-01-02T03:04:05Z");
    assert!(json["peers"][0]["paths"][1]["rtt_ms"].is_null());
    assert_eq!(json["peers"][0]["effective_mode"], "balance");
    assert_eq!(json["ports"][0]["kind"], "tap");
}

#[test]
fn a_newer_daemon_is_understood() {
    let mut json = serde_json::to_value(sample()).unwrap();
    json["peers"][0]["mode"] = "quantum".into();
    json["peers"][0]["paths"][0]["state"] = "dreaming".into();
    json["new_field"] = 1.into();
    let status: Status = serde_json::from_value(json).unwrap();
    assert_eq!(status.peers[0].mode, Mode::Unknown);
    assert_eq!(status.peers[0].paths[0].state, PathState::Unknown);
}
