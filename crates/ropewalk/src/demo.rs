//! `ropewalk demo`.

use anyhow::bail;

/// Two machines and two lines in namespaces; true when all stayed within the goals.
pub fn pair(_keep: bool) -> anyhow::Result<bool> {
    bail!("this build has no demo")
}
