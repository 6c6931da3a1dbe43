//! Keys: base64 as `wg` writes them, the files they are kept in, and their derivation.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2s256, Digest};
use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::section::Complaint;
use super::value::text;

/// Bytes in a key, of either kind.
pub const KEY_BYTES: usize = 32;

/// A key file holds 44 characters; what is much longer is some other file.
const KEY_FILE_MAX: u64 = 4096;

/// An X25519 private key or a preshared key; wiped when dropped and never shown.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// Takes the bytes of a key.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new X25519 private key from the system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice())?;
        // RFC 7748, section 5: stored clamped, as `wg genkey` does.
        bytes[0] &= 248;
        bytes[31] = (bytes[31] & 127) | 64;
        Ok(Self(bytes))
    }

    /// The bytes, for the cryptography only.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Base64, for `keygen` only.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    /// The public key that belongs to this private key.
    pub fn public_key(&self) -> PublicKey {
        // The default resolver always has the one curve that this build selects.
        let mut bytes = [0; KEY_BYTES];
        if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
            dh.set(self.0.as_slice());
            bytes.copy_from_slice(dh.pubkey());
        }
        PublicKey(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; KEY_BYTES]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// Decodes a key from base64 as `wg` writes it; blanks around it are ignored.
pub fn decode(text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, Complaint> {
    let text = text.trim();
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| {
        "is not base64; a key is 44 characters and ends with '=', as `ropewalk pubkey` prints it"
            .to_owned()
    })?);
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
        .map_err(|_| format!("holds {} bytes; a key has {KEY_BYTES}", bytes.len()))?;
    Ok(Zeroizing::new(key))
}

/// A peer's public key.
pub(super) fn public_key(value: &DeValue<'_>) -> Result<PublicKey, Complaint> {
    let key = decode(text(value)?)?;
    if *key == [0; KEY_BYTES] {
        return Err("is all zero, which is nobody's; copy the peer's public key".to_owned());
    }
    Ok(PublicKey(*key))
}

/// Reads a secret from a file that only its owner may read.
pub(super) fn secret_from_file(path: &Path) -> Result<SecretKey, Complaint> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{shown} does not exist; create it: (umask 077; ropewalk keygen > {shown})")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{shown} may not be read; run as the file's owner (sudo)")
        }
        _ => format!("{shown} cannot be read ({error}); check the path"),
    })?;
    let metadata = file
        .metadata()
        .map_err(|error| format!("{shown}: {error}; check the path"))?;
    if metadata.is_dir() {
        return Err(format!("{shown} is a folder; name the key file in it"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{shown} is open to others (mode {mode:03o}); run: chmod 600 {shown}"
        ));
    }
    let mut content = Zeroizing::new(String::with_capacity(KEY_FILE_MAX as usize));
    file.take(KEY_FILE_MAX)
        .read_to_string(&mut content)
        .map_err(|_| format!("{shown} is no key file; it holds one line of base64"))?;
    if content.trim().is_empty() {
        return Err(format!(
            "{shown} is empty; fill it: (umask 077; ropewalk keygen > {shown})"
        ));
    }
    let key = decode(&content).map_err(|why| format!("the key in {shown} {why}"))?;
    Ok(SecretKey(key))
}

/// The MAC address of a port that names none: the same at every start, unlike any other port's.
pub fn derived_mac(public_key: &PublicKey, port: &str) -> [u8; 6] {
    let mut hash = Blake2s256::new();
    hash.update(b"ropewalk port mac");
    hash.update(public_key.0);
    hash.update(port.as_bytes());
    let hash = hash.finalize();
    let mut mac = [0; 6];
    mac.iter_mut()
        .zip(hash.iter())
        .for_each(|(octet, byte)| *octet = *byte);
    // Locally administered, unicast (IEEE 802-2014, 8.2.2).
    mac[0] = (mac[0] & 0xfc) | 0x02;
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_key_of_rfc_7748() {
        let private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
        let public = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
        let key = SecretKey(decode(private).unwrap());
        assert_eq!(key.public_key().to_string(), public);
        assert_eq!(format!("{key:?}"), "SecretKey(hidden)");
    }

    #[test]
    fn generated_keys_are_clamped_and_differ() {
        let (a, b) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        assert_ne!(a.expose(), b.expose());
        assert_eq!((a.expose()[0] & 7, a.expose()[31] & 0xc0), (0, 0x40));
        assert_eq!(*decode(&a.to_base64()).unwrap(), *a.expose());
    }

    #[test]
    fn derived_macs_stay_and_differ() {
        let key = PublicKey([7; 32]);
        let mac = derived_mac(&key, "bond0");
        assert_eq!(mac, derived_mac(&key, "bond0"));
        assert_ne!(mac, derived_mac(&key, "bond1"));
        assert_ne!(mac, derived_mac(&PublicKey([8; 32]), "bond0"));
        assert_eq!(mac[0] & 3, 2);
    }
}
