//! Log lines on stderr: plain for the journal, with times and colours for people.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// The variable that chooses what is logged, such as `debug` or `info,ropewalk::control=trace`.
pub const LOG_VARIABLE: &str = "ROPEWALK_LOG";

/// The netlink library warns of messages that arrive while we end; nobody can do anything about them.
const QUIET_LIBRARIES: &str = "netlink_proto=error";

/// Starts logging, once for the process. `verbosity` counts `-v` up and `-q` down from 0, which
/// is `info`; [`LOG_VARIABLE`] overrides it.
pub fn init(verbosity: i8) {
    let level = match verbosity {
        ..=-2 => "error",
        -1 => "warn",
        0 => "info",
        1 => "debug",
        2.. => "trace",
    };
    let chosen = std::env::var(LOG_VARIABLE).ok();
    let filter = chosen
        .as_deref()
        .map(|chosen| EnvFilter::try_new(format!("{QUIET_LIBRARIES},{chosen}")))
        .and_then(Result::ok);
    let is_valid = filter.is_some() || chosen.is_none();
    let builder = fmt()
        .with_env_filter(
            filter.unwrap_or_else(|| EnvFilter::new(format!("{QUIET_LIBRARIES},{level}"))),
        )
        .with_target(verbosity > 0)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // The journal stamps every line itself.
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal();
    // Fails only when logging runs already, which then goes on.
    let _ = match is_journal {
        true => builder.without_time().try_init(),
        false => builder.try_init(),
    };
    if !is_valid {
        tracing::warn!("{LOG_VARIABLE} is not understood; logging at {level}");
    }
}
