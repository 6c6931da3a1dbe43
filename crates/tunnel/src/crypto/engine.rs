//! The two libraries that do the transport ciphers, and which of them is faster here.
//!
//! On a datagram of 1400 bytes both spend nearly all time in AES-GCM itself. aws-lc has code for processors with AVX-512, ring
//! for those with the 256-bit forms of the AES and carry-less multiplication instructions, where it is 1.6 times as fast.

use std::hint::black_box;

use super::{Cipher, aead::TAG_LEN};

/// A key, scheduled for the library that is faster for it on this processor.
pub(super) enum Engine {
    AwsLc(aws_lc_rs::aead::LessSafeKey),
    Ring(Box<RingKey>),
}

/// The cipher's own limit was exceeded, or the tag is wrong.
#[derive(Debug)]
pub(super) struct Failed;

/// Keeps its key in one place in memory, and overwrites it at the end; aws-lc does so by itself.
pub(super) struct RingKey(ring::aead::LessSafeKey);

fn schedule(key: &[u8; 32]) -> ring::aead::LessSafeKey {
    let key = ring::aead::UnboundKey::new(&ring::aead::AES_256_GCM, key);
    ring::aead::LessSafeKey::new(key.expect("a 32-byte key fits AES-256"))
}

impl Drop for RingKey {
    fn drop(&mut self) {
        self.0 = schedule(&[0; 32]);
        // Somebody might look: the overwriting cannot be left out.
        black_box(&self.0);
    }
}

impl Engine {
    /// Schedules `key` for the library that is faster.
    pub(super) fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        match cipher {
            Cipher::Aes256Gcm if ring_is_faster() => Self::ring(key),
            _ => Self::aws_lc(cipher, key),
        }
    }

    /// AES-256-GCM by ring.
    pub(super) fn ring(key: &[u8; 32]) -> Self {
        Self::Ring(Box::new(RingKey(schedule(key))))
    }

    /// Either cipher by aws-lc.
    pub(super) fn aws_lc(cipher: Cipher, key: &[u8; 32]) -> Self {
        let algorithm = match cipher {
            Cipher::Aes256Gcm => &aws_lc_rs::aead::AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &aws_lc_rs::aead::CHACHA20_POLY1305,
        };
        // Both ciphers take 32 bytes, so this fails only where memory is exhausted.
        let key = aws_lc_rs::aead::UnboundKey::new(algorithm, key)
            .expect("a 32-byte key fits both ciphers");
        Self::AwsLc(aws_lc_rs::aead::LessSafeKey::new(key))
    }

    /// Encrypts `data` in place and returns the tag.
    pub(super) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Failed> {
        let mut bytes = [0; TAG_LEN];
        match self {
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), data);
                bytes.copy_from_slice(tag.map_err(|_| Failed)?.as_ref());
            }
            Self::Ring(key) => {
                use ring::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .0
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), data);
                bytes.copy_from_slice(tag.map_err(|_| Failed)?.as_ref());
            }
        }
        Ok(bytes)
    }

    /// Decrypts `data_and_tag` in place and returns the plaintext.
    pub(super) fn open<'a>(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        data_and_tag: &'a mut [u8],
    ) -> Result<&'a mut [u8], Failed> {
        match self {
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, Aad::from(aad), data_and_tag);
                opened.map_err(|_| Failed)
            }
            Self::Ring(key) => {
                use ring::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let opened = key.0.open_in_place(nonce, Aad::from(aad), data_and_tag);
                opened.map_err(|_| Failed)
            }
        }
    }
}

/// Whether this processor has the instructions that ring uses for AES-256-GCM, and not those that aws-lc does.
fn ring_is_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("vaes")
        && std::is_x86_feature_detected!("vpclmulqdq")
        && std::is_x86_feature_detected!("avx2")
        && !std::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_agree() {
        let key = [7; 32];
        let (ours, theirs) = (Engine::ring(&key), Engine::aws_lc(Cipher::Aes256Gcm, &key));
        for len in [0, 1, 15, 16, 17, 255, 256, 1400, 9000] {
            let plaintext: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let (mut a, mut b) = (plaintext.clone(), plaintext.clone());
            let tags = [
                ours.seal([3; 12], b"head", &mut a).unwrap(),
                theirs.seal([3; 12], b"head", &mut b).unwrap(),
            ];
            assert_eq!((&a, tags[0]), (&b, tags[1]), "{len}");
            a.extend(tags[0]);
            let mut b = a.clone();
            assert_eq!(ours.open([3; 12], b"head", &mut b).unwrap(), plaintext);
            assert_eq!(theirs.open([3; 12], b"head", &mut a).unwrap(), plaintext);
        }
    }
}
