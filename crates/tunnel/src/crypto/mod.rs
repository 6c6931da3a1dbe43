//! Keys, the handshake, and what shields it from strangers (`docs/protocol.md` §1).
//!
//! - [`keys`]: X25519 static keys and the pre-shared key.
//! - [`handshake`]: initiator and responder, ending in an [`Established`] pair of transport keys;
//!   below it `noise` is the one place that knows `snow`.
//! - [`aead`]: sealing and opening transport datagrams; [`replay`]: which packet numbers were seen.
//! - [`mac`]: mac1 and mac2 on the sender's side; [`cookie`]: checking them, and answering with
//!   cookies under load.
//! - [`timestamps`]: how often one peer may make us work.
//! - [`rng`]: a generator that cannot be run backwards; [`fuzz`]: entry points that take bytes.
//!
//! Secrets are wiped when dropped, and no `Debug` shows them.

pub mod aead;
mod bucket;
pub mod cookie;
mod engine;
pub mod fuzz;
pub mod handshake;
pub mod keys;
pub mod mac;
mod noise;
pub mod replay;
pub mod rng;
pub mod timestamps;

pub use aead::{Cipher, NULL_CIPHER, OpenError, OpeningKey, SealingKey, aes_in_hardware};
pub use cookie::{Gate, Refusal, Verdict};
pub use handshake::{Established, HandshakeError, Initiator, Received, Responder};
pub use keys::{PresharedKey, PrivateKey, PublicKey};
pub use mac::{CookieReplyError, MacGenerator};
pub use replay::{Replay, ReplayWindow};
pub use rng::ForwardSecretRng;
pub use timestamps::InitiationLimiter;
