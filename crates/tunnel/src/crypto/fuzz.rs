//! Entry points for fuzzing: each takes any bytes, keeps nothing, and panics only where this module
//! is at fault. Keys and times are fixed, so an input that fails fails again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use wire::handshake::{CookieReply, Initiation, Response};
use wire::hello::{HELLO_LEN, Hello};

use super::aead::{Cipher, OpeningKey};
use super::cookie::{Gate, Verdict};
use super::handshake::{HandshakeError, Initiator, Responder, initiate, offered_ciphers};
use super::keys::{PresharedKey, PrivateKey};
use super::mac::MacGenerator;
use super::replay::ReplayWindow;
use super::rng::ForwardSecretRng;

const ALICE: [u8; 32] = [0xa1; 32];
const BOB: [u8; 32] = [0xb0; 32];

/// Every door of the handshake with the bytes as they are: the gate, then what it lets through, as
/// a stranger would find them. `now` is any instant.
pub fn datagram(bytes: &[u8], now: Instant) {
    let (mut rng, bob) = (
        ForwardSecretRng::from_seed([0; 32]),
        PrivateKey::from_bytes(BOB),
    );
    let mut gate = Gate::new(&bob.public(), &mut rng);
    let from = SocketAddr::from(([192, 0, 2, 1], 1830));
    let verdict = gate.verify(bytes, from, now);
    if let (Verdict::Accept, Some(initiation)) = (verdict, Initiation::parse(bytes)) {
        let _ = Responder::read(&bob, &initiation, &mut rng);
    }
    let mut macs = MacGenerator::new(&bob.public());
    assert!(
        macs.consume_cookie_reply(bytes, now).is_err(),
        "nothing was sent"
    );
}

/// Bytes laid over a true initiation and its MACs made to fit, so that Noise itself reads them.
pub fn initiation(bytes: &[u8], now: Instant) {
    let mut rng = ForwardSecretRng::from_seed([1; 32]);
    let (alice, bob) = (PrivateKey::from_bytes(ALICE), PrivateKey::from_bytes(BOB));
    let Ok((_, mut message)) = initiate(&alice, &bob.public(), &[0; HELLO_LEN], 1, &mut rng) else {
        unreachable!("the keys are fixed and good");
    };
    overlay(&mut message[4..], bytes);
    MacGenerator::new(&bob.public()).fill(&mut message, now);
    let from = SocketAddr::from(([192, 0, 2, 1], 1830));
    let mut gate = Gate::new(&bob.public(), &mut rng);
    assert_eq!(gate.verify(&message, from, now), Verdict::Accept);
    if let Some(initiation) = Initiation::parse(&message) {
        assert!(
            Responder::read(&bob, &initiation, &mut rng).is_err(),
            "its hello is empty"
        );
    }
}

/// Bytes as the Hello of an authentic initiation, which is then answered where it can be.
pub fn authentic_hello(bytes: &[u8]) {
    let mut rng = ForwardSecretRng::from_seed([2; 32]);
    let (alice, bob) = (PrivateKey::from_bytes(ALICE), PrivateKey::from_bytes(BOB));
    let mut payload = [0; HELLO_LEN];
    overlay(&mut payload, bytes);
    let Ok((_, message)) = initiate(&alice, &bob.public(), &payload, 1, &mut rng) else {
        unreachable!("the keys are fixed and good");
    };
    let Some(initiation) = Initiation::parse(&message) else {
        unreachable!("it was assembled as one");
    };
    match Responder::read(&bob, &initiation, &mut rng) {
        Ok((responder, received)) => {
            assert_eq!(received.remote, alice.public());
            let _ = responder.respond(&PresharedKey::default(), &received.hello, 2);
        }
        Err(HandshakeError::Hello(_)) => {}
        Err(other) => panic!("an authentic initiation was refused: {other}"),
    }
}

/// Bytes laid over a true response: unless nothing changed, it is refused and the true one still
/// counts.
pub fn response(bytes: &[u8]) {
    let mut rng = ForwardSecretRng::from_seed([3; 32]);
    let (alice, bob) = (PrivateKey::from_bytes(ALICE), PrivateKey::from_bytes(BOB));
    let (hello, psk) = (sample_hello(), PresharedKey::from_bytes([5; 32]));
    let started = Initiator::start(&alice, &bob.public(), &hello, 1, &mut rng);
    let Ok((mut initiator, message)) = started else {
        unreachable!("the keys are good")
    };
    let answered = Initiation::parse(&message)
        .and_then(|initiation| Responder::read(&bob, &initiation, &mut rng).ok())
        .and_then(|(responder, _)| responder.respond(&psk, &hello, 2).ok());
    let Some((_, truth)) = answered else {
        unreachable!("the initiation is authentic")
    };
    let mut forged = truth;
    overlay(&mut forged[12..572], bytes);
    if let (true, Some(forged)) = (forged != truth, Response::parse(&forged)) {
        assert!(initiator.finish(&forged, &psk).is_err());
    }
    let Some(truth) = Response::parse(&truth) else {
        unreachable!("it was assembled as one")
    };
    assert!(initiator.finish(&truth, &psk).is_ok());
}

/// Bytes as a cookie reply to an initiation that was sent.
pub fn cookie_reply(bytes: &[u8], now: Instant) {
    let bob = PrivateKey::from_bytes(BOB).public();
    let mut macs = MacGenerator::new(&bob);
    let mut message = Initiation::assemble(1, &[0; 608]);
    macs.fill(&mut message, now);
    let mut reply = CookieReply::assemble(1, &[0; 24], &[0; 32]);
    overlay(&mut reply[4..], bytes);
    assert!(macs.consume_cookie_reply(&reply, now).is_err());
    macs.fill(&mut message, now + Duration::from_secs(1));
    assert_eq!(message[632..], [0; 16]);
}

/// Bytes as a sealed payload under a fixed key.
pub fn open(bytes: &[u8]) {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let mut sealed = bytes.to_vec();
        let opened = OpeningKey::new(cipher, &[0x5c; 32]).open([0; 12], b"", &mut sealed);
        assert!(opened.is_err());
    }
}

/// Bytes as a sequence of packet numbers, eight each: none is accepted twice.
pub fn replay_window(bytes: &[u8]) {
    let mut window = ReplayWindow::new();
    let (numbers, _) = bytes.as_chunks::<8>();
    for number in numbers.iter().map(|number| u64::from_be_bytes(*number)) {
        let checked = window.check(number);
        assert_eq!(window.accept(number), checked);
        assert!(window.check(number).is_err());
        assert!(window.highest().is_some_and(|highest| highest >= number));
    }
}

/// Exclusive-ors the bytes into the buffer, so that the empty input changes nothing.
fn overlay(buffer: &mut [u8], bytes: &[u8]) {
    for (place, byte) in buffer.iter_mut().zip(bytes) {
        *place ^= byte;
    }
}

fn sample_hello() -> Hello {
    Hello {
        instance: 1,
        generation: 1,
        ciphers: offered_ciphers(true),
        ..Hello::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        datagram(bytes, now);
        initiation(bytes, now);
        authentic_hello(bytes);
        response(bytes);
        cookie_reply(bytes, now);
        open(bytes);
        replay_window(bytes);
    }

    #[test]
    fn the_empty_input_and_one_of_each_kind() {
        all(&[]);
        for (kind, len) in [(1, 648), (2, 604), (3, 64), (4, 32)] {
            let mut bytes = vec![0; len];
            bytes[..2].copy_from_slice(&[kind, 1]);
            all(&bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            all(&bytes);
        }
    }
}
