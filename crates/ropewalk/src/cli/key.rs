//! `ropewalk keygen` and `ropewalk pubkey`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use anyhow::Context;
use zeroize::Zeroizing;

use super::{DONE, output};
use crate::config::{SecretKey, decode_key};

/// Prints a new private key.
pub(super) fn keygen() -> anyhow::Result<u8> {
    // Past the buffer of std's stdout, which would keep a copy of the key.
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let metadata = stdout.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        output::complain(
            "ropewalk: warning: others may read the file that the key goes to, and `up` will \
             refuse it; run chmod 600 on it (next time: umask 077)",
        );
    }
    let key = SecretKey::generate().context("the system gives no randomness")?;
    let mut line = key.to_base64();
    line.push('\n');
    stdout.write_all(line.as_bytes())?;
    Ok(DONE)
}

/// Prints the public key of the private key on standard input.
pub(super) fn pubkey() -> anyhow::Result<u8> {
    const INPUT_MAX: usize = 4096;
    let mut input = Zeroizing::new(String::with_capacity(INPUT_MAX));
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    stdin
        .take(INPUT_MAX as u64)
        .read_to_string(&mut input)
        .context("cannot read the private key from standard input")?;
    let key = decode_key(&input)
        .map_err(|why| anyhow::anyhow!("the private key on standard input {why}"))?;
    output::print(&format!("{}\n", SecretKey::new(*key).public_key()))?;
    Ok(DONE)
}
