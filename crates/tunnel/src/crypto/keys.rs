//! X25519 static keys and the pre-shared key, 32 bytes each.

use std::fmt;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::noise;

/// An X25519 public key (RFC 7748 §6.1): a node's identity. Ordered bytewise, which settles
/// simultaneous handshakes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these 32 bytes (little-endian u-coordinate); any value is taken.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, as they go over the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// An X25519 private key, clamped, together with its public key. Wiped when dropped.
#[derive(Clone)]
pub struct PrivateKey {
    secret: Zeroizing<[u8; 32]>,
    /// Kept, since it is asked for at every handshake and costs a scalar multiplication.
    public: PublicKey,
}

impl PrivateKey {
    /// Takes 32 secret bytes and clamps them (RFC 7748 §5), so that the same key prints the same
    /// everywhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut secret = Zeroizing::new(bytes);
        secret[0] &= 0xf8;
        secret[31] = (secret[31] & 0x7f) | 0x40;
        let public = PublicKey(noise::public_of(&secret));
        Self { secret, public }
    }

    /// A fresh key from the caller's generator.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self::from_bytes(*bytes)
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The secret bytes, for writing a key file. Never for a log.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// The optional key two peers share beforehand; all zero where none is configured. Wiped when
/// dropped.
#[derive(Clone, Default)]
pub struct PresharedKey(Zeroizing<[u8; 32]>);

impl PresharedKey {
    /// The key with these 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fresh key from the caller's generator.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut key = Self::default();
        rng.fill_bytes(key.0.as_mut_slice());
        key
    }

    /// The secret bytes, for writing a key file. Never for a log.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rng::ForwardSecretRng;

    #[test]
    fn public_key_of_rfc_7748_section_5_2() {
        // The first iteration of the RFC's test: scalar 9 times the base point 9.
        let mut nine = [0; 32];
        nine[0] = 9;
        let expected = [
            0x42, 0x2c, 0x8e, 0x7a, 0x62, 0x27, 0xd7, 0xbc, 0xa1, 0x35, 0x0b, 0x3e, 0x2b, 0xb7,
            0x27, 0x9f, 0x78, 0x97, 0xb8, 0x7b, 0xb6, 0x85, 0x4b, 0x78, 0x3c, 0x60, 0xe8, 0x03,
            0x11, 0xae, 0x30, 0x79,
        ];
        assert_eq!(PrivateKey::from_bytes(nine).public().as_bytes(), &expected);
    }

    #[test]
    fn clamping_is_canonical() {
        let key = PrivateKey::from_bytes([0xff; 32]);
        assert_eq!(key.as_bytes()[0], 0xf8);
        assert_eq!(key.as_bytes()[31], 0x7f);
        assert_eq!(
            PrivateKey::from_bytes(*key.as_bytes()).public(),
            key.public()
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = PrivateKey::generate(&mut ForwardSecretRng::from_seed([1; 32]));
        let secret = format!("{:02x}{:02x}", key.as_bytes()[0], key.as_bytes()[1]);
        let public = key.public();
        assert_eq!(
            format!("{key:?}"),
            format!("PrivateKey {{ public: {public:?}, .. }}")
        );
        assert!(!format!("{key:?}").contains(&secret));
        assert_eq!(
            format!("{:?}", PresharedKey::from_bytes([7; 32])),
            "PresharedKey(…)"
        );
        let debug = format!("{:?}", PublicKey::from_bytes([0xab; 32]));
        assert_eq!(debug, "PublicKey(abababab…)");
    }
}
