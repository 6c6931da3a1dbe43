//! The daemon and its command line.
//!
//! Floor 3, the shell around the pure floors: it reads the configuration, prepares the machine,
//! runs the data-plane loop, and answers on the control socket.

// The shell is where real time enters; the pure floors get it as an argument.
#![allow(clippy::disallowed_methods)]

/// The version that `status` and `--version` show. A build that does not encrypt says so.
pub const VERSION: &str = match node::NULL_CIPHER {
    true => concat!(env!("CARGO_PKG_VERSION"), "+null-cipher"),
    false => env!("CARGO_PKG_VERSION"),
};

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod dataplane;
pub mod demo;
pub mod logging;
pub mod machine;
pub mod notify;
pub mod setup;
pub mod status;
