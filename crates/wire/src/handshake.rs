//! The fixed layouts of the handshake messages (protocol §1.2–1.4). What is inside of the Noise
//! messages is [`crate::hello`]'s; the cryptography is the tunnel's.

use crate::datagram::{Kind, kind};
use crate::reader::{Reader, Truncated};

/// The one version of the protocol that this implementation speaks.
pub const VERSION: u8 = 1;
/// Bytes of an initiation. Larger than any answer to it, so that nobody can amplify with us.
pub const INITIATION_LEN: usize = 648;
/// Bytes of a response.
pub const RESPONSE_LEN: usize = 604;
/// Bytes of a cookie reply.
pub const COOKIE_REPLY_LEN: usize = 64;
/// Bytes of the first Noise message with its Hello.
pub const INITIATION_NOISE_LEN: usize = 608;
/// Bytes of the second Noise message with its Hello.
pub const RESPONSE_NOISE_LEN: usize = 560;
/// Bytes of mac1 and of mac2.
pub const MAC_LEN: usize = 16;
/// Bytes of a cookie before it is sealed.
pub const COOKIE_LEN: usize = 16;
/// Bytes of a cookie reply's random nonce.
pub const COOKIE_NONCE_LEN: usize = 24;
/// Bytes of a sealed cookie: the cookie and an AEAD tag.
pub const SEALED_COOKIE_LEN: usize = 32;

const COMMON_HEAD_LEN: usize = 4;

/// An initiation, checked for kind, version and length only.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Initiation<'a> {
    /// The index by which the sender will find this handshake and its key.
    pub sender: u32,
    /// The first Noise message.
    pub noise: &'a [u8; INITIATION_NOISE_LEN],
    /// Proof that the sender knows our public key.
    pub mac1: &'a [u8; MAC_LEN],
    /// Proof that the sender has a cookie of ours; zero without one.
    pub mac2: &'a [u8; MAC_LEN],
}

impl<'a> Initiation<'a> {
    /// Reads an initiation; `None` when [`kind`] says it is none.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut reader = body(datagram, Kind::Initiation)?;
        Some(Self {
            sender: reader.u32().ok()?,
            noise: chunk(&mut reader).ok()?,
            mac1: chunk(&mut reader).ok()?,
            mac2: chunk(&mut reader).ok()?,
        })
    }

    /// The whole datagram with both macs zero; follow with [`set_mac1`] and, given a cookie,
    /// [`set_mac2`].
    #[must_use]
    pub fn assemble(sender: u32, noise: &[u8; INITIATION_NOISE_LEN]) -> [u8; INITIATION_LEN] {
        join(Kind::Initiation, &[&sender.to_be_bytes(), noise])
    }
}

/// A response, checked for kind, version and length only.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The index of the responder's new key.
    pub sender: u32,
    /// The initiation's sender index.
    pub receiver: u32,
    /// The second Noise message.
    pub noise: &'a [u8; RESPONSE_NOISE_LEN],
    /// Proof that the sender knows our public key.
    pub mac1: &'a [u8; MAC_LEN],
    /// As in [`Initiation`].
    pub mac2: &'a [u8; MAC_LEN],
}

impl<'a> Response<'a> {
    /// Reads a response; `None` when [`kind`] says it is none.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut reader = body(datagram, Kind::Response)?;
        Some(Self {
            sender: reader.u32().ok()?,
            receiver: reader.u32().ok()?,
            noise: chunk(&mut reader).ok()?,
            mac1: chunk(&mut reader).ok()?,
            mac2: chunk(&mut reader).ok()?,
        })
    }

    /// The whole datagram with both macs zero; see [`Initiation::assemble`].
    #[must_use]
    pub fn assemble(
        sender: u32,
        receiver: u32,
        noise: &[u8; RESPONSE_NOISE_LEN],
    ) -> [u8; RESPONSE_LEN] {
        join(
            Kind::Response,
            &[&sender.to_be_bytes(), &receiver.to_be_bytes(), noise],
        )
    }
}

/// A cookie reply, checked for kind, version and length only.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CookieReply<'a> {
    /// The initiation's sender index.
    pub receiver: u32,
    /// Random; with the responder's public key it makes the sealing key.
    pub nonce: &'a [u8; COOKIE_NONCE_LEN],
    /// The cookie under its AEAD.
    pub sealed: &'a [u8; SEALED_COOKIE_LEN],
}

impl<'a> CookieReply<'a> {
    /// Reads a cookie reply; `None` when [`kind`] says it is none.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut reader = body(datagram, Kind::CookieReply)?;
        Some(Self {
            receiver: reader.u32().ok()?,
            nonce: chunk(&mut reader).ok()?,
            sealed: chunk(&mut reader).ok()?,
        })
    }

    /// The whole datagram.
    #[must_use]
    pub fn assemble(
        receiver: u32,
        nonce: &[u8; COOKIE_NONCE_LEN],
        sealed: &[u8; SEALED_COOKIE_LEN],
    ) -> [u8; COOKIE_REPLY_LEN] {
        join(Kind::CookieReply, &[&receiver.to_be_bytes(), nonce, sealed])
    }
}

/// What mac1 covers: all of an initiation or response before mac1.
#[must_use]
pub fn before_mac1(message: &[u8]) -> &[u8] {
    without_tail(message, 2 * MAC_LEN)
}

/// What mac2 covers: all of an initiation or response before mac2, so mac1 too.
#[must_use]
pub fn before_mac2(message: &[u8]) -> &[u8] {
    without_tail(message, MAC_LEN)
}

/// Puts mac1 into an assembled initiation or response (nothing else has room for it).
pub fn set_mac1(message: &mut [u8], mac: &[u8; MAC_LEN]) {
    let end = message.len().saturating_sub(MAC_LEN);
    if let Some(place) = message
        .get_mut(..end)
        .and_then(|head| head.last_chunk_mut())
    {
        *place = *mac;
    }
}

/// Puts mac2 into an assembled initiation or response.
pub fn set_mac2(message: &mut [u8], mac: &[u8; MAC_LEN]) {
    if let Some(place) = message.last_chunk_mut() {
        *place = *mac;
    }
}

fn without_tail(message: &[u8], tail: usize) -> &[u8] {
    message
        .get(..message.len().saturating_sub(tail))
        .unwrap_or_default()
}

fn body(datagram: &[u8], expected: Kind) -> Option<Reader<'_>> {
    (kind(datagram)? == expected).then_some(())?;
    datagram.get(COMMON_HEAD_LEN..).map(Reader::new)
}

fn chunk<'a, const N: usize>(reader: &mut Reader<'a>) -> Result<&'a [u8; N], Truncated> {
    reader.bytes(N)?.first_chunk().ok_or(Truncated)
}

/// The common head, then `parts`, then zeros.
fn join<const N: usize>(kind: Kind, parts: &[&[u8]]) -> [u8; N] {
    let mut message = [0; N];
    message[..2].copy_from_slice(&[kind as u8, VERSION]);
    let mut at = COMMON_HEAD_LEN;
    for part in parts {
        message[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_those_of_the_protocol_page() {
        let mut message = Initiation::assemble(0x0a0b_0c0d, &[7; INITIATION_NOISE_LEN]);
        set_mac1(&mut message, &[1; MAC_LEN]);
        set_mac2(&mut message, &[2; MAC_LEN]);
        assert_eq!(message[..8], [1, 1, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d]);
        assert_eq!(message[8..616], [7; 608]);
        assert_eq!(message[616..632], [1; 16]);
        assert_eq!(message[632..], [2; 16]);
        assert_eq!(before_mac1(&message), &message[..616]);
        assert_eq!(before_mac2(&message), &message[..632]);

        let mut message = Response::assemble(3, 4, &[8; RESPONSE_NOISE_LEN]);
        set_mac1(&mut message, &[1; MAC_LEN]);
        assert_eq!(message[..12], [2, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4]);
        assert_eq!(message[12..572], [8; 560]);
        assert_eq!(message[572..588], [1; 16]);
        assert_eq!(message[588..], [0; 16]);

        let message = CookieReply::assemble(5, &[6; 24], &[9; 32]);
        assert_eq!(message[..8], [3, 1, 0, 0, 0, 0, 0, 5]);
        assert_eq!(message[8..32], [6; 24]);
        assert_eq!(message[32..], [9; 32]);
        const { assert!(INITIATION_LEN > RESPONSE_LEN && INITIATION_LEN > COOKIE_REPLY_LEN) }
    }

    #[test]
    fn macs_of_something_too_short_are_not_written() {
        let mut short = [5; 15];
        set_mac1(&mut short, &[1; 16]);
        set_mac2(&mut short, &[1; 16]);
        assert_eq!(short, [5; 15]);
        assert_eq!(before_mac1(&short), &[] as &[u8]);
    }

    proptest! {
        #[test]
        fn round_trips(sender: u32, receiver: u32, fill: u8, mac1: [u8; 16], mac2: [u8; 16]) {
            let noise = [fill; INITIATION_NOISE_LEN];
            let mut message = Initiation::assemble(sender, &noise);
            set_mac1(&mut message, &mac1);
            set_mac2(&mut message, &mac2);
            let expected = Initiation { sender, noise: &noise, mac1: &mac1, mac2: &mac2 };
            prop_assert_eq!(Initiation::parse(&message), Some(expected));
            prop_assert_eq!(Response::parse(&message), None);

            let noise = [fill; RESPONSE_NOISE_LEN];
            let mut message = Response::assemble(sender, receiver, &noise);
            set_mac1(&mut message, &mac1);
            set_mac2(&mut message, &mac2);
            let expected = Response { sender, receiver, noise: &noise, mac1: &mac1, mac2: &mac2 };
            prop_assert_eq!(Response::parse(&message), Some(expected));

            let (nonce, sealed) = ([fill; 24], [!fill; 32]);
            let message = CookieReply::assemble(receiver, &nonce, &sealed);
            let expected = CookieReply { receiver, nonce: &nonce, sealed: &sealed };
            prop_assert_eq!(CookieReply::parse(&message), Some(expected));
        }

        #[test]
        fn hostile_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = (before_mac1(&bytes), before_mac2(&bytes));
            let _ = (Initiation::parse(&bytes), Response::parse(&bytes));
            let _ = CookieReply::parse(&bytes);
            set_mac1(&mut bytes, &[0; 16]);
        }
    }
}
