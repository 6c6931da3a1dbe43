//! The programs under test: started in a namespace, pinned, watched, ended.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use lab::{End, Namespace};

use crate::bench::Bench;

/// A tunnel's process at one end. It is killed when this is dropped, and when this program ends.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program on the processor of `end`. Its output goes into a file of its own.
    pub(crate) fn start(
        bench: &Bench,
        host: &Namespace,
        end: End,
        program: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = bench.path().join(format!("log{number}"));
        let file = File::create(&log)?;
        let mut command = match bench.pin.of(end) {
            // Before it starts: some programs count their processors then.
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &cpu.to_string(), program]);
                command
            }
            None => Command::new(program),
        };
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = host.spawn_bound(command)?;
        Ok(Self { child, log })
    }

    /// An error, with the last lines of its output, when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the program ended: {status}: {}", self.last_words());
        }
        Ok(())
    }

    /// The last lines of its output.
    pub(crate) fn last_words(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join(" / ")
    }

    /// Processor time it has used so far, user and system, all threads, seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(&self.child.id().to_string())
    }

    /// The most memory it has had so far, bytes (`VmHWM`).
    pub(crate) fn memory(&self) -> Result<u64> {
        self.size("VmHWM:")
    }

    /// The memory it has now, bytes (`VmRSS`).
    pub(crate) fn resident(&self) -> Result<u64> {
        self.size("VmRSS:")
    }

    fn size(&self, key: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        parse_memory(&status, key).with_context(|| format!("/proc/PID/status has no {key}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}

/// Processor time that this very program has used so far, seconds.
pub(crate) fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds("self")
}

fn cpu_seconds(process: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = parse_ticks(&stat).context("/proc/PID/stat is not as expected")?;
    Ok(seconds(ticks))
}

/// Clock ticks as seconds.
pub(crate) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// User and system time of all threads, ended ones included, in clock ticks: fields 14 and 15.
fn parse_ticks(stat: &str) -> Option<u64> {
    // The name, in parentheses, may have blanks and parentheses itself.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// A size in `/proc/PID/status`, bytes.
fn parse_memory(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_found_whatever_the_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 150 0 0 0 31 11 5 6 20 0 4 0 900 1 2";
        assert_eq!(parse_ticks(stat), Some(42));
        assert_eq!(parse_ticks("7 (a) S 1"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(parse_memory(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(parse_memory(status, "VmSwap:"), None);
    }
}
