//! `ropewalk up`: from a configuration to a running gateway.

use std::path::Path;

use anyhow::bail;

use crate::config::Config;

/// Runs in the foreground until told to end. `socket` overrides the configuration's.
pub fn run(file: &Path, socket: Option<&Path>) -> anyhow::Result<()> {
    let config = load(file, socket)?;
    let missing = sys::privilege::missing();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    bail!("node {}: this build has no data plane", config.node.name)
}

/// The configuration, with its warnings in the log.
fn load(file: &Path, socket: Option<&Path>) -> anyhow::Result<Config> {
    let mut config = Config::load(file)?;
    if let Some(socket) = socket {
        socket.clone_into(&mut config.control.socket);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}
