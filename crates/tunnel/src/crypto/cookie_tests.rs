use wire::handshake::{INITIATION_LEN, set_mac1};

use super::*;
use crate::crypto::keys::PrivateKey;
use crate::crypto::mac::MacGenerator;

fn origin() -> Instant {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Instant::now()
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// A gate, and a generator of messages to it.
fn pair() -> (Gate, MacGenerator) {
    let mut rng = ForwardSecretRng::from_seed([3; 32]);
    let public = PrivateKey::generate(&mut rng).public();
    (Gate::new(&public, &mut rng), MacGenerator::new(&public))
}

fn initiation(macs: &mut MacGenerator, number: u32, now: Instant) -> [u8; INITIATION_LEN] {
    let mut message = Initiation::assemble(number, &[number as u8; 608]);
    macs.fill(&mut message, now);
    message
}

/// Sends initiations from elsewhere until the gate asks for cookies.
fn load(gate: &mut Gate, macs: &MacGenerator, now: Instant) {
    let mut macs = macs.clone();
    for number in 0..=LOAD_THRESHOLD {
        let message = initiation(&mut macs, number, now);
        gate.verify(&message, address(9), now);
    }
    assert!(gate.is_under_load(now));
}

fn cookie_reply(verdict: Verdict) -> [u8; COOKIE_REPLY_LEN] {
    let Verdict::AnswerWithCookie(reply) = verdict else {
        panic!("{verdict:?}")
    };
    reply
}

#[test]
fn a_cookie_known_answer() {
    let mapped: SocketAddr = "[::ffff:192.0.2.1]:1830".parse().unwrap();
    for from in [address(1830), mapped] {
        let expected = 0x981a_666b_5aba_e1bc_cfd5_0833_65f5_11a4_u128.to_be_bytes();
        assert_eq!(cookie_of(&[0x77; 32], from), expected);
    }
}

#[test]
fn every_altered_byte_before_mac2_is_refused() {
    let ((mut gate, mut macs), now) = (pair(), origin());
    let message = initiation(&mut macs, 1, now);
    assert_eq!(gate.verify(&message, address(1), now), Verdict::Accept);
    for offset in 0..INITIATION_LEN - 16 {
        let mut forged = message;
        forged[offset] ^= 4;
        let verdict = gate.verify(&forged, address(1), now);
        assert!(matches!(verdict, Verdict::Drop(_)), "{offset}: {verdict:?}");
    }
}

#[test]
fn strangers_do_not_count_as_load() {
    let ((mut gate, mut macs), now) = (pair(), origin());
    let mut message = initiation(&mut macs, 1, now);
    set_mac1(&mut message, &[0; 16]);
    for _ in 0..1000 {
        let verdict = gate.verify(&message, address(1), now);
        assert_eq!(verdict, Verdict::Drop(Refusal::BadMac1));
    }
    assert!(!gate.is_under_load(now));
    for other in [&[][..], &[1; 647], &[4; 64], &[3, 1, 0]] {
        assert_eq!(
            gate.verify(other, address(1), now),
            Verdict::Drop(Refusal::Malformed)
        );
    }
}

#[test]
fn under_load_a_cookie_opens_the_gate() {
    let ((mut gate, mut macs), now) = (pair(), origin());
    load(&mut gate, &macs, now);
    let first = initiation(&mut macs, 7, now);
    let reply = cookie_reply(gate.verify(&first, address(1), now));
    assert_eq!(reply[..8], [3, 1, 0, 0, 0, 0, 0, 7]);
    macs.consume_cookie_reply(&reply, now).unwrap();

    let second = initiation(&mut macs, 8, now);
    assert_eq!(gate.verify(&second, address(1), now), Verdict::Accept);
    // The cookie is for that address and port only.
    cookie_reply(gate.verify(&second, address(2), now));
    let mut forged = second;
    forged[647] ^= 1;
    cookie_reply(gate.verify(&forged, address(1), now));
}

#[test]
fn the_load_ends_after_a_calm_second() {
    let ((mut gate, mut macs), now) = (pair(), origin());
    load(&mut gate, &macs, now);
    let later = now + CALM;
    assert!(gate.is_under_load(later - Duration::from_nanos(1)));
    assert!(!gate.is_under_load(later));
    let message = initiation(&mut macs, 1, later);
    assert_eq!(gate.verify(&message, address(1), later), Verdict::Accept);
}

#[test]
fn two_hundred_peers_over_two_lines_are_no_load() {
    let ((mut gate, mut macs), start) = (pair(), origin());
    for number in 0..400 {
        let message = initiation(&mut macs, number, start);
        assert_eq!(gate.verify(&message, address(1), start), Verdict::Accept);
    }
    for number in 0..LOAD_THRESHOLD {
        let now = start + Duration::from_secs(1) + Duration::from_millis(2) * number;
        let message = initiation(&mut macs, number, now);
        assert_eq!(gate.verify(&message, address(1), now), Verdict::Accept);
    }
}

#[test]
fn cookie_replies_and_sources_are_limited() {
    let ((mut gate, mut macs), now) = (pair(), origin());
    load(&mut gate, &macs, now);
    let message = initiation(&mut macs, 7, now);
    let mut replies = Vec::new();
    let refusal = loop {
        match gate.verify(&message, address(1), now) {
            Verdict::AnswerWithCookie(reply) => replies.push(reply),
            other => break other,
        }
    };
    assert_eq!(refusal, Verdict::Drop(Refusal::CookieRepliesExhausted));
    // One went out when the load began.
    assert_eq!(replies.len(), MAX_COOKIE_REPLIES as usize - 1);

    macs.consume_cookie_reply(&replies[0], now).unwrap();
    let accepted = (0..20).filter(|number| {
        let message = initiation(&mut macs, *number, now);
        gate.verify(&message, address(1), now) == Verdict::Accept
    });
    assert_eq!(accepted.count(), PER_SOURCE as usize);
    let message = initiation(&mut macs, 50, now);
    assert_eq!(
        gate.verify(&message, address(1), now),
        Verdict::Drop(Refusal::SourceLimit)
    );
}

/// A generator that holds a cookie of this gate, which is under load.
fn macs_with(gate: &mut Gate, now: Instant) -> MacGenerator {
    let mut macs = MacGenerator::new(&gate.local);
    let message = initiation(&mut macs, 1, now);
    let reply = cookie_reply(gate.verify(&message, address(1), now));
    macs.consume_cookie_reply(&reply, now).unwrap();
    macs
}

#[test]
fn a_secret_is_good_for_its_lifetime_and_one_more() {
    let ((mut gate, macs), start) = (pair(), origin());
    load(&mut gate, &macs, start);
    let mut macs = macs_with(&mut gate, start);
    let message = initiation(&mut macs, 1, start);
    for (seconds, good) in [
        (119, true),
        (121, true),
        (200, true),
        (239, true),
        (240, false),
    ] {
        let now = start + Duration::from_secs(seconds);
        load(&mut gate, &macs, now);
        let verdict = gate.verify(&message, address(1), now);
        assert_eq!(verdict == Verdict::Accept, good, "{seconds}");
    }
    let now = start + Duration::from_secs(1000);
    load(&mut gate, &macs, now);
    assert!(gate.secret.previous.is_none());
}

#[test]
fn responses_need_mac1_only() {
    let ((mut gate, mut macs), now) = (pair(), origin());
    load(&mut gate, &macs, now);
    let mut response = Response::assemble(1, 2, &[5; 560]);
    assert_eq!(
        gate.verify(&response, address(1), now),
        Verdict::Drop(Refusal::BadMac1)
    );
    macs.fill(&mut response, now);
    assert_eq!(gate.verify(&response, address(1), now), Verdict::Accept);
}
