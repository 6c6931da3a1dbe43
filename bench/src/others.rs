//! How much somebody else used this machine while something was measured.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::contestant::Running;
use crate::process::{self, Process};

/// A moment, and the processor time used until then, clock ticks: by all, and by us.
#[derive(Debug)]
pub(crate) struct Mark {
    at: Instant,
    all: u64,
    ours: f64,
}

impl Mark {
    /// Now.
    pub(crate) fn now(running: &Running) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let all = parse_busy(&text).context("/proc/stat is not as expected")?;
        let processes = running.processes.iter().flatten();
        let tunnels: f64 = processes.map(Process::cpu_seconds).sum::<Result<f64>>()?;
        let ours = tunnels + process::own_cpu_seconds()?;
        let at = Instant::now();
        Ok(Self { at, all, ours })
    }

    /// Which share of the machine others have used since then, 0 to 1: the kernel's own threads
    /// and what the hypervisor took included.
    pub(crate) fn others(&self, running: &Running) -> Result<f64> {
        let now = Self::now(running)?;
        let all = process::seconds(now.all - self.all);
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let whole = (now.at - self.at).as_secs_f64() * count as f64;
        Ok(((all - (now.ours - self.ours)) / whole).clamp(0.0, 1.0))
    }
}

/// Busy time of all processors: user, nice, system, interrupts and what was stolen.
fn parse_busy(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Option<Vec<u64>> = line
        .split_ascii_whitespace()
        .take(8)
        .map(|field| field.parse().ok())
        .collect();
    let fields = fields.filter(|fields| fields.len() == 8)?;
    // Idle, and idle because of a disk.
    Some(fields.iter().sum::<u64>() - fields[3] - fields[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 5 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_busy(stat), Some(63));
        assert_eq!(parse_busy("cpu  1 2 3\n"), None);
    }
}
