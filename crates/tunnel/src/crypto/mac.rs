//! mac1 and mac2 of handshake messages, on the sender's side (`docs/protocol.md` §1.4).
//!
//! mac1 shows that the sender knows whom it talks to, so a scanner gets silence; mac2 shows that it
//! receives at the address it sends from.

use std::fmt;
use std::time::{Duration, Instant};

use blake2::digest::consts::U16;
use blake2::digest::{Digest, KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac};
use wire::datagram::{Kind, kind};
use wire::handshake::{CookieReply, MAC_LEN, before_mac1, before_mac2, set_mac1, set_mac2};
use zeroize::Zeroizing;

use super::aead::{Cipher, OpeningKey};
use super::keys::PublicKey;

/// How long a cookie is good, for the one who got it. The responder takes it for longer.
pub const COOKIE_LIFETIME: Duration = Duration::from_secs(120);

/// Initiations remembered, so that a cookie reply still counts when later ones went out before it
/// came back.
const REMEMBERED: usize = 4;

/// BLAKE2s-256 over a label and what follows it.
pub(super) fn labelled_hash(label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2s256::new_with_prefix(label);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// BLAKE2s-128 (RFC 7693) with a key of 1–32 bytes over `message`.
pub(super) fn keyed_hash(key: &[u8], message: &[u8]) -> [u8; MAC_LEN] {
    keyed(key)
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

/// Compares in constant time.
pub(super) fn keyed_hash_is(key: &[u8], message: &[u8], expected: &[u8; MAC_LEN]) -> bool {
    keyed(key)
        .chain_update(message)
        .verify_slice(expected)
        .is_ok()
}

fn keyed(key: &[u8]) -> Blake2sMac<U16> {
    Blake2sMac::new_from_slice(key).expect("BLAKE2s takes keys of up to 32 bytes")
}

/// The key of every mac1 sent to `receiver`.
pub(super) fn mac1_key(receiver: &PublicKey) -> [u8; 32] {
    labelled_hash(b"ropewalk mac1", &[receiver.as_bytes()])
}

/// The key that seals a cookie; the nonce is random and used once, so the AEAD's own nonce can be
/// zero.
pub(super) fn cookie_key(responder: &PublicKey, nonce: &[u8; 24]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(labelled_hash(
        b"ropewalk cookie",
        &[responder.as_bytes(), nonce],
    ))
}

/// Why a cookie reply was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieReplyError {
    /// Not a cookie reply by its length and version.
    #[error("not a cookie reply")]
    Malformed,
    /// It answers none of the last initiations, or someone else made it.
    #[error("the cookie reply does not authenticate")]
    Forged,
}

/// Fills in the two MACs of messages to one peer. A cookie belongs to the sender's address as the
/// peer sees it, so a peer reached over several paths needs one generator for each of them.
#[derive(Clone)]
pub struct MacGenerator {
    remote: PublicKey,
    mac1_key: [u8; 32],
    cookie: Option<Cookie>,
    /// mac1 of the last initiations sent, the newest first.
    sent: [Option<[u8; MAC_LEN]>; REMEMBERED],
}

#[derive(Clone)]
struct Cookie {
    value: Zeroizing<[u8; 16]>,
    received: Instant,
}

impl MacGenerator {
    /// For messages to `remote`.
    #[must_use]
    pub fn new(remote: &PublicKey) -> Self {
        let mac1_key = mac1_key(remote);
        Self {
            remote: *remote,
            mac1_key,
            cookie: None,
            sent: [None; REMEMBERED],
        }
    }

    /// Writes mac1 and mac2 into a whole initiation or response, mac2 zero without a fresh cookie,
    /// and remembers an initiation's mac1 for the cookie reply it may get. Other bytes are left
    /// alone.
    pub fn fill(&mut self, message: &mut [u8], now: Instant) {
        let kind = kind(message);
        if !matches!(kind, Some(Kind::Initiation | Kind::Response)) {
            return;
        }
        let mac1 = keyed_hash(&self.mac1_key, before_mac1(message));
        set_mac1(message, &mac1);
        let mac2 = match self.fresh_cookie(now) {
            Some(cookie) => keyed_hash(cookie, before_mac2(message)),
            None => [0; MAC_LEN],
        };
        set_mac2(message, &mac2);
        // The same message may go out again; it needs no second place.
        if kind == Some(Kind::Initiation) && self.sent[0] != Some(mac1) {
            self.sent.rotate_right(1);
            self.sent[0] = Some(mac1);
        }
    }

    /// Takes the cookie out of a whole cookie reply, for the messages from now on. It is not a
    /// reason to send one at once: a forger could then make us send.
    ///
    /// # Errors
    /// [`CookieReplyError`]; nothing changes then.
    pub fn consume_cookie_reply(
        &mut self,
        reply: &[u8],
        now: Instant,
    ) -> Result<(), CookieReplyError> {
        let reply = CookieReply::parse(reply).ok_or(CookieReplyError::Malformed)?;
        let key = cookie_key(&self.remote, reply.nonce);
        let key = OpeningKey::new(Cipher::ChaCha20Poly1305, &key);
        for slot in &mut self.sent {
            let Some(mac1) = slot else { continue };
            let mut sealed = Zeroizing::new(*reply.sealed);
            let Ok(plain) = key.open([0; 12], mac1, sealed.as_mut_slice()) else {
                continue;
            };
            let Some(value) = plain.first_chunk() else {
                continue;
            };
            self.cookie = Some(Cookie {
                value: Zeroizing::new(*value),
                received: now,
            });
            // One reply for each initiation: the same one again must not make an old cookie look
            // new.
            *slot = None;
            return Ok(());
        }
        Err(CookieReplyError::Forged)
    }

    fn fresh_cookie(&self, now: Instant) -> Option<&[u8]> {
        let cookie = self.cookie.as_ref()?;
        let age = now.saturating_duration_since(cookie.received);
        (age < COOKIE_LIFETIME).then_some(cookie.value.as_slice())
    }
}

impl fmt::Debug for MacGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MacGenerator")
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wire::handshake::Initiation;

    use super::*;

    fn origin() -> Instant {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// An initiation with a fixed pattern in it, and the public key 00 01 02 … 1f: the values below
    /// were computed with Python's `hashlib` and `cryptography`.
    fn sample() -> ([u8; 648], PublicKey) {
        let mut message = Initiation::assemble(0, &[0; 608]);
        for (index, byte) in message.iter_mut().enumerate().take(616).skip(4) {
            *byte = (index * 7) as u8;
        }
        (
            message,
            PublicKey::from_bytes(std::array::from_fn(|index| index as u8)),
        )
    }

    fn sample_reply() -> [u8; 64] {
        let nonce: [u8; 24] = std::array::from_fn(|index| 0x80 + index as u8);
        let sealed = [
            0xd3, 0x6b, 0x60, 0x9d, 0x96, 0x56, 0x4e, 0x49, 0xd8, 0x7b, 0xe6, 0xe9, 0x5e, 0x21,
            0xcc, 0x36, 0x54, 0x18, 0xec, 0x08, 0xa5, 0xe6, 0xe1, 0x14, 0x37, 0x9c, 0x4e, 0x30,
            0x75, 0xc7, 0x2c, 0x6b,
        ];
        CookieReply::assemble(0, &nonce, &sealed)
    }

    #[test]
    fn known_answers() {
        let ((mut message, remote), now) = (sample(), origin());
        let mut generator = MacGenerator::new(&remote);
        generator.fill(&mut message, now);
        assert_eq!(hex(&message[616..632]), "4d61008f75abba44f359fefe9fb3c097");
        assert_eq!(message[632..], [0; 16]);

        generator
            .consume_cookie_reply(&sample_reply(), now)
            .unwrap();
        generator.fill(&mut message, now);
        assert_eq!(hex(&message[616..632]), "4d61008f75abba44f359fefe9fb3c097");
        assert_eq!(hex(&message[632..]), "c2ebe4cecaa56dc10e73ee643bb8640c");
    }

    #[test]
    fn a_cookie_ends_after_120_seconds_and_comes_once() {
        let ((mut message, remote), now) = (sample(), origin());
        let mut generator = MacGenerator::new(&remote);
        let early = generator.consume_cookie_reply(&sample_reply(), now);
        assert_eq!(early, Err(CookieReplyError::Forged));
        generator.fill(&mut message, now);
        generator
            .consume_cookie_reply(&sample_reply(), now)
            .unwrap();
        let again = generator.consume_cookie_reply(&sample_reply(), now);
        assert_eq!(again, Err(CookieReplyError::Forged));
        generator.fill(
            &mut message,
            now + COOKIE_LIFETIME - Duration::from_nanos(1),
        );
        assert_ne!(message[632..], [0; 16]);
        generator.fill(&mut message, now + COOKIE_LIFETIME);
        assert_eq!(message[632..], [0; 16]);
    }

    #[test]
    fn a_reply_to_one_of_the_last_initiations_counts_and_an_altered_one_does_not() {
        let ((mut message, remote), now) = (sample(), origin());
        let mut generator = MacGenerator::new(&remote);
        generator.fill(&mut message, now);
        for later in 1..REMEMBERED as u8 {
            message[100] = later;
            generator.fill(&mut message, now);
        }
        for offset in (0..2).chain(8..64) {
            let mut forged = sample_reply();
            forged[offset] ^= 0x10;
            assert!(
                generator.consume_cookie_reply(&forged, now).is_err(),
                "{offset}"
            );
        }
        let mut late = generator.clone();
        generator
            .consume_cookie_reply(&sample_reply(), now)
            .unwrap();
        message[100] = 0x80;
        late.fill(&mut message, now);
        assert!(late.consume_cookie_reply(&sample_reply(), now).is_err());
    }

    #[test]
    fn other_bytes_are_left_alone() {
        let (_, remote) = sample();
        let mut bytes = [1; 100];
        MacGenerator::new(&remote).fill(&mut bytes, origin());
        assert_eq!(bytes, [1; 100]);
    }
}
