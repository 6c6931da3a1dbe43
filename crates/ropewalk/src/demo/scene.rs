//! The scene: two machines in namespaces, two lines between them, a daemon on each.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::daemon::Keys;
use lab::{Cable, CableOptions, Daemon, DaemonOptions, End, MeterEnd, Namespace, Plug, Profile};

use crate::status::{PathState, Status};

/// One of the two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// The fast one, first in the configuration.
    One,
    /// The slow one.
    Two,
}

impl Line {
    pub(super) const BOTH: [Self; 2] = [Self::One, Self::Two];

    /// The uplink's and the device's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "line1",
            Self::Two => "line2",
        }
    }

    /// As people say it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::One => "line 1",
            Self::Two => "line 2",
        }
    }

    /// Mbit/s, each way.
    pub(super) fn megabits(self) -> u32 {
        match self {
            Self::One => 50,
            Self::Two => 20,
        }
    }

    /// Milliseconds, there and back.
    pub(super) fn round_trip_ms(self) -> u64 {
        match self {
            Self::One => 20,
            Self::Two => 60,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    /// The address of a machine on this line.
    fn address(self, end: End) -> Ipv4Addr {
        let (line, host) = (self as u8 + 1, end as u8 + 1);
        Ipv4Addr::new(10, 1, line, host)
    }
}

/// The address of machine A on line 1 after it has moved this many times, from 1.
fn moved(times: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 1, 100 + times)
}

/// How long a daemon may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What both daemons say at one time.
#[derive(Debug)]
pub(super) struct View {
    ends: [Status; 2],
}

impl View {
    /// Whether both ends say that the other is up.
    pub(super) fn up(&self) -> bool {
        self.ends.iter().all(|status| {
            status
                .peers
                .iter()
                .any(|peer| peer.state == crate::status::PeerState::Up)
        })
    }

    /// Whether both ends can use a line.
    pub(super) fn usable(&self, line: Line) -> bool {
        self.everywhere(line, |state, _| state == PathState::Up)
    }

    /// Whether both ends send on a line.
    pub(super) fn carries(&self, line: Line) -> bool {
        self.everywhere(line, |state, active| state == PathState::Up && active)
    }

    /// Whether both ends send on that line and on no other.
    pub(super) fn carries_alone(&self, line: Line) -> bool {
        let other = line.other();
        let sends = |status: &Status| paths(status, other).any(|path| path.active);
        self.carries(line) && !self.ends.iter().any(sends)
    }

    /// Whether both ends can use line 1 with the address that A moved to.
    pub(super) fn moved_to(&self, address: Ipv4Addr) -> bool {
        let moved = address.to_string();
        let here = |address: &Option<String>| address.as_ref().is_some_and(|a| a.contains(&moved));
        self.ends.iter().all(|status| {
            paths(status, Line::One).any(|path| {
                path.state == PathState::Up && (here(&path.local) || here(&path.remote))
            })
        })
    }

    fn everywhere(&self, line: Line, wanted: impl Fn(PathState, bool) -> bool) -> bool {
        self.ends
            .iter()
            .all(|status| paths(status, line).any(|path| wanted(path.state, path.active)))
    }

    /// The paths as both ends see them, a line each, to explain what went wrong.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for status in &self.ends {
            for path in status.peers.iter().flat_map(|peer| &peer.paths) {
                let address = |address: &Option<String>| address.clone().unwrap_or("?".into());
                text += &format!(
                    "\n  {}: {} {} to {} {:?}{} ({}), rtt {:.0} ms, jitter {:.0} ms, loss {:.3}",
                    status.node.name,
                    path.uplink,
                    address(&path.local),
                    address(&path.remote),
                    path.state,
                    if path.active { ", carries" } else { "" },
                    path.reason.as_deref().unwrap_or("-"),
                    path.rtt_ms.unwrap_or(f64::NAN),
                    path.jitter_ms.unwrap_or(f64::NAN),
                    path.loss.unwrap_or(f64::NAN),
                );
            }
        }
        text
    }
}

fn paths(status: &Status, line: Line) -> impl Iterator<Item = &crate::status::PathStatus> {
    let all = status.peers.iter().flat_map(|peer| &peer.paths);
    all.filter(move |path| path.uplink == line.name())
}

/// Everything, running. Dropping it ends and removes everything.
#[derive(Debug)]
pub(super) struct Scene {
    // In this order: the daemons first, then what they run on.
    daemons: [Daemon; 2],
    cables: [Cable; 2],
    hosts: [Namespace; 2],
    /// How often A has moved.
    moves: u8,
}

impl Scene {
    /// Makes the machines and lines and starts the daemons; does not wait for them. `named`:
    /// `ip netns` shall find the machines.
    pub(super) fn set_up(named: bool) -> Result<Self> {
        let hosts = [host("ropewalk-a", named)?, host("ropewalk-b", named)?];
        let cables = [cable(&hosts, Line::One)?, cable(&hosts, Line::Two)?];
        let binary = program()?;
        let keys = [Keys::generate(&binary)?, Keys::generate(&binary)?];
        let daemons = [
            daemon(&hosts, &keys, &binary, End::A)?,
            daemon(&hosts, &keys, &binary, End::B)?,
        ];
        Ok(Self {
            daemons,
            cables,
            hosts,
            moves: 0,
        })
    }

    /// A machine.
    pub(super) fn host(&self, end: End) -> &Namespace {
        &self.hosts[end as usize]
    }

    /// The daemon of a machine.
    pub(super) fn daemon(&self, end: End) -> &Daemon {
        &self.daemons[end as usize]
    }

    /// A line, to break and to mend.
    pub(super) fn cable(&self, line: Line) -> &Cable {
        &self.cables[line as usize]
    }

    /// A machine with its address on the common segment, for the meter.
    pub(super) fn meter_end(&self, end: End) -> MeterEnd {
        MeterEnd::new(self.host(end), segment_address(end))
    }

    /// What both daemons say now. One that does not answer because it has ended is an error with
    /// the end of its log.
    pub(super) fn view(&mut self) -> Result<View> {
        let [a, b] = &mut self.daemons;
        Ok(View {
            ends: [status(a, "A")?, status(b, "B")?],
        })
    }

    /// Gives a command to A's daemon: "up", "drain". It binds both ends.
    pub(super) fn path_command(&self, line: Line, command: &str) -> Result<()> {
        let path = format!("/v1/peers/b/paths/{}/{command}", line.name());
        self.daemon(End::A).post(&path).map(drop)
    }

    /// A loses its address on line 1 and gets another, as from a new network. Returns that.
    pub(super) fn move_a(&mut self) -> Result<Ipv4Addr> {
        let before = match self.moves {
            0 => Line::One.address(End::A),
            times => moved(times),
        };
        self.moves += 1;
        let after = moved(self.moves);
        let (host, device) = (self.host(End::A), Line::One.name());
        host.delete_address(device, &format!("{before}/24"))?;
        host.add_address(device, &format!("{after}/24"))?;
        Ok(after)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            // One that does not end is killed; one that has ended already is fine.
            let _ = daemon.stop(END_WITHIN);
        }
    }
}

/// The address of a machine on the segment that ropewalk makes.
pub(super) fn segment_address(end: End) -> IpAddr {
    Ipv4Addr::new(10, 99, 0, end as u8 + 1).into()
}

fn host(name: &str, named: bool) -> Result<Namespace> {
    match named {
        true => Namespace::named(name),
        false => Namespace::new(name),
    }
}

fn cable(hosts: &[Namespace; 2], line: Line) -> Result<Cable> {
    let [a, b] = hosts;
    let options = CableOptions {
        profile: Profile::line(line.megabits().into(), line.round_trip_ms() / 2),
        ..CableOptions::default()
    };
    let cable = Cable::join(
        Plug::new(a, line.name()),
        Plug::new(b, line.name()),
        options,
    )
    .with_context(|| format!("make {}", line.text()))?;
    for end in [End::A, End::B] {
        cable.address(end, &format!("{}/24", line.address(end)))?;
    }
    Ok(cable)
}

/// This very program, to be run as the daemon.
fn program() -> Result<PathBuf> {
    let itself = std::env::current_exe().context("find this program's own file")?;
    // A rebuild may have replaced the file; the kernel still has the one that runs.
    Ok(Some(itself)
        .filter(|path| path.is_file())
        .unwrap_or_else(|| "/proc/self/exe".into()))
}

fn daemon(hosts: &[Namespace; 2], keys: &[Keys; 2], binary: &Path, end: End) -> Result<Daemon> {
    let other = match end {
        End::A => End::B,
        End::B => End::A,
    };
    let options = DaemonOptions {
        host: hosts[end as usize].clone(),
        binary: binary.to_owned(),
        config: config(end, other, &keys[other as usize].public),
        files: Vec::new(),
        environment: Vec::new(),
    };
    Daemon::start(options.file("node.key", &keys[end as usize].private))
}

fn name(end: End) -> &'static str {
    match end {
        End::A => "a",
        End::B => "b",
    }
}

/// `failover`: everything is on one line at a time, so killing that line hits every packet.
fn config(own: End, peer: End, public_key: &str) -> String {
    let mut text = format!(
        "[node]\nname = \"{}\"\nprivate-key-file = \"node.key\"\n\n",
        name(own)
    );
    let mut endpoints = Vec::new();
    for line in Line::BOTH {
        let uplink = line.name();
        text += &format!("[[uplink]]\nname = \"{uplink}\"\ndevice = \"{uplink}\"\n\n");
        let address = line.address(peer);
        endpoints.push(format!(
            "{{ address = \"{address}\", uplink = \"{uplink}\" }}"
        ));
    }
    text += &format!(
        "[[peer]]\nname = \"{}\"\npublic-key = \"{public_key}\"\nmode = \"failover\"\n\
         endpoints = [{}]\n\n[[port]]\nname = \"segment0\"\naddress = [\"{}/24\"]\n",
        name(peer),
        endpoints.join(", "),
        segment_address(own)
    );
    text
}

/// The last lines of a log: the reason is at the end.
const LOG_LINES: usize = 15;

fn status(daemon: &mut Daemon, machine: &str) -> Result<Status> {
    let answer = daemon.status();
    let answer = answer.with_context(|| match daemon.ended() {
        Ok(None) => format!("the daemon of {machine} does not answer"),
        _ => {
            let log = daemon.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..);
            let tail = tail.unwrap_or_default().join("\n");
            format!("the daemon of {machine} has ended; its log:\n{tail}\n")
        }
    })?;
    serde_json::from_value(answer).with_context(|| format!("the status of {machine}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_are_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = ("A".repeat(43) + "=", "a".repeat(42) + "8=");
        for (own, peer) in [(End::A, End::B), (End::B, End::A)] {
            let file = folder.path().join("ropewalk.toml");
            std::fs::write(&file, config(own, peer, &public)).unwrap();
            let key = folder.path().join("node.key");
            std::fs::write(&key, &private).unwrap();
            let readable_by_us = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&key, readable_by_us).unwrap();
            let loaded = crate::config::Config::load(&file);
            assert!(loaded.is_ok(), "{loaded:?}");
        }
    }
}
