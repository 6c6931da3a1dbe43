//! The program under test, built before it is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What compiles the tunnel without its cipher.
const NULL_CIPHER: &str = "--cfg ropewalk_null_cipher";

/// Builds the program in the release profile; `$ROPEWALK_BIN` is taken as it is.
pub(crate) fn build() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ROPEWALK_BIN") {
        return Ok(path.into());
    }
    cargo(&target()?, None)
}

/// Builds it with a cipher that only copies, in a folder of its own: nobody should find it.
pub(crate) fn build_null_cipher() -> Result<PathBuf> {
    cargo(&target()?.join("null-cipher"), Some(NULL_CIPHER))
}

/// Cargo's target folder: ours is TARGET/PROFILE/ropewalk-bench.
fn target() -> Result<PathBuf> {
    let itself = std::env::current_exe().context("find our own program")?;
    let folder = itself.ancestors().nth(2);
    Ok(folder.context("our own program is nowhere")?.to_owned())
}

fn cargo(target: &Path, flag: Option<&str>) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--package", "ropewalk"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    if let Some(flag) = flag {
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{flags} {flag}"));
        // It would come before.
        command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    }
    // What Cargo told us about our own package is not about that one; some build scripts look.
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for name in ours {
        command.env_remove(name);
    }
    // From here, the main thread: then it ends when this program is killed.
    let here = sys::Netns::current()?;
    let mut cargo = here.spawn_bound(command).context("run cargo")?;
    let status = cargo.wait()?;
    ensure!(status.success(), "the program does not build: {status}");
    Ok(target.join("release/ropewalk"))
}
