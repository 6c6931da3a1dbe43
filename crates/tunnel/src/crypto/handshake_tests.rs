use std::time::Instant;

use wire::handshake::{set_mac1, set_mac2};

use super::*;
use crate::crypto::cookie::{Gate, Verdict};
use crate::crypto::mac::MacGenerator;
use crate::crypto::rng::ForwardSecretRng;

struct Ends {
    rng: ForwardSecretRng,
    alice: PrivateKey,
    bob: PrivateKey,
    psk: PresharedKey,
}

fn ends(seed: u8) -> Ends {
    let mut rng = ForwardSecretRng::from_seed([seed; 32]);
    let alice = PrivateKey::generate(&mut rng);
    let bob = PrivateKey::generate(&mut rng);
    let psk = PresharedKey::generate(&mut rng);
    Ends {
        rng,
        alice,
        bob,
        psk,
    }
}

fn hello(generation: u32, ciphers: u8) -> Hello {
    Hello {
        instance: 0x1122_3344_5566_7788,
        timestamp: 99,
        generation,
        ciphers,
        capabilities: 1,
        max_frame: 65_562,
        name: "test".into(),
        ..Hello::default()
    }
}

impl Ends {
    fn start(&mut self, hello: &Hello) -> (Initiator, [u8; INITIATION_LEN]) {
        Initiator::start(&self.alice, &self.bob.public(), hello, 11, &mut self.rng).unwrap()
    }

    fn read(&mut self, message: &[u8]) -> Result<(Responder, Received), HandshakeError> {
        Responder::read(
            &self.bob,
            &Initiation::parse(message).unwrap(),
            &mut self.rng,
        )
    }

    fn finish(
        &self,
        initiator: &mut Initiator,
        message: &[u8],
    ) -> Result<Established, HandshakeError> {
        initiator.finish(&Response::parse(message).unwrap(), &self.psk)
    }

    fn answered(&mut self) -> (Initiator, Established, [u8; RESPONSE_LEN]) {
        let hello = hello(3, offered_ciphers(true));
        let (initiator, message) = self.start(&hello);
        let (responder, _) = self.read(&message).unwrap();
        let (there, response) = responder.respond(&self.psk, &hello, 22).unwrap();
        (initiator, there, response)
    }
}

/// One datagram in each direction.
fn talks(a: &Established, b: &Established) -> bool {
    let one_way = |from: &Established, to: &Established| {
        let mut sealed = [7; 48];
        let tag = from.sealing.seal([1; 12], b"header", &mut sealed[..32]);
        sealed[32..].copy_from_slice(&tag);
        to.opening
            .open([1; 12], b"header", &mut sealed)
            .is_ok_and(|plain| *plain == [7; 32])
    };
    one_way(a, b) && one_way(b, a)
}

#[test]
fn both_ends_share_keys_with_the_agreed_cipher() {
    let (plain, preferred) = (offered_ciphers(false), offered_ciphers(true));
    for (ours, theirs, cipher) in [
        (preferred, preferred, Cipher::Aes256Gcm),
        (preferred, plain, Cipher::ChaCha20Poly1305),
        (plain, preferred, Cipher::ChaCha20Poly1305),
        (
            CIPHER_CHACHA20_POLY1305,
            preferred,
            Cipher::ChaCha20Poly1305,
        ),
        (
            CIPHER_AES_256_GCM | CIPHER_PREFER_AES,
            preferred,
            Cipher::Aes256Gcm,
        ),
    ] {
        let mut ends = ends(1);
        let (mut initiator, message) = ends.start(&hello(5, ours));
        let (responder, received) = ends.read(&message).unwrap();
        assert_eq!(received.remote, ends.alice.public());
        assert_eq!(received.hello, hello(5, ours));
        assert_eq!(received.sender_index, 11);

        let (there, response) = responder.respond(&ends.psk, &hello(0, theirs), 22).unwrap();
        let here = ends.finish(&mut initiator, &response).unwrap();
        assert!(talks(&here, &there));
        assert_eq!((here.cipher, there.cipher), (cipher, cipher));
        assert_eq!((here.generation, there.generation), (5, 5));
        assert_eq!((here.local_index, here.remote_index), (11, 22));
        assert_eq!((there.local_index, there.remote_index), (22, 11));
        assert_eq!((here.initiator, there.initiator), (true, false));
        assert_eq!(here.remote_hello, hello(5, bit(cipher)));
    }
}

#[test]
fn a_handshake_repeats_from_its_seed() {
    let (mut one, mut two) = (ends(4), ends(4));
    assert_eq!(one.answered().2, two.answered().2);
    assert_ne!(one.answered().2, ends(4).answered().2);
}

#[test]
fn no_common_cipher_is_silence() {
    for (ours, theirs) in [
        (CIPHER_AES_256_GCM, CIPHER_CHACHA20_POLY1305),
        (0, 7),
        (CIPHER_AES_256_GCM, 7),
    ] {
        let mut ends = ends(1);
        let (_, message) = ends.start(&hello(0, ours));
        let (responder, _) = ends.read(&message).unwrap();
        let answer = responder.respond(&ends.psk, &hello(0, theirs), 22);
        assert_eq!(answer.err(), Some(HandshakeError::NoCommonCipher));
    }
    for named in [
        0,
        CIPHER_AES_256_GCM | CIPHER_CHACHA20_POLY1305,
        CIPHER_AES_256_GCM,
    ] {
        assert_eq!(
            chosen(named, CIPHER_CHACHA20_POLY1305),
            Err(HandshakeError::NoCommonCipher)
        );
    }
}

#[test]
fn a_wrong_preshared_key_fails_and_the_right_one_still_works() {
    let mut ends = ends(2);
    let (mut initiator, there, response) = ends.answered();
    let response = Response::parse(&response).unwrap();
    for wrong in [PresharedKey::default(), PresharedKey::from_bytes([1; 32])] {
        let failed = initiator.finish(&response, &wrong);
        assert_eq!(failed.unwrap_err(), HandshakeError::Authentication);
    }
    let here = initiator.finish(&response, &ends.psk).unwrap();
    assert!(talks(&here, &there));
}

#[test]
fn an_initiation_to_another_key_cannot_be_read() {
    let mut ends = ends(3);
    let carol = PrivateKey::generate(&mut ends.rng).public();
    let hello = hello(0, offered_ciphers(false));
    let (_, message) = Initiator::start(&ends.alice, &carol, &hello, 1, &mut ends.rng).unwrap();
    assert_eq!(
        ends.read(&message).err(),
        Some(HandshakeError::Authentication)
    );
}

#[test]
fn an_unusable_remote_key_is_an_error() {
    let mut ends = ends(3);
    let hello = hello(0, offered_ciphers(false));
    let zero = PublicKey::from_bytes([0; 32]);
    let started = Initiator::start(&ends.alice, &zero, &hello, 1, &mut ends.rng);
    assert_eq!(started.err(), Some(HandshakeError::UnusableKey));
}

#[test]
fn an_initiation_altered_anywhere_is_dropped() {
    let mut ends = ends(5);
    let (_, mut message) = ends.start(&hello(0, offered_ciphers(true)));
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    let now = Instant::now();
    let from = std::net::SocketAddr::from(([192, 0, 2, 1], 1830));
    let mut gate = Gate::new(&ends.bob.public(), &mut ends.rng);
    MacGenerator::new(&ends.bob.public()).fill(&mut message, now);
    assert_eq!(gate.verify(&message, from, now), Verdict::Accept);
    for offset in 0..INITIATION_LEN - 16 {
        let mut forged = message;
        forged[offset] ^= 0x20;
        assert!(
            matches!(gate.verify(&forged, from, now), Verdict::Drop(_)),
            "{offset}"
        );
        // Someone who knows the public key can make mac1 fit; then Noise refuses it.
        if (8..616).contains(&offset) {
            assert!(ends.read(&forged).is_err(), "{offset}");
        }
    }
}

#[test]
fn a_response_altered_anywhere_is_dropped_and_the_true_one_still_counts() {
    let mut ends = ends(6);
    let (mut initiator, there, response) = ends.answered();
    for offset in 8..RESPONSE_LEN - 32 {
        let mut forged = response;
        forged[offset] ^= 1;
        let expected = if offset < 12 {
            HandshakeError::WrongReceiver
        } else {
            HandshakeError::Authentication
        };
        let refused = ends.finish(&mut initiator, &forged).unwrap_err();
        assert_eq!(refused, expected, "{offset}");
    }
    let mut low_order = response;
    low_order[12..44].fill(0);
    assert!(ends.finish(&mut initiator, &low_order).is_err());
    let here = ends.finish(&mut initiator, &response).unwrap();
    assert!(talks(&here, &there));
    assert!(ends.finish(&mut initiator, &response).is_err(), "spent");
}

#[test]
fn a_response_to_another_initiation_does_not_fit() {
    let mut ends = ends(7);
    let (_, _, old) = ends.answered();
    let (mut initiator, there, response) = ends.answered();
    assert!(ends.finish(&mut initiator, &old).is_err());
    let here = ends.finish(&mut initiator, &response).unwrap();
    assert!(talks(&here, &there));
}

#[test]
fn each_answer_to_a_replayed_initiation_has_keys_of_its_own() {
    let mut ends = ends(8);
    let hello = hello(1, offered_ciphers(true));
    let (mut initiator, message) = ends.start(&hello);
    let (first, _) = ends.read(&message).unwrap();
    let (second, _) = ends.read(&message).unwrap();
    let (first, response) = first.respond(&ends.psk, &hello, 1).unwrap();
    let (second, _) = second.respond(&ends.psk, &hello, 2).unwrap();
    let here = ends.finish(&mut initiator, &response).unwrap();
    assert!(talks(&here, &first));
    assert!(!talks(&here, &second));
}

#[test]
fn an_authentic_message_with_a_bad_hello_is_named_as_such() {
    let mut ends = ends(9);
    let (bob, mut payload) = (ends.bob.public(), [0; HELLO_LEN]);
    payload[..3].copy_from_slice(&[1, 0, 1]);
    let (_, message) = initiate(&ends.alice, &bob, &payload, 1, &mut ends.rng).unwrap();
    let refused = ends.read(&message).err();
    assert!(
        matches!(refused, Some(HandshakeError::Hello(_))),
        "{refused:?}"
    );
}

#[test]
fn the_macs_are_no_part_of_the_noise_message() {
    let mut ends = ends(10);
    let (_, mut message) = ends.start(&hello(0, offered_ciphers(true)));
    set_mac1(&mut message, &[1; 16]);
    set_mac2(&mut message, &[2; 16]);
    assert!(ends.read(&message).is_ok());
}
