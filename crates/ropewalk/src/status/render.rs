//! Status for people: one screen of aligned text.

use std::fmt::Write;

use anstyle::{AnsiColor, Reset};
use jiff::Timestamp;

use super::{FdbEntry, Mode, PathState, PathStatus, PeerState, PeerStatus, Status};

/// Whether colours are used: on a terminal only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// States in colour.
    Coloured,
}

/// One cell of a table; the colour adds no width.
struct Cell {
    text: String,
    colour: Option<AnsiColor>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            colour: None,
        }
    }
}

/// The whole screen; `now` is the wall clock, for ages.
pub fn screen(status: &Status, now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    let node = &status.node;
    let up = duration(node.uptime_s);
    line(
        &mut out,
        &format!("node {}  up {up}  version {}", node.name, node.version),
    );
    line(&mut out, &format!("  public key {}", node.public_key));
    for peer in &status.peers {
        out.push('\n');
        peer_block(&mut out, peer, now, style);
    }
    ports(&mut out, status, style);
    forwarders(&mut out, status, now, style);
    let drops = status.drops.iter().filter(|(_, count)| **count > 0);
    let drops: Vec<String> = drops
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if !drops.is_empty() {
        line(&mut out, &format!("\ndrops  {}", drops.join(", ")));
    }
    for warning in &status.warnings {
        let warning = paint("warning", Some(AnsiColor::Yellow), style) + ": " + warning;
        line(&mut out, &warning);
    }
    out
}

/// The learned addresses.
pub fn fdb_table(entries: &[FdbEntry]) -> String {
    let header = ["vlan", "mac", "port", "age"].map(Cell::from).into();
    let mut rows = vec![header];
    for entry in entries {
        let vlan = if entry.vlan == 0 {
            "-".to_owned()
        } else {
            entry.vlan.to_string()
        };
        let age = duration(entry.age_s);
        rows.push(vec![
            vlan.into(),
            (&*entry.mac).into(),
            (&*entry.port).into(),
            age.into(),
        ]);
    }
    let mut out = String::new();
    table(&mut out, "", &rows, Style::Plain);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn peer_block(out: &mut String, peer: &PeerStatus, now: Timestamp, style: Style) {
    let (state, colour) = match peer.state {
        PeerState::Up => ("up", AnsiColor::Green),
        PeerState::Down => ("down", AnsiColor::Red),
    };
    let state = paint(state, Some(colour), style);
    let mode = match peer.mode == peer.effective_mode {
        true => mode(peer.mode).to_owned(),
        false => format!(
            "{} (works as {})",
            mode(peer.mode),
            mode(peer.effective_mode)
        ),
    };
    let outages = match peer.outages.count {
        0 => "no outages".to_owned(),
        count => format!(
            "outages {count}, longest {}, together {}",
            milliseconds(peer.outages.longest_ms),
            milliseconds(peer.outages.total_ms)
        ),
    };
    line(
        out,
        &format!("peer {}  {state}  mode {mode}  {outages}", peer.name),
    );
    if peer.paths.is_empty() {
        line(
            out,
            "  no path: it has no endpoints here and has not called yet",
        );
        return;
    }
    let header = [
        "path", "state", "for", "data", "role", "rtt", "jitter", "loss", "capacity", "mtu", "sent",
        "received", "reason",
    ];
    let mut rows = vec![header.map(Cell::from).into()];
    rows.extend(peer.paths.iter().map(|path| path_row(path, now)));
    table(out, "  ", &rows, style);
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Failover => "failover",
        Mode::Balance => "balance",
        Mode::Aggregate => "aggregate",
        Mode::Redundant => "redundant",
        Mode::Unknown => "unknown",
    }
}

fn path_row(path: &PathStatus, now: Timestamp) -> Vec<Cell> {
    let remote = path.remote.as_deref().unwrap_or("?");
    let (state, colour) = path_state(path.state);
    let data = match (path.active, path.peer_active.unwrap_or(false)) {
        (true, true) => "both",
        (true, false) => "out",
        (false, true) => "in",
        (false, false) => "-",
    };
    // Why it carries nothing is news; that it answers is not.
    let reason = path.excluded_reason.as_deref().or(path.reason.as_deref());
    vec![
        format!("{}/{remote}", path.uplink).into(),
        Cell {
            text: state.to_owned(),
            colour: Some(colour),
        },
        path.since
            .map_or("-".to_owned(), |since| age(since, now))
            .into(),
        data.into(),
        lowercase(path.role).into(),
        path.rtt_ms
            .map_or("-".to_owned(), |ms| format!("{ms:.1} ms"))
            .into(),
        path.jitter_ms
            .map_or("-".to_owned(), |ms| format!("{ms:.1} ms"))
            .into(),
        path.loss
            .map_or("-".to_owned(), |loss| format!("{:.1} %", loss * 100.0))
            .into(),
        path.capacity_bps
            .map_or("-".to_owned(), |bps| scaled(bps, "bit/s"))
            .into(),
        path.mtu
            .map_or("-".to_owned(), |mtu| mtu.to_string())
            .into(),
        scaled(path.tx_bytes, "B").into(),
        scaled(path.rx_bytes, "B").into(),
        reason.unwrap_or("").into(),
    ]
}

fn path_state(state: PathState) -> (&'static str, AnsiColor) {
    match state {
        PathState::Up => ("up", AnsiColor::Green),
        PathState::Probing => ("probing", AnsiColor::Yellow),
        PathState::Suspect => ("suspect", AnsiColor::Yellow),
        PathState::Down => ("down", AnsiColor::Red),
        PathState::Drained => ("drained", AnsiColor::Cyan),
        PathState::Absent => ("absent", AnsiColor::Red),
        PathState::Unknown => ("unknown", AnsiColor::Yellow),
    }
}

fn ports(out: &mut String, status: &Status, style: Style) {
    if status.ports.is_empty() {
        return;
    }
    out.push('\n');
    let mut heads = vec!["port", "kind", "state", "role", "vlans"];
    let has_reason = status.ports.iter().any(|port| port.reason.is_some());
    if has_reason {
        heads.push("reason");
    }
    let mut rows = vec![heads.into_iter().map(Cell::from).collect()];
    for port in &status.ports {
        let role = port.role.as_deref().unwrap_or("-");
        rows.push(vec![
            (&*port.name).into(),
            lowercase(port.kind).into(),
            lowercase(port.state).into(),
            role.into(),
            (&*port.vlans).into(),
            port.reason.as_deref().unwrap_or("").into(),
        ]);
    }
    table(out, "", &rows, style);
}

fn forwarders(out: &mut String, status: &Status, now: Timestamp, style: Style) {
    if status.forwarders.is_empty() {
        return;
    }
    out.push('\n');
    let mut rows = vec![
        ["site", "vlan", "forwarder", "for", "reason"]
            .map(Cell::from)
            .into(),
    ];
    for forwarder in &status.forwarders {
        rows.push(vec![
            (&*forwarder.site).into(),
            forwarder.vlan.to_string().into(),
            (&*forwarder.node).into(),
            forwarder
                .since
                .map_or("-".to_owned(), |since| age(since, now))
                .into(),
            forwarder.reason.as_deref().unwrap_or("").into(),
        ]);
    }
    table(out, "", &rows, style);
}

/// The word that a plain enumeration has in JSON.
fn lowercase(word: impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

/// Writes rows with columns as wide as their widest cell; the last one is not padded.
fn table(out: &mut String, indent: &str, rows: &[Vec<Cell>], style: Style) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut text = indent.to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = width.saturating_sub(cell.text.chars().count()) + 2;
            text.push_str(&paint(&cell.text, cell.colour, style));
            text.extend(std::iter::repeat_n(' ', padding));
        }
        line(out, text.trim_end());
    }
}

fn paint(text: &str, colour: Option<AnsiColor>, style: Style) -> String {
    match (colour, style) {
        (Some(colour), Style::Coloured) => {
            format!("{}{text}{}", colour.on_default().render(), Reset.render())
        }
        _ => text.to_owned(),
    }
}

fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second());
    duration(u64::try_from(seconds).unwrap_or(0))
}

/// Seconds in the two largest units that matter.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn milliseconds(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        _ => duration(ms / 1000),
    }
}

/// Three digits and a decimal prefix.
fn scaled(value: u64, unit: &str) -> String {
    let mut scaled = value as f64;
    let mut prefixes = ["", "k", "M", "G", "T", "P"].iter();
    let mut prefix = prefixes.next().unwrap_or(&"");
    while scaled >= 999.5 {
        let Some(larger) = prefixes.next() else { break };
        (scaled, prefix) = (scaled / 1000.0, larger);
    }
    let mut text = String::new();
    let decimals = usize::from(!prefix.is_empty() && scaled < 99.95);
    // Writing into a String cannot fail.
    let _ = write!(text, "{scaled:.decimals$} {prefix}{unit}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: &str = "\
node a  up 1h02m  version 0.1.0
  public key hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=

peer b  up  mode aggregate (works as balance)  outages 1, longest 61 ms, together 61 ms
  path                      state  for    data  role     rtt      jitter  loss   capacity     mtu   sent    received  reason
  line1/192.168.100.2:1830  up     1m05s  both  primary  20.2 ms  0.5 ms  0.2 %  48.0 Mbit/s  1452  5.3 MB  999 B
  line2/[2001:db8::2]:1830  down   1m05s  -     metered  -        -       -      -            -     0 B     0 B       silent

port   kind  state       role  vlans
bond0  tap   forwarding  -     all
b      peer  forwarding  -     0,10,20-29

drops  replayed 12
warning: uplink line2: device eth9 is absent
";

    #[test]
    fn one_screen() {
        let status = super::super::tests::sample();
        let now = "2026-01-02T03:05:10Z".parse().unwrap();
        assert_eq!(screen(&status, now, Style::Plain), SCREEN);
        let coloured = screen(&status, now, Style::Coloured);
        assert!(coloured.contains("\u{1b}[32mup\u{1b}[0m"));
        assert!(coloured.contains("\u{1b}[31mdown\u{1b}[0m   1m05s"));
    }

    #[test]
    fn units() {
        assert_eq!(scaled(999, "B"), "999 B");
        assert_eq!(scaled(999_999, "B"), "1.0 MB");
        assert_eq!(scaled(123_456_789, "bit/s"), "123 Mbit/s");
        assert_eq!(duration(59), "59s");
        assert_eq!(duration(90_000), "1d01h");
        assert_eq!(milliseconds(65_000), "1m05s");
    }
}
