//! The `ropewalk` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ropewalk::cli::run()
}
