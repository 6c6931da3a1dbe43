//! A seeded generator that cannot be run backwards.

use std::convert::Infallible;

use rand::rngs::ChaCha20Rng;
use rand::{CryptoRng, Rng, SeedableRng, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// A generator that replaces its key at every call (fast key erasure), so that who reads this
/// process's memory later cannot recompute the ephemeral keys of past handshakes: without this, one
/// seed kept for the life of the process would undo forward secrecy. The same seed and the same
/// calls give the same bytes. For keys, tokens and nonces, not for bulk.
pub struct ForwardSecretRng {
    key: Zeroizing<[u8; 32]>,
}

impl ForwardSecretRng {
    /// The generator of this seed, which the caller took from the operating system (or fixed, in a
    /// simulation).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(seed),
        }
    }

    /// An independent generator seeded from this one.
    #[must_use]
    pub fn fork<R: CryptoRng + ?Sized>(parent: &mut R) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        parent.fill_bytes(key.as_mut_slice());
        Self { key }
    }
}

impl TryRng for ForwardSecretRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let mut stream = ChaCha20Rng::from_seed(*self.key);
        stream.fill_bytes(self.key.as_mut_slice());
        stream.fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for ForwardSecretRng {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_from_its_seed_and_forgets_its_past() {
        let mut one = ForwardSecretRng::from_seed([5; 32]);
        let mut two = ForwardSecretRng::from_seed([5; 32]);
        let first = one.next_u64();
        assert_eq!(first, two.next_u64());
        assert_ne!(*one.key, [5; 32]);
        assert_ne!(first, one.next_u64());
        let (mut a, mut b) = (
            ForwardSecretRng::fork(&mut one),
            ForwardSecretRng::fork(&mut one),
        );
        assert_ne!(a.next_u64(), b.next_u64());
    }
}
