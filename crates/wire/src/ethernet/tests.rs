use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const ADDRESSES: [u8; 12] = [1, 2, 3, 4, 5, 6, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f];

fn frame(tail: &[u8]) -> Vec<u8> {
    [&ADDRESSES[..], tail].concat()
}

#[test]
fn addresses() {
    let mac: Mac = "16:b9:3f:58:cb:4c".parse().unwrap();
    assert_eq!(mac.to_string(), "16:b9:3f:58:cb:4c");
    assert_eq!("16-B9-3F-58-CB-4C".parse(), Ok(mac));
    assert_eq!(
        "16:b9:3f:58:cb".parse::<Mac>(),
        Err(ParseMacError::Groups(5))
    );
    assert_eq!("".parse::<Mac>(), Err(ParseMacError::Groups(1)));
    for group in ["b", "b9b", "g9", "+9", "é"] {
        let text = format!("16:{group}:3f:58:cb:4c");
        assert_eq!(
            text.parse::<Mac>(),
            Err(ParseMacError::Group(group.to_owned()))
        );
    }
    assert!(!mac.is_multicast());
    assert!(Mac::BROADCAST.is_multicast() && Mac::BROADCAST.is_broadcast());
    for (last, reserved) in [(0, true), (0x0f, true), (0x10, false), (0x20, false)] {
        assert_eq!(
            Mac([1, 0x80, 0xc2, 0, 0, last]).is_reserved_link_local(),
            reserved
        );
    }
    assert!(Mac::PAUSE.is_reserved_link_local() && !Mac::PAUSE.is_broadcast());
}

#[test]
fn tags_are_found() {
    let tag = |vlan, priority, dei| {
        Some(Tag {
            vlan,
            priority,
            dei,
        })
    };
    for (tail, ethertype, expected, inner) in [
        (&[0x08, 0x00, 9][..], 0x0800, None, ([0, 0], 0x0800)),
        (
            &[0x81, 0x00, 0xb0, 0x0a, 0x08, 0x00, 9],
            0x8100,
            tag(10, 5, true),
            ([10, 0], 0x0800),
        ),
        (
            &[0x81, 0x00, 0xe0, 0x00, 0x08, 0x00, 9],
            0x8100,
            tag(0, 7, false),
            ([0, 0], 0x0800),
        ),
        (
            &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd, 9],
            0x88a8,
            None,
            ([5, 6], 0x86dd),
        ),
        (
            &[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0],
            0x8100,
            tag(1, 0, false),
            ([1, 2], 0x8100),
        ),
        (&[0x88, 0xa8, 0, 5, 0x08], 0x88a8, None, ([0, 0], 0x88a8)),
    ] {
        let bytes = frame(tail);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(frame.dst(), Mac([1, 2, 3, 4, 5, 6]));
        assert_eq!(frame.src(), Mac([0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f]));
        assert_eq!(frame.ethertype(), ethertype);
        assert_eq!(frame.tag(), expected);
        assert_eq!(
            (frame.inner().vlans, frame.inner().ethertype),
            inner,
            "{tail:?}"
        );
    }
    assert!(Frame::parse(&frame(&[8])).is_none(), "13 bytes");
    assert!(
        Frame::parse(&frame(&[0x81, 0, 0, 1, 8])).is_none(),
        "a cut tag"
    );
}

#[test]
fn tags_are_written() {
    let plain = frame(&[8, 0, 9, 9]);
    let tagged = frame(&[0x81, 0, 0xe0, 7, 8, 0, 9, 9]);
    let twice = frame(&[0x81, 0, 0, 1, 0x81, 0, 0xe0, 7, 8, 0, 9, 9]);
    let mut out = [0; 64];
    let (a, b) = (
        Frame::parse(&plain).unwrap(),
        Frame::parse(&tagged).unwrap(),
    );
    let c = Frame::parse(&twice).unwrap();
    let mut check = |write: &dyn Fn(&mut [u8]) -> Option<usize>, expected: &[u8]| {
        let len = write(&mut out).unwrap();
        assert_eq!(&out[..len], expected);
        assert_eq!(
            write(&mut out[..len - 1]),
            None,
            "no room for the last byte"
        );
        assert_eq!(write(&mut []), None);
    };
    check(&|out| push_tag(out, &a, 0xe007), &tagged);
    check(&|out| push_tag(out, &b, 1), &twice);
    check(&|out| write_tagged(out, &a, 0xe007), &tagged);
    check(
        &|out| write_tagged(out, &b, 3),
        &frame(&[0x81, 0, 0, 3, 8, 0, 9, 9]),
    );
    check(&|out| pop_tag(out, &b), &plain);
    check(&|out| pop_tag(out, &a), &plain);
    check(&|out| pop_tag(out, &c), &tagged);
}

proptest! {
    #[test]
    fn tci_round_trip(tci: u16) {
        prop_assert_eq!(Tag::from_tci(tci).tci(), tci);
    }

    #[test]
    fn mac_round_trip(bytes: [u8; 6]) {
        prop_assert_eq!(Mac(bytes).to_string().parse(), Ok(Mac(bytes)));
    }

    #[test]
    fn hostile_text(text in "[0-9a-fg:é-]{0,20}") {
        let _ = text.parse::<Mac>();
    }

    #[test]
    fn push_and_pop_are_inverse(
        tail in vec(prop_oneof![Just(0x81u8), Just(0u8), any::<u8>()], 0..40),
        tci: u16,
    ) {
        let bytes = frame(&tail);
        let mut out = [0; 80];
        let mut back = [0; 80];
        if let Some(frame) = Frame::parse(&bytes) {
            let _ = frame.inner();
            let len = push_tag(&mut out, &frame, tci).unwrap();
            prop_assert_eq!(len, bytes.len() + TAG_LEN);
            let tagged = Frame::parse(&out[..len]).unwrap();
            prop_assert_eq!(tagged.tag(), Some(Tag::from_tci(tci)));
            let len = pop_tag(&mut back, &tagged).unwrap();
            prop_assert_eq!(&back[..len], &bytes[..]);
        }
    }

    #[test]
    fn hostile_bytes(bytes in vec(any::<u8>(), 0..40)) {
        if let Some(frame) = Frame::parse(&bytes) {
            let _ = frame.inner();
        }
    }
}
