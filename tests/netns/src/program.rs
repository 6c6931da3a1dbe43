//! The program under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

/// The program, built in the profile of this very test: Cargo does not build it for the tests of
/// another package. `$ROPEWALK_BIN` is taken as it is.
pub fn binary() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

fn build() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ROPEWALK_BIN") {
        return Ok(path.into());
    }
    let itself = std::env::current_exe().context("find our own program")?;
    let folder = itself
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .context("our own program is nowhere")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "ropewalk"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    let output = command.output().context("run cargo")?;
    if !output.status.success() {
        bail!(
            "the program does not build: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(folder.join("ropewalk"))
}
