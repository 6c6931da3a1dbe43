use super::*;
use bridge::{BridgeConfig, PortKind, PortVlans};
use wire::checksum::Sum;
use wire::vlan::{VlanId, VlanSet};

#[test]
fn a_frame_that_does_not_fit_with_its_tag_goes_nowhere() {
    let frame = Passing::plain(&[0x42; 64]);
    let tagged = Form::Tagged(VlanId::new(10).unwrap());
    let len = |scratch: &mut [u8]| {
        frame
            .formed(tagged, scratch)
            .map(|formed| formed.record.len())
    };
    assert_eq!(len(&mut [0; VNET_LEN + 68]), Some(68));
    assert_eq!(len(&mut [0; VNET_LEN + 67]), None);
    let as_is = frame.formed(Form::AsIs, &mut []);
    assert_eq!(as_is.map(|formed| formed.record), Some(&[0x42; 64][..]));
}

/// Local port 0 and peer 0, on a switch that passes everything.
fn forwarder() -> Forwarder {
    let mut bridge = Bridge::new(BridgeConfig::default());
    let transparent = PortKind::Local(PortVlans::Transparent);
    bridge.add_port(PortId(0), transparent).unwrap();
    bridge
        .add_port(PortId(1), PortKind::Peer(VlanSet::all()))
        .unwrap();
    Forwarder::new(bridge, 1, 1522)
}

/// What a port was given: headers and frames; with or without offloads.
struct Given {
    offloads: bool,
    frames: Vec<(VnetHeader, Vec<u8>)>,
}

impl FrameSink for Given {
    fn takes(&self, _: PortIndex, _: Option<GsoKind>) -> bool {
        self.offloads
    }

    fn send(&mut self, _: PortIndex, frame: &[u8]) -> bool {
        self.frames.push((VnetHeader::PLAIN, frame.to_vec()));
        true
    }

    fn send_record(&mut self, _: PortIndex, header: &VnetHeader, frame: &[u8]) -> bool {
        self.frames.push((*header, frame.to_vec()));
        true
    }
}

/// TCP segments of one flow in sequence, each a frame of its own with this much payload.
fn tcp(sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut sequence = 1_000u32;
    let segment = |&size: &usize| {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((40 + size as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        let checksum = Sum::new().bytes(&frame[14..]).checksum();
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        frame.extend([1, 187, 2, 0]);
        frame.extend(sequence.to_be_bytes());
        frame.extend([0, 0, 0, 9, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        frame.extend((0..size).map(|byte| byte as u8));
        let pseudo = Sum::new().bytes(&frame[26..34]).word(6);
        let sum = pseudo.word(20 + size as u16).bytes(&frame[34..]);
        frame[50..52].copy_from_slice(&sum.checksum().to_be_bytes());
        sequence += size as u32;
        frame
    };
    sizes.iter().map(segment).collect()
}

/// What the port gets when these come from the peer in one batch.
#[allow(clippy::disallowed_methods)] // only the switch's ageing looks at it
fn passed(frames: &[Vec<u8>], offloads: bool) -> Vec<(VnetHeader, Vec<u8>)> {
    let (mut forwarder, now) = (forwarder(), Instant::now());
    let mut given = Given {
        offloads,
        frames: Vec::new(),
    };
    for frame in frames {
        forwarder.on_peer(0, frame, false, now, &mut given);
    }
    forwarder.flush(&mut given);
    assert_eq!(forwarder.port_full, 0);
    given.frames
}

#[test]
fn tcp_frames_from_a_peer_are_put_together_for_a_port_with_offloads() {
    let frames = tcp(&[1400, 1400, 1400, 1400, 600]);
    let given = passed(&frames, true);
    let [(header, whole)] = &given[..] else {
        panic!("{} frames", given.len());
    };
    let gso = header.gso.expect("a super-frame");
    assert_eq!((gso.kind, gso.size), (GsoKind::TcpV4, 1400));
    let payload: Vec<u8> = frames
        .iter()
        .flat_map(|frame| frame[54..].to_vec())
        .collect();
    assert_eq!(whole[54..], payload);
    // Cut again it is what came in, byte for byte but for the identification that each has now.
    let mut segments = Vec::new();
    let cut = SuperFrame::check(*header, whole).unwrap();
    cut.for_each_segment(&mut [0; 1522], |segment| segments.push(segment.to_vec()));
    assert_eq!(segments.len(), frames.len());
    for (segment, frame) in segments.iter().zip(&frames) {
        assert_eq!(segment[34..], frame[34..]);
    }
}

#[test]
fn nothing_is_put_together_for_a_port_without_offloads_or_of_short_frames() {
    let plain = |frames: &[Vec<u8>]| -> Vec<(VnetHeader, Vec<u8>)> {
        let plain = frames
            .iter()
            .map(|frame| (VnetHeader::PLAIN, frame.clone()));
        plain.collect()
    };
    let long = tcp(&[1400, 1400, 600]);
    assert_eq!(passed(&long, false), plain(&long));
    let short = tcp(&[100, 100, 100]);
    assert_eq!(passed(&short, true), plain(&short));
}

/// Counts what a peer is given; keeps every buffer it is lent.
#[derive(Default)]
struct Keeping {
    copied: usize,
    lent: usize,
}

impl PeerPorts for Keeping {
    fn send(&mut self, _: usize, _: &Record<'_>, _: Instant, _: &mut dyn DatagramSink) {
        self.copied += 1;
    }

    fn send_lent(&mut self, _: usize, lent: &mut Lent<'_>, _: Instant, _: &mut dyn DatagramSink) {
        assert_eq!(lent.buffer[lent.range.clone()][..12], STATION_AND_SOURCE);
        *lent.buffer = vec![0; lent.buffer.len()];
        self.lent += 1;
    }

    fn takes_vnet(&self, _: usize) -> bool {
        true
    }
}

struct Nowhere;

impl DatagramSink for Nowhere {
    fn reserve(&mut self, _: &tunnel::Target, _: usize) -> Option<&mut [u8]> {
        None
    }

    fn commit(&mut self) {}
}

const STATION_AND_SOURCE: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Offers `count` records of `len` bytes to an unknown station, of which few are let through.
#[allow(clippy::disallowed_methods)] // only the switch's ageing and the limit look at it
fn offered(count: usize, len: usize) -> (Keeping, u64) {
    let (mut forwarder, now) = (forwarder(), Instant::now());
    let limits = bridge::storm::StormLimits {
        unknown: Some(bridge::storm::StormLimit::Frames(10)),
        ..Default::default()
    };
    assert!(forwarder.bridge.set_storm_limits(PortId(0), limits));
    let (mut peers, mut frames) = (
        Keeping::default(),
        Given {
            offloads: true,
            frames: Vec::new(),
        },
    );
    for _ in 0..count {
        let mut buffer = vec![0; 64 << 10];
        buffer[VNET_LEN..VNET_LEN + 12].copy_from_slice(&STATION_AND_SOURCE);
        buffer[VNET_LEN + 12] = 8;
        let mut ways = Ways {
            now,
            peers: &mut peers,
            datagrams: &mut Nowhere,
            frames: &mut frames,
        };
        forwarder.on_lent_record(PortIndex(0), &mut buffer, len, &mut ways);
        assert_eq!(buffer.len(), 64 << 10);
    }
    (peers, forwarder.drops.iter().sum())
}

#[test]
fn large_records_are_lent_and_limited_like_those_that_are_copied() {
    let (large, refused) = offered(100, 20_000);
    assert!(large.copied == 0 && (1..100).contains(&large.lent));
    assert_eq!(large.lent as u64 + refused, 100);
    let (small, _) = offered(100, 1_000);
    assert_eq!((small.copied, small.lent), (large.lent, 0));
}
