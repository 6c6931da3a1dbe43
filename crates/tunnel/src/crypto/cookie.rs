//! The gate in front of the handshake: who may make us multiply on the curve (`docs/protocol.md`
//! §1.4).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::{CryptoRng, Rng};
use wire::datagram::{Kind, kind};
use wire::handshake::{
    COOKIE_REPLY_LEN, CookieReply, Initiation, Response, before_mac1, before_mac2,
};
use zeroize::Zeroizing;

use super::aead::{Cipher, SealingKey};
use super::bucket::TokenBucket;
use super::keys::PublicKey;
use super::mac::{cookie_key, keyed_hash, keyed_hash_is, mac1_key};
use super::rng::ForwardSecretRng;

/// Initiations with a valid mac1 a second, and at once; more are a load. To read so many takes a twelfth of one processor.
pub const LOAD_THRESHOLD: u32 = 500;
/// How long initiations must stay below the threshold until the load is over.
pub const CALM: Duration = Duration::from_secs(1);
/// Cookie replies a second, to everyone together.
pub const MAX_COOKIE_REPLIES: u32 = 10_000;
/// How long the secret behind the cookies is used, and then still accepted.
pub const SECRET_LIFETIME: Duration = Duration::from_secs(120);

/// Under load, initiations a second from one source address, and at once: a cookie proves an
/// address, not good will.
const PER_SOURCE: u32 = 5;
/// Sources share these many buckets by a keyed hash, so the table has a fixed size and nobody can
/// aim at another's.
const SOURCE_BUCKETS: usize = 256;

/// What to do with a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Worth reading.
    Accept,
    /// Send these bytes back to where the message came from, and forget it.
    AnswerWithCookie([u8; COOKIE_REPLY_LEN]),
    /// Drop it silently, and count it under this reason.
    Drop(Refusal),
}

/// Why a handshake message is dropped at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Neither an initiation nor a response by its length and version.
    Malformed,
    /// mac1 is wrong: a stranger, or damaged.
    BadMac1,
    /// Under load, and enough cookie replies went out this second.
    CookieRepliesExhausted,
    /// Under load, and this source used up its share although its cookie is good.
    SourceLimit,
}

impl Refusal {
    /// The name under which the drop is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "handshake-malformed",
            Self::BadMac1 => "handshake-bad-mac1",
            Self::CookieRepliesExhausted => "handshake-cookie-replies-exhausted",
            Self::SourceLimit => "handshake-source-limit",
        }
    }
}

/// Checks the MACs of handshake messages before anything costly is done for them. One for each
/// node.
pub struct Gate {
    local: PublicKey,
    mac1_key: [u8; 32],
    rng: ForwardSecretRng,
    secret: Secret,
    initiations: TokenBucket,
    loaded_until: Option<Instant>,
    replies: TokenBucket,
    sources: Box<[TokenBucket; SOURCE_BUCKETS]>,
    source_key: Zeroizing<[u8; 32]>,
}

impl Gate {
    /// For the node with this public key; secrets come from the caller's generator.
    #[must_use]
    pub fn new<R: CryptoRng + ?Sized>(local: &PublicKey, rng: &mut R) -> Self {
        let mut rng = ForwardSecretRng::fork(rng);
        let mut source_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(source_key.as_mut_slice());
        Self {
            local: *local,
            mac1_key: mac1_key(local),
            rng,
            secret: Secret::default(),
            initiations: TokenBucket::new(LOAD_THRESHOLD, LOAD_THRESHOLD),
            loaded_until: None,
            replies: TokenBucket::new(MAX_COOKIE_REPLIES, MAX_COOKIE_REPLIES),
            sources: Box::new([TokenBucket::new(PER_SOURCE, PER_SOURCE); SOURCE_BUCKETS]),
            source_key,
        }
    }

    /// Judges a whole initiation or response that came from `from`.
    pub fn verify(&mut self, message: &[u8], from: SocketAddr, now: Instant) -> Verdict {
        let mac1 = match kind(message) {
            Some(Kind::Initiation) => Initiation::parse(message).map(|parsed| parsed.mac1),
            Some(Kind::Response) => Response::parse(message).map(|parsed| parsed.mac1),
            _ => None,
        };
        let Some(mac1) = mac1 else {
            return Verdict::Drop(Refusal::Malformed);
        };
        if !keyed_hash_is(&self.mac1_key, before_mac1(message), mac1) {
            return Verdict::Drop(Refusal::BadMac1);
        }
        match Initiation::parse(message) {
            Some(initiation) => self.admit(message, &initiation, from, now),
            // A response must also name an initiation we wait for, so it cannot come in numbers.
            None => Verdict::Accept,
        }
    }

    /// Whether initiations without a cookie are answered with one now.
    #[must_use]
    pub fn is_under_load(&self, now: Instant) -> bool {
        self.loaded_until.is_some_and(|until| now < until)
    }

    fn admit(
        &mut self,
        message: &[u8],
        initiation: &Initiation<'_>,
        from: SocketAddr,
        now: Instant,
    ) -> Verdict {
        if !self.initiations.take(now) {
            self.loaded_until = Some(now + CALM);
        }
        if !self.is_under_load(now) {
            return Verdict::Accept;
        }
        self.secret.renew(&mut self.rng, now);
        if self
            .secret
            .cookies(from)
            .any(|c| keyed_hash_is(&c, before_mac2(message), initiation.mac2))
        {
            return if self.source(from.ip()).take(now) {
                Verdict::Accept
            } else {
                Verdict::Drop(Refusal::SourceLimit)
            };
        }
        if !self.replies.take(now) {
            return Verdict::Drop(Refusal::CookieRepliesExhausted);
        }
        self.reply(initiation, from)
    }

    fn reply(&mut self, initiation: &Initiation<'_>, from: SocketAddr) -> Verdict {
        let mut nonce = [0; 24];
        self.rng.fill_bytes(&mut nonce);
        let key = SealingKey::new(Cipher::ChaCha20Poly1305, &cookie_key(&self.local, &nonce));
        let mut sealed = [0; 32];
        let (cookie, tag) = sealed.split_at_mut(16);
        cookie.copy_from_slice(&cookie_of(&self.secret.current, from));
        tag.copy_from_slice(&key.seal([0; 12], initiation.mac1, cookie));
        Verdict::AnswerWithCookie(CookieReply::assemble(initiation.sender, &nonce, &sealed))
    }

    /// The bucket of a source: an IPv4 address, or an IPv6 /64, which is what one host can be
    /// expected to hold.
    fn source(&mut self, ip: IpAddr) -> &mut TokenBucket {
        let hash = match ip.to_canonical() {
            IpAddr::V4(ip) => keyed_hash(self.source_key.as_slice(), &ip.octets()),
            IpAddr::V6(ip) => keyed_hash(self.source_key.as_slice(), &ip.octets()[..8]),
        };
        &mut self.sources[usize::from(hash[0]) % SOURCE_BUCKETS]
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// What makes cookies ours: without it nobody can compute one for an address.
#[derive(Default)]
struct Secret {
    current: Zeroizing<[u8; 32]>,
    previous: Option<Zeroizing<[u8; 32]>>,
    made: Option<Instant>,
}

impl Secret {
    /// Makes a new secret when it is time. The one before stays good for one lifetime, counted from
    /// when it should have been replaced.
    fn renew<R: Rng>(&mut self, rng: &mut R, now: Instant) {
        let age = self.made.map(|made| now.saturating_duration_since(made));
        let previous = match age {
            Some(age) if age < SECRET_LIFETIME => return,
            Some(age) if age < 2 * SECRET_LIFETIME => {
                self.made = self.made.map(|made| made + SECRET_LIFETIME);
                Some(std::mem::take(&mut self.current))
            }
            _ => {
                self.made = Some(now);
                None
            }
        };
        self.previous = previous;
        rng.fill_bytes(self.current.as_mut_slice());
    }

    /// The cookies this address may show.
    fn cookies(&self, from: SocketAddr) -> impl Iterator<Item = [u8; 16]> {
        let secrets = std::iter::once(&self.current).chain(&self.previous);
        secrets.map(move |secret| cookie_of(secret, from))
    }
}

/// The cookie of an address: IPv4 mapped into IPv6, then the port.
fn cookie_of(secret: &[u8; 32], from: SocketAddr) -> [u8; 16] {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut address = [0; 18];
    address[..16].copy_from_slice(&ip.octets());
    address[16..].copy_from_slice(&from.port().to_be_bytes());
    keyed_hash(secret, &address)
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
