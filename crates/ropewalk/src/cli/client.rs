//! The commands that ask the daemon.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;

use super::{DONE, FAILED, output};
use crate::control::{Client, ClientError, PathCommand, PathsChanged};
use crate::status::{self, PeerState, Status};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);

fn ask<T>(question: impl Future<Output = Result<T, ClientError>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(question)?)
}

/// The status, with one peer only when one is named.
fn fetch(client: &Client, peer: Option<&str>) -> anyhow::Result<Status> {
    let mut status = ask(client.status())?;
    if let Some(name) = peer {
        if !status.peers.iter().any(|peer| peer.name == name) {
            let names: Vec<&str> = status.peers.iter().map(|peer| peer.name.as_str()).collect();
            bail!(
                "there is no peer {name:?}; the peers are: {}",
                names.join(", ")
            );
        }
        status.peers.retain(|peer| peer.name == name);
    }
    Ok(status)
}

/// With a peer named, its being down is a failure.
fn exit_code(status: &Status, peer: Option<&str>) -> u8 {
    let is_down = status
        .peers
        .iter()
        .any(|peer| peer.state == PeerState::Down);
    if peer.is_some() && is_down {
        FAILED
    } else {
        DONE
    }
}

/// `ropewalk status`.
pub(super) fn status(client: &Client, peer: Option<&str>, json: bool) -> anyhow::Result<u8> {
    let status = fetch(client, peer)?;
    if json {
        output::print_json(&status)?;
    } else {
        output::print(&status::screen(&status, Timestamp::now(), output::style()))?;
    }
    Ok(exit_code(&status, peer))
}

/// `ropewalk status --watch`, until interrupted; JSON comes as one line a second. A daemon that
/// is away for a while is waited for.
pub(super) fn watch(client: &Client, peer: Option<&str>, json: bool) -> anyhow::Result<u8> {
    const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
    let is_screen = io::stdout().is_terminal() && !json;
    // A wrong name or socket is told at once, not every second.
    fetch(client, peer)?;
    loop {
        let text = match fetch(client, peer) {
            Ok(status) if json => serde_json::to_string(&status)? + "\n",
            Ok(status) => status::screen(&status, Timestamp::now(), output::style()),
            Err(error) if json => {
                output::complain(&format!("ropewalk: {error:#}"));
                String::new()
            }
            Err(error) => format!("{error:#}\n"),
        };
        let before = if is_screen { CLEAR } else { "" };
        let after = if is_screen || json { "" } else { "\n" };
        output::print(&format!("{before}{text}{after}"))?;
        thread::sleep(WATCH_EVERY);
    }
}

/// `ropewalk fdb`.
pub(super) fn fdb(client: &Client, json: bool) -> anyhow::Result<u8> {
    let entries = ask(client.fdb())?;
    if json {
        output::print_json(&entries)?;
    } else {
        output::print(&status::fdb_table(&entries))?;
    }
    Ok(DONE)
}

/// `ropewalk path`.
pub(super) fn path(
    client: &Client,
    command: PathCommand,
    peer: &str,
    path: &str,
    json: bool,
) -> anyhow::Result<u8> {
    let changed = ask(client.path_command(peer, path, command))?;
    if json {
        output::print_json(&changed)?;
        return Ok(DONE);
    }
    let PathsChanged { paths } = changed;
    let plural = if paths == 1 { "path" } else { "paths" };
    output::print(&format!("{}: {paths} {plural} of {peer}\n", command.word()))?;
    Ok(DONE)
}
