//! What the demo says while it runs: one live line on a terminal, plain lines anywhere else.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error: standard output is for the result alone.
    Error,
}

impl Stream {
    fn write(self, text: &str) -> io::Result<()> {
        match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()
            }
            Self::Error => io::stderr().write_all(text.as_bytes()),
        }
    }

    fn live(self) -> Option<ProgressBar> {
        let (terminal, target) = match self {
            Self::Out => (io::stdout().is_terminal(), ProgressDrawTarget::stdout()),
            Self::Error => (io::stderr().is_terminal(), ProgressDrawTarget::stderr()),
        };
        if !terminal {
            return None;
        }
        let bar = ProgressBar::with_draw_target(None, target);
        // One line, whatever the width.
        bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").ok()?);
        // A terminal that cannot move its cursor gets plain lines too.
        Some(bar).filter(|bar| !bar.is_hidden())
    }
}

/// Tells the user how far it is. Dropping it clears the live line.
#[derive(Debug)]
pub(super) struct Progress {
    stream: Stream,
    live: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// Progress on this stream; its clock starts now.
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            live: stream.live(),
            start: Instant::now(),
        }
    }

    /// Says a line that stays, with the time since the start.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        self.line(&format!(
            "{:5.1} s  {text}",
            self.start.elapsed().as_secs_f64()
        ))
    }

    /// Says a line that stays, as it is.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        let write = || self.stream.write(&format!("{text}\n")).map_err(unread);
        match &self.live {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Replaces the live line; without a terminal nobody sees it.
    pub(super) fn live(&self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.live {
            bar.set_message(text());
            bar.tick();
        }
    }

    /// Removes the live line; the next call of [`Progress::live`] brings it back.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.live {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A demo that nobody reads has not succeeded, so this is no silent end as for other commands.
pub(super) fn unread(error: io::Error) -> anyhow::Error {
    anyhow!("cannot write what happens: {error}")
}
