//! Writing to standard output and error: a reader that goes away is no failure.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::config::{ConfigErrors, Problem};
use crate::status::Style;

/// Writes text to standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output.
pub(super) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes indented JSON and a newline.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&(serde_json::to_string_pretty(value)? + "\n"))?)
}

/// Writes a line to standard error; when even that is gone there is nobody left to tell.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes all that is wrong with a configuration to standard error, a line for each.
pub(super) fn problems(errors: &ConfigErrors) {
    warnings(&errors.warnings);
    errors
        .errors
        .iter()
        .for_each(|problem| complain(&problem.to_string()));
}

/// Writes warnings to standard error.
pub(super) fn warnings(warnings: &[Problem]) {
    warnings
        .iter()
        .for_each(|problem| complain(&format!("{problem} (a warning)")));
}

/// Colours on a terminal, unless the user asked for none (<https://no-color.org>).
pub(super) fn style() -> Style {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match io::stdout().is_terminal() && !refuses {
        true => Style::Coloured,
        false => Style::Plain,
    }
}

/// Whether the reader of our output went away, as `head` does.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref())
        .any(is_pipe)
}
