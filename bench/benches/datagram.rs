//! What one datagram costs: the cipher, and the pieces of records in it.

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tunnel::crypto::aead::TAG_LEN;
use tunnel::crypto::{Cipher, OpeningKey, SealingKey};
use wire::payload::{Payload, PieceWriter, payload_len, write_payload};

const KEY: [u8; 32] = [7; 32];
const NONCE: [u8; 12] = [0; 12];
const HEADER: [u8; 16] = [1; 16];
/// Plaintext of a full datagram on an ordinary line.
const LEN: usize = 1400;

fn cipher(c: &mut Criterion) {
    let mut group = c.benchmark_group("cipher");
    group.throughput(Throughput::Bytes(LEN as u64));
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let sealing = SealingKey::new(cipher, &KEY);
        let mut data = vec![0x5a; LEN];
        group.bench_function(format!("seal/{}", cipher.as_str()), |b| {
            b.iter(|| black_box(sealing.seal(NONCE, &HEADER, &mut data)));
        });
        let mut sealed = vec![0x5a; LEN];
        let tag = sealing.seal(NONCE, &HEADER, &mut sealed);
        sealed.extend(tag);
        assert_eq!(sealed.len(), LEN + TAG_LEN);
        let opening = OpeningKey::new(cipher, &KEY);
        // It opens in place: each needs a fresh copy, whose making is not counted.
        group.bench_function(format!("open/{}", cipher.as_str()), |b| {
            b.iter_batched_ref(
                || sealed.clone(),
                |datagram| {
                    opening
                        .open(NONCE, &HEADER, datagram)
                        .map(|data| data.len())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn pieces(c: &mut Criterion) {
    let mut group = c.benchmark_group("pieces");
    for (name, size) in [("full", 1514), ("small", 64)] {
        let record = vec![0x5a; size];
        group.throughput(Throughput::Bytes(LEN as u64));
        let mut writer = PieceWriter::new();
        group.bench_function(format!("write/{name}"), |b| {
            b.iter(|| {
                fill(&mut writer, &record);
                black_box(writer.len())
            });
        });
        fill(&mut writer, &record);
        let mut payload = vec![0; payload_len(0, writer.len())];
        assert_eq!(
            write_payload(&mut payload, &[], writer.bytes()),
            payload.len()
        );
        group.bench_function(format!("read/{name}"), |b| {
            b.iter(|| {
                let read = Payload::parse(black_box(&payload)).ok();
                let pieces = read
                    .and_then(|payload| payload.records)
                    .into_iter()
                    .flatten();
                pieces
                    .flatten()
                    .map(|piece| piece.bytes.len())
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

/// One datagram's worth of records of this size.
fn fill(writer: &mut PieceWriter, record: &[u8]) {
    writer.clear();
    let mut number = 0;
    while writer.push(number, false, black_box(record), 0, LEN) == record.len() {
        number += 1;
    }
}

criterion_group!(benches, cipher, pieces);
criterion_main!(benches);
