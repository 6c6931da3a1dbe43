use super::*;
use crate::port::PortVlans;
use proptest::prelude::*;
use wire::vlan::VlanSet;

#[expect(
    clippy::disallowed_methods,
    reason = "some starting point; only distances count"
)]
fn start() -> Instant {
    Instant::now()
}

fn vlan(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

const BPDU: Mac = Mac([1, 0x80, 0xc2, 0, 0, 0]);
const LLDP: Mac = Mac([1, 0x80, 0xc2, 0, 0, 0x0e]);

/// The ports of the switch under test.
const WIRE: PortId = PortId(0);
const WIRE2: PortId = PortId(1);
const ACCESS10: PortId = PortId(2);
const TRUNK: PortId = PortId(3);
const PEER: PortId = PortId(5);
const PEER2: PortId = PortId(6);

/// Two transparent ports, access 10, trunk 10–12 with native 10, a peer with all VLANs and one
/// with 0 and 10.
fn switch(relay: bool) -> Bridge {
    let mut bridge = Bridge::new(BridgeConfig {
        relay,
        ..BridgeConfig::default()
    });
    let trunk = PortVlans::Trunk {
        allowed: VlanSet::from_ranges([vlan(10)..=vlan(12)]),
        native: Some(vlan(10)),
    };
    for (id, kind) in [
        (WIRE, PortKind::Local(PortVlans::Transparent)),
        (WIRE2, PortKind::Local(PortVlans::Transparent)),
        (ACCESS10, PortKind::Local(PortVlans::Access(vlan(10)))),
        (TRUNK, PortKind::Local(trunk)),
        (PEER, PortKind::Peer(VlanSet::all())),
        (
            PEER2,
            PortKind::Peer([vlan(0), vlan(10)].into_iter().collect()),
        ),
    ] {
        bridge.add_port(id, kind).unwrap();
    }
    bridge
}

fn frame(dst: Mac, src: Mac, tag: Option<u16>) -> Vec<u8> {
    let mut bytes = [dst.0, src.0].concat();
    if let Some(tci) = tag {
        bytes.extend([0x81, 0]);
        bytes.extend(tci.to_be_bytes());
    }
    bytes.extend([0x08, 0, 1, 2, 3]);
    bytes
}

fn egress(
    bridge: &Bridge,
    from: PortId,
    id: u16,
    dst: Mac,
    now: Instant,
) -> Result<Vec<PortId>, DropReason> {
    let mut out = PortSet::new();
    let result = bridge.egress(from, vlan(id), dst, now, &mut out);
    assert_eq!(result.is_err(), out.is_empty());
    result.map(|()| out.iter().collect())
}

#[test]
fn floods_stay_in_their_vlan_and_do_not_return() {
    let (bridge, now) = (switch(false), start());
    for dst in [Mac::BROADCAST, mac(9), Mac([1, 0, 0x5e, 0, 0, 1])] {
        for (from, id, expected) in [
            (WIRE, 0, Ok(vec![WIRE2, PEER, PEER2])),
            (WIRE, 10, Ok(vec![WIRE2, ACCESS10, TRUNK, PEER, PEER2])),
            (WIRE, 11, Ok(vec![WIRE2, TRUNK, PEER])),
            (WIRE, 99, Ok(vec![WIRE2, PEER])),
            (ACCESS10, 10, Ok(vec![WIRE, WIRE2, TRUNK, PEER, PEER2])),
            (PEER, 10, Ok(vec![WIRE, WIRE2, ACCESS10, TRUNK])),
            (PEER2, 0, Ok(vec![WIRE, WIRE2])),
            (PortId(4), 0, Err(DropReason::UnknownPort)),
            (PortId(999), 0, Err(DropReason::UnknownPort)),
        ] {
            assert_eq!(
                egress(&bridge, from, id, dst, now),
                expected,
                "{from:?} {id} {dst}"
            );
        }
    }
}

#[test]
fn a_relay_passes_frames_between_peers() {
    let (bridge, now) = (switch(true), start());
    assert_eq!(
        egress(&bridge, PEER, 10, Mac::BROADCAST, now),
        Ok(vec![WIRE, WIRE2, ACCESS10, TRUNK, PEER2])
    );
    assert_eq!(
        egress(&bridge, PEER2, 0, Mac::BROADCAST, now),
        Ok(vec![WIRE, WIRE2, PEER])
    );
}

#[test]
fn a_known_address_has_one_port() {
    let (mut bridge, now) = (switch(false), start());
    let ingress = bridge
        .ingress(PEER, &frame(mac(9), mac(1), Some(0xa00a)), now)
        .unwrap();
    let expected = Ingress {
        vlan: vlan(10),
        tagged: true,
        dst: mac(9),
        learned: Learned::New,
    };
    assert_eq!(ingress, expected);
    for (from, id, expected) in [
        (WIRE, 10, Ok(vec![PEER])),
        (ACCESS10, 10, Ok(vec![PEER])),
        (PEER, 10, Err(DropReason::SamePort)),
        (PEER2, 10, Err(DropReason::SplitHorizon)),
        (WIRE, 11, Ok(vec![WIRE2, TRUNK, PEER])),
    ] {
        assert_eq!(
            egress(&bridge, from, id, mac(1), now),
            expected,
            "{from:?} {id}"
        );
    }
    let hub = {
        let mut hub = switch(true);
        hub.ingress(PEER, &frame(mac(9), mac(1), Some(10)), now)
            .unwrap();
        hub
    };
    assert_eq!(egress(&hub, PEER2, 10, mac(1), now), Ok(vec![PEER]));
    let aged = now + Duration::from_secs(301);
    assert_eq!(
        egress(&bridge, ACCESS10, 10, mac(1), aged).unwrap().len(),
        5
    );
}

#[test]
fn a_host_that_moved_is_found() {
    let (mut bridge, now) = (switch(false), start());
    bridge
        .ingress(WIRE, &frame(mac(9), mac(1), None), now)
        .unwrap();
    assert_eq!(egress(&bridge, PEER, 0, mac(1), now), Ok(vec![WIRE]));
    let moved = bridge
        .ingress(PEER, &frame(mac(9), mac(1), None), now)
        .unwrap();
    assert_eq!(moved.learned, Learned::Moved { from: WIRE });
    assert_eq!(egress(&bridge, WIRE, 0, mac(1), now), Ok(vec![PEER]));
    let entries = bridge.entries(now);
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].mac, entries[0].port), (mac(1), PEER));
}

#[test]
fn what_ingress_drops() {
    let (mut bridge, now) = (switch(false), start());
    bridge.set_port_state(WIRE2, PortState::Discarding);
    let to = |dst, tag| frame(dst, mac(1), tag);
    for (from, bytes, reason) in [
        (PortId(4), to(mac(9), None), DropReason::UnknownPort),
        (WIRE2, to(mac(9), None), DropReason::PortDiscarding),
        (WIRE, vec![2; 13], DropReason::Runt),
        (WIRE, to(mac(9), Some(5))[..17].to_vec(), DropReason::Runt),
        (WIRE, to(mac(9), Some(0xffff)), DropReason::ReservedVlan),
        (WIRE, to(Mac::PAUSE, None), DropReason::Pause),
        (PEER, to(Mac::PAUSE, None), DropReason::Pause),
        (ACCESS10, to(BPDU, None), DropReason::LinkLocal),
        (TRUNK, to(LLDP, None), DropReason::LinkLocal),
        (ACCESS10, to(mac(9), Some(10)), DropReason::TaggedOnAccess),
        (TRUNK, to(mac(9), Some(13)), DropReason::VlanNotAllowed),
        (PEER2, to(mac(9), Some(11)), DropReason::VlanNotAllowed),
    ] {
        assert_eq!(
            bridge.ingress(from, &bytes, now),
            Err(reason),
            "{from:?} {bytes:x?}"
        );
    }
    assert!(
        bridge.entries(now).is_empty(),
        "nothing is learned from what is dropped"
    );
    let group = bridge
        .ingress(WIRE, &frame(mac(9), Mac::BROADCAST, None), now)
        .unwrap();
    assert_eq!(group.learned, Learned::Ignored);
}

#[test]
fn link_local_passes_between_transparent_ports_only() {
    let (mut bridge, now) = (switch(false), start());
    for dst in [BPDU, LLDP] {
        for from in [WIRE, PEER] {
            assert!(bridge.ingress(from, &frame(dst, mac(1), None), now).is_ok());
        }
        assert_eq!(
            egress(&bridge, WIRE, 0, dst, now),
            Ok(vec![WIRE2, PEER, PEER2])
        );
        assert_eq!(egress(&bridge, PEER, 0, dst, now), Ok(vec![WIRE, WIRE2]));
        assert_eq!(
            egress(&bridge, WIRE, 10, dst, now),
            Ok(vec![WIRE2, PEER, PEER2])
        );
        assert_eq!(
            egress(&bridge, ACCESS10, 10, dst, now),
            Err(DropReason::LinkLocal)
        );
    }
    assert_eq!(
        egress(&bridge, WIRE, 0, Mac::PAUSE, now),
        Err(DropReason::Pause)
    );
    let other = Mac([1, 0x80, 0xc2, 0, 0, 0x10]);
    assert_eq!(egress(&bridge, ACCESS10, 10, other, now).unwrap().len(), 5);
}

#[test]
fn port_states() {
    let (mut bridge, now) = (switch(false), start());
    bridge
        .ingress(WIRE, &frame(mac(9), mac(1), None), now)
        .unwrap();
    assert!(bridge.set_port_state(WIRE, PortState::Discarding));
    assert!(
        bridge.entries(now).is_empty(),
        "forgotten with the port's state"
    );
    assert_eq!(
        egress(&bridge, WIRE2, 0, mac(1), now),
        Ok(vec![PEER, PEER2])
    );

    bridge.set_port_state(WIRE, PortState::Learning);
    let learning = bridge.ingress(WIRE, &frame(mac(9), mac(1), None), now);
    assert_eq!(learning, Err(DropReason::PortLearning));
    assert_eq!(bridge.known_port(vlan(0), mac(1), now), Some(WIRE));
    assert_eq!(
        egress(&bridge, WIRE2, 0, mac(1), now),
        Err(DropReason::NoEgressPort)
    );

    bridge.set_port_state(WIRE, PortState::Forwarding);
    assert_eq!(egress(&bridge, WIRE2, 0, mac(1), now), Ok(vec![WIRE]));
    assert_eq!(bridge.port_state(WIRE), Some(PortState::Forwarding));
    assert!(!bridge.set_port_state(PortId(4), PortState::Learning));
}

#[test]
fn ports_come_and_go() {
    let (mut bridge, now) = (switch(false), start());
    let wire = || PortKind::Local(PortVlans::Transparent);
    assert_eq!(bridge.add_port(WIRE, wire()), Err(AddPortError::InUse(0)));
    assert_eq!(
        bridge.add_port(PortId(MAX_PORTS), wire()),
        Err(AddPortError::Id(MAX_PORTS))
    );
    let all: Vec<_> = bridge.ports().collect();
    assert_eq!(all, [WIRE, WIRE2, ACCESS10, TRUNK, PEER, PEER2]);

    bridge
        .ingress(WIRE, &frame(mac(9), mac(1), None), now)
        .unwrap();
    bridge
        .ingress(PEER, &frame(mac(9), mac(2), None), now)
        .unwrap();
    assert!(bridge.remove_port(WIRE));
    assert!(!bridge.remove_port(WIRE) && !bridge.remove_port(PortId(500)));
    assert_eq!(bridge.entries(now).len(), 1);
    assert_eq!(egress(&bridge, PEER, 0, mac(1), now), Ok(vec![WIRE2]));

    let other = PortKind::Peer([vlan(10)].into_iter().collect());
    assert!(bridge.set_port_kind(PEER, other.clone()));
    assert_eq!(bridge.port_kind(PEER), Some(&other));
    assert!(bridge.entries(now).is_empty());
    assert_eq!(egress(&bridge, WIRE2, 0, mac(2), now), Ok(vec![PEER2]));
    assert!(!bridge.set_port_kind(WIRE, other));
}

#[test]
fn forms_follow_the_port() {
    let bridge = switch(false);
    for (port, id, form) in [
        (WIRE, 0, Form::AsIs),
        (WIRE, 10, Form::Tagged(vlan(10))),
        (ACCESS10, 10, Form::Untagged),
        (TRUNK, 10, Form::Untagged),
        (TRUNK, 11, Form::Tagged(vlan(11))),
        (PEER, 0, Form::AsIs),
        (PEER, 10, Form::Tagged(vlan(10))),
    ] {
        assert_eq!(bridge.egress_form(port, vlan(id)), form);
    }
}

#[test]
fn aged_addresses_are_swept() {
    let (mut bridge, now) = (switch(false), start());
    assert_eq!(bridge.poll_timeout(), None);
    bridge
        .ingress(WIRE, &frame(mac(9), mac(1), None), now)
        .unwrap();
    let mut last = now;
    while let Some(at) = bridge.poll_timeout() {
        last = at;
        bridge.handle_timeout(at);
    }
    assert!(last > now + Duration::from_secs(300) && last < now + Duration::from_secs(450));
}

proptest! {
    /// Whatever comes in: no panic, never back, never from peer to peer, only where the VLAN is.
    #[test]
    fn hostile_frames(
        steps in proptest::collection::vec(
            (0u16..8, prop_oneof![Just(0u8), Just(1), 2u8..7], 0u8..6, any::<Option<u16>>(), 0usize..24),
            0..60,
        ),
    ) {
        let (mut bridge, now) = (switch(false), start());
        let mut out = PortSet::new();
        for (from, dst, src, tag, len) in steps {
            let from = PortId(from);
            let dst = match dst {
                0 => Mac::BROADCAST,
                1 => BPDU,
                n => mac(n),
            };
            let mut bytes = frame(dst, mac(src), tag.map(|tci| tci & 0xe00f));
            bytes.truncate(len);
            let Ok(ingress) = bridge.ingress(from, &bytes, now) else { continue };
            let _ = bridge.egress(from, ingress.vlan, ingress.dst, now, &mut out);
            for to in &out {
                prop_assert_ne!(to, from);
                let (source, target) = (bridge.port_kind(from).unwrap(), bridge.port_kind(to).unwrap());
                prop_assert!(!(source.is_peer() && target.is_peer()));
                prop_assert!(target.carries(ingress.vlan));
                let mut written = [0; 64];
                let form = bridge.egress_form(to, ingress.vlan);
                prop_assert!(crate::form::encode(&bytes, form, &mut written) >= 14);
            }
        }
    }
}

#[test]
fn a_storm_is_dropped_at_its_port_by_kind() {
    use crate::storm::{FloodSize, StormLimit, StormLimits};
    let (mut bridge, now) = (switch(false), start());
    let limits = StormLimits {
        broadcast: Some(StormLimit::Frames(4)),
        multicast: Some(StormLimit::Frames(8)),
        unknown: Some(StormLimit::Frames(12)),
    };
    assert!(bridge.set_storm_limits(WIRE, limits));
    assert!(!bridge.set_storm_limits(PortId(4), limits));
    let size = FloodSize {
        frames: 1,
        bytes: 64,
    };
    let mut storm = |from, dst| {
        let results: Vec<_> = (0..100)
            .map(|_| {
                let ingress = bridge
                    .ingress(from, &frame(dst, mac(1), None), now)
                    .unwrap();
                bridge.admit(from, &ingress, size, now)
            })
            .collect();
        let passed = results.iter().filter(|result| result.is_ok()).count();
        (
            passed,
            results.last().unwrap().err(),
            bridge.storm_drops(from),
        )
    };
    let group = Mac([1, 0, 0x5e, 0, 0, 1]);
    assert_eq!(
        storm(WIRE, Mac::BROADCAST),
        (2, Some(DropReason::StormBroadcast), 98)
    );
    assert_eq!(
        storm(WIRE, group),
        (3, Some(DropReason::StormMulticast), 195)
    );
    assert_eq!(
        storm(WIRE, mac(2)),
        (4, Some(DropReason::StormUnknown), 291)
    );
    assert_eq!(storm(WIRE2, Mac::BROADCAST), (100, None, 0));
    // What is addressed to a known station is no storm.
    bridge
        .ingress(PEER, &frame(mac(1), mac(3), None), now)
        .unwrap();
    let known = bridge
        .ingress(WIRE, &frame(mac(3), mac(1), None), now)
        .unwrap();
    assert_eq!(bridge.admit(WIRE, &known, size, now), Ok(()));
}
