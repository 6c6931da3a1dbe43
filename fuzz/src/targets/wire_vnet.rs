//! Virtio-net headers, the frames behind them, and what they are cut into.

use wire::segment::complete_checksum;
use wire::superframe::{MAX_HEADER_LEN, MAX_TCP_SEGMENTS, Shape, SuperFrame};
use wire::vnet::{Gso, GsoKind, VNET_LEN, VnetHeader};

/// Reads `data` as a virtio-net header and a frame, and cuts it in every way.
pub fn run(data: &[u8]) {
    let Ok((header, frame)) = VnetHeader::split(data) else {
        return;
    };
    assert_eq!(VnetHeader::parse(&header.encode()), Ok(header));
    let mut moved = header;
    moved.shift(4);
    moved.shift(-4);
    if header.csum_start < 60_000 && header.hdr_len < 60_000 {
        assert_eq!(moved, header);
    }
    let mut completed = frame.to_vec();
    let _ = complete_checksum(header, &mut completed);
    assert_eq!(completed.len(), frame.len());
    let Ok(whole) = SuperFrame::check(header, frame) else {
        return;
    };
    check_shape(header, &whole);
    check_cuts(&whole, data[2]);
}

fn check_shape(header: VnetHeader, whole: &SuperFrame<'_>) {
    let (frame, shape) = (whole.frame(), *whole.shape());
    assert!((1..=MAX_TCP_SEGMENTS).contains(&whole.segments()));
    let head = &frame[..frame.len().min(MAX_HEADER_LEN)];
    assert_eq!(Shape::check(header, head, frame.len()), Ok(shape));
    assert_eq!(
        Shape::check(shape.header(), head, frame.len()).map(|again| again.header()),
        Ok(shape.header())
    );
    if whole.segments() > 1 {
        let head = &frame[..whole.header_len()];
        assert_eq!(Shape::check(header, head, frame.len()), Ok(shape));
    }
    assert_eq!(shape.segments_within(0..frame.len()), 0..whole.segments());
}

/// Segments of two cuts are those of the whole, of which no byte of payload is lost.
fn check_cuts(whole: &SuperFrame<'_>, at: u8) {
    let segments = |frame: &SuperFrame<'_>| {
        let mut all = Vec::new();
        let mut buffer = vec![0; frame.shape().segment_len()];
        frame
            .for_each_segment(&mut buffer, |segment| all.push(segment.to_vec()))
            .expect("there is room");
        all
    };
    let all = segments(whole);
    assert_eq!(all.len(), whole.segments());
    let payload: Vec<u8> = all
        .iter()
        .flat_map(|segment| segment[whole.header_len()..].iter().copied())
        .collect();
    assert_eq!(payload, whole.payload());
    let at = usize::from(at) % all.len();
    let mut out = vec![0; whole.frame().len()];
    let mut of_cuts = Vec::new();
    for range in [0..at, at..all.len()] {
        if let Some((header, len)) = whole.cut(range.clone(), &mut out) {
            let cut = SuperFrame::check(header, &out[..len]).expect("ours");
            assert_eq!((cut.segments(), cut.header()), (range.len(), header));
            of_cuts.extend(segments(&cut));
        }
    }
    assert_eq!(of_cuts, all);
}

/// A super-frame of this kind, with its virtio-net header; checksums are not right.
pub(super) fn super_frame(kind: GsoKind, tagged: bool, payload: usize) -> Vec<u8> {
    let tcp = kind != GsoKind::UdpL4;
    let l4_len = payload + if tcp { 32 } else { 8 };
    let mut frame = vec![2; 12];
    if tagged {
        frame.extend([0x81, 0, 0xa0, 10]);
    }
    let protocol = if tcp { 6 } else { 17 };
    if kind == GsoKind::TcpV6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, l4_len as u8, protocol, 64]);
        frame.extend([1; 32]);
    } else {
        frame.extend([8, 0, 0x45, 0, 0, l4_len as u8 + 20, 0, 1, 0x40, 0, 64]);
        frame.extend([protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    }
    let csum_start = frame.len() as u16;
    frame.extend([0, 99, 0, 80]);
    if tcp {
        frame.extend([0, 0, 1, 0, 0, 0, 2, 0, 0x80, 0x10, 1, 0, 0, 0, 0, 0]);
        frame.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    } else {
        frame.extend([0, l4_len as u8, 0, 0]);
    }
    frame.extend((0..payload).map(|at| at as u8));
    let header = VnetHeader {
        needs_csum: true,
        gso: Some(Gso {
            kind,
            ecn: false,
            size: 20,
        }),
        hdr_len: 54,
        csum_start,
        csum_offset: if tcp { 16 } else { 6 },
        ..VnetHeader::PLAIN
    };
    [&header.encode()[..], &frame].concat()
}

/// Super-frames of every kind, a partial checksum, and a plain frame.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut plain = super_frame(GsoKind::TcpV4, false, 40);
    plain[..VNET_LEN].fill(0);
    let mut partial = super_frame(GsoKind::UdpL4, true, 40);
    partial[1] = 0;
    vec![
        super_frame(GsoKind::TcpV4, false, 90),
        super_frame(GsoKind::TcpV4, true, 60),
        super_frame(GsoKind::TcpV6, false, 90),
        super_frame(GsoKind::UdpL4, false, 90),
        plain,
        partial,
    ]
}
