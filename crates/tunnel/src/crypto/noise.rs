//! The one place that knows `snow`: `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` with injected
//! randomness, and with its secrets wiped, which `snow` 0.10 leaves to its user.

use std::cell::Cell;
use std::hint::black_box;

use rand::CryptoRng;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};
use zeroize::{Zeroize, Zeroizing};

use super::keys::{PresharedKey, PrivateKey, PublicKey};

const PATTERN: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"ropewalk 1";
/// Where `psk2` stands in the pattern's name.
const PSK_POSITION: usize = 2;

/// A 32-byte secret.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// A handshake under way.
pub(super) struct Noise {
    /// Boxed, so that it stays in one place, which can be overwritten at the end.
    state: Box<HandshakeState>,
}

impl Noise {
    /// Of the end that speaks first. The generator gives the ephemeral key.
    pub(super) fn initiator<R: CryptoRng + ?Sized>(
        local: &PrivateKey,
        remote: &PublicKey,
        rng: &mut R,
    ) -> Result<Self, Error> {
        let builder = Builder::with_resolver(PATTERN.parse()?, Resolver::boxed(rng))
            .prologue(PROLOGUE)?
            .local_private_key(local.as_bytes())?
            .remote_public_key(remote.as_bytes())?;
        Ok(Self {
            state: Box::new(builder.build_initiator()?),
        })
    }

    /// Of the end that answers.
    pub(super) fn responder<R: CryptoRng + ?Sized>(
        local: &PrivateKey,
        rng: &mut R,
    ) -> Result<Self, Error> {
        let builder = Builder::with_resolver(PATTERN.parse()?, Resolver::boxed(rng))
            .prologue(PROLOGUE)?
            .local_private_key(local.as_bytes())?;
        Ok(Self {
            state: Box::new(builder.build_responder()?),
        })
    }

    /// Sets the pre-shared key, which the second message needs at both ends.
    pub(super) fn set_psk(&mut self, psk: &PresharedKey) -> Result<(), Error> {
        self.state.set_psk(PSK_POSITION, psk.as_bytes())
    }

    /// Writes the next message, which fills `message` exactly.
    pub(super) fn write(&mut self, payload: &[u8], message: &mut [u8]) -> Result<(), Error> {
        let written = self.state.write_message(payload, message)?;
        if written == message.len() {
            Ok(())
        } else {
            Err(Error::Input)
        }
    }

    /// Reads the next message, whose payload fills `payload` exactly. After an error the same
    /// message number can still be read from another try: `snow` rolls its hash and chaining key
    /// back.
    pub(super) fn read(&mut self, message: &[u8], payload: &mut [u8]) -> Result<(), Error> {
        let read = self.state.read_message(message, payload)?;
        if read == payload.len() {
            Ok(())
        } else {
            Err(Error::Input)
        }
    }

    /// The other end's static key, known to the responder once the first message is read.
    pub(super) fn remote(&self) -> Option<PublicKey> {
        let bytes = self.state.get_remote_static()?;
        bytes.try_into().ok().map(PublicKey::from_bytes)
    }

    /// The two keys of `Split()`: initiator to responder, and back. Only after the second message.
    pub(super) fn split(&mut self) -> Option<(Secret, Secret)> {
        if !self.state.is_handshake_finished() {
            return None;
        }
        let (mut there, mut back) = self.state.dangerously_get_raw_split();
        let keys = (Zeroizing::new(there), Zeroizing::new(back));
        there.zeroize();
        back.zeroize();
        Some(keys)
    }
}

impl Drop for Noise {
    /// `snow` keeps the chaining key and the pre-shared key in plain arrays. Moving an empty state
    /// into their place overwrites them, and `black_box` keeps that write from being dropped as
    /// useless. The boxed keys wipe themselves (below); what is left are copies that calls into
    /// `snow` left on the stack.
    fn drop(&mut self) {
        let Ok(params) = "Noise_NN_25519_ChaChaPoly_BLAKE2s".parse() else {
            return;
        };
        let resolver = Box::new(Resolver {
            ephemeral: Cell::new(None),
        });
        if let Ok(empty) = Builder::with_resolver(params, resolver).build_initiator() {
            *self.state = empty;
            black_box(&mut *self.state);
        }
    }
}

/// The X25519 public key of a private one.
pub(super) fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    let mut dh = WipedDh {
        inner: curve25519().expect("snow has X25519 built in"),
        used: false,
    };
    dh.set(secret);
    dh.pubkey().try_into().expect("X25519 keys have 32 bytes")
}

fn curve25519() -> Option<Box<dyn Dh>> {
    DefaultResolver.resolve_dh(&DHChoice::Curve25519)
}

/// `snow`'s own primitives, wrapped so that they wipe their keys, and the caller's randomness.
struct Resolver {
    ephemeral: Cell<Option<Secret>>,
}

impl Resolver {
    fn boxed<R: CryptoRng + ?Sized>(rng: &mut R) -> Box<Self> {
        let mut ephemeral = Zeroizing::new([0; 32]);
        rng.fill_bytes(ephemeral.as_mut_slice());
        Box::new(Self {
            ephemeral: Cell::new(Some(ephemeral)),
        })
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneKey(self.ephemeral.take())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let inner = DefaultResolver.resolve_dh(choice)?;
        Some(Box::new(WipedDh { inner, used: false }))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let inner = DefaultResolver.resolve_cipher(choice)?;
        Some(Box::new(WipedCipher(inner)))
    }
}

/// Randomness for exactly one ephemeral key, which is all a handshake draws; afterwards nothing is
/// left to steal.
struct OneKey(Option<Secret>);

impl Random for OneKey {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let key = self.0.take().ok_or(Error::Rng)?;
        if out.len() != key.len() {
            return Err(Error::Rng);
        }
        out.copy_from_slice(key.as_slice());
        Ok(())
    }
}

/// X25519 that overwrites its private key when dropped and refuses a shared secret of zero (RFC
/// 7748 §6.1).
struct WipedDh {
    inner: Box<dyn Dh>,
    used: bool,
}

impl Dh for WipedDh {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn pub_len(&self) -> usize {
        self.inner.pub_len()
    }

    fn priv_len(&self) -> usize {
        self.inner.priv_len()
    }

    fn set(&mut self, privkey: &[u8]) {
        self.used = true;
        self.inner.set(privkey);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        self.used = true;
        self.inner.generate(rng)
    }

    fn pubkey(&self) -> &[u8] {
        self.inner.pubkey()
    }

    fn privkey(&self) -> &[u8] {
        self.inner.privkey()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        self.inner.dh(pubkey, out)?;
        let zero = out
            .iter()
            .take(self.inner.dh_len())
            .fold(0, |bits, byte| bits | byte)
            == 0;
        if zero { Err(Error::Dh) } else { Ok(()) }
    }
}

impl Drop for WipedDh {
    fn drop(&mut self) {
        if self.used {
            self.inner.set(&[0; 32]);
            black_box(&mut self.inner);
        }
    }
}

/// A handshake cipher that overwrites its key when dropped.
struct WipedCipher(Box<dyn Cipher>);

impl Cipher for WipedCipher {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0.set(key);
    }

    fn encrypt(&self, nonce: u64, aad: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        self.0.encrypt(nonce, aad, plain, out)
    }

    fn decrypt(
        &self,
        nonce: u64,
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        self.0.decrypt(nonce, aad, sealed, out)
    }
}

impl Drop for WipedCipher {
    fn drop(&mut self) {
        self.0.set(&[0; 32]);
        black_box(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rng::ForwardSecretRng;

    #[test]
    fn a_dropped_key_is_overwritten() {
        // A double of the boxed key, so that the test can look at it after the drop of its owner.
        let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        struct Recorder(std::sync::Arc<std::sync::Mutex<Vec<[u8; 32]>>>);
        impl Cipher for Recorder {
            fn name(&self) -> &'static str {
                "recorder"
            }
            fn set(&mut self, key: &[u8; 32]) {
                self.0.lock().unwrap().push(*key);
            }
            fn encrypt(&self, _: u64, _: &[u8], _: &[u8], _: &mut [u8]) -> usize {
                0
            }
            fn decrypt(&self, _: u64, _: &[u8], _: &[u8], _: &mut [u8]) -> Result<usize, Error> {
                Err(Error::Decrypt)
            }
        }
        let mut cipher = WipedCipher(Box::new(Recorder(log.clone())));
        cipher.set(&[7; 32]);
        drop(cipher);
        assert_eq!(*log.lock().unwrap(), [[7; 32], [0; 32]]);
    }

    #[test]
    fn randomness_for_one_key_only() {
        let resolver = Resolver::boxed(&mut ForwardSecretRng::from_seed([1; 32]));
        let mut random = resolver.resolve_rng().unwrap();
        let mut key = [0; 32];
        random.try_fill_bytes(&mut key).unwrap();
        assert_ne!(key, [0; 32]);
        assert!(random.try_fill_bytes(&mut key).is_err());
    }

    #[test]
    fn a_point_of_low_order_is_refused() {
        let mut rng = ForwardSecretRng::from_seed([2; 32]);
        let local = PrivateKey::generate(&mut rng);
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one] {
            let remote = PublicKey::from_bytes(point);
            let mut noise = Noise::initiator(&local, &remote, &mut rng).unwrap();
            assert_eq!(noise.write(&[0; 16], &mut [0; 112]), Err(Error::Dh));
        }
    }

    #[test]
    fn nothing_to_split_before_the_end() {
        let mut rng = ForwardSecretRng::from_seed([2; 32]);
        let local = PrivateKey::generate(&mut rng);
        let mut noise = Noise::initiator(&local, &local.public(), &mut rng).unwrap();
        assert!(noise.split().is_none());
        assert_eq!(noise.remote(), Some(local.public()));
    }
}
