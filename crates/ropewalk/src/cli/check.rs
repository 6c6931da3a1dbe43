//! `ropewalk check`.

use std::path::Path;

use serde_json::json;
use sys::Netlink;

use super::{BAD_CONFIG, DONE, output};
use crate::config::{Config, ConfigErrors, Problem};
use crate::machine;

/// Validates a configuration and prints what is wrong.
pub(super) fn check(file: &Path, json: bool) -> anyhow::Result<u8> {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(errors) => {
            if json {
                print_json(&errors)?;
            } else {
                output::problems(&errors);
            }
            return Ok(BAD_CONFIG);
        }
    };
    let mut warnings = config.warnings.clone();
    warnings.extend(machine_warnings(&config)?);
    warnings.extend(machine::unresolved_names(&config));
    warnings.sort_by_key(|warning| (warning.line, warning.column));
    if json {
        print_json(&ConfigErrors {
            errors: Vec::new(),
            warnings,
        })?;
    } else {
        output::warnings(&warnings);
        output::print(&summary(&config))?;
    }
    Ok(DONE)
}

fn print_json(found: &ConfigErrors) -> anyhow::Result<()> {
    output::print_json(&json!({
        "ok": found.errors.is_empty(),
        "errors": found.errors,
        "warnings": found.warnings,
    }))
}

fn machine_warnings(config: &Config) -> anyhow::Result<Vec<Problem>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async { Ok(machine::warnings(config, &Netlink::open()?).await) })
}

fn summary(config: &Config) -> String {
    let counted = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}")
    };
    format!(
        "{}: ok: node {}, {}, {}, {}\npublic key: {}\n",
        config.file.display(),
        config.node.name,
        counted(config.uplinks.len(), "uplink"),
        counted(config.peers.len(), "peer"),
        counted(config.ports.len(), "port"),
        config.node.public_key,
    )
}
