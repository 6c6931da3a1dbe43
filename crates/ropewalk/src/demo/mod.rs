//! `ropewalk demo`: the real program on this machine, in namespaces; shown, broken and measured.

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, bail};
use lab::Interrupt;
use sys::netns::UsernsError;

use crate::status::Style;

mod event;
mod keep;
mod progress;
mod rates;
mod report;
mod scene;
mod script;
mod table;

use progress::{Progress, Stream};
use scene::{Line, Scene};

/// How the systemd unit runs a gateway, too; setpriority(2).
const NICE: i32 = -10;

/// What the user asks of a demo.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Leave it running until Ctrl-C, and say how to look around.
    pub keep: bool,
    /// Print the result as JSON on standard output, and the progress on standard error.
    pub json: bool,
}

/// Two machines and two lines in namespaces; true when all stayed within twice the goals.
///
/// To be called while the process has one thread: an ordinary user becomes root of a user
/// namespace of its own.
///
/// # Errors
/// What is missing on this machine, or what did not work at all; nothing is left behind.
pub fn pair(options: Options) -> Result<bool> {
    let is_root = prepare()?;
    let interrupt = Interrupt::watch()?;
    let stream = match options.json {
        true => Stream::Error,
        false => Stream::Out,
    };
    let progress = Progress::new(stream);
    introduce(&progress)?;
    // The daemons inherit it. It shall show how lines fail, not how busy this machine is; who may
    // not raise it sees more of that.
    let _ = rustix::process::setpriority_process(None, NICE);
    // Names are seen by everyone on the machine, so they are for those who want to look around.
    let mut scene = Scene::set_up(options.keep && is_root)?;
    let report = script::play(&mut scene, &progress, &interrupt)?;
    let text = match options.json {
        true => serde_json::to_string_pretty(&report.json())? + "\n",
        false => report.text(style()),
    };
    print(&text)?;
    if options.keep {
        keep::hold(&scene, &progress, &interrupt, is_root)?;
    }
    drop(scene);
    Ok(report.passed())
}

/// Makes this process able to make networks, or says exactly what is missing. Says whether it was
/// already: then others on this machine see what we make.
fn prepare() -> Result<bool> {
    let is_root = sys::privilege::has_cap_sys_admin();
    // Before the attempt: a user namespace without a map hides who we are.
    let is_uid_0 = rustix::process::geteuid().is_root();
    sys::netns::userns_root().map_err(|error| {
        match error {
            // "Run as root" helps nobody who is.
            UsernsError::Refused { reason } if is_uid_0 => anyhow::anyhow!(
                "the demo makes network namespaces, and this root may not: CAP_SYS_ADMIN is \
                 missing and {reason}. In a container: run it with --privileged and --device \
                 /dev/net/tun"
            ),
            error => anyhow::Error::new(error).context("the demo makes network namespaces"),
        }
    })?;
    let missing = sys::privilege::missing();
    if !missing.is_empty() {
        bail!(
            "the demo cannot run here:\n{}{}",
            missing.join("\n"),
            advice(is_root)
        );
    }
    Ok(is_root)
}

fn advice(is_root: bool) -> String {
    match (is_root, std::env::args().next()) {
        (false, Some(program)) => format!("\nAs root it can: sudo {program} demo pair"),
        _ => String::new(),
    }
}

fn introduce(progress: &Progress) -> Result<()> {
    let line = |line: Line| {
        format!(
            "{}: {} Mbit/s, {} ms there and back",
            line.text(),
            line.megabits(),
            line.round_trip_ms()
        )
    };
    progress.line(&format!(
        "Two machines, A and B, in namespaces of their own, with two lines between them.\n  {}\n  {}\n\
         Both run `ropewalk up`, mode failover: all traffic is on the better line, so that breaking\n\
         it hits every packet. It takes about half a minute.\n",
        line(Line::One),
        line(Line::Two)
    ))
}

fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(progress::unread)
}

/// Colours on a terminal, unless the user asked for none (<https://no-color.org>).
fn style() -> Style {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match io::stdout().is_terminal() && !refuses {
        true => Style::Coloured,
        false => Style::Plain,
    }
}
