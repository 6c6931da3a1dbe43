//! A switch with every kind of port, and frames that the input makes up.

use bridge::{Bridge, BridgeConfig, Form, PortId, PortKind, PortSet, PortState, PortVlans, encode};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use wire::ethernet::{Frame, Mac};
use wire::vlan::{VlanId, VlanSet};

const PORTS: u8 = 6;
/// Of a frame that the input describes: port, step of time, length, then the frame.
const STEP_HEAD: usize = 3;
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Feeds the frames that `data` describes to a small switch and checks where each one goes.
pub fn run(data: &[u8]) {
    let mut bridge = switch();
    let mut now = *START;
    let mut rest = data;
    while let Some((&[port, time, len], tail)) = rest.split_first_chunk::<STEP_HEAD>() {
        let (frame, tail) = tail.split_at(tail.len().min(len.into()));
        rest = tail;
        now += Duration::from_secs(u64::from(time));
        bridge.handle_timeout(now);
        let port = PortId(u16::from(port % (PORTS + 1)));
        match time {
            250 => assert_known(bridge.set_port_state(port, PortState::Learning), port),
            251 => assert_known(bridge.set_port_state(port, PortState::Forwarding), port),
            252 => bridge.flush_port(port),
            _ => forward(&mut bridge, port, frame, now),
        }
        assert!(bridge.entries(now).len() <= 8);
    }
}

/// A switch of six ports, whose table holds 8 addresses.
fn switch() -> Bridge {
    let config = BridgeConfig {
        fdb_limit: 8,
        fdb_limit_per_port: 4,
        ..BridgeConfig::default()
    };
    let mut bridge = Bridge::new(config);
    let vlan = |id| VlanId::new(id).expect("small");
    let allowed = VlanSet::from_ranges([vlan(10)..=vlan(12)]);
    let kinds = [
        PortKind::Local(PortVlans::Transparent),
        PortKind::Local(PortVlans::Transparent),
        PortKind::Local(PortVlans::Access(vlan(10))),
        PortKind::Local(PortVlans::Trunk {
            allowed,
            native: Some(vlan(10)),
        }),
        PortKind::Peer(VlanSet::all()),
        PortKind::Peer([vlan(0), vlan(10)].into_iter().collect()),
    ];
    for (id, kind) in (0..).map(PortId).zip(kinds) {
        bridge.add_port(id, kind).expect("a new id");
    }
    bridge
}

/// Ports are known exactly when they are below [`PORTS`].
fn assert_known(known: bool, port: PortId) {
    assert_eq!(known, port.0 < u16::from(PORTS));
}

fn forward(bridge: &mut Bridge, from: PortId, bytes: &[u8], now: Instant) {
    let mut out = PortSet::new();
    let Ok(ingress) = bridge.ingress(from, bytes, now) else {
        return;
    };
    let sent = bridge.egress(from, ingress.vlan, ingress.dst, now, &mut out);
    assert_eq!(sent.is_ok(), !out.is_empty());
    let source = bridge.port_kind(from).expect("it took the frame");
    for to in &out {
        let target = bridge.port_kind(to).expect("there is such a port");
        assert_ne!(to, from, "never back");
        assert!(
            !(source.is_peer() && target.is_peer()),
            "never from peer to peer"
        );
        assert!(target.carries(ingress.vlan));
        assert_eq!(bridge.port_state(to), Some(PortState::Forwarding));
        assert_ne!(ingress.dst, Mac::PAUSE);
        let form = bridge.egress_form(to, ingress.vlan);
        let mut written = [0; 300];
        let len = encode(bytes, form, &mut written);
        assert!(len >= 14, "it was written");
        match form {
            Form::AsIs => assert_eq!(&written[..len], bytes),
            Form::Tagged(vlan) => {
                let tag = Frame::parse(&written[..len]).and_then(|frame| frame.tag());
                assert_eq!(tag.map(|tag| tag.vlan), Some(vlan.get()));
            }
            // What shows below a tag that was taken away is the sender's affair, cut or not.
            Form::Untagged => assert!(bytes.len() - len == if ingress.tagged { 4 } else { 0 }),
        }
    }
}

/// A few conversations, plain and tagged, over all ports.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |dst: u8, src: u8, tag: &[u8]| {
        [
            &[2, 0, 0, 0, 0, dst][..],
            &[2, 0, 0, 0, 0, src],
            tag,
            &[8, 0, 1, 2],
        ]
        .concat()
    };
    let step =
        |port: u8, time: u8, frame: &[u8]| [&[port, time, frame.len() as u8][..], frame].concat();
    let mut all = Vec::new();
    let mut tagged = Vec::new();
    for port in 0..PORTS {
        all.extend(step(port, port, &frame(port ^ 1, port, &[])));
        tagged.extend(step(
            port,
            200,
            &frame(port ^ 1, port, &[0x81, 0, 0xa0, 10]),
        ));
    }
    let mut group = frame(0, 9, &[]);
    group[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0]);
    let double = frame(3, 4, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 10]);
    vec![
        all,
        tagged,
        step(0, 0, &group),
        step(4, 0, &double),
        step(1, 250, &[]),
    ]
}
