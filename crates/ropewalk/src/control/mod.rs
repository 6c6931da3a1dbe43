//! The control API: HTTP over a unix socket, the same for our own client and for anybody's.
//!
//! The server knows nothing of the data plane: it asks a [`ControlBackend`].

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::status::{Event, FdbEntry, Status};

mod client;
mod server;

pub use client::{Client, ClientError};
pub use server::{BindError, ControlServer};

/// What answers the control API; the data thread stands behind it.
pub trait ControlBackend: Send + Sync + 'static {
    /// A snapshot of everything.
    fn status(&self) -> impl Future<Output = Result<Status, CommandError>> + Send;

    /// The learned addresses, at most as many as the table's own bound.
    fn fdb(&self) -> impl Future<Output = Result<Vec<FdbEntry>, CommandError>> + Send;

    /// Takes paths down, empties them or brings them back.
    fn path_command(
        &self,
        peer: String,
        path: PathSelector,
        command: PathCommand,
    ) -> impl Future<Output = Result<PathsChanged, CommandError>> + Send;

    /// Events from now on. The channel is bounded: who reads too slowly misses some, and is told.
    fn subscribe(&self) -> broadcast::Receiver<Event>;
}

/// What to do with a path; it binds both ends and lasts until restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathCommand {
    /// Use it again.
    Up,
    /// Stop using it at once.
    Down,
    /// Stop using it without losing anything.
    Drain,
}

impl PathCommand {
    /// The word in the URL and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Drain => "drain",
        }
    }
}

impl FromStr for PathCommand {
    type Err = CommandError;

    fn from_str(word: &str) -> Result<Self, CommandError> {
        let commands = [Self::Up, Self::Down, Self::Drain];
        commands
            .into_iter()
            .find(|command| command.word() == word)
            .ok_or(CommandError::NoSuchCall)
    }
}

/// Names paths to a peer: an uplink's, all of them (`line1`), or one
/// (`line1/192.168.100.2:1830`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSelector {
    /// The local uplink.
    pub uplink: String,
    /// The remote address; `None`: all.
    pub remote: Option<SocketAddr>,
}

impl FromStr for PathSelector {
    type Err = CommandError;

    /// Anything that cannot be a path is a path that there is not.
    fn from_str(text: &str) -> Result<Self, CommandError> {
        let (uplink, remote) = match text.split_once('/') {
            None => (text, None),
            Some((uplink, remote)) => {
                let remote = remote.parse().map_err(|_| CommandError::UnknownPath)?;
                (uplink, Some(remote))
            }
        };
        match uplink {
            "" => Err(CommandError::UnknownPath),
            _ => Ok(Self {
                uplink: uplink.to_owned(),
                remote,
            }),
        }
    }
}

impl fmt::Display for PathSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remote {
            Some(remote) => write!(f, "{}/{remote}", self.uplink),
            None => f.write_str(&self.uplink),
        }
    }
}

/// The answer to a path command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathsChanged {
    /// How many paths the command met.
    pub paths: usize,
}

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// 404.
    #[error("there is no such peer; `ropewalk status` lists them")]
    UnknownPeer,
    /// 404.
    #[error("there is no such path to this peer; `ropewalk status` lists them")]
    UnknownPath,
    /// 404.
    #[error("there is no such call")]
    NoSuchCall,
    /// 503: the data thread did not answer.
    #[error("the daemon is busy or ending: {0}")]
    Unavailable(String),
}

#[cfg(test)]
mod tests;
