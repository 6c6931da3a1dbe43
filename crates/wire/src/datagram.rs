//! The outside of a datagram (protocol §1): its kind, and the clear header of transport datagrams.

use crate::handshake::{COOKIE_REPLY_LEN, INITIATION_LEN, RESPONSE_LEN, VERSION};

/// Bytes of the clear header of a transport datagram; they are the AEAD's associated data.
pub const HEADER_LEN: usize = 16;
/// Bytes of the AEAD tag at the end of a transport datagram.
pub const TAG_LEN: usize = 16;
/// What a transport datagram adds to its payload.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// Byte 0 of every datagram.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// First message of a handshake (§1.2).
    Initiation = 1,
    /// Second message of a handshake (§1.3).
    Response = 2,
    /// A loaded responder asks for a proof of the source address (§1.4).
    CookieReply = 3,
    /// Sealed payload (§1.1).
    Transport = 4,
}

/// What `datagram` claims to be. `None` when byte 0 is unknown, when the length is not what the
/// kind allows (exact for handshake messages, at least [`OVERHEAD`] for transport), or when the
/// version of a handshake message is not ours. All of these are dropped without an answer.
#[must_use]
pub fn kind(datagram: &[u8]) -> Option<Kind> {
    let handshake =
        |kind, len| (datagram.len() == len && datagram.get(1) == Some(&VERSION)).then_some(kind);
    match datagram.first()? {
        1 => handshake(Kind::Initiation, INITIATION_LEN),
        2 => handshake(Kind::Response, RESPONSE_LEN),
        3 => handshake(Kind::CookieReply, COOKIE_REPLY_LEN),
        4 => (datagram.len() >= OVERHEAD).then_some(Kind::Transport),
        _ => None,
    }
}

/// The clear header of a transport datagram (§1.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Path id; 0: not assigned yet.
    pub path: u8,
    /// Which data thread of the sender numbered the datagram.
    pub worker: u8,
    /// Names the receiver's key.
    pub receiver: u32,
    /// Packet number of this path and worker.
    pub number: u64,
}

impl Header {
    /// Reads the header of a transport datagram; `None` for another kind or fewer than
    /// [`HEADER_LEN`] bytes. The reserved byte is ignored here; being associated data, it is
    /// authenticated with the rest, so hand the AEAD the bytes as received.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = datagram.first_chunk()?;
        let [kind, path, worker, _reserved, r0, r1, r2, r3, number @ ..] = *header;
        (kind == Kind::Transport as u8).then_some(Self {
            path,
            worker,
            receiver: u32::from_be_bytes([r0, r1, r2, r3]),
            number: u64::from_be_bytes(number),
        })
    }

    /// The header's bytes: the start of the datagram, and the AEAD's associated data.
    #[must_use]
    pub const fn encode(&self) -> [u8; HEADER_LEN] {
        let [r0, r1, r2, r3] = self.receiver.to_be_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.number.to_be_bytes();
        let kind = Kind::Transport as u8;
        [
            kind,
            self.path,
            self.worker,
            0,
            r0,
            r1,
            r2,
            r3,
            n0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            n7,
        ]
    }

    /// The AEAD nonce: two zero bytes, worker, path id, packet number.
    #[must_use]
    pub const fn nonce(&self) -> [u8; 12] {
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.number.to_be_bytes();
        [0, 0, self.worker, self.path, n0, n1, n2, n3, n4, n5, n6, n7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn header_bytes_are_those_of_the_protocol_page() {
        let header = Header {
            path: 7,
            worker: 1,
            receiver: 0x0102_0304,
            number: 0x0506,
        };
        let bytes = [4, 7, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 5, 6];
        assert_eq!(header.encode(), bytes);
        assert_eq!(header.nonce(), [0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 5, 6]);
        assert_eq!(Header::parse(&bytes), Some(header));
        assert_eq!(Header::parse(&bytes[..15]), None);
    }

    #[test]
    fn kinds_and_their_lengths() {
        let message = |kind: u8, version: u8, len: usize| {
            let mut bytes = vec![0; len];
            bytes[0] = kind;
            bytes[1] = version;
            bytes
        };
        for (byte, version, len, expected) in [
            (1, 1, 648, Some(Kind::Initiation)),
            (1, 1, 647, None),
            (1, 1, 649, None),
            (1, 2, 648, None),
            (2, 1, 604, Some(Kind::Response)),
            (2, 1, 648, None),
            (2, 0, 604, None),
            (3, 1, 64, Some(Kind::CookieReply)),
            (3, 1, 65, None),
            (4, 200, 32, Some(Kind::Transport)),
            (4, 0, 31, None),
            (0, 1, 648, None),
            (5, 1, 648, None),
        ] {
            assert_eq!(
                kind(&message(byte, version, len)),
                expected,
                "{byte} {version} {len}"
            );
        }
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&[1]), None);
    }

    proptest! {
        #[test]
        fn header_round_trip(path: u8, worker: u8, receiver: u32, number: u64) {
            let header = Header { path, worker, receiver, number };
            prop_assert_eq!(Header::parse(&header.encode()), Some(header));
        }

        #[test]
        fn hostile_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = kind(&bytes);
            let _ = Header::parse(&bytes);
        }
    }
}
