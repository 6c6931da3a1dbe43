//! The control API's answers, from the data thread's snapshots.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use node::{NodeEvent, PathSnapshot, PeerSnapshot, PortKindSnapshot, PortSnapshot};
use tokio::sync::broadcast;

use crate::{
    config::Config,
    control::{CommandError, ControlBackend, PathCommand, PathSelector, PathsChanged},
    dataplane::{Handle, Request, SendStats, Snapshot},
    status::{
        Event, FdbEntry, Mode, NodeStatus, Outages, PathState, PathStatus, PeerState, PeerStatus,
        PortKind, PortState, PortStatus, Role, Status,
    },
};

/// A failure of sending is shown this long after it happened.
const FAILURE_SHOWN_S: u64 = 10;

/// Stands between the control API and the data thread.
pub(super) struct Backend {
    handle: Handle,
    events: broadcast::Sender<Event>,
    started: Instant,
    uplinks: Vec<String>,
    peers: Vec<String>,
    listen_port: u16,
    warnings: Vec<String>,
    /// Names of the local ports, and whether each is an interface taken over.
    ports: Vec<(String, bool)>,
    /// What the machine lacks at the moment.
    missing: Mutex<Vec<String>>,
}

impl Backend {
    pub(super) fn new(config: &Config, handle: Handle, warnings: Vec<String>) -> Self {
        Self {
            handle,
            events: broadcast::channel(1024).0,
            started: Instant::now(),
            uplinks: config
                .uplinks
                .iter()
                .map(|uplink| uplink.name.clone())
                .collect(),
            peers: config.peers.iter().map(|peer| peer.name.clone()).collect(),
            listen_port: config.node.listen.first().map_or(0, SocketAddr::port),
            warnings,
            ports: config
                .ports
                .iter()
                .map(|port| (port.name.clone(), port.device.is_some()))
                .collect(),
            missing: Mutex::default(),
        }
    }

    /// Replaces the sentences about what the machine lacks.
    pub(super) fn set_missing(&self, missing: Vec<String>) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// Passes on what became of a port's interface; `reason` is empty when it can be used.
    pub(super) fn on_port(&self, port: usize, reason: &'static str) {
        let name = self.ports.get(port).map(|(name, _)| name.clone());
        let kind = if reason.is_empty() {
            "port-up"
        } else {
            "port-down"
        };
        tracing::info!(port = name.as_deref(), reason, "{kind}");
        let _ = self.events.send(Event {
            time: Timestamp::now(),
            kind: kind.to_owned(),
            peer: None,
            path: None,
            port: name,
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        });
    }

    /// Passes an event of the data thread to whoever listens, and to the log.
    pub(super) fn on_event(&self, event: &NodeEvent) {
        let peer = self.peers.get(event.peer).cloned();
        let (kind, path, reason) = self.describe(&event.event);
        tracing::info!(
            peer = peer.as_deref(),
            path = path.as_deref(),
            reason,
            "{kind}"
        );
        // Nobody listening is no fault.
        let _ = self.events.send(Event {
            time: Timestamp::now(),
            kind: kind.to_owned(),
            peer,
            path,
            port: None,
            reason: reason.map(str::to_owned),
        });
    }

    fn describe(
        &self,
        event: &node::Event,
    ) -> (&'static str, Option<String>, Option<&'static str>) {
        let path = |uplink: &node::UplinkId, remote: &SocketAddr| {
            let uplink = self
                .uplinks
                .get(usize::from(uplink.0))
                .map_or("?", String::as_str);
            Some(format!("{uplink}/{remote}"))
        };
        match event {
            node::Event::PeerUp => ("peer-up", None, None),
            node::Event::PeerDown => ("peer-down", None, None),
            node::Event::PeerRestarted => ("peer-restarted", None, None),
            node::Event::PeerClosed => ("peer-closed", None, None),
            node::Event::Rekeyed { .. } => ("rekeyed", None, None),
            node::Event::Path {
                uplink,
                remote,
                state,
                reason,
            } => {
                let kind = match state {
                    node::PathState::Probing => "path-probing",
                    node::PathState::Up => "path-up",
                    node::PathState::Suspect => "path-suspect",
                    node::PathState::Down => "path-down",
                    node::PathState::Drained => "path-drained",
                    node::PathState::Absent => "path-absent",
                };
                (kind, path(uplink, remote), Some(reason))
            }
            node::Event::Moved { uplink, to, .. } => {
                ("path-moved", path(uplink, to), Some("address-changed"))
            }
            node::Event::MtuBlackHole { uplink, remote } => (
                "path-mtu-reduced",
                path(uplink, remote),
                Some("mtu-black-hole"),
            ),
        }
    }

    fn status_of(&self, snapshot: Snapshot) -> Status {
        let clock = Clock {
            now: snapshot.now,
            wall: Timestamp::now(),
        };
        let (stats, snapshot) = (&snapshot.sending, snapshot.node);
        let mut drops: std::collections::BTreeMap<String, u64> = snapshot
            .drops
            .iter()
            .map(|&(reason, count)| (reason.to_owned(), count))
            .collect();
        for (reason, count) in [
            ("socket-no-room", stats.no_room),
            ("socket-too-big", stats.too_big),
            ("socket-unreachable", stats.unreachable),
            ("socket-foreign-address", stats.foreign),
            ("tap-refused", stats.tap_refused),
            ("device-refused", stats.device_refused),
            ("device-overflow", stats.device_overflow),
            ("device-unreadable", stats.device_unreadable),
            ("ingress-full", stats.waiting.overflow_drops),
            ("ingress-delay", stats.waiting.codel_drops),
        ] {
            if count > 0 {
                drops.insert(reason.to_owned(), count);
            }
        }
        Status {
            node: NodeStatus {
                name: snapshot.name,
                public_key: base64(&snapshot.public_key),
                version: crate::VERSION.to_owned(),
                uptime_s: self.started.elapsed().as_secs(),
            },
            peers: snapshot
                .peers
                .iter()
                .map(|peer| self.peer(peer, &clock))
                .collect(),
            ports: snapshot
                .ports
                .iter()
                .enumerate()
                .map(|(at, port)| self.port(at, port))
                .collect(),
            forwarders: Vec::new(),
            drops,
            warnings: self
                .warnings
                .iter()
                .cloned()
                .chain(
                    self.missing
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .iter()
                        .cloned(),
                )
                .chain(snapshot.ports.iter().filter_map(blocked))
                .chain(self.failure(stats, &clock))
                .collect(),
        }
    }

    fn failure(&self, stats: &SendStats, clock: &Clock) -> Option<String> {
        let (target, error, at) = stats.last_failure.as_ref()?;
        if clock.now.saturating_duration_since(*at).as_secs() >= FAILURE_SHOWN_S {
            return None;
        }
        let uplink = self.uplinks.get(usize::from(target.uplink.0))?;
        Some(format!(
            "uplink {uplink}: sending to {} fails: {error}",
            target.remote
        ))
    }

    fn port(&self, at: usize, port: &PortSnapshot) -> PortStatus {
        PortStatus {
            name: port.name.clone(),
            kind: match port.kind {
                PortKindSnapshot::Local => match self.ports.get(at) {
                    Some((_, true)) => PortKind::Device,
                    _ => PortKind::Tap,
                },
                PortKindSnapshot::Peer => PortKind::Peer,
            },
            state: match port.state {
                "forwarding" => PortState::Forwarding,
                "learning" => PortState::Learning,
                _ => PortState::Discarding,
            },
            role: None,
            reason: Some(port.reason.to_owned()).filter(|reason| !reason.is_empty()),
            storm_drops: port.storm_drops,
            vlans: port.vlans.as_ref().map_or_else(
                || "all".to_owned(),
                |ranges| {
                    let range = |&(first, last): &(u16, u16)| {
                        if first == last {
                            first.to_string()
                        } else {
                            format!("{first}-{last}")
                        }
                    };
                    ranges.iter().map(range).collect::<Vec<_>>().join(",")
                },
            ),
        }
    }

    fn peer(&self, peer: &PeerSnapshot, clock: &Clock) -> PeerStatus {
        PeerStatus {
            name: peer.name.clone(),
            public_key: base64(&peer.public_key),
            state: if peer.up {
                PeerState::Up
            } else {
                PeerState::Down
            },
            mode: mode_of(peer.mode),
            effective_mode: mode_of(peer.effective_mode),
            paths: peer
                .paths
                .iter()
                .map(|path| self.path(path, clock))
                .collect(),
            outages: Outages {
                count: peer.outages.count,
                longest_ms: peer.outages.longest.as_millis() as u64,
                total_ms: peer.outages.total.as_millis() as u64,
            },
        }
    }

    fn path(&self, path: &PathSnapshot, clock: &Clock) -> PathStatus {
        let ms = |duration: std::time::Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let known = path.round_trip.is_some();
        PathStatus {
            uplink: self
                .uplinks
                .get(usize::from(path.uplink.0))
                .cloned()
                .unwrap_or_default(),
            local: path
                .local
                .map(|ip| SocketAddr::new(ip, self.listen_port).to_string()),
            remote: Some(path.remote.to_string()),
            state: match path.state {
                node::PathState::Probing => PathState::Probing,
                node::PathState::Up => PathState::Up,
                node::PathState::Suspect => PathState::Suspect,
                node::PathState::Down => PathState::Down,
                node::PathState::Drained => PathState::Drained,
                node::PathState::Absent => PathState::Absent,
            },
            role: match path.role {
                node::Role::Primary => Role::Primary,
                node::Role::Backup => Role::Backup,
                node::Role::Metered => Role::Metered,
            },
            active: path.active,
            peer_active: Some(path.peer_active),
            rtt_ms: path.round_trip.map(ms),
            jitter_ms: path.jitter.map(ms),
            loss: path.loss,
            capacity_bps: path.capacity,
            mtu: known.then_some(path.mtu),
            tx_bytes: with_headers(path.tx_bytes, path.tx_datagrams, path.remote),
            rx_bytes: with_headers(path.rx_bytes, path.rx_datagrams, path.remote),
            since: Some(clock.timestamp(path.since)),
            reason: Some(path.reason.to_owned()).filter(|reason| !reason.is_empty()),
            excluded_reason: path.excluded.map(str::to_owned),
        }
    }
}

fn mode_of(mode: node::Mode) -> Mode {
    match mode {
        node::Mode::Failover => Mode::Failover,
        node::Mode::Balance => Mode::Balance,
        node::Mode::Aggregate => Mode::Aggregate,
        node::Mode::Redundant => Mode::Redundant,
    }
}

impl ControlBackend for Backend {
    async fn status(&self) -> Result<Status, CommandError> {
        let snapshot = self
            .handle
            .call(Request::Status)
            .await
            .map_err(unavailable)?;
        Ok(self.status_of(snapshot))
    }

    async fn fdb(&self) -> Result<Vec<FdbEntry>, CommandError> {
        let entries = self.handle.call(Request::Fdb).await.map_err(unavailable)?;
        let entry = |(entry, port): (node::FdbEntry, String)| FdbEntry {
            vlan: entry.vlan.get(),
            mac: entry.mac.to_string(),
            port,
            age_s: entry.age.as_secs(),
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    async fn path_command(
        &self,
        peer: String,
        path: PathSelector,
        command: PathCommand,
    ) -> Result<PathsChanged, CommandError> {
        let peer = self
            .peers
            .iter()
            .position(|name| *name == peer)
            .ok_or(CommandError::UnknownPeer)?;
        let uplink = self
            .uplinks
            .iter()
            .position(|name| *name == path.uplink)
            .ok_or(CommandError::UnknownPath)?;
        let uplink = node::UplinkId(uplink as u8);
        let snapshot = self
            .handle
            .call(Request::Status)
            .await
            .map_err(unavailable)?;
        let met = snapshot.node.peers.get(peer).map_or(0, |peer| {
            let meets =
                |p: &&PathSnapshot| p.uplink == uplink && path.remote.is_none_or(|r| r == p.remote);
            peer.paths.iter().filter(meets).count()
        });
        if met == 0 && path.remote.is_some() {
            return Err(CommandError::UnknownPath);
        }
        let op = match command {
            PathCommand::Up => node::PathOp::Up,
            PathCommand::Down => node::PathOp::Down,
            PathCommand::Drain => node::PathOp::Drain,
        };
        let known = self
            .handle
            .call(|answer| Request::Path(peer, uplink, path.remote, op, answer))
            .await
            .map_err(unavailable)?;
        if known {
            Ok(PathsChanged { paths: met })
        } else {
            Err(CommandError::UnknownPath)
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// One moment on both clocks.
struct Clock {
    now: Instant,
    wall: Timestamp,
}

impl Clock {
    fn timestamp(&self, at: Instant) -> Timestamp {
        let ago =
            SignedDuration::try_from(self.now.saturating_duration_since(at)).unwrap_or_default();
        self.wall.checked_sub(ago).unwrap_or(self.wall)
    }
}

/// Bytes on the line: UDP payload with the headers of UDP and IP.
fn with_headers(bytes: u64, datagrams: u64, remote: SocketAddr) -> u64 {
    bytes + datagrams * if remote.is_ipv4() { 28 } else { 48 }
}

/// What to say of a port whose network drops frames of foreign stations.
fn blocked(port: &PortSnapshot) -> Option<String> {
    port.blocks_foreign.then(|| {
        format!(
            "port {}: broadcasts come in, but nobody there answers the stations behind this switch. \
             If this is a virtual machine, its hypervisor probably drops frames of other Ethernet \
             addresses than the one it gave: allow promiscuous mode, forged transmits and MAC address \
             changes at the virtual switch (VMware), or MAC address spoofing at the adapter (Hyper-V)",
            port.name
        )
    })
}

fn base64(key: &[u8; 32]) -> String {
    base64::engine::general_purpose::STANDARD.encode(key)
}

fn unavailable(error: crate::dataplane::AskError) -> CommandError {
    CommandError::Unavailable(error.to_string())
}
