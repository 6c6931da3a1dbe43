//! Keeps the uplinks' sockets in step with the machine: devices come and go, carriers and addresses change.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use node::{UplinkId, UplinkState};
use sys::{
    Netlink, UdpSocket,
    netlink::{Address, Link, LinkEvent, Monitor},
    udp::BindOptions,
};

use tokio::sync::Notify;

use super::foreign::foreign_addresses;
use crate::{
    config::{Config, UplinkConfig},
    dataplane::{Handle, Request},
};

/// A line whose sockets could not be opened is tried again this often.
const RETRY: Duration = Duration::from_secs(1);
/// What the kernel keeps of arrivals on a socket, bytes, of which its own overhead takes more than half with small datagrams: at
/// least 10 ms at 1 Gbit/s, and no more than some milliseconds when this machine is the slower end of a fast line.
const RECEIVE_BUFFER: usize = 2 << 20;
/// The same of what is to be sent: 20 ms at 1 Gbit/s.
const SOCKET_BUFFER: usize = 4 << 20;
/// MTU of an uplink without a device of its own.
const DEFAULT_MTU: u16 = 1500;

struct Line {
    config: UplinkConfig,
    mark: Option<u32>,
    /// Index of the device the sockets are bound to.
    bound: Option<u32>,
    told: Option<UplinkState>,
    told_foreign: Vec<IpAddr>,
    complained: Option<String>,
}

/// All uplinks of this node.
pub(super) struct Lines {
    lines: Vec<Line>,
    listen: Vec<SocketAddr>,
    own: Vec<u32>,
    /// A line without a device beside lines with one: they share the port by saying so.
    mixed: bool,
    handle: Handle,
    netlink: Netlink,
    changed: Arc<Notify>,
    /// Addresses the machine has: the kernel announces old ones again and again.
    addresses: BTreeSet<(u32, IpAddr, u8)>,
}

impl Lines {
    /// Opens what can be opened now. `marks`: the routing mark of each uplink that has a private table; `own`: our ports' interfaces;
    /// `changed` is told of every event.
    ///
    /// # Errors
    /// When a line that needs no device cannot be opened: that will not mend itself.
    pub(super) async fn open(
        config: &Config,
        marks: &[Option<u32>],
        own: Vec<u32>,
        handle: Handle,
        netlink: Netlink,
        changed: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let lines = config.uplinks.iter().enumerate().map(|(at, uplink)| Line {
            config: uplink.clone(),
            mark: marks.get(at).copied().flatten(),
            bound: None,
            told: None,
            told_foreign: Vec::new(),
            complained: None,
        });
        let has_device = |uplink: &UplinkConfig| uplink.device.is_some();
        let mixed = config.uplinks.iter().any(has_device) && !config.uplinks.iter().all(has_device);
        let mut lines = Self {
            lines: lines.collect(),
            listen: config.node.listen.clone(),
            own,
            mixed,
            handle,
            netlink,
            changed,
            addresses: BTreeSet::new(),
        };
        let present = lines.netlink.addresses(None).await.unwrap_or_default();
        lines.addresses = present.iter().map(key).collect();
        let links = lines.netlink.links().await.unwrap_or_default();
        for at in 0..lines.lines.len() {
            let name = lines.lines[at].config.name.clone();
            let link = lines.device_of(at, &links);
            let must = lines.lines[at].config.device.is_none()
                && lines.lines[at].config.addresses.is_empty();
            let opened = lines.update(at, link.as_ref(), false);
            if must {
                opened.with_context(|| {
                    format!("uplink {name}: cannot listen on {}", lines.listen_text())
                })?;
            }
        }
        lines.tell_foreign(&links).await;
        Ok(lines)
    }

    /// Follows the kernel's events for ever.
    pub(super) async fn follow(mut self, mut monitor: Monitor) {
        let mut retry = tokio::time::interval(RETRY);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.read_all().await;
        loop {
            tokio::select! {
                event = monitor.next() => match event {
                    Some(event) => {
                        self.on_event(event).await;
                        self.changed.notify_one();
                    }
                    None => {
                        tracing::warn!("the kernel's interface events stopped; listening anew");
                        tokio::time::sleep(RETRY).await;
                        if let Ok(again) = Monitor::open() {
                            monitor = again;
                        }
                        self.read_all().await;
                    }
                },
                // An event may be late or lost; a look at the state of things is cheap.
                _ = retry.tick() => self.read_all().await,
            }
        }
    }

    async fn on_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Changed(link) => {
                for at in 0..self.lines.len() {
                    if self.lines[at].config.device.as_ref() == Some(&link.name) {
                        let _ = self.update(at, Some(&link), false);
                    }
                }
            }
            LinkEvent::Gone { name, ifindex } => {
                for at in 0..self.lines.len() {
                    let line = &self.lines[at];
                    if line.config.device.as_ref() == Some(&name) && line.bound == Some(ifindex) {
                        let _ = self.update(at, None, false);
                    }
                }
            }
            LinkEvent::AddressAdded(address) => {
                if self.addresses.insert(key(&address)) {
                    self.on_address(&address).await;
                }
            }
            LinkEvent::AddressRemoved(address) => {
                if self.addresses.remove(&key(&address)) {
                    self.on_address(&address).await;
                }
            }
            LinkEvent::Lost => self.read_all().await,
        }
    }

    async fn on_address(&mut self, address: &Address) {
        if !address.global || self.own.contains(&address.ifindex) {
            return;
        }
        let links = self.netlink.links().await.unwrap_or_default();
        self.tell_foreign(&links).await;
        for at in 0..self.lines.len() {
            let link = self.device_of(at, &links);
            let concerns = match (&self.lines[at].config.device, &link) {
                (None, _) => true,
                (Some(_), Some(link)) => link.index == address.ifindex,
                (Some(_), None) => false,
            };
            if concerns {
                let _ = self.update(at, link.as_ref(), true);
            }
        }
    }

    async fn read_all(&mut self) {
        let Ok(links) = self.netlink.links().await else {
            return;
        };
        self.tell_foreign(&links).await;
        for at in 0..self.lines.len() {
            let link = self.device_of(at, &links);
            let _ = self.update(at, link.as_ref(), false);
        }
    }

    /// Tells the data thread which addresses are other lines'.
    async fn tell_foreign(&mut self, links: &[Link]) {
        let Ok(addresses) = self.netlink.addresses(None).await else {
            return;
        };
        let devices: Vec<Option<u32>> = (0..self.lines.len())
            .map(|at| self.device_of(at, links).map(|link| link.index))
            .collect();
        for (at, line) in self.lines.iter_mut().enumerate() {
            let foreign = foreign_addresses(at, &devices, &addresses);
            let request = Request::Foreign(UplinkId(at as u8), foreign.clone());
            if line.told_foreign != foreign && self.handle.ask(request).is_ok() {
                line.told_foreign = foreign;
            }
        }
    }

    fn device_of(&self, at: usize, links: &[Link]) -> Option<Link> {
        let device = self.lines[at].config.device.as_ref()?;
        links.iter().find(|link| &link.name == device).cloned()
    }

    /// Brings sockets and the data thread in line with the device's state.
    fn update(&mut self, at: usize, link: Option<&Link>, readdressed: bool) -> io::Result<()> {
        let line = &mut self.lines[at];
        let state = state_of(&line.config, link, readdressed);
        let index = match (&line.config.device, link) {
            (Some(_), Some(link)) => Some(link.index),
            (Some(_), None) => None,
            (None, _) => Some(0),
        };
        let mut opened = Ok(());
        let sockets = if index == line.bound {
            None
        } else {
            match index.map(|_| open_sockets(&line.config, line.mark, self.mixed, &self.listen)) {
                None => {
                    line.bound = None;
                    Some(Vec::new())
                }
                Some(Ok(sockets)) => {
                    line.bound = index;
                    line.complained = None;
                    Some(sockets)
                }
                Some(Err(error)) => {
                    complain(line, &error);
                    opened = Err(error);
                    None
                }
            }
        };
        let state = match line.bound {
            Some(_) => state,
            None if state.present => UplinkState {
                present: false,
                reason: "cannot-listen",
                ..state
            },
            None => state,
        };
        let news = line.told
            != Some(UplinkState {
                readdressed: false,
                ..state
            })
            || readdressed;
        if sockets.is_some() || news {
            let request = Request::Uplink(UplinkId(at as u8), state, sockets);
            // A full queue is tried again at the next look; the state told stays the old one.
            if self.handle.ask(request).is_ok() {
                line.told = Some(UplinkState {
                    readdressed: false,
                    ..state
                });
            } else {
                line.bound = None;
            }
        }
        opened
    }

    fn listen_text(&self) -> String {
        let addresses: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        addresses.join(", ")
    }
}

fn key(address: &Address) -> (u32, IpAddr, u8) {
    (address.ifindex, address.address, address.prefix)
}

fn complain(line: &mut Line, error: &io::Error) {
    let text = error.to_string();
    if line.complained.as_ref() != Some(&text) {
        tracing::warn!(uplink = %line.config.name, %error, "cannot open the uplink's socket; trying again every second");
        line.complained = Some(text);
    }
}

fn state_of(config: &UplinkConfig, link: Option<&Link>, readdressed: bool) -> UplinkState {
    let state = |present, reason, mtu: u32| UplinkState {
        present,
        reason,
        mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
        readdressed,
    };
    match (&config.device, link) {
        (None, _) => state(true, "", u32::from(DEFAULT_MTU)),
        (Some(_), None) => state(false, "device-absent", u32::from(DEFAULT_MTU)),
        (Some(_), Some(link)) if !link.up => state(false, "device-down", link.mtu),
        (Some(_), Some(link)) if !link.carrier => state(false, "carrier-lost", link.mtu),
        (Some(_), Some(link)) => state(true, "", link.mtu),
    }
}

fn open_sockets(
    config: &UplinkConfig,
    mark: Option<u32>,
    share_port: bool,
    listen: &[SocketAddr],
) -> io::Result<Vec<UdpSocket>> {
    let mut addresses = Vec::new();
    for &address in listen {
        if config.addresses.is_empty() || !address.ip().is_unspecified() {
            addresses.push(address);
        } else {
            addresses.extend(
                config
                    .addresses
                    .iter()
                    .map(|&ip| SocketAddr::new(ip, address.port())),
            );
        }
    }
    let open = |addr| {
        UdpSocket::open(&BindOptions {
            addr,
            device: config.device.clone(),
            mark,
            share_port,
            recv_buffer: Some(RECEIVE_BUFFER),
            send_buffer: Some(SOCKET_BUFFER),
        })
    };
    addresses.into_iter().map(open).collect()
}
