//! What offloads cost in software: a super-frame cut into segments, and segments put together again.

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::checksum::Sum;
use wire::coalesce::Coalescer;
use wire::superframe::{Shape, SuperFrame};
use wire::vnet::{Gso, GsoKind, VnetHeader};

/// Segments of a super-frame of nearly 64 KiB, and the TCP payload of each.
const SEGMENTS: usize = 45;
const SIZE: usize = 1448;
const TCP: usize = 34;
const HEADERS: usize = TCP + 32;

/// TCP over IPv4 with timestamps, as Linux hands it to a device with offloads.
fn super_frame() -> (VnetHeader, Vec<u8>) {
    let payload = SEGMENTS * SIZE;
    let mut frame = vec![0x5a; HEADERS + payload];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
    frame[16..18].copy_from_slice(&((52 + payload) as u16).to_be_bytes());
    frame[18..26].copy_from_slice(&[0, 1, 0x40, 0, 64, 6, 0, 0]);
    frame[26..34].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
    let checksum = Sum::new().bytes(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame[34..50].copy_from_slice(&[1, 187, 2, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0x80, 0x10, 1, 0]);
    frame[52..66].copy_from_slice(&[0, 0, 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7]);
    let pseudo = Sum::new().bytes(&frame[26..34]).word(6);
    let pseudo = pseudo.word((32 + payload) as u16).folded();
    frame[50..52].copy_from_slice(&pseudo.to_be_bytes());
    let header = VnetHeader {
        needs_csum: true,
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: SIZE as u16,
        }),
        hdr_len: HEADERS as u16,
        csum_start: TCP as u16,
        csum_offset: 16,
        ..VnetHeader::PLAIN
    };
    (header, frame)
}

fn segments(header: VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let (mut segments, mut buffer) = (Vec::new(), vec![0; HEADERS + SIZE]);
    let whole = SuperFrame::check(header, frame).expect("a super-frame as it should be");
    let cut = whole.for_each_segment(&mut buffer, |segment| segments.push(segment.to_vec()));
    assert_eq!(cut, Some(SEGMENTS));
    segments
}

fn offloads(c: &mut Criterion) {
    let mut group = c.benchmark_group("superframe");
    group.throughput(Throughput::Bytes((SEGMENTS * SIZE) as u64));
    let (header, frame) = super_frame();
    group.bench_function("check", |b| {
        b.iter(|| Shape::check(black_box(header), black_box(&frame), frame.len()).is_ok());
    });
    let mut buffer = vec![0; HEADERS + SIZE];
    group.bench_function("segment", |b| {
        b.iter(|| {
            let whole = SuperFrame::check(header, black_box(&frame)).ok()?;
            whole.for_each_segment(&mut buffer, |segment| {
                black_box(segment);
            })
        });
    });
    let segments = segments(header, &frame);
    let mut coalescer = Coalescer::new();
    let mut together = 0;
    group.bench_function("coalesce", |b| {
        b.iter(|| {
            together = 0;
            let mut out = |_: VnetHeader, frame: &[u8]| together = black_box(frame).len();
            for segment in &segments {
                coalescer.push(VnetHeader::PLAIN, black_box(segment), &mut out);
            }
            coalescer.flush(&mut out);
        });
    });
    assert!(together == 0 || together == frame.len());
    group.finish();
}

criterion_group!(benches, offloads);
criterion_main!(benches);
