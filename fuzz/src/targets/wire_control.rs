//! Control sections.

use wire::control::{
    AckHeader, Admin, Control, Controls, PathState, PathStatus, RoleCode, put_ack, put_challenge,
    put_close, put_padding, put_probe, put_response, put_status,
};

/// Reads `data` as a control section, and every message of it again after writing it.
pub fn run(data: &[u8]) {
    let mut ended = false;
    for message in Controls::new(data) {
        assert!(!ended, "nothing follows an error");
        match message {
            Ok(message) => check(&message),
            Err(_) => ended = true,
        }
    }
}

fn check(message: &Control<'_>) {
    let mut out = Vec::new();
    match message.clone() {
        Control::Padding(len) => put_padding(&mut out, len),
        Control::Probe { echo_elsewhere } => put_probe(&mut out, echo_elsewhere),
        Control::Ack(ack) => {
            let mut above = None;
            for range in ack.ranges() {
                assert!(range.start() <= range.end() && *range.end() <= ack.largest);
                // Ranges do not touch either.
                assert!(above.is_none_or(|above| range.end() + 1 < above));
                above = Some(*range.start());
            }
            put_ack(&mut out, &ack.header(), ack.ranges());
        }
        Control::Challenge {
            token,
            uplink,
            path,
            role,
        } => {
            put_challenge(&mut out, token, uplink, path, role);
        }
        Control::Response {
            token,
            uplink,
            path,
            role,
            observed,
        } => {
            put_response(&mut out, token, uplink, path, role, observed);
        }
        Control::Status { sequence, paths } => put_status(&mut out, sequence, paths),
        Control::Close { reason } => put_close(&mut out, reason),
        Control::Site { kind, value } => {
            out.push(kind);
            out.extend((value.len() as u16).to_be_bytes());
            out.extend_from_slice(value);
        }
    }
    let again = Controls::new(&out)
        .next()
        .expect("one message")
        .expect("ours");
    match (message, &again) {
        (Control::Ack(one), Control::Ack(other)) => {
            assert_eq!(one.header(), other.header());
            // Without any range that makes sense, the largest alone is written.
            if one.ranges().next().is_some() {
                assert!(one.ranges().eq(other.ranges()));
            }
        }
        (
            Control::Response { observed: one, .. },
            Control::Response {
                observed: other, ..
            },
        ) => {
            assert_eq!(
                (one.ip().to_canonical(), one.port()),
                (other.ip(), other.port())
            );
        }
        (Control::Status { paths: one, .. }, Control::Status { paths: other, .. }) => {
            assert!(one.clone().take(256).eq(other.clone()));
        }
        (one, other) => assert_eq!(one, other),
    }
}

/// A section with one message of every type.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let role = RoleCode::from_byte(0x81);
    let header = AckHeader {
        path: 1,
        largest: 1000,
        delay_us: 5,
        arrival_us: 6,
        received_bytes: 7,
    };
    let (state, admin) = (PathState::Suspect, Admin::Drained);
    let status = PathStatus {
        path: 1,
        state,
        active: true,
        admin,
        admin_version: 3,
    };
    put_probe(&mut all, true);
    put_ack(
        &mut all,
        &header,
        [990..=1000, 980..=985, 10..=500].into_iter(),
    );
    put_challenge(&mut all, 77, 1, 2, role);
    put_response(&mut all, 77, 1, 2, role, ([192, 0, 2, 1], 1830).into());
    put_response(
        &mut all,
        78,
        1,
        2,
        role,
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 1830).into(),
    );
    put_status(&mut all, 4, [status, status].into_iter());
    put_padding(&mut all, 9);
    put_close(&mut all, 0);
    let mut ack = Vec::new();
    put_ack(
        &mut ack,
        &header,
        (0..40).map(|i| 1000 - 20 * i..=1000 - 20 * i),
    );
    vec![all, ack]
}
