use super::*;
use wire::{
    superframe::SuperFrame,
    vnet::{Gso, GsoKind, VnetHeader},
};

fn piece(number: u64, offset: usize, record: &[u8], len: usize) -> Piece<'_> {
    Piece {
        number,
        offset: offset as u32,
        total: record.len() as u32,
        vnet: false,
        order: None,
        bytes: &record[offset..offset + len],
    }
}

fn feed(assembly: &mut Assembly, piece: &Piece<'_>) -> (Result<(), Refused>, Vec<Vec<u8>>) {
    let mut out = Vec::new();
    let result = assembly.accept(piece, 1, &mut |arrived| out.push(arrived.bytes.to_vec()));
    let result = result.map(|accepted| assert_eq!(accepted, Accepted::Taken));
    (result, out)
}

#[test]
fn fragments_cut_differently_make_one_record_once() {
    let record: Vec<u8> = (0..100).collect();
    let mut assembly = Assembly::new(2000, 65_569);
    assert_eq!(
        feed(&mut assembly, &piece(7, 0, &record, 40)),
        (Ok(()), vec![])
    );
    assert_eq!(
        feed(&mut assembly, &piece(7, 70, &record, 30)),
        (Ok(()), vec![])
    );
    assert_eq!(
        feed(&mut assembly, &piece(7, 20, &record, 50)),
        (Ok(()), vec![record.clone()])
    );
    assert_eq!(
        feed(&mut assembly, &piece(7, 0, &record, 100)),
        (Err(Refused::Duplicate), vec![])
    );
    assert_eq!(
        feed(&mut assembly, &piece(7, 0, &record, 40)).0,
        Err(Refused::Duplicate)
    );
}

#[test]
fn numbers_below_the_window_are_refused_and_the_window_slides() {
    let record = [1; 60];
    let mut assembly = Assembly::new(2000, 65_569);
    assert_eq!(feed(&mut assembly, &piece(0, 0, &record, 60)).0, Ok(()));
    assert_eq!(
        feed(&mut assembly, &piece(RECORD_WINDOW, 0, &record, 60)).0,
        Ok(())
    );
    assert_eq!(
        feed(&mut assembly, &piece(0, 0, &record, 60)).0,
        Err(Refused::TooOld)
    );
    assert_eq!(feed(&mut assembly, &piece(1, 0, &record, 60)).0, Ok(()));
    assert_eq!(
        feed(&mut assembly, &piece(10 * RECORD_WINDOW, 0, &record, 60)).0,
        Ok(())
    );
    assert_eq!(
        feed(
            &mut assembly,
            &piece(10 * RECORD_WINDOW - 5, 0, &record, 60)
        )
        .0,
        Ok(())
    );
}

#[test]
fn memory_is_bounded() {
    let record = vec![0; 65_000];
    let mut assembly = Assembly::new(65_600, 65_600);
    for number in 0..1000 {
        let _ = feed(&mut assembly, &piece(number, 0, &record, 1000));
        assert!(assembly.held <= MAX_ASSEMBLY_BYTES);
        assert!(
            assembly.memory() <= 2 * MAX_ASSEMBLY_BYTES + (128 << 10),
            "{}",
            assembly.memory()
        );
    }
    assert!(assembly.take_evicted() > 900);
}

#[test]
fn a_contradicting_length_is_refused() {
    let (long, short) = ([0; 100], [0; 90]);
    let mut assembly = Assembly::new(2000, 65_569);
    assert_eq!(feed(&mut assembly, &piece(1, 0, &long, 40)).0, Ok(()));
    assert_eq!(
        feed(&mut assembly, &piece(1, 40, &short, 50)).0,
        Err(Refused::Contradiction)
    );
}

/// A TCP super-frame of 10 segments of 1000 bytes, behind its virtio-net header; the payload tells the segment.
fn super_frame() -> Vec<u8> {
    let payload: Vec<u8> = (0..10).flat_map(|segment| [segment; 1000]).collect();
    let header = VnetHeader {
        needs_csum: true,
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: 1000,
        }),
        csum_start: 34,
        csum_offset: 16,
        ..VnetHeader::PLAIN
    };
    let mut frame = header.encode().to_vec();
    frame.extend([2; 12]);
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([
        0, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
    ]);
    frame.extend(payload);
    frame
}

/// Sends the super-frame as record `number` in pieces of 1400 bytes without those in `lost`; the segments that arrive.
fn feed_pieces(
    assembly: &mut Assembly,
    number: u64,
    path: u8,
    pieces: impl Iterator<Item = usize>,
) -> Vec<u8> {
    let record = super_frame();
    let mut segments = Vec::new();
    for at in pieces {
        let (start, end) = (at * 1400, record.len().min(at * 1400 + 1400));
        let piece = Piece {
            vnet: true,
            ..piece(number, start, &record, end - start)
        };
        let _ = assembly.accept(&piece, path, &mut |arrived| {
            assert!(arrived.vnet);
            assert_eq!(arrived.sent, None);
            segments.extend(segments_of(arrived.bytes));
        });
    }
    segments
}

fn segments_of(record: &[u8]) -> Vec<u8> {
    let (header, frame) = VnetHeader::split(record).unwrap();
    let whole = SuperFrame::check(header, frame).unwrap();
    let payload = &frame[54..];
    assert_eq!(payload.len() % 1000, 0);
    assert!(whole.segments() == payload.len() / 1000 || payload.len() == 1000);
    payload.iter().copied().step_by(1000).collect()
}

#[test]
fn a_lost_datagram_costs_only_the_segments_it_carried() {
    let mut assembly = Assembly::new(2000, 65_569);
    // Bytes 4200 to 5600 of the record: segments 4 and 5, one byte of each at least.
    let arrived = feed_pieces(&mut assembly, 0, 1, (0..8).filter(|&at| at != 3));
    assert_eq!(arrived, [0, 1, 2, 3, 6, 7, 8, 9]);
    // It was only late.
    assert_eq!(feed_pieces(&mut assembly, 0, 1, 3..4), [4, 5]);
    assert_eq!(feed_pieces(&mut assembly, 0, 2, 0..8), []);
    assert_eq!(
        feed_pieces(&mut assembly, 1, 1, 0..8),
        (0..10).collect::<Vec<_>>()
    );
}

#[test]
fn a_later_record_on_its_path_settles_one_without_end() {
    let mut assembly = Assembly::new(2000, 65_569);
    assert_eq!(feed_pieces(&mut assembly, 0, 1, 0..6), []);
    assert_eq!(feed_pieces(&mut assembly, 1, 2, 0..1), [], "another path");
    let arrived = feed_pieces(&mut assembly, 2, 1, 0..1);
    assert_eq!(arrived, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(feed_pieces(&mut assembly, 0, 2, 4..8), [8, 9], "a copy");
}

#[test]
fn without_its_headers_nothing_of_it_is_delivered() {
    let mut assembly = Assembly::new(2000, 65_569);
    assert_eq!(feed_pieces(&mut assembly, 0, 1, 1..8), []);
    assert_eq!(
        feed_pieces(&mut assembly, 0, 1, 0..1),
        (0..10).collect::<Vec<_>>()
    );
}

#[test]
fn what_was_delivered_in_part_is_not_delivered_again_once_it_had_to_go() {
    let mut assembly = Assembly::new(2000, 65_569);
    assert_eq!(
        feed_pieces(&mut assembly, 0, 1, (0..8).filter(|&at| at != 3)).len(),
        8
    );
    let _ = feed_pieces(&mut assembly, MAX_ASSEMBLIES as u64, 1, 0..1);
    assert_eq!(assembly.take_evicted(), 1);
    assert_eq!(feed_pieces(&mut assembly, 0, 2, 0..8), []);
}

/// An ordered record's sender: the same pieces as [`feed_pieces`], all of one time.
struct Ordered {
    assembly: Assembly,
    segments: Vec<u8>,
    held: Vec<u32>,
}

const AT: u32 = 77;

impl Ordered {
    fn new() -> Self {
        Self {
            assembly: Assembly::new(2000, 65_569),
            segments: Vec::new(),
            held: Vec::new(),
        }
    }

    fn feed(&mut self, number: u64, pieces: impl Iterator<Item = usize>) -> Vec<Accepted> {
        let record = super_frame();
        let mut accepted = Vec::new();
        for at in pieces {
            let (start, end) = (at * 1400, record.len().min(at * 1400 + 1400));
            let piece = Piece {
                vnet: true,
                order: Some(wire::payload::Order {
                    sent: AT,
                    again: false,
                }),
                ..piece(number, start, &record, end - start)
            };
            let result = self.assembly.accept(&piece, 1, &mut |arrived| {
                self.segments.extend(segments_of(arrived.bytes));
                self.held.extend(arrived.sent);
            });
            accepted.extend(result);
        }
        accepted
    }

    fn settle(&mut self, number: u64) {
        self.assembly.settle(number, &mut |arrived| {
            assert_eq!(arrived.sent, None);
            self.segments.extend(segments_of(arrived.bytes));
        });
    }

    /// The segments delivered since the last call, and the times of whole records among them.
    fn take(&mut self) -> (Vec<u8>, Vec<u32>) {
        (
            std::mem::take(&mut self.segments),
            std::mem::take(&mut self.held),
        )
    }
}

#[test]
fn an_ordered_record_waits_for_what_is_missing() {
    let mut ordered = Ordered::new();
    let accepted = ordered.feed(0, [0, 1, 2, 4, 5, 6, 7].into_iter());
    assert_eq!(accepted[0], Accepted::Opened);
    assert!(
        accepted[1..]
            .iter()
            .all(|accepted| *accepted == Accepted::Taken)
    );
    assert_eq!(
        ordered.feed(1, 0..8)[0],
        Accepted::Opened,
        "a later one on its path"
    );
    assert_eq!(
        ordered.take(),
        ((0..10).collect(), vec![AT]),
        "only the later one"
    );
    assert_eq!(ordered.feed(0, 3..4), [Accepted::Taken]);
    assert_eq!(ordered.take(), ((0..10).collect(), vec![AT]));
    ordered.settle(0);
    assert_eq!(ordered.take(), (vec![], vec![]));
}

#[test]
fn what_arrived_of_an_ordered_record_is_delivered_when_its_time_comes() {
    let mut ordered = Ordered::new();
    ordered.feed(0, [0, 1, 2, 4, 5, 7].into_iter());
    assert_eq!(ordered.take(), (vec![], vec![]));
    ordered.settle(0);
    assert_eq!(ordered.take(), (vec![0, 1, 2, 3, 6, 7], vec![]));
    ordered.settle(0);
    assert_eq!(ordered.feed(0, 6..7), [Accepted::Taken]);
    assert_eq!(
        ordered.take(),
        (vec![8, 9], vec![]),
        "at once, though not the end"
    );
    ordered.feed(0, 3..4);
    assert_eq!(ordered.take(), (vec![4, 5], vec![]));
    assert_eq!(ordered.feed(0, 0..8), [], "it was whole");
}

#[test]
fn an_ordered_record_without_its_headers_is_whole_or_nothing_until_they_come() {
    let mut ordered = Ordered::new();
    ordered.feed(0, 2..8);
    ordered.settle(0);
    assert_eq!(ordered.take(), (vec![], vec![]));
    ordered.feed(0, 0..1);
    assert_eq!(ordered.take().0, [0, 3, 4, 5, 6, 7, 8, 9]);
    ordered.feed(0, 1..2);
    assert_eq!(ordered.take(), (vec![1, 2], vec![]));
    // Settled with nothing written, then whole: at once.
    ordered.feed(1, 1..8);
    ordered.settle(1);
    ordered.feed(1, 0..1);
    assert_eq!(ordered.take(), ((0..10).collect(), vec![]));
}

#[test]
fn an_ordered_record_that_has_to_go_is_delivered_first() {
    let mut ordered = Ordered::new();
    ordered.feed(0, 0..3);
    let next = MAX_ASSEMBLIES as u64;
    assert_eq!(ordered.feed(next, 0..1), [Accepted::Opened]);
    assert_eq!(ordered.take(), (vec![0, 1, 2, 3], vec![]));
    assert_eq!(ordered.assembly.take_evicted(), 1);
    assert_eq!(
        ordered.feed(0, 3..8),
        [],
        "of what was delivered in part nothing comes again"
    );
    ordered.settle(0);
    ordered.settle(next);
    assert_eq!(ordered.take(), (vec![0], vec![]));
    ordered.feed(2 * next, 0..8);
    assert_eq!(
        ordered.take(),
        ((0..10).collect(), vec![AT]),
        "what is settled goes as it is"
    );
}

#[test]
fn ordered_records_too_many_to_hold_are_delivered_as_they_are() {
    let mut ordered = Ordered::new();
    for number in 0..600 {
        ordered.feed(number, 0..1);
    }
    let evicted = ordered.assembly.take_evicted();
    assert!(evicted > 0 && ordered.assembly.held <= MAX_ASSEMBLY_BYTES);
    assert_eq!(
        ordered.take().0.len() as u64,
        evicted,
        "one segment of each"
    );
}
