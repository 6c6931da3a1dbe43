//! What all measurements of one run share.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lab::{End, Interrupt};
use tempfile::TempDir;

use crate::programs;

/// Which processor each end has: its tunnel and its application share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    /// The processors of the ends A and B.
    Cpus([usize; 2]),
    /// The kernel decides.
    Free,
}

impl Pin {
    /// The processor of one end.
    pub(crate) fn of(self, end: End) -> Option<usize> {
        match self {
            Self::Cpus(cpus) => Some(cpus[end as usize]),
            Self::Free => None,
        }
    }

    /// Keeps the calling thread where the applications of this end are.
    pub(crate) fn apply(self, end: End) {
        if let Some(cpu) = self.of(end) {
            // Checked when the option was read.
            let _ = sys::thread::pin(cpu);
        }
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Free);
        }
        let count = thread::available_parallelism().map_or(1, usize::from);
        let cpu = |text: &str| match text.parse() {
            Ok(cpu) if cpu < count => Ok(cpu),
            _ => Err(format!("{text:?} is no processor below {count}")),
        };
        let (a, b) = text
            .split_once(',')
            .ok_or("two processors, \"0,1\", or \"none\"")?;
        Ok(Self::Cpus([cpu(a)?, cpu(b)?]))
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpus([a, b]) => write!(
                f,
                "tunnel and application of end A on CPU {a}, of end B on CPU {b}"
            ),
            Self::Free => f.write_str("nothing pinned"),
        }
    }
}

/// What all measurements of one run share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The program under test.
    pub(crate) ropewalk: PathBuf,
    /// The same without encryption, if it is to be measured.
    pub(crate) null_cipher: Option<PathBuf>,
    /// Which processor each end has.
    pub(crate) pin: Pin,
    /// How long each measurement takes, after its warm-up.
    pub(crate) time: Duration,
    /// Where keys and logs are; it goes at the end.
    pub(crate) directory: TempDir,
    /// Whether somebody wants the program to end.
    pub(crate) interrupt: Interrupt,
}

impl Bench {
    /// Builds the program, and the one without encryption if it is wanted; from here on signals
    /// are noted instead of ending us.
    pub(crate) fn prepare(pin: Pin, seconds: u64, null_cipher: bool) -> Result<Self> {
        Ok(Self {
            ropewalk: programs::build()?,
            null_cipher: null_cipher.then(programs::build_null_cipher).transpose()?,
            pin,
            time: Duration::from_secs(seconds),
            directory: tempfile::Builder::new()
                .prefix("ropewalk-bench-")
                .tempdir()?,
            interrupt: Interrupt::watch()?,
        })
    }

    /// The folder for keys and logs.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Waits; an error when somebody wants the program to end.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.interrupt.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// Looks every 20 ms until `done`; an error when that takes longer than `timeout`.
    pub(crate) fn wait(
        &self,
        what: &str,
        timeout: Duration,
        mut done: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let end = Instant::now() + timeout;
        while !done()? {
            self.interrupt.check()?;
            if Instant::now() > end {
                bail!("not within {timeout:?}: {what}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_two_processors_of_this_machine_or_none() {
        assert_eq!("none".parse(), Ok(Pin::Free));
        assert_eq!("0,0".parse(), Ok(Pin::Cpus([0, 0])));
        for bad in ["", "0", "0,", "0,x", "0,100000"] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }
}
