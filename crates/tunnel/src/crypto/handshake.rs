//! The handshake as pure functions (`docs/protocol.md` §1.2, §1.3, §1.5): initiator and responder,
//! each ending in an [`Established`] pair of transport keys.
//!
//! What must come first lies elsewhere: [`Gate`](super::Gate) checks the MACs before
//! [`Responder::read`], and [`MacGenerator`](super::MacGenerator) fills them into what goes out.

use rand::CryptoRng;
use wire::handshake::{
    INITIATION_LEN, INITIATION_NOISE_LEN, Initiation, RESPONSE_LEN, RESPONSE_NOISE_LEN, Response,
};
use wire::hello::{
    CIPHER_AES_256_GCM, CIPHER_CHACHA20_POLY1305, CIPHER_PREFER_AES, HELLO_LEN, Hello,
};
use wire::malformed::Malformed;

use super::aead::{Cipher, OpeningKey, SealingKey, derive};
use super::keys::{PresharedKey, PrivateKey, PublicKey};
use super::noise::Noise;

/// Why a handshake message is dropped, always without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Noise refused it: another key, another pre-shared key, or altered on the way.
    #[error("the handshake message does not authenticate")]
    Authentication,
    /// It is authentic but its Hello cannot be read: a fault of the peer.
    #[error("the peer's hello is malformed: {0}")]
    Hello(Malformed),
    /// The response is for another initiation.
    #[error("the response answers another initiation")]
    WrongReceiver,
    /// The response names another generation than the initiation did.
    #[error("the response is for another key generation")]
    WrongGeneration,
    /// The ends have no cipher in common, or the responder chose one that was not offered.
    #[error("no cipher in common")]
    NoCommonCipher,
    /// The remote public key lies in a small subgroup, so no secret can be shared with it.
    #[error("the remote public key is unusable")]
    UnusableKey,
}

/// Two ends that share keys.
#[derive(Debug)]
pub struct Established {
    /// Seals what we send. A responder does so only once something was opened under these keys.
    pub sealing: SealingKey,
    /// Opens what we receive.
    pub opening: OpeningKey,
    /// The cipher of both directions.
    pub cipher: Cipher,
    /// The receiver index in what we get.
    pub local_index: u32,
    /// The receiver index in what we send.
    pub remote_index: u32,
    /// What the peer told about itself.
    pub remote_hello: Hello,
    /// Whether we sent the initiation.
    pub initiator: bool,
    /// The number of this key in the session, as the initiation gave it.
    pub generation: u32,
}

/// The value of [`Hello::ciphers`] for an end that has both ciphers, as this implementation does;
/// `prefers_aes` where AES is done in hardware ([`aes_in_hardware`](super::aes_in_hardware)).
#[must_use]
pub const fn offered_ciphers(prefers_aes: bool) -> u8 {
    CIPHER_AES_256_GCM | CIPHER_CHACHA20_POLY1305 | if prefers_aes { CIPHER_PREFER_AES } else { 0 }
}

/// The end that sent an initiation and waits for its response.
pub struct Initiator {
    noise: Noise,
    sender_index: u32,
    generation: u32,
    offered: u8,
}

impl Initiator {
    /// Makes an initiation to `remote`, 648 bytes with both MACs still zero. `sender_index` is
    /// where the response comes back to; `hello` says what we are. The generator gives the
    /// ephemeral key.
    ///
    /// # Errors
    /// [`HandshakeError::UnusableKey`].
    pub fn start<R: CryptoRng + ?Sized>(
        local: &PrivateKey,
        remote: &PublicKey,
        hello: &Hello,
        sender_index: u32,
        rng: &mut R,
    ) -> Result<(Self, [u8; INITIATION_LEN]), HandshakeError> {
        let payload = hello.encode();
        let (noise, message) = initiate(local, remote, &payload, sender_index, rng)?;
        let (generation, offered) = (hello.generation, hello.ciphers);
        Ok((
            Self {
                noise,
                sender_index,
                generation,
                offered,
            },
            message,
        ))
    }

    /// The index the initiation carried.
    #[must_use]
    pub const fn sender_index(&self) -> u32 {
        self.sender_index
    }

    /// Reads the response. A forged one changes nothing: keep the initiator, the true one can still
    /// come. After `Ok`, and after an authentic response with a fault in it, the initiator is spent
    /// and answers [`HandshakeError::Authentication`].
    ///
    /// # Errors
    /// [`HandshakeError`] other than [`HandshakeError::UnusableKey`].
    pub fn finish(
        &mut self,
        response: &Response<'_>,
        psk: &PresharedKey,
    ) -> Result<Established, HandshakeError> {
        if response.receiver != self.sender_index {
            return Err(HandshakeError::WrongReceiver);
        }
        let mut payload = [0; HELLO_LEN];
        self.noise
            .set_psk(psk)
            .map_err(|_| HandshakeError::Authentication)?;
        let read = self.noise.read(response.noise, &mut payload);
        read.map_err(|_| HandshakeError::Authentication)?;
        let remote_hello = Hello::decode(&payload).map_err(HandshakeError::Hello)?;
        if remote_hello.generation != self.generation {
            return Err(HandshakeError::WrongGeneration);
        }
        let cipher = chosen(remote_hello.ciphers, self.offered)?;
        let indexes = (self.sender_index, response.sender);
        establish(&mut self.noise, cipher, indexes, remote_hello, true)
    }
}

/// What an authentic initiation says. It may be a replay of an old one:
/// [`InitiationLimiter`](super::InitiationLimiter) bounds the work, and nothing gives way to it
/// before the new keys are confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it. Whether that is a configured peer is for the caller to know.
    pub remote: PublicKey,
    /// What the sender told about itself.
    pub hello: Hello,
    /// Where its response goes.
    pub sender_index: u32,
}

/// The end that read an initiation and has yet to answer it. Dropping it instead is silence.
pub struct Responder {
    noise: Noise,
    remote_index: u32,
    remote_hello: Hello,
}

impl Responder {
    /// Reads an initiation whose MACs were checked. The generator gives our ephemeral key.
    ///
    /// # Errors
    /// [`HandshakeError::Authentication`] or [`HandshakeError::Hello`].
    pub fn read<R: CryptoRng + ?Sized>(
        local: &PrivateKey,
        initiation: &Initiation<'_>,
        rng: &mut R,
    ) -> Result<(Self, Received), HandshakeError> {
        let forged = |_| HandshakeError::Authentication;
        let mut noise = Noise::responder(local, rng).map_err(forged)?;
        let mut payload = [0; HELLO_LEN];
        noise.read(initiation.noise, &mut payload).map_err(forged)?;
        let remote = noise.remote().ok_or(HandshakeError::Authentication)?;
        let hello = Hello::decode(&payload).map_err(HandshakeError::Hello)?;
        let remote_index = initiation.sender;
        let received = Received {
            remote,
            hello: hello.clone(),
            sender_index: remote_index,
        };
        Ok((
            Self {
                noise,
                remote_index,
                remote_hello: hello,
            },
            received,
        ))
    }

    /// Makes the response, 604 bytes with both MACs still zero. `sender_index` is where datagrams
    /// under the new keys come to. `hello` is ours; its ciphers become the chosen one and its
    /// generation the initiation's, while its `ciphers` as given say what we have
    /// ([`offered_ciphers`]).
    ///
    /// # Errors
    /// [`HandshakeError::NoCommonCipher`], and [`HandshakeError::Authentication`] when the
    /// initiation's ephemeral key is unusable.
    pub fn respond(
        mut self,
        psk: &PresharedKey,
        hello: &Hello,
        sender_index: u32,
    ) -> Result<(Established, [u8; RESPONSE_LEN]), HandshakeError> {
        let cipher = choose(hello.ciphers, self.remote_hello.ciphers)?;
        let mut hello = hello.clone();
        hello.ciphers = bit(cipher);
        hello.generation = self.remote_hello.generation;
        let mut noise = [0; RESPONSE_NOISE_LEN];
        let failed = |_| HandshakeError::Authentication;
        self.noise.set_psk(psk).map_err(failed)?;
        self.noise
            .write(&hello.encode(), &mut noise)
            .map_err(failed)?;
        let message = Response::assemble(sender_index, self.remote_index, &noise);
        let indexes = (sender_index, self.remote_index);
        let established = establish(&mut self.noise, cipher, indexes, self.remote_hello, false)?;
        Ok((established, message))
    }
}

/// The first message, with any payload.
pub(super) fn initiate<R: CryptoRng + ?Sized>(
    local: &PrivateKey,
    remote: &PublicKey,
    payload: &[u8; HELLO_LEN],
    sender_index: u32,
    rng: &mut R,
) -> Result<(Noise, [u8; INITIATION_LEN]), HandshakeError> {
    let unusable = |_| HandshakeError::UnusableKey;
    let mut noise = Noise::initiator(local, remote, rng).map_err(unusable)?;
    let mut first = [0; INITIATION_NOISE_LEN];
    noise.write(payload, &mut first).map_err(unusable)?;
    Ok((noise, Initiation::assemble(sender_index, &first)))
}

/// Turns a finished handshake into transport keys. `indexes`: ours, then the peer's.
fn establish(
    noise: &mut Noise,
    cipher: Cipher,
    indexes: (u32, u32),
    remote_hello: Hello,
    initiator: bool,
) -> Result<Established, HandshakeError> {
    let (there, back) = noise.split().ok_or(HandshakeError::Authentication)?;
    let (sealing, opening) = if initiator {
        (there, back)
    } else {
        (back, there)
    };
    Ok(Established {
        sealing: SealingKey::new(cipher, &derive(&sealing, cipher)),
        opening: OpeningKey::new(cipher, &derive(&opening, cipher)),
        cipher,
        local_index: indexes.0,
        remote_index: indexes.1,
        generation: remote_hello.generation,
        remote_hello,
        initiator,
    })
}

const fn bit(cipher: Cipher) -> u8 {
    match cipher {
        Cipher::Aes256Gcm => CIPHER_AES_256_GCM,
        Cipher::ChaCha20Poly1305 => CIPHER_CHACHA20_POLY1305,
    }
}

/// The responder's choice: AES-256-GCM if both prefer it, else ChaCha20-Poly1305.
fn choose(ours: u8, theirs: u8) -> Result<Cipher, HandshakeError> {
    let both = ours & theirs;
    if both & CIPHER_AES_256_GCM != 0 && both & CIPHER_PREFER_AES != 0 {
        Ok(Cipher::Aes256Gcm)
    } else if both & CIPHER_CHACHA20_POLY1305 != 0 {
        Ok(Cipher::ChaCha20Poly1305)
    } else {
        Err(HandshakeError::NoCommonCipher)
    }
}

/// The cipher a response names: exactly one, and one of those offered.
fn chosen(named: u8, offered: u8) -> Result<Cipher, HandshakeError> {
    let cipher = match named & (CIPHER_AES_256_GCM | CIPHER_CHACHA20_POLY1305) {
        CIPHER_AES_256_GCM => Cipher::Aes256Gcm,
        CIPHER_CHACHA20_POLY1305 => Cipher::ChaCha20Poly1305,
        _ => return Err(HandshakeError::NoCommonCipher),
    };
    let was_offered = bit(cipher) & offered != 0;
    if was_offered {
        Ok(cipher)
    } else {
        Err(HandshakeError::NoCommonCipher)
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
