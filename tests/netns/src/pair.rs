//! The standard topology: nodes A and B, each in a namespace of its own, joined by lines.

use std::net::{IpAddr, UdpSocket};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use lab::daemon::Keys;
use lab::{Daemon, DaemonOptions, End, Meter, MeterEnd, MeterOptions, Namespace};
use serde_json::Value;

use crate::line::{Line, LineSpec};
use crate::program;

/// The TAP device of both nodes.
pub const TAP: &str = "rope0";

/// The other end.
pub fn other(end: End) -> End {
    match end {
        End::A => End::B,
        End::B => End::A,
    }
}

/// How to make a pair.
#[derive(Debug, Clone)]
pub struct PairOptions {
    /// The lines, `line1` first.
    pub lines: Vec<LineSpec>,
    /// `failover`, `balance`, `aggregate` or `redundant`.
    pub mode: String,
    /// Which ends know the other's addresses.
    pub dials: [bool; 2],
    /// What A and B dial instead of each other's addresses, as a TOML list.
    pub endpoints: [Option<String>; 2],
    /// Which ends have an uplink for each line; without any, the routing table decides.
    pub uplinks: [bool; 2],
    /// Endpoints name the uplink that they are dialled over.
    pub pinned: bool,
    /// Further keys of the peer, at both ends.
    pub peer: String,
    /// Further keys of the port `rope0`, at A and B.
    pub port: [String; 2],
    /// The port has an address (10.77.0.1 or .2, and fd77::1 or ::2).
    pub addressed: bool,
    /// Whole tables to add to the configuration of A and B.
    pub extra: [String; 2],
}

impl PairOptions {
    /// Lines in a mode; both dial, endpoints are pinned.
    pub fn new(mode: &str, lines: Vec<LineSpec>) -> Self {
        Self {
            lines,
            mode: mode.to_owned(),
            dials: [true, true],
            endpoints: [None, None],
            uplinks: [true, true],
            pinned: true,
            peer: String::new(),
            port: [String::new(), String::new()],
            addressed: true,
            extra: [String::new(), String::new()],
        }
    }

    /// With further keys of the port at both ends.
    pub fn port(self, keys: &str) -> Self {
        let port = [keys.to_owned(), keys.to_owned()];
        Self { port, ..self }
    }
}

fn keys() -> Result<[Keys; 2]> {
    static KEYS: OnceLock<Result<[Keys; 2], String>> = OnceLock::new();
    let make = || {
        let binary = program::binary()?;
        Ok([Keys::generate(&binary)?, Keys::generate(&binary)?])
    };
    KEYS.get_or_init(|| make().map_err(|error: anyhow::Error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

/// Two nodes and their lines. (The daemons go first.)
#[derive(Debug)]
pub struct Pair {
    daemons: [Daemon; 2],
    /// The lines, `line1` first.
    pub lines: Vec<Line>,
    /// The hosts, A and B.
    pub hosts: [Namespace; 2],
    options: PairOptions,
}

impl Pair {
    /// Makes all and waits until both ends show all paths up and carrying as their mode wants.
    pub fn start(options: PairOptions) -> Result<Self> {
        let mut pair = Self::start_unready(options, |_| Ok(()))?;
        pair.wait_all_up(Duration::from_secs(10))?;
        Ok(pair)
    }

    /// Makes all; `prepare` may change hosts and lines before the daemons start.
    pub fn start_unready(
        options: PairOptions,
        prepare: impl FnOnce(&[Line]) -> Result<()>,
    ) -> Result<Self> {
        let hosts = [Namespace::new("a")?, Namespace::new("b")?];
        let mut lines = Vec::new();
        for (number, spec) in (1u8..).zip(&options.lines) {
            lines.push(Line::join(number, &hosts, spec.clone())?);
        }
        prepare(&lines)?;
        let start = |end| Daemon::start(daemon_options(end, &options, &lines, &hosts)?);
        let daemons = [start(End::A)?, start(End::B)?];
        Ok(Self {
            daemons,
            lines,
            hosts,
            options,
        })
    }

    /// The daemon of one end.
    pub fn daemon(&mut self, end: End) -> &mut Daemon {
        &mut self.daemons[end as usize]
    }

    /// The host of one end.
    pub fn host(&self, end: End) -> &Namespace {
        &self.hosts[end as usize]
    }

    /// The line `line1` for 1.
    pub fn line(&self, number: usize) -> Result<&Line> {
        let index = number.checked_sub(1).context("lines count from 1")?;
        self.lines.get(index).context("no such line")
    }

    /// What `status --json` shows at one end.
    pub fn status(&self, end: End) -> Result<Value> {
        self.daemons[end as usize].status()
    }

    /// The process id of the daemon of one end.
    pub fn pid(&self, end: End) -> u32 {
        self.daemons[end as usize].pid()
    }

    /// A node's name for the other: the peer in its configuration.
    pub fn peer_of(end: End) -> &'static str {
        match end {
            End::A => "b",
            End::B => "a",
        }
    }

    /// The address of one end's TAP device.
    pub fn address(&self, end: End) -> IpAddr {
        IpAddr::from([10, 77, 0, end as u8 + 1])
    }

    /// The status of the peer at one end.
    pub fn peer(&self, end: End) -> Result<Value> {
        let status = self.status(end)?;
        let peer = lab::daemon::find_peer(&status, Self::peer_of(end));
        peer.cloned().context("the status has no such peer")
    }

    /// The path over a line at one end; its peer's status has it when both uplinks have met.
    pub fn path(&self, end: End, line: usize) -> Result<Value> {
        let uplink = format!("line{line}");
        let peer = self.peer(end)?;
        let paths = peer["paths"].as_array().cloned().unwrap_or_default();
        let mut own = paths
            .into_iter()
            .filter(|path| path["uplink"] == uplink.as_str());
        let first = own.next().context("the peer has no path on this line")?;
        // Of several, the one that works.
        Ok(own.fold(
            first,
            |best, path| if path["state"] == "up" { path } else { best },
        ))
    }

    /// Waits until this many lines are up at both ends (all of them in
    /// [`Pair::wait_all_up`]) and carry as the mode wants.
    pub fn wait_up(&mut self, lines: &[usize], timeout: Duration) -> Result<Duration> {
        self.wait(timeout, &format!("lines {lines:?} up"), |pair| {
            for end in [End::A, End::B] {
                for line in lines {
                    let path = pair.path(end, *line)?;
                    if path["state"] != "up" || path["rtt_ms"].is_null() {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
    }

    /// Waits until all lines are up at both ends.
    pub fn wait_all_up(&mut self, timeout: Duration) -> Result<Duration> {
        let lines: Vec<usize> = (1..=self.lines.len()).collect();
        self.wait_up(&lines, timeout)
    }

    /// Waits until `wanted`; returns how long it took. The error shows both ends.
    pub fn wait(
        &mut self,
        timeout: Duration,
        what: &str,
        wanted: impl Fn(&Self) -> Result<bool>,
    ) -> Result<Duration> {
        let start = Instant::now();
        loop {
            // A daemon that is just starting does not answer, and has no paths.
            if wanted(self).unwrap_or(false) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > timeout {
                bail!("not within {timeout:?}: {what}\n{}", self.describe());
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// The status and the log of both ends.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (name, daemon) in ["A", "B"].iter().zip(&self.daemons) {
            let status = daemon.status();
            text += &match status {
                Ok(status) => format!("--- status of {name}: {status:#}\n"),
                Err(error) => format!("--- status of {name}: {error:#}\n"),
            };
            text += &format!("--- log of {name}:\n{}\n", daemon.log());
        }
        text
    }

    /// Starts a meter between the TAP devices and waits until it flows both ways.
    pub fn meter(&self) -> Result<Meter> {
        self.meter_with(MeterOptions {
            grace: Duration::from_millis(500),
            ..MeterOptions::default()
        })
    }

    /// As [`Pair::meter`], with options.
    pub fn meter_with(&self, options: MeterOptions) -> Result<Meter> {
        let end = |end| MeterEnd::new(self.host(end), self.address(end));
        let meter = Meter::start(&end(End::A), &end(End::B), options)?;
        let flowing = meter.wait_flowing(Duration::from_secs(5));
        flowing.with_context(|| self.describe())?;
        Ok(meter)
    }

    /// Bytes that one end has sent over each line so far.
    pub fn sent(&self, end: End) -> Result<Vec<u64>> {
        (1..=self.lines.len())
            .map(|line| Ok(self.path(end, line)?["tx_bytes"].as_u64().unwrap_or(0)))
            .collect()
    }

    /// The line (from 1) over which each end sends most, looking for `time`.
    pub fn busiest(&self, time: Duration) -> Result<[usize; 2]> {
        let before = [self.sent(End::A)?, self.sent(End::B)?];
        sleep(time);
        let mut busiest = [0; 2];
        for end in [End::A, End::B] {
            let now = self.sent(end)?;
            let more = now.iter().zip(&before[end as usize]);
            let most = more
                .enumerate()
                .max_by_key(|(_, (now, then))| now.saturating_sub(**then));
            busiest[end as usize] = most.map_or(0, |(index, _)| index + 1);
        }
        Ok(busiest)
    }

    /// Sends a flow from A only: new flows go to the line with the least load, and both ends would
    /// take turns out of step for ever.
    fn disturb(&self) -> Result<()> {
        let host = self.host(End::A);
        let socket = host.enter(|| UdpSocket::bind((self.address(End::A), 0)))??;
        for _ in 0..40 {
            socket.send_to(&[0; 1000], (self.address(End::B), 9))?;
        }
        Ok(())
    }

    /// A meter whose both directions go over this line.
    ///
    /// In `failover` that is where they go once the best line has been found; in `balance` another
    /// pair of flows may be placed there.
    pub fn meter_on(&self, line: usize) -> Result<Meter> {
        let mut seen = [0; 2];
        for attempt in 0..24 {
            let meter = self.meter()?;
            // The first look may see the end of an earlier meter.
            sleep(Duration::from_millis(50));
            seen = self.busiest(Duration::from_millis(150))?;
            if seen == [line; 2] {
                return Ok(meter);
            }
            match self.options.mode.as_str() {
                "failover" => sleep(Duration::from_millis(300)),
                _ if attempt % 3 == 2 => self.disturb()?,
                _ => {}
            }
        }
        bail!(
            "no meter goes over line{line} both ways, the last went over {seen:?}\n{}",
            self.describe()
        )
    }
}

fn daemon_options(
    end: End,
    options: &PairOptions,
    lines: &[Line],
    hosts: &[Namespace; 2],
) -> Result<DaemonOptions> {
    let keys = keys()?;
    let at = end as usize;
    let config = config(end, options, lines, &keys[other(end) as usize].public);
    Ok(DaemonOptions {
        host: hosts[at].clone(),
        binary: program::binary()?,
        config,
        files: vec![("node.key".to_owned(), keys[at].private.clone())],
        environment: vec![("ROPEWALK_LOG".to_owned(), log_level())],
    })
}

fn log_level() -> String {
    std::env::var("ROPEWALK_LOG").unwrap_or_else(|_| "info".to_owned())
}

/// The configuration file of one end.
fn config(end: End, options: &PairOptions, lines: &[Line], peer_key: &str) -> String {
    let at = end as usize;
    let name = Pair::peer_of(other(end));
    let mut text = format!("[node]\nname = \"{name}\"\nprivate-key-file = \"node.key\"\n");
    for line in lines.iter().filter(|_| options.uplinks[at]) {
        let keys = &line.spec.uplink[at];
        text += &format!(
            "[[uplink]]\nname = {0:?}\ndevice = {0:?}\n{keys}\n",
            line.name
        );
    }
    let endpoint = |line: &Line| {
        let address = match line.address(other(end)) {
            IpAddr::V6(v6) => format!("[{v6}]:1830"),
            IpAddr::V4(v4) => format!("{v4}:1830"),
        };
        match options.pinned && options.uplinks[at] {
            true => format!("{{ address = {address:?}, uplink = {:?} }}", line.name),
            false => format!("{address:?}"),
        }
    };
    let endpoints: Vec<String> = lines.iter().map(endpoint).collect();
    text += &format!(
        "[[peer]]\nname = {:?}\npublic-key = {peer_key:?}\nmode = {:?}\n{}\n",
        Pair::peer_of(end),
        options.mode,
        options.peer
    );
    let endpoints = format!("[{}]", endpoints.join(", "));
    if options.dials[at] {
        let endpoints = options.endpoints[at].as_ref().unwrap_or(&endpoints);
        text += &format!("endpoints = {endpoints}\n");
    }
    text += &format!("[[port]]\nname = {TAP:?}\n{}\n", options.port[at]);
    if options.addressed {
        let host = at + 1;
        text += &format!("address = [\"10.77.0.{host}/24\", \"fd77::{host}/64\"]\n");
    }
    text + &options.extra[at]
}
