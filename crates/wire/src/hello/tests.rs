use super::*;
use crate::control::Role;
use proptest::collection::vec;
use proptest::prelude::*;

fn hello() -> impl Strategy<Value = Hello> {
    let numbers = (
        any::<u64>(),
        any::<u64>(),
        any::<u32>(),
        any::<u8>(),
        any::<u64>(),
    );
    let uplinks = proptest::collection::btree_map(0u8..=254, 0u8..=2, 0..=MAX_UPLINKS);
    let vlans = proptest::option::of(vec((0u16..=4094, 0u16..30), 0..MAX_VLAN_RANGES));
    (
        numbers,
        any::<u32>(),
        ("[a-zé ]{0,32}", "[a-zé ]{0,24}"),
        uplinks,
        vlans,
        any::<u64>(),
        any::<(u8, u8)>(),
    )
        .prop_map(
            |(numbers, max_frame, (name, site), uplinks, vlans, peer_instance, versions)| Hello {
                instance: numbers.0,
                timestamp: numbers.1,
                generation: numbers.2,
                ciphers: numbers.3,
                capabilities: numbers.4,
                max_frame,
                name,
                uplinks: uplinks
                    .into_iter()
                    .map(|(id, role)| (id, RoleCode::from_byte(role)))
                    .collect(),
                vlans: vlans.map(|ranges| {
                    VlanSet::from_ranges(ranges.into_iter().map(|(first, more)| {
                        let last = (first + more).min(4094);
                        VlanId::new(first).unwrap()..=VlanId::new(last).unwrap()
                    }))
                }),
                peer_instance,
                versions,
                site,
            },
        )
}

/// A Hello with just the two fields it must have, and `more` behind them.
fn decode_with(more: &[u8]) -> Result<Hello, Malformed> {
    let must = [1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 3, 0, 4, 0, 0, 0, 9];
    Hello::decode(&[&must[..], more].concat())
}

#[test]
fn the_largest_hello_fits() {
    let every_other = (0..=4094)
        .step_by(2)
        .filter_map(VlanId::new)
        .collect::<VlanSet>();
    let hello = Hello {
        name: "é".repeat(200),
        uplinks: (0..200).map(|id| (id, RoleCode::default())).collect(),
        vlans: Some(every_other),
        ..Hello::default()
    };
    let read = Hello::decode(&hello.encode()).unwrap();
    assert_eq!(read.name, "é".repeat(32));
    assert_eq!(read.uplinks.len(), MAX_UPLINKS);
    assert_eq!(read.vlans.unwrap().len(), MAX_VLAN_RANGES);
    assert_eq!(read.peer_instance, 0, "the last field was not cut off");
    let used =
        3 * 11 + 8 * 4 + 4 * 2 + 1 + 2 + MAX_NAME_LEN + 2 * MAX_UPLINKS + 4 * MAX_VLAN_RANGES;
    const { assert!(MAX_NAME_LEN + 2 * MAX_UPLINKS + 4 * MAX_VLAN_RANGES + 76 <= HELLO_LEN) }
    assert!(hello.encode()[used..].iter().all(|&byte| byte == 0));
    assert_ne!(hello.encode()[..used], [0; HELLO_LEN][..used]);
}

#[test]
fn bytes_of_the_protocol_page() {
    let hello = Hello {
        instance: 7,
        generation: 9,
        uplinks: vec![(
            3,
            RoleCode {
                role: Role::Backup,
                overflow: true,
            },
        )],
        vlans: Some(VlanSet::from_ranges([
            VlanId::new(10).unwrap()..=VlanId::new(11).unwrap()
        ])),
        ..Hello::default()
    };
    let bytes = hello.encode();
    assert_eq!(bytes[..11], [1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
    let tail = [
        8, 0, 2, 3, 0x81, 9, 0, 4, 0, 10, 0, 11, 10, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 2, 1, 1,
    ];
    let at = bytes
        .windows(tail.len())
        .position(|window| window == tail)
        .unwrap();
    assert!(bytes[at + tail.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn what_is_missing_has_its_default() {
    let hello = decode_with(&[]).unwrap();
    assert_eq!(
        hello,
        Hello {
            instance: 7,
            generation: 9,
            ..Hello::default()
        }
    );
    assert_eq!(Hello::decode(&[]), Err(Malformed::MissingField));
    assert_eq!(
        Hello::decode(&[3, 0, 4, 0, 0, 0, 1]),
        Err(Malformed::MissingField)
    );
    assert_eq!(
        decode_with(&[0, 0xff]),
        Ok(hello.clone()),
        "a type of 0 is the end"
    );
    assert_eq!(
        decode_with(&[200, 0, 2, 1, 1]),
        Ok(hello),
        "unknown types are skipped"
    );
    let uplinks: Vec<u8> = [8, 0, 40]
        .into_iter()
        .chain((0..20).flat_map(|id| [id, 0]))
        .collect();
    assert_eq!(decode_with(&uplinks).unwrap().uplinks.len(), MAX_UPLINKS);
    let twice = decode_with(&[8, 0, 4, 1, 0, 1, 2]).unwrap();
    assert_eq!(
        twice.uplinks,
        [(1, RoleCode::default())],
        "the first counts"
    );
    assert!(
        decode_with(&[9, 0, 0]).unwrap().vlans.unwrap().is_empty(),
        "none is not all"
    );
}

#[test]
fn what_is_refused() {
    for (more, error) in [
        (&[2, 0, 7, 0, 0, 0, 0, 0, 0, 0][..], Malformed::WrongLength),
        (&[4, 0, 2, 0, 0], Malformed::WrongLength),
        (&[8, 0, 3, 0, 0, 1], Malformed::WrongLength),
        (&[8, 0, 2, 255, 0], Malformed::OutOfRange),
        (&[9, 0, 3, 0, 1, 0], Malformed::WrongLength),
        (&[9, 0, 4, 0, 2, 0, 1], Malformed::OutOfRange),
        (&[9, 0, 4, 0, 0, 0x0f, 0xff], Malformed::OutOfRange),
        (&[7, 0, 3, b'a'], Malformed::Truncated),
        (&[7, 0], Malformed::Truncated),
    ] {
        assert_eq!(decode_with(more), Err(error), "{more:?}");
    }
}

#[test]
fn names_are_safe_to_show() {
    let named = |name: &[u8]| {
        let head = [7, 0, name.len() as u8];
        decode_with(&[&head[..], name].concat()).unwrap().name
    };
    assert_eq!(named(b"a\x1b[31m\nb"), "a?[31m?b");
    assert_eq!(named("a\u{202e}b".as_bytes()), "a?b");
    assert_eq!(named(&[b'a'; 65]), "a".repeat(64));
    assert_eq!(named(&[0xff; 64]), "\u{fffd}".repeat(21));
    assert_eq!(named(b""), "");
}

proptest! {
    #[test]
    fn round_trip(hello in hello()) {
        let mut hello = hello;
        hello.name = sanitise(&hello.name, MAX_NAME_LEN);
        hello.site = sanitise(&hello.site, MAX_SITE_LEN);
        prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }

    #[test]
    fn hostile_bytes(fields in vec((0u8..14, vec(any::<u8>(), 0..20)), 0..20), cut in 0usize..300) {
        let mut bytes = Vec::new();
        for (kind, value) in &fields {
            put(&mut bytes, *kind, value);
        }
        bytes.truncate(cut);
        if let Ok(hello) = Hello::decode(&bytes) {
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello.clone()));
            prop_assert!(hello.name.len() <= MAX_NAME_LEN && hello.uplinks.len() <= MAX_UPLINKS);
            prop_assert!(hello.site.len() <= MAX_SITE_LEN);
        }
    }

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Hello::decode(&bytes);
    }
}

#[test]
fn the_highest_common_version_is_used() {
    let speaking = |versions| Hello {
        versions,
        ..Hello::default()
    };
    let common = |a, b| speaking(a).common_version(&speaking(b));
    assert_eq!(common((1, 1), (1, 1)), Some(1));
    assert_eq!(common((1, 3), (2, 5)), Some(3));
    assert_eq!(common((1, 1), (2, 5)), None);
}
