use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn pieces(section: &[u8]) -> Vec<Result<Piece<'static>, Malformed>> {
    let mut payload = vec![HAS_RECORDS];
    payload.extend_from_slice(section);
    // Leaking a few bytes keeps the borrow simple; this is a test.
    let payload: &'static [u8] = payload.leak();
    Payload::parse(payload).unwrap().records.unwrap().collect()
}

const ORDERS: [Option<Order>; 3] = [
    None,
    Some(Order {
        sent: 0xab_cdef,
        again: false,
    }),
    Some(Order {
        sent: 0,
        again: true,
    }),
];

#[test]
fn a_fragment_alone_is_what_the_writer_makes_of_it() {
    let record: Vec<u8> = (0..200).collect();
    for order in ORDERS {
        let head = fragment_payload_head(order);
        for (offset, len) in [(0, 100), (7, 180), (168, 32)] {
            let mut writer = PieceWriter::new();
            let room = head - 1 + len;
            let taken = writer.push_part(5, true, order, &record, offset..200, room);
            assert_eq!(taken, len);
            let mut out = vec![0xee; head + len];
            let taken = write_fragment_payload(&mut out, 5, true, order, &record, offset);
            assert_eq!(taken, len);
            assert_eq!(out[0], HAS_RECORDS);
            assert_eq!(&out[1..], writer.bytes());
        }
        for (offset, len) in [(101, 100), (0, 31), (300, 40)] {
            let mut out = vec![0; head + len];
            let taken = write_fragment_payload(&mut out, 5, true, order, &record, offset);
            assert_eq!(taken, 0);
        }
        let taken = write_fragment_payload(&mut vec![0; head - 1], 5, true, order, &record, 0);
        assert_eq!(taken, 0);
    }
}

#[test]
fn bytes_of_an_ordered_piece() {
    let mut writer = PieceWriter::new();
    let [_, first, again] = ORDERS;
    assert_eq!(writer.push_part(5, false, first, b"abc", 0..3, 1000), 3);
    assert_eq!(writer.push_part(9, true, again, b"xyz", 1..3, 1000), 2);
    let expected = [
        &[0, 0, 0, 0, 0, 0, 0, 5][..],
        &[8, 0, 3, 0xab, 0xcd, 0xef, b'a', b'b', b'c'],
        &[1 | 2 | 4 | 8 | 16, 0, 2, 0, 3, 0, 0, 0],
        &[0, 0, 1, 0, 0, 3, b'y', b'z'],
    ];
    assert_eq!(writer.bytes(), expected.concat());
    let read: Vec<_> = pieces(writer.bytes()).into_iter().flatten().collect();
    assert_eq!([read[0].order, read[1].order], [first, again]);
    assert_eq!(
        (read[1].number, read[1].offset, read[1].bytes),
        (9, 1, &b"yz"[..])
    );
}

#[test]
fn the_time_of_an_ordered_piece_wraps() {
    let ticks = |clock| Order::new(clock, false).sent;
    assert_eq!(ticks(Duration::from_micros(15)), 0);
    assert_eq!(ticks(Duration::from_micros(16)), 1);
    assert_eq!(ticks(Order::TICK * ((1 << 24) - 1)), (1 << 24) - 1);
    assert_eq!(ticks(Order::TICK * (1 << 24)), 0);
    assert_eq!(ticks(Duration::MAX) >> 24, 0);
}

#[test]
fn bytes_of_the_protocol_page() {
    let mut writer = PieceWriter::new();
    assert_eq!(writer.len(), 0);
    assert_eq!(writer.push(5, false, b"abc", 0, 1000), 3);
    assert_eq!(writer.push(6, true, b"de", 0, 1000), 2);
    assert_eq!(writer.push(9, false, b"f", 0, 1000), 1);
    let expected = [
        &[0, 0, 0, 0, 0, 0, 0, 5][..],
        &[0, 0, 3, b'a', b'b', b'c'],
        &[VNET, 0, 2, b'd', b'e'],
        &[SKIP, 0, 1, 0, 2, b'f'],
    ];
    assert_eq!(writer.bytes(), expected.concat());
    assert_eq!(writer.len(), 25);

    writer.clear();
    assert_eq!(writer.push(9, false, b"xyz", 1, 1000), 2);
    let expected = [
        &[0, 0, 0, 0, 0, 0, 0, 9][..],
        &[FRAGMENT, 0, 2, 0, 0, 1, 0, 0, 3, b'y', b'z'],
    ];
    assert_eq!(writer.bytes(), expected.concat());

    let mut out = [0xff; 64];
    let len = write_payload(&mut out, &[0, 0, 0], &[1, 2]);
    assert_eq!(out[..len], [3, 0, 3, 0, 0, 0, 1, 2]);
    assert_eq!(len, payload_len(3, 2));
    assert_eq!(write_payload(&mut out, &[], &[]), 1);
    assert_eq!(out[0], 0);
    assert_eq!(write_payload(&mut out[..7], &[0, 0, 0], &[1, 2]), 0);
}

#[test]
fn a_record_is_cut_only_where_it_must_be() {
    let record = [7; 100];
    for order in ORDERS {
        let head = FIRST_NUMBER_LEN + PIECE_HEAD_LEN + if order.is_some() { 3 } else { 0 };
        let mut writer = PieceWriter::new();
        let mut push = |offset, room| {
            writer.clear();
            let taken = writer.push_part(0, false, order, &record, offset..100, room);
            (taken, writer.len())
        };
        assert_eq!(push(0, head + 100), (100, head + 100));
        assert_eq!(push(0, head + 99), (93, head + 99));
        let least = head + FRAGMENT_LEN + MIN_FRAGMENT;
        assert_eq!(push(0, least - 1), (0, 0));
        assert_eq!(push(0, least), (MIN_FRAGMENT, least));
        assert_eq!(push(98, head + 6 + 1).0, 0, "the last two, or nothing");
        assert_eq!(push(98, head + 6 + 2).0, 2);
    }
}

#[test]
fn what_the_writer_refuses() {
    let mut writer = PieceWriter::new();
    assert_eq!(writer.push(10, false, &[], 0, 1000), 0, "an empty record");
    assert_eq!(writer.push(10, false, &[1], 1, 1000), 0, "nothing left");
    assert_eq!(writer.push(10, false, &[1], 2, 1000), 0, "beyond the end");
    assert_eq!(writer.push(10, false, &[1], 0, 0), 0, "no room at all");
    assert!(writer.is_empty());
    assert_eq!(writer.push(10, false, &[1], 0, 1000), 1);
    assert_eq!(writer.push(10, false, &[1], 0, 1000), 0, "the same number");
    assert_eq!(writer.push(9, false, &[1], 0, 1000), 0, "a lower number");
    assert_eq!(writer.push(10 + 65_537, false, &[1], 0, 1000), 0, "too far");
    assert_eq!(
        writer.push(10 + 65_536, false, &[1], 0, 1000),
        1,
        "as far as a skip goes"
    );
    assert_eq!(writer.push(u64::MAX, false, &[1], 0, 1000), 0);
    writer.clear();
    let huge = vec![0; MAX_RECORD_LEN + 1];
    assert_eq!(writer.push(0, false, &huge, 0, 1000), 0);
    assert_eq!(
        writer.push(0, false, &huge[1..], 0, 100_000),
        65_535,
        "a 16-bit length"
    );
}

#[test]
fn what_the_reader_refuses() {
    let head = |number: u64, tail: &[u8]| [&number.to_be_bytes()[..], tail].concat();
    let error = |section: Vec<u8>| pieces(&section).pop().unwrap().unwrap_err();
    assert_eq!(error(head(0, &[32, 0, 1, 1])), Malformed::UnknownFlags);
    let again_alone = [AGAIN, 0, 1, 0, 0, 0, 1];
    assert_eq!(error(head(0, &again_alone)), Malformed::UnknownFlags);
    assert_eq!(error(head(0, &[ORDERED, 0, 1, 0, 0])), Malformed::Truncated);
    assert_eq!(error(head(0, &[0, 0, 2, 1])), Malformed::Truncated);
    for (len, offset, total) in [(1, 3, 3), (2, 2, 3), (3, 0, 2), (1, 0, 0)] {
        let head_of_piece = [FRAGMENT, 0, len, 0, 0, offset, 0, 0, total, 9, 9, 9];
        assert_eq!(error(head(0, &head_of_piece)), Malformed::OutOfRecord);
    }
    assert_eq!(error(head(0, &[SKIP, 0, 1, 1])), Malformed::Truncated);
    assert_eq!(
        error(head(u64::MAX, &[SKIP, 0, 1, 0, 1, 9])),
        Malformed::NumberOverflow
    );
    assert_eq!(
        error(head(u64::MAX, &[0, 0, 1, 9, 0, 0, 1, 9])),
        Malformed::NumberOverflow
    );
    assert_eq!(pieces(&head(u64::MAX, &[0, 0, 1, 9])).len(), 1);
    assert_eq!(Payload::parse(&[]).unwrap_err(), Malformed::Truncated);
    assert_eq!(Payload::parse(&[4]).unwrap_err(), Malformed::UnknownFlags);
    assert_eq!(
        Payload::parse(&[1, 0, 2, 0]).unwrap_err(),
        Malformed::Truncated
    );
    assert_eq!(
        Payload::parse(&[2, 0, 2, 0]).unwrap_err(),
        Malformed::Truncated
    );
}

#[test]
fn nothing_follows_an_error_or_the_padding() {
    let tail = [0, 0, 1, 9, 32, 0, 1, 1, 0, 0, 1, 1];
    let found = pieces(&[&[0; 8][..], &tail].concat());
    assert_eq!(found.len(), 2);
    assert!(found[0].is_ok() && found[1].is_err());
    for padding in [
        &[0][..],
        &[0, 0],
        &[0, 0, 0],
        &[0; 9],
        &[0, 0, 0, 0, 0, 1, 9],
    ] {
        let found = pieces(&[&[0; 8][..], &[0, 0, 1, 9], padding].concat());
        assert_eq!(found.len(), 1, "{padding:?}");
        assert!(found[0].is_ok());
    }
}

/// One record as a sender has it.
#[derive(Clone, Debug)]
struct Record {
    skip: u64,
    vnet: bool,
    order: Option<Order>,
    bytes: Vec<u8>,
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let order = proptest::option::of((0u32..1 << 24, any::<bool>()));
    let order = order.prop_map(|order| order.map(|(sent, again)| Order { sent, again }));
    let record = (0..3u64, any::<bool>(), order, vec(any::<u8>(), 1..400));
    let record = record.prop_map(|(skip, vnet, order, bytes)| Record {
        skip,
        vnet,
        order,
        bytes,
    });
    vec(record, 1..20)
}

proptest! {
    /// Cutting records into datagrams of any sizes and joining them again loses nothing.
    #[test]
    fn round_trip(first in 0..u64::MAX / 2, records in records(), rooms in vec(60usize..500, 1..8)) {
        let mut rooms = rooms.into_iter().cycle();
        let mut room = rooms.next().unwrap();
        let mut writer = PieceWriter::new();
        let mut datagrams = Vec::new();
        let mut number = first;
        let mut numbers = Vec::new();
        for record in &records {
            number += 1 + record.skip;
            numbers.push(number);
            let mut offset = 0;
            while offset < record.bytes.len() {
                let part = offset..record.bytes.len();
                let taken =
                    writer.push_part(number, record.vnet, record.order, &record.bytes, part, room);
                prop_assert!(writer.len() <= room);
                offset += taken;
                if offset < record.bytes.len() {
                    prop_assert!(!writer.is_empty(), "an empty datagram of {room} takes something");
                    datagrams.push(writer.bytes().to_vec());
                    writer.clear();
                    room = rooms.next().unwrap();
                }
            }
        }
        datagrams.push(writer.bytes().to_vec());

        let mut joined: Vec<(u64, bool, Option<Order>, Vec<u8>)> = Vec::new();
        for section in &datagrams {
            let mut out = vec![0; payload_len(4, section.len())];
            let len = write_payload(&mut out, &[0, 0, 1, 0], section);
            prop_assert_eq!(len, out.len());
            let payload = Payload::parse(&out).unwrap();
            prop_assert_eq!(payload.control, &[0u8, 0, 1, 0][..]);
            for piece in payload.records.unwrap() {
                let piece = piece.unwrap();
                if piece.offset == 0 {
                    joined.push((piece.number, piece.vnet, piece.order, Vec::new()));
                }
                let (last, _, order, bytes) = joined.last_mut().unwrap();
                prop_assert_eq!((*last, bytes.len()), (piece.number, piece.offset as usize));
                prop_assert_eq!(*order, piece.order, "in every piece");
                bytes.extend_from_slice(piece.bytes);
                let whole = piece.bytes.len() == piece.total as usize;
                prop_assert_eq!(piece.is_whole(), whole);
            }
        }
        let expected: Vec<_> = numbers
            .into_iter()
            .zip(&records)
            .map(|(number, record)| (number, record.vnet, record.order, record.bytes.clone()))
            .collect();
        prop_assert_eq!(joined, expected);
    }

    #[test]
    fn hostile_bytes(flags in 0u8..4, bytes in vec(prop_oneof![Just(0u8), 0u8..32, any::<u8>()], 0..200)) {
        let payload = [&[flags][..], &bytes].concat();
        if let Ok(Payload { records: Some(pieces), .. }) = Payload::parse(&payload) {
            let mut ended = false;
            for piece in pieces {
                prop_assert!(!ended);
                match piece {
                    Ok(piece) => {
                        prop_assert!(!piece.bytes.is_empty());
                        prop_assert!(piece.offset as usize + piece.bytes.len() <= piece.total as usize);
                    }
                    Err(_) => ended = true,
                }
            }
        }
    }

    #[test]
    fn hostile_pushes(calls in vec((any::<u64>(), 0usize..90, 0usize..100, 0usize..300), 0..20)) {
        let mut writer = PieceWriter::new();
        for (number, len, offset, room) in calls {
            let before = writer.len();
            let taken = writer.push(number, false, &vec![0; len], offset, room);
            prop_assert!(taken <= len.saturating_sub(offset));
            prop_assert!(taken == 0 && writer.len() == before || writer.len() <= room);
        }
    }
}
