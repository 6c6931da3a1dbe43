//! Batches of frames, and what they are put together to.

use super::wire_vnet::super_frame;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wire::coalesce::{Coalescer, MAX_LEN};
use wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Frame};
use wire::flow::flow_hash;
use wire::superframe::SuperFrame;
use wire::vnet::{GsoKind, VnetHeader};

thread_local! {
    /// Kept, since its buffers take longer to get than a batch takes.
    static COALESCER: RefCell<Coalescer> = RefCell::default();
}

/// A batch: a byte with the length of what follows, a virtio-net header and a frame, and so on.
pub fn run(data: &[u8]) {
    let mut batch = Vec::new();
    let mut rest = data;
    while let Some((&len, tail)) = rest.split_first() {
        let (record, tail) = tail.split_at(tail.len().min(len.into()));
        rest = tail;
        // What is no frame, and what does not pass the check, is not handed to it.
        if let Ok((header, frame)) = VnetHeader::split(record)
            && let Ok(whole) = SuperFrame::check(header, frame)
        {
            batch.push((whole.header(), frame.to_vec()));
        }
    }
    let mut out = Vec::new();
    COALESCER.with_borrow_mut(|coalescer| {
        let mut take = |header, frame: &[u8]| out.push((header, frame.to_vec()));
        for (header, frame) in &batch {
            coalescer.push(*header, frame, &mut take);
        }
        coalescer.flush(&mut take);
    });
    assert!(out.len() <= batch.len());
    assert_eq!(by_flow(&out), by_flow(&batch));
}

/// The segments of all frames, in order for each flow.
fn by_flow(frames: &[(VnetHeader, Vec<u8>)]) -> BTreeMap<u32, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    for (header, frame) in frames {
        assert!(frame.len() <= MAX_LEN);
        let whole =
            SuperFrame::check(*header, frame).expect("what goes in and comes out is well-formed");
        let mut buffer = vec![0; whole.shape().segment_len()];
        let flow = flows.entry(flow_hash(frame)).or_default();
        whole
            .for_each_segment(&mut buffer, |segment| flow.push(normal(segment)))
            .expect("there is room");
    }
    flows
}

/// Without what may differ: which of its two forms a checksum of 0 has, and the identification of
/// packets that must not be fragmented.
fn normal(segment: &[u8]) -> Vec<u8> {
    let mut segment = segment.to_vec();
    let Some(inner) = Frame::parse(&segment).map(|frame| {
        let inner = frame.inner();
        (inner.ethertype, segment.len() - inner.payload.len())
    }) else {
        return segment;
    };
    let l4 = match inner {
        (ETHERTYPE_IPV4, l3) if segment.len() >= l3 + 20 => {
            zero_is_zero(&mut segment, l3 + 10);
            if segment[l3 + 6] & 0x40 != 0 {
                segment[l3 + 4..l3 + 6].fill(0);
                segment[l3 + 10..l3 + 12].fill(0);
            }
            l3 + 20
        }
        (ETHERTYPE_IPV6, l3) => l3 + 40,
        _ => return segment,
    };
    zero_is_zero(&mut segment, l4 + 16);
    segment
}

fn zero_is_zero(bytes: &mut [u8], at: usize) {
    if let Some(field) = bytes.get_mut(at..at + 2)
        && field == [0xff; 2]
    {
        field.fill(0);
    }
}

/// Batches of segments with right checksums, in order, with one missing, of two flows, and partial.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let plain = |kind, tagged| {
        let record = super_frame(kind, tagged, 90);
        let (header, frame) = VnetHeader::split(&record).expect("ours");
        let whole = SuperFrame::check(header, frame).expect("ours");
        let mut records = Vec::new();
        for index in 0..whole.segments() {
            let mut out = vec![0; whole.shape().segment_len()];
            // Its own partial checksum is not right; that of a single segment can be made so.
            let (_, len) = whole
                .cut(index..index + 1, &mut out)
                .expect("there is room");
            out.truncate(len);
            set_partial(&mut out, header.csum_start.into());
            let partial = VnetHeader {
                gso: None,
                hdr_len: 0,
                ..header
            };
            let mut complete = out.clone();
            wire::segment::complete_checksum(partial, &mut complete).expect("ours");
            records.push((chunk(VnetHeader::PLAIN, &complete), chunk(partial, &out)));
        }
        records
    };
    let (v4, v6) = (plain(GsoKind::TcpV4, false), plain(GsoKind::TcpV6, true));
    let complete = |records: &[(Vec<u8>, Vec<u8>)]| -> Vec<u8> {
        records.iter().flat_map(|record| record.0.clone()).collect()
    };
    let partial = |records: &[(Vec<u8>, Vec<u8>)]| -> Vec<u8> {
        records.iter().flat_map(|record| record.1.clone()).collect()
    };
    let mixed = v4
        .iter()
        .zip(&v6)
        .flat_map(|(a, b)| [a.0.clone(), b.0.clone()].concat());
    vec![
        complete(&v4),
        complete(&v6),
        [complete(&v4[..1]), complete(&v4[2..])].concat(),
        partial(&v4),
        partial(&v6),
        mixed.collect(),
        [complete(&v4[..2]), partial(&v4[2..])].concat(),
    ]
}

fn chunk(header: VnetHeader, frame: &[u8]) -> Vec<u8> {
    let len = 12 + frame.len() as u8;
    [&[len][..], &header.encode(), frame].concat()
}

/// Gives a TCP segment the partial checksum that belongs to it.
fn set_partial(frame: &mut [u8], l4: usize) {
    let inner = Frame::parse(frame).expect("ours").inner();
    let addresses = match inner.ethertype {
        ETHERTYPE_IPV4 => l4 - 8..l4,
        _ => l4 - 32..l4,
    };
    let sum = wire::checksum::Sum::new().bytes(&frame[addresses]).word(6);
    let sum = sum.word((frame.len() - l4) as u16).folded();
    frame[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
}
