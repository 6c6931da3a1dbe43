//! Sealing and opening transport datagrams (`docs/protocol.md` §1.1 and §1.5).

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use super::engine::Engine;

/// Bytes of an AEAD tag, with either cipher.
pub const TAG_LEN: usize = 16;

/// This build encrypts and authenticates nothing: it is for the bench, to show what the cipher costs
/// (`--cfg ropewalk_null_cipher`). It and a proper build refuse each other's datagrams.
pub const NULL_CIPHER: bool = cfg!(ropewalk_null_cipher);

/// The transport cipher, picked by the responder for each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// AES-256-GCM (NIST SP 800-38D): the fastest where the processor has AES instructions.
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439): fast, and in constant time, everywhere.
    ChaCha20Poly1305,
}

impl Cipher {
    /// The name in metrics and in the label that derives the key.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Aes256Gcm => b"ropewalk 1 aes-256-gcm",
            Self::ChaCha20Poly1305 => b"ropewalk 1 chacha20-poly1305",
        }
    }
}

/// Whether this processor has instructions for AES and for GCM's multiplication: then AES-256-GCM
/// is worth preferring.
#[must_use]
pub fn aes_in_hardware() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// The AEAD key of one direction, from that direction's half of Noise's `Split()`: HKDF-SHA256 (RFC
/// 5869) with an empty salt and the cipher's own label, so that the two ciphers never share a key.
#[must_use]
pub fn derive(split_key: &[u8; 32], cipher: Cipher) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let secret = Salt::new(HKDF_SHA256, &[]).extract(split_key);
    // HKDF refuses only more than 255 blocks of output; this is one.
    let info = [cipher.label()];
    let output = secret
        .expand(&info, KeyLen)
        .expect("one block is within HKDF's limit");
    output
        .fill(key.as_mut_slice())
        .expect("the output is exactly as long as asked for");
    key
}

struct KeyLen;

impl KeyType for KeyLen {
    fn len(&self) -> usize {
        32
    }
}

/// The key of the sending direction. It is wiped when freed.
pub struct SealingKey {
    key: Engine,
    cipher: Cipher,
}

impl SealingKey {
    /// Schedules a derived 32-byte key (see [`derive()`]).
    #[must_use]
    pub fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        Self {
            key: Engine::new(cipher, key),
            cipher,
        }
    }

    /// The cipher in use.
    #[must_use]
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Encrypts `data` in place and returns the tag, which goes behind it; `aad` is the clear
    /// header. The caller never repeats a nonce under one key: it is path, worker and packet
    /// number.
    ///
    /// # Panics
    /// With 64 GiB of data or more, which no datagram has.
    #[must_use]
    pub fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG_LEN] {
        if NULL_CIPHER {
            return [0; TAG_LEN];
        }
        let sealed = self.key.seal(nonce, aad, data);
        sealed.expect("a datagram is shorter than the cipher's limit")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey")
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

/// The key of the receiving direction. It is wiped when freed.
pub struct OpeningKey {
    key: Engine,
    cipher: Cipher,
}

/// The datagram is not authentic: changed on the way, made by a stranger, or under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the datagram does not authenticate")]
pub struct OpenError;

impl OpeningKey {
    /// Schedules a derived 32-byte key (see [`derive()`]).
    #[must_use]
    pub fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        Self {
            key: Engine::new(cipher, key),
            cipher,
        }
    }

    /// The cipher in use.
    #[must_use]
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Decrypts `data_and_tag` in place and returns the plaintext, 16 bytes shorter.
    ///
    /// # Errors
    /// [`OpenError`] when the tag does not fit, or nothing as long as a tag is there; the buffer's
    /// content is then undefined.
    pub fn open<'a>(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        data_and_tag: &'a mut [u8],
    ) -> Result<&'a mut [u8], OpenError> {
        if NULL_CIPHER {
            let (data, tag) = data_and_tag
                .split_last_chunk_mut::<TAG_LEN>()
                .ok_or(OpenError)?;
            return (*tag == [0; TAG_LEN]).then_some(data).ok_or(OpenError);
        }
        self.key
            .open(nonce, aad, data_and_tag)
            .map_err(|_| OpenError)
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningKey")
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIPHERS: [Cipher; 2] = [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305];

    #[test]
    fn what_is_sealed_opens_and_nothing_else() {
        for cipher in CIPHERS {
            let key = derive(&[9; 32], cipher);
            let (sealing, opening) = (SealingKey::new(cipher, &key), OpeningKey::new(cipher, &key));
            let mut sealed = *b"an Ethernet frame...............";
            let tag = sealing.seal([3; 12], b"head", &mut sealed[..16]);
            sealed[16..].copy_from_slice(&tag);
            for bit in 0..sealed.len() * 8 {
                let mut forged = sealed;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(opening.open([3; 12], b"head", &mut forged), Err(OpenError));
            }
            assert_eq!(
                opening.open([4; 12], b"head", &mut sealed.clone()),
                Err(OpenError)
            );
            assert_eq!(
                opening.open([3; 12], b"heaD", &mut sealed.clone()),
                Err(OpenError)
            );
            assert_eq!(
                opening.open([3; 12], b"head", &mut sealed.to_vec()[..15]),
                Err(OpenError)
            );
            assert_eq!(
                opening.open([3; 12], b"head", &mut sealed).unwrap(),
                b"an Ethernet fram"
            );
        }
    }

    #[test]
    fn derived_keys_known_answers() {
        // HKDF-SHA256 of 32 × 0x09, computed with Python's `hmac`: the first eight bytes.
        for (cipher, expected) in [
            (Cipher::Aes256Gcm, 0xaad6_ca1c_0951_dbd3_u64),
            (Cipher::ChaCha20Poly1305, 0x450e_647c_118d_5618),
        ] {
            assert_eq!(derive(&[9; 32], cipher)[..8], expected.to_be_bytes());
        }
    }

    #[test]
    fn an_empty_payload_is_only_a_tag() {
        for cipher in CIPHERS {
            let mut tag = SealingKey::new(cipher, &[1; 32]).seal([0; 12], b"", &mut []);
            let opening = OpeningKey::new(cipher, &[1; 32]);
            assert!(opening.open([0; 12], b"", &mut tag).unwrap().is_empty());
            assert_eq!(opening.open([0; 12], b"", &mut []), Err(OpenError));
        }
    }

    #[test]
    fn debug_shows_only_the_cipher() {
        let key = SealingKey::new(Cipher::Aes256Gcm, &[1; 32]);
        assert_eq!(format!("{key:?}"), "SealingKey { cipher: Aes256Gcm, .. }");
    }
}
