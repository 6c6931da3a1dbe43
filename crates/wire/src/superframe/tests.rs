use super::*;
use crate::checksum::Sum;
use proptest::prelude::*;

/// A super-frame to be made for a test.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: GsoKind,
    /// For UDP: which IP. TCP says it by its kind.
    pub(crate) v6: bool,
    pub(crate) tags: usize,
    pub(crate) port: u16,
    pub(crate) size: u16,
    pub(crate) payload: Vec<u8>,
    pub(crate) sequence: u32,
    pub(crate) identification: u16,
    pub(crate) flags: u8,
    /// TCP options, a multiple of 4 bytes.
    pub(crate) options: Vec<u8>,
}

impl Recipe {
    pub(crate) fn new(kind: GsoKind, size: u16, payload: usize) -> Self {
        Self {
            kind,
            v6: kind == GsoKind::TcpV6,
            tags: 0,
            port: 443,
            size,
            payload: (0..payload).map(|i| (i * 7 + i / 251) as u8).collect(),
            sequence: 0xffff_f000,
            identification: 0xfffe,
            flags: 0x18,
            options: vec![1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7],
        }
    }

    /// The frame as Linux would make it, and its header.
    pub(crate) fn make(&self) -> (VnetHeader, Vec<u8>) {
        let tcp = self.kind != GsoKind::UdpL4;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in 0..self.tags {
            frame.extend([0x81 + 7 * (tag as u8 & 1), 0xa8 * (tag as u8 & 1), 0xa0, 10]);
        }
        // Two tags: the service tag outside.
        if self.tags == 2 {
            frame[12..20].rotate_left(4);
        }
        let l4_header = if tcp { 20 + self.options.len() } else { 8 };
        let l4_len = l4_header + self.payload.len();
        let protocol = if tcp { TCP } else { UDP };
        let addresses = if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((l4_len as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            [[0x20; 16], [0x21; 16]].concat()
        } else {
            frame.extend([8, 0, 0x45, 2]);
            frame.extend((l4_len as u16 + 20).to_be_bytes());
            frame.extend(self.identification.to_be_bytes());
            frame.extend([0x40, 0, 64, protocol, 0, 0]);
            vec![192, 0, 2, 1, 192, 0, 2, 2]
        };
        frame.extend(&addresses);
        let l4 = frame.len();
        if !self.v6 {
            let checksum = Sum::new().bytes(&frame[l4 - 20..]).checksum();
            frame[l4 - 10..l4 - 8].copy_from_slice(&checksum.to_be_bytes());
        }
        frame.extend([0x30, 0x39]);
        frame.extend(self.port.to_be_bytes());
        let pseudo = Sum::new().bytes(&addresses).word(protocol.into());
        let partial = pseudo.word(l4_len as u16).folded().to_be_bytes();
        if tcp {
            frame.extend(self.sequence.to_be_bytes());
            frame.extend([0, 0, 1, 0, (l4_header as u8 / 4) << 4, self.flags, 1, 0xf5]);
            frame.extend(partial);
            frame.extend([0, 0]);
            frame.extend(&self.options);
        } else {
            frame.extend((l4_len as u16).to_be_bytes());
            frame.extend(partial);
        }
        frame.extend(&self.payload);
        let header = VnetHeader {
            needs_csum: true,
            data_valid: false,
            gso: Some(Gso {
                kind: self.kind,
                ecn: tcp && self.flags & 0x80 != 0,
                size: self.size,
            }),
            hdr_len: 1,
            csum_start: l4 as u16,
            csum_offset: if tcp { TCP_CSUM } else { UDP_CSUM },
        };
        (header, frame)
    }
}

pub(crate) fn recipes() -> impl Strategy<Value = Recipe> {
    let kind = prop_oneof![
        Just(GsoKind::TcpV4),
        Just(GsoKind::TcpV6),
        Just(GsoKind::UdpL4)
    ];
    let shape = (kind, any::<bool>(), 0usize..=2, 8u16..3000, 0usize..9000);
    let fields = (any::<u32>(), any::<u16>(), any::<u8>(), 0usize..=10);
    (shape, fields).prop_map(|(shape, fields)| {
        let (kind, v6, tags, size, payload) = shape;
        let (sequence, identification, flags, options) = fields;
        // UDP has a bound of its own on segments.
        let min = if kind == GsoKind::UdpL4 {
            payload / 128 + 1
        } else {
            8
        };
        Recipe {
            v6: match kind {
                GsoKind::TcpV4 => false,
                GsoKind::TcpV6 => true,
                GsoKind::UdpL4 => v6,
            },
            tags,
            sequence,
            identification,
            flags: flags & !(TCP_SYN | TCP_RST),
            options: vec![1; options * 4],
            ..Recipe::new(kind, size.max(min as u16), payload)
        }
    })
}

#[test]
fn what_linux_makes_passes() {
    for kind in [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4] {
        for tags in 0..=2 {
            let recipe = Recipe {
                tags,
                ..Recipe::new(kind, 1000, 2500)
            };
            let (header, frame) = recipe.make();
            let whole = SuperFrame::check(header, &frame).unwrap();
            assert_eq!((whole.segments(), whole.segment_size()), (3, 1000));
            assert_eq!(whole.payload(), recipe.payload);
            assert_eq!(whole.header_len(), frame.len() - 2500);
            assert_eq!(usize::from(whole.header().hdr_len), whole.header_len());
            assert_eq!(whole.shape().segment_len(), whole.header_len() + 1000);
            let head = &frame[..whole.header_len()];
            assert_eq!(Shape::check(header, head, frame.len()), Ok(whole.shape));
            let short = Shape::check(header, &head[1..], frame.len());
            assert!(short.is_err(), "{short:?}");
        }
    }
}

#[test]
fn one_segment_is_no_super_frame() {
    let (header, frame) = Recipe::new(GsoKind::TcpV4, 1000, 1000).make();
    let whole = SuperFrame::check(header, &frame).unwrap();
    assert_eq!((whole.segments(), whole.segment_size()), (1, 1000));
    assert_eq!((whole.header().gso, whole.header().hdr_len), (None, 0));
    assert!(whole.header().needs_csum);
}

#[test]
fn a_header_that_does_not_fit_is_refused() {
    use Refused::{WrongChecksum, WrongKind, WrongLength, WrongSize};
    type Bend = fn(&mut VnetHeader, &mut Vec<u8>);
    let cases: [(Bend, Refused); 17] = [
        (|h, _| h.needs_csum = false, WrongChecksum),
        (|h, _| h.csum_start += 1, WrongChecksum),
        (|h, _| h.csum_offset = 6, WrongChecksum),
        (|h, _| h.gso.as_mut().unwrap().size = 7, WrongSize),
        (|h, _| h.gso.as_mut().unwrap().size = 0, WrongSize),
        (
            |h, _| h.gso.as_mut().unwrap().kind = GsoKind::TcpV6,
            WrongKind,
        ),
        (
            |h, _| h.gso.as_mut().unwrap().kind = GsoKind::UdpL4,
            WrongKind,
        ),
        (|_, f| f[13] = 6, WrongKind),
        (|_, f| f[14] = 0x65, WrongKind),
        (|_, f| f[14] = 0x44, WrongKind),
        (|_, f| f[20] |= 0x20, WrongKind),
        (|_, f| f[21] = 1, WrongKind),
        (|_, f| f[47] |= 2, WrongKind),
        (|_, f| f[46] = 0x40, WrongKind),
        (|_, f| f.push(0), WrongLength),
        (|_, f| f[16..18].fill(0), WrongLength),
        (|_, f| f.truncate(60), WrongLength),
    ];
    for (i, (bend, expected)) in cases.into_iter().enumerate() {
        let (mut header, mut frame) = Recipe::new(GsoKind::TcpV4, 1000, 2500).make();
        bend(&mut header, &mut frame);
        let found = SuperFrame::check(header, &frame).map(|whole| whole.shape);
        assert_eq!(found, Err(expected), "case {i}");
    }
    let (header, mut frame) = Recipe::new(GsoKind::TcpV6, 1000, 2500).make();
    frame[20] = 0; // hop-by-hop options
    assert_eq!(SuperFrame::check(header, &frame).unwrap_err(), WrongKind);
    let (header, mut frame) = Recipe::new(GsoKind::UdpL4, 1000, 2500).make();
    frame[39] ^= 1;
    assert_eq!(SuperFrame::check(header, &frame).unwrap_err(), WrongLength);
    let three = Recipe {
        tags: 2,
        ..Recipe::new(GsoKind::TcpV4, 1000, 2500)
    };
    let (mut header, mut frame) = three.make();
    frame.splice(12..12, [0x81, 0, 0, 9]);
    header.shift(4);
    assert_eq!(SuperFrame::check(header, &frame).unwrap_err(), WrongKind);
}

#[test]
fn segments_are_bounded() {
    let check = |kind, size, payload| {
        let (header, frame) = Recipe::new(kind, size, payload).make();
        SuperFrame::check(header, &frame).map(|whole| whole.segments())
    };
    assert_eq!(check(GsoKind::TcpV4, 36, 65_483), Ok(1819));
    assert_eq!(check(GsoKind::TcpV4, 8, 16_384), Ok(2048));
    assert_eq!(check(GsoKind::TcpV4, 8, 16_385), Err(Refused::WrongSize));
    assert_eq!(check(GsoKind::UdpL4, 1, 128), Ok(128));
    assert_eq!(check(GsoKind::UdpL4, 1, 129), Err(Refused::WrongSize));
    assert_eq!(check(GsoKind::UdpL4, 0, 1), Err(Refused::WrongSize));
}

#[test]
fn a_partial_checksum_stays_within_its_frame() {
    let header = |csum_start, csum_offset| VnetHeader {
        needs_csum: true,
        csum_start,
        csum_offset,
        ..VnetHeader::PLAIN
    };
    let frame = [0; 60];
    for (start, offset, fits) in [
        (34, 16, true),
        (14, 0, true),
        (42, 16, true),
        (43, 16, false),
        (13, 16, false),
        (0, 16, false),
        (u16::MAX, u16::MAX, false),
    ] {
        let found = SuperFrame::check(header(start, offset), &frame);
        assert_eq!(found.is_ok(), fits, "{start} {offset}");
    }
    let mut valid = VnetHeader::PLAIN;
    (valid.data_valid, valid.hdr_len, valid.csum_start) = (true, 9, 9);
    let plain = SuperFrame::check(valid, &frame).unwrap();
    assert_eq!(plain.header(), VnetHeader::PLAIN);
    assert_eq!((plain.header_len(), plain.segments()), (60, 1));
    let short = SuperFrame::check(VnetHeader::PLAIN, &frame[..13]);
    assert_eq!(short.unwrap_err(), Refused::Truncated);
}

#[test]
fn headers_of_a_cut() {
    let recipe = Recipe {
        flags: 0x99, // CWR, ACK, PSH, FIN
        ..Recipe::new(GsoKind::TcpV4, 1000, 3500)
    };
    let (header, frame) = recipe.make();
    let whole = SuperFrame::check(header, &frame).unwrap();
    let mut out = vec![0; frame.len()];
    for (range, flags, identification, sequence) in [
        (0..2, 0x90, 0xfffe, 0xffff_f000u32),
        (1..3, 0x10, 0xffff, 0xffff_f3e8),
        (2..4, 0x19, 0x0000, 0xffff_f7d0),
        (0..4, 0x99, 0xfffe, 0xffff_f000),
    ] {
        let (cut, len) = whole.cut(range.clone(), &mut out).unwrap();
        let cut = SuperFrame::check(cut, &out[..len]).unwrap();
        assert_eq!(cut.segments(), range.len());
        assert_eq!(cut.frame()[47], flags, "{range:?}");
        assert_eq!(be16(cut.frame(), 18), Some(identification), "{range:?}");
        assert_eq!(cut.frame()[38..42], sequence.to_be_bytes(), "{range:?}");
        assert!(Sum::new().bytes(&cut.frame()[14..34]).is_valid());
        let ecn = cut.header().gso.unwrap().ecn;
        assert_eq!(ecn, range.start == 0, "{range:?}");
    }
    let (single, len) = whole.cut(3..4, &mut out).unwrap();
    assert_eq!((single.gso, single.needs_csum), (None, true));
    assert_eq!(len, whole.header_len() + 500);
    for none in [0..0, 4..5, 3..5, Range { start: 3, end: 2 }] {
        assert_eq!(whole.cut(none, &mut out), None);
    }
    assert_eq!(whole.cut(0..1, &mut out[..1000]), None, "no room");
}

#[test]
fn what_arrived_of_a_super_frame() {
    let (header, frame) = Recipe::new(GsoKind::UdpL4, 1000, 2500).make();
    let shape = *SuperFrame::check(header, &frame).unwrap().shape();
    let head = shape.header_len();
    for (known, expected) in [
        (0..head + 2500, 0..3),
        (0..head + 2499, 0..2),
        (0..head + 999, 0..0),
        (head..head + 1000, 0..1),
        (head + 1..head + 2500, 1..3),
        (head + 2000..head + 2500, 2..3),
        (head + 2001..head + 2500, 0..0),
        (0..0, 0..0),
        (usize::MAX..usize::MAX, 0..0),
    ] {
        assert_eq!(shape.segments_within(known.clone()), expected, "{known:?}");
    }
    let plain = Shape::check(VnetHeader::PLAIN, &frame, frame.len()).unwrap();
    assert_eq!(plain.segments_within(0..frame.len()), 0..1);
    assert_eq!(plain.segments_within(0..frame.len() - 1), 0..0);
    assert_eq!(plain.segments_within(1..frame.len()), 0..0);
}

proptest! {
    /// A cut of a cut is the cut, and unknown payload does not matter.
    #[test]
    fn cuts_compose(recipe in recipes(), a in any::<u16>(), b in any::<u16>(), c in any::<u16>()) {
        let (header, frame) = recipe.make();
        let whole = SuperFrame::check(header, &frame).unwrap();
        let n = whole.segments();
        let first = usize::from(a) % n;
        let last = first + 1 + usize::from(b) % (n - first);
        let index = usize::from(c) % (last - first);
        let mut out = vec![0; frame.len()];
        let (cut_header, len) = whole.cut(first..last, &mut out).unwrap();
        let cut = SuperFrame::check(cut_header, &out[..len]).unwrap();
        prop_assert_eq!(cut.segments(), last - first);
        prop_assert_eq!(cut.header(), cut_header);

        let mut one = vec![0; frame.len()];
        let mut other = vec![0; frame.len()];
        let by_cut = cut.cut(index..index + 1, &mut one);
        let by_whole = whole.cut(first + index..first + index + 1, &mut other);
        prop_assert_eq!(by_cut, by_whole);
        prop_assert_eq!(&one, &other);

        let mut torn = frame.clone();
        let known = whole.shape().payload_of(first..last).unwrap();
        torn[whole.header_len()..known.start].fill(0xee);
        torn[known.end..].fill(0xee);
        if !known.is_empty() {
            prop_assert_eq!(whole.shape().segments_within(known), first..last);
        }
        let shape = Shape::check(header, &torn[..whole.header_len()], torn.len()).unwrap();
        let mut of_torn = vec![0; frame.len()];
        let torn = SuperFrame::new(shape, &torn).unwrap();
        prop_assert_eq!(torn.cut(first..last, &mut of_torn), Some((cut_header, len)));
        prop_assert_eq!(of_torn, out);
    }

    #[test]
    fn hostile_bytes(recipe in recipes(), bends in proptest::collection::vec((0usize..140, any::<u8>()), 0..6),
                     keep in 0usize..400) {
        let (header, mut frame) = recipe.make();
        let mut record = [&header.encode()[..], &frame].concat();
        for (at, value) in bends {
            if let Some(byte) = record.get_mut(at) {
                *byte = value;
            }
        }
        record.truncate(12 + keep);
        let Ok((header, bent)) = VnetHeader::split(&record) else {
            return Ok(());
        };
        if let Ok(whole) = SuperFrame::check(header, bent) {
            prop_assert!(whole.segments() <= MAX_TCP_SEGMENTS);
            frame.resize(bent.len(), 0);
            for index in 0..whole.segments() {
                prop_assert!(whole.cut(index..index + 1, &mut frame).is_some());
            }
        }
    }
}
