use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::ops::RangeInclusive;

const ROLE: RoleCode = RoleCode {
    role: Role::Backup,
    overflow: true,
};

fn only(section: &[u8]) -> Control<'_> {
    let mut messages = Controls::new(section);
    let message = messages.next().unwrap().unwrap();
    assert!(messages.next().is_none());
    message
}

#[test]
fn bytes_of_the_protocol_page() {
    let mut out = Vec::new();
    put_probe(&mut out, true);
    put_padding(&mut out, 5);
    put_close(&mut out, CLOSE_SHUTDOWN);
    assert_eq!(out, [1, 0, 1, 1, 0, 0, 2, 0, 0, 6, 0, 1, 0]);

    out.clear();
    put_challenge(&mut out, 5, 2, 3, ROLE);
    assert_eq!(out, [3, 0, 11, 0, 0, 0, 0, 0, 0, 0, 5, 2, 3, 0x81]);

    out.clear();
    put_response(&mut out, 5, 2, 3, ROLE, "192.0.2.1:258".parse().unwrap());
    assert_eq!(
        out,
        [
            4, 0, 17, 0, 0, 0, 0, 0, 0, 0, 5, 2, 3, 0x81, 1, 2, 192, 0, 2, 1
        ]
    );

    out.clear();
    let entry = PathStatus {
        path: 9,
        state: PathState::Lost,
        active: true,
        admin: Admin::Drained,
        admin_version: 4,
    };
    put_status(&mut out, 6, [entry].into_iter());
    assert_eq!(out, [5, 0, 12, 0, 0, 0, 6, 9, 3, 1, 2, 0, 0, 0, 4]);

    out.clear();
    let header = AckHeader {
        path: 1,
        largest: 100,
        delay_us: 2,
        arrival_us: 3,
        received_bytes: 4,
    };
    // 98–100, then 3 missing (95–97), then 94 alone, then 1 missing (93), then 90–92.
    put_ack(&mut out, &header, [98..=100, 94..=94, 90..=92].into_iter());
    let head = [
        2, 0, 30, 1, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 2, 0, 0, 0, 3,
    ];
    assert_eq!(
        out,
        [&head[..], &[0, 0, 0, 0, 0, 0, 0, 4], &[2, 2, 0, 0, 2]].concat()
    );
}

#[test]
fn unknown_types_are_skipped_and_errors_end_it() {
    let section = [77, 0, 2, 1, 1, 6, 0, 1, 9, 78, 0, 0];
    assert_eq!(only(&section), Control::Close { reason: 9 });
    for bad in [
        &[1, 0, 0][..],
        &[1, 0, 2, 0, 0],
        &[2, 0, 1, 0],
        &[3, 0, 12, 0, 0, 0, 0, 0, 0, 0, 5, 2, 3, 0x81, 0],
        &[4, 0, 13, 0, 0, 0, 0, 0, 0, 0, 5, 2, 3, 0x81, 0, 0],
        &[5, 0, 5, 0, 0, 0, 0, 0],
        &[6, 0, 0],
    ] {
        let section = [&[1, 0, 1, 0], bad, &[1, 0, 1, 0]].concat();
        let found: Vec<_> = Controls::new(&section).collect();
        assert_eq!(found.len(), 2, "{bad:?}");
        assert!(found[0].is_ok() && found[1].is_err(), "{bad:?}");
    }
    for cut in [&[1][..], &[1, 0], &[1, 0, 1]] {
        let section = [&[1, 0, 1, 0], cut].concat();
        let found: Vec<_> = Controls::new(&section).collect();
        assert_eq!(found.len(), 2, "{cut:?}");
        assert_eq!(found[1], Err(Malformed::Truncated));
    }
    assert_eq!(Controls::new(&[]).count(), 0);
}

#[test]
fn what_elicits_an_ack() {
    let kinds: Vec<u8> = (0..=255).filter(|&kind| is_ack_eliciting(kind)).collect();
    assert_eq!(kinds, [PROBE, CHALLENGE, RESPONSE, STATUS]);
}

#[test]
fn roles_order_from_best_to_worst() {
    assert!(Role::Primary < Role::Backup && Role::Backup < Role::Metered);
    for byte in 0..=255 {
        let code = RoleCode::from_byte(byte);
        if byte & 0x7f <= 2 {
            assert_eq!(code.to_byte(), byte);
        } else {
            assert_eq!(code.role, Role::Metered);
        }
    }
}

#[test]
fn a_mapped_address_travels_as_ipv4() {
    let mut out = Vec::new();
    put_response(
        &mut out,
        1,
        1,
        1,
        ROLE,
        "[::ffff:192.0.2.1]:9".parse().unwrap(),
    );
    let Control::Response { observed, .. } = only(&out) else {
        panic!()
    };
    assert_eq!(observed, "192.0.2.1:9".parse().unwrap());
}

#[test]
fn padding_has_the_length_asked_for() {
    for (asked, got) in [
        (0, 0),
        (2, 0),
        (3, 3),
        (4, 4),
        (65_538, 65_538),
        (70_000, 65_538),
    ] {
        let mut out = Vec::new();
        put_padding(&mut out, asked);
        assert_eq!(out.len(), got);
        if got != 0 {
            assert_eq!(only(&out), Control::Padding(got));
        }
    }
}

#[test]
fn an_unknown_state_is_not_trusted() {
    let section = [5, 0, 12, 0, 0, 0, 1, 9, 200, 1, 200, 0, 0, 0, 1];
    let Control::Status { mut paths, .. } = only(&section) else {
        panic!()
    };
    let path = paths.next().unwrap();
    assert_eq!((path.state, path.admin), (PathState::Down, Admin::Drained));
}

#[test]
fn an_ack_stops_at_what_makes_no_sense() {
    let with = |largest: u64, ranges: &[u8]| {
        let mut section = vec![2, 0, 25 + ranges.len() as u8, 1];
        section.extend(largest.to_be_bytes());
        section.extend([0; 16]);
        section.extend(ranges);
        let Control::Ack(ack) = only(&section) else {
            panic!()
        };
        ack.ranges().collect::<Vec<_>>()
    };
    assert_eq!(with(5, &[6]), [], "a run below 0");
    assert_eq!(with(5, &[5]), [0..=5]);
    assert_eq!(with(5, &[0, 3, 0]), [5..=5, 0..=0]);
    assert_eq!(with(5, &[0, 4, 0]), [5..=5], "a gap below 0");
    assert_eq!(with(5, &[0, 3, 1]), [5..=5], "a second run below 0");
    assert_eq!(with(5, &[0, 3]), [5..=5], "a gap without a run");
    assert_eq!(with(5, &[]), []);
    assert_eq!(with(1000, &[0; 101]).len(), 1 + MAX_ACK_PAIRS);
    let top = u64::MAX;
    assert_eq!(with(top, &[0]), [top..=top]);
}

#[test]
fn put_ack_stops_at_ranges_out_of_order() {
    let header = AckHeader {
        path: 1,
        largest: 100,
        delay_us: 0,
        arrival_us: 0,
        received_bytes: 0,
    };
    for ranges in [
        vec![90..=100, 89..=89, 10..=20],
        vec![90..=100, 80..=95, 10..=20],
        vec![90..=100, RangeInclusive::new(80, 70), 10..=20],
    ] {
        let mut out = Vec::new();
        put_ack(&mut out, &header, ranges.into_iter());
        let Control::Ack(ack) = only(&out) else {
            panic!()
        };
        assert_eq!(ack.ranges().collect::<Vec<_>>(), [90..=100]);
    }
    let mut out = Vec::new();
    put_ack(&mut out, &header, std::iter::empty());
    let Control::Ack(ack) = only(&out) else {
        panic!()
    };
    assert_eq!(ack.ranges().collect::<Vec<_>>(), [100..=100]);
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

fn statuses() -> impl Strategy<Value = Vec<PathStatus>> {
    let state = prop_oneof![
        Just(PathState::Usable),
        Just(PathState::Suspect),
        Just(PathState::Down),
        Just(PathState::Lost)
    ];
    let admin = prop_oneof![Just(Admin::Up), Just(Admin::Down), Just(Admin::Drained)];
    let status = (any::<u8>(), state, any::<bool>(), admin, any::<u32>()).prop_map(
        |(path, state, active, admin, admin_version)| PathStatus {
            path,
            state,
            active,
            admin,
            admin_version,
        },
    );
    vec(status, 0..20)
}

/// Ranges from `largest` down, from (run, gap) pairs.
fn descending(largest: u64, steps: &[(u64, u64)]) -> Vec<RangeInclusive<u64>> {
    let mut ranges = Vec::new();
    let mut high = largest;
    for (run, gap) in steps {
        let low = high.saturating_sub(*run);
        ranges.push(low..=high);
        match low.checked_sub(gap + 2) {
            Some(next) => high = next,
            None => break,
        }
    }
    ranges
}

proptest! {
    #[test]
    fn messages_round_trip(
        token: u64,
        ids: (u8, u8, bool, u8),
        observed in address(),
        sequence: u32,
        entries in statuses(),
    ) {
        let (uplink, path, flag, reason) = ids;
        let role = RoleCode { role: Role::Metered, overflow: flag };
        let mut out = Vec::new();
        put_probe(&mut out, flag);
        put_challenge(&mut out, token, uplink, path, role);
        put_response(&mut out, token, uplink, path, role, observed);
        put_status(&mut out, sequence, entries.iter().copied());
        put_close(&mut out, reason);
        let read: Vec<_> = Controls::new(&out).map(Result::unwrap).collect();
        let observed = SocketAddr::new(observed.ip().to_canonical(), observed.port());
        prop_assert_eq!(&read[0], &Control::Probe { echo_elsewhere: flag });
        prop_assert_eq!(&read[1], &Control::Challenge { token, uplink, path, role });
        prop_assert_eq!(&read[2], &Control::Response { token, uplink, path, role, observed });
        let Control::Status { sequence: read_sequence, paths } = &read[3] else { panic!() };
        prop_assert_eq!(*read_sequence, sequence);
        prop_assert_eq!(paths.clone().collect::<Vec<_>>(), entries);
        prop_assert_eq!(&read[4], &Control::Close { reason });
    }

    #[test]
    fn acks_round_trip(
        path: u8,
        largest in prop_oneof![0..100u64, 0..1u64 << 61],
        times: (u32, u32, u64),
        steps in vec((prop_oneof![0..9u64, 0..1u64 << 40], prop_oneof![0..9u64, 0..1u64 << 40]), 1..60),
    ) {
        let (delay_us, arrival_us, received_bytes) = times;
        let header = AckHeader { path, largest, delay_us, arrival_us, received_bytes };
        let mut ranges = descending(largest, &steps);
        let mut out = Vec::new();
        put_ack(&mut out, &header, ranges.iter().cloned());
        let Control::Ack(ack) = only(&out) else { panic!() };
        prop_assert_eq!(ack.header(), header);
        ranges.truncate(1 + MAX_ACK_PAIRS);
        let mut truncated = Vec::new();
        put_ack(&mut truncated, &header, ranges.iter().cloned());
        prop_assert_eq!(&truncated, &out, "what cannot be read is not written");
        prop_assert_eq!(ack.ranges().collect::<Vec<_>>(), ranges);
    }

    #[test]
    fn hostile_sections(
        messages in vec((0u8..9, vec(prop_oneof![0u8..3, any::<u8>()], 0..60)), 0..10),
        noise in vec(any::<u8>(), 0..5),
    ) {
        let mut section = Vec::new();
        for (kind, value) in &messages {
            put(&mut section, *kind, |out| out.extend(value));
        }
        section.extend(noise);
        let mut ended = false;
        for message in Controls::new(&section) {
            prop_assert!(!ended);
            match message {
                Ok(Control::Ack(ack)) => {
                    let mut above = None;
                    for range in ack.ranges() {
                        prop_assert!(range.start() <= range.end());
                        prop_assert!(above.is_none_or(|above| *range.end() < above));
                        above = Some(*range.start());
                    }
                }
                Ok(Control::Status { paths, .. }) => prop_assert!(paths.count() < 10_000),
                Ok(_) => {}
                Err(_) => ended = true,
            }
        }
    }
}
