//! Payloads, their pieces, and the writer of pieces.

use wire::payload::{Order, Payload, PieceWriter, payload_len, write_payload};

/// Reads `data` as a payload, writes what was read again, and lets it steer the writer.
pub fn run(data: &[u8]) {
    if let Ok(payload) = Payload::parse(data) {
        check_pieces(&payload);
    }
    drive_writer(data);
}

/// Whole pieces that were read are written and read again as the same.
fn check_pieces(payload: &Payload<'_>) {
    let mut writer = PieceWriter::new();
    let mut whole = Vec::new();
    let mut ended = false;
    for piece in payload.records.iter().flat_map(Clone::clone) {
        assert!(!ended, "nothing follows an error");
        let Ok(piece) = piece else {
            ended = true;
            continue;
        };
        assert!(!piece.bytes.is_empty());
        assert!(piece.offset as usize + piece.bytes.len() <= piece.total as usize);
        let room = writer.len() + piece.bytes.len() + 32;
        let (part, order) = (0..piece.bytes.len(), piece.order);
        if piece.is_whole()
            && writer.push_part(piece.number, piece.vnet, order, piece.bytes, part, room) != 0
        {
            whole.push(piece);
        }
    }
    let mut out = vec![0; payload_len(payload.control.len(), writer.len())];
    assert_eq!(
        write_payload(&mut out, payload.control, writer.bytes()),
        out.len()
    );
    let again = Payload::parse(&out).expect("what we write can be read");
    assert_eq!(again.control, payload.control);
    let read: Vec<_> = again
        .records
        .into_iter()
        .flatten()
        .map(|piece| piece.expect("ours"))
        .collect();
    assert_eq!(read, whole);
}

/// Any calls of the writer: it keeps within the room, and what it wrote can be read.
fn drive_writer(data: &[u8]) {
    let mut writer = PieceWriter::new();
    let mut expected = Vec::new();
    let mut number = 0u64;
    for call in data.chunks_exact(6).take(64) {
        let [skip, flags, len, offset, high, low] = *call else {
            return;
        };
        number = number.wrapping_add(1 + u64::from(skip) * if flags & 2 != 0 { 1000 } else { 0 });
        let record = vec![skip; usize::from(len) * 4];
        let room = usize::from(u16::from_be_bytes([high & 0x0f, low]));
        let offset = usize::from(offset);
        let order = (flags & 4 != 0).then_some(Order {
            sent: u32::from(high) << 16 | u32::from(low),
            again: flags & 8 != 0,
        });
        let before = writer.len();
        let part = offset..record.len();
        let taken = writer.push_part(number, flags & 1 != 0, order, &record, part, room);
        if taken == 0 {
            assert_eq!(writer.len(), before);
        } else {
            assert!(writer.len() <= room && offset + taken <= record.len());
            expected.push((number, order, offset, taken, record.len()));
        }
    }
    let mut out = vec![0; payload_len(0, writer.len())];
    assert_ne!(write_payload(&mut out, &[], writer.bytes()), 0);
    let payload = Payload::parse(&out).expect("ours");
    let pieces = payload
        .records
        .into_iter()
        .flatten()
        .map(|piece| piece.expect("ours"));
    let read: Vec<_> = pieces
        .map(|piece| {
            (
                piece.number,
                piece.order,
                piece.offset as usize,
                piece.bytes.len(),
                piece.total as usize,
            )
        })
        .collect();
    assert_eq!(read, expected);
}

/// Payloads with control messages, whole records, skips, fragments and ordered pieces.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let record: Vec<u8> = (0..120).collect();
    let mut whole = PieceWriter::new();
    let mut parts = PieceWriter::new();
    let mut ordered = PieceWriter::new();
    let order = |sent, again| Some(Order { sent, again });
    let taken = [
        whole.push(1, false, &record, 0, 1000),
        whole.push(2, true, &record, 0, 1000),
        whole.push(9, false, &record, 0, 320),
        parts.push(9, false, &record, 60, 1000),
        parts.push(10, false, &record, 0, 1000),
        ordered.push_part(11, false, order(700, true), &record, 40..120, 1000),
        ordered.push_part(13, true, order(900, false), &record, 0..120, 1000),
    ];
    assert!(taken.iter().all(|&taken| taken != 0));
    let payload = |control: &[u8], records: &[u8]| {
        let mut out = vec![0; payload_len(control.len(), records.len())];
        assert_eq!(write_payload(&mut out, control, records), out.len());
        out
    };
    vec![
        payload(&[], whole.bytes()),
        payload(&[1, 0, 1, 0], parts.bytes()),
        payload(&[], ordered.bytes()),
        payload(&[0, 0, 2, 0, 0], &[]),
        payload(&[], &[parts.bytes(), &[0; 40]].concat()),
    ]
}
