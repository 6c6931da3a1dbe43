use super::*;
use crate::ip::{Ipv4, Ipv6, TCP, UDP};
use crate::superframe::tests::{Recipe, recipes};
use crate::vnet::GsoKind;
use proptest::prelude::*;

/// Whether the TCP or UDP checksum of a packet without tags is complete and correct, and that of
/// its IPv4 header; computed from what the parsers of other modules find.
pub(crate) fn is_valid(ip: &[u8]) -> bool {
    let (addresses, protocol, payload, header_ok) = if ip[0] >> 4 == 4 {
        let packet = Ipv4::parse(ip).unwrap();
        let header = &ip[..usize::from(ip[0] & 15) * 4];
        let ok = Sum::new().bytes(header).is_valid();
        let addresses = [packet.src.octets(), packet.dst.octets()].concat();
        (addresses, packet.protocol, packet.payload, ok)
    } else {
        let packet = Ipv6::parse(ip).unwrap();
        let addresses = [packet.src.octets(), packet.dst.octets()].concat();
        (addresses, packet.protocol, packet.payload, true)
    };
    assert!(matches!(protocol, TCP | UDP));
    let pseudo = Sum::new().bytes(&addresses).word(protocol.into());
    let sum = pseudo.word(payload.len() as u16).bytes(payload);
    header_ok && sum.is_valid()
}

fn segments(frame: &SuperFrame<'_>) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    let mut buffer = vec![0; frame.shape().segment_len()];
    let count = frame.for_each_segment(&mut buffer, |segment| segments.push(segment.to_vec()));
    assert_eq!(count, Some(segments.len()));
    segments
}

#[test]
fn a_udp_checksum_is_never_0() {
    let (header, frame) = Recipe::new(GsoKind::UdpL4, 2, 2).make();
    for word in 0..=u16::MAX {
        let mut frame = frame.clone();
        let at = frame.len() - 2;
        frame[at..].copy_from_slice(&word.to_be_bytes());
        complete_checksum(header, &mut frame).unwrap();
        assert_ne!(frame[40..42], [0, 0], "{word}");
        assert!(is_valid(&frame[14..]), "{word}");
    }
}

#[test]
fn frames_that_need_nothing_are_left() {
    let (header, frame) = Recipe::new(GsoKind::TcpV4, 100, 200).make();
    let mut same = frame.clone();
    assert_eq!(complete_checksum(VnetHeader::PLAIN, &mut same), Ok(()));
    assert_eq!(
        complete_checksum(header, &mut same),
        Err(Refused::WrongSize)
    );
    assert_eq!(same, frame);
    let plain = SuperFrame::check(VnetHeader::PLAIN, &frame).unwrap();
    assert_eq!(segments(&plain), [frame]);
}

#[test]
fn a_short_buffer_gives_nothing() {
    let (header, frame) = Recipe::new(GsoKind::TcpV4, 100, 200).make();
    let whole = SuperFrame::check(header, &frame).unwrap();
    let mut buffer = vec![0; whole.shape().segment_len() - 1];
    assert_eq!(
        whole.for_each_segment(&mut buffer, |_| panic!("none fits")),
        None
    );
}

proptest! {
    #[test]
    fn segments_are_complete_frames(recipe in recipes(), cut in any::<u16>()) {
        let (header, frame) = recipe.make();
        let whole = SuperFrame::check(header, &frame).unwrap();
        let all = segments(&whole);
        prop_assert_eq!(all.len(), whole.segments());
        let ip = 14 + 4 * recipe.tags;
        let mut payload = Vec::new();
        for segment in &all {
            prop_assert!(is_valid(&segment[ip..]));
            prop_assert!(segment.len() <= whole.shape().segment_len());
            payload.extend_from_slice(&segment[whole.header_len()..]);
        }
        prop_assert_eq!(&payload, &recipe.payload);

        // The segments of two cuts are those of the whole.
        let at = usize::from(cut) % all.len();
        let mut of_cuts = Vec::new();
        for range in [0..at, at..all.len()] {
            let mut out = vec![0; frame.len()];
            if let Some((header, len)) = whole.cut(range, &mut out) {
                of_cuts.extend(segments(&SuperFrame::check(header, &out[..len]).unwrap()));
            }
        }
        prop_assert_eq!(of_cuts, all);
    }
}
