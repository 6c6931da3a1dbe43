//! Where the peers may be: literal addresses at once, names resolved now and again while any path of the peer is not up.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use node::{Endpoint, PathState, UplinkId};
use sys::Netlink;

use crate::{
    config::{Config, Host, PeerConfig},
    dataplane::{Handle, Request},
};

/// How often the names of a peer that lacks a path are asked for again.
const EVERY: Duration = Duration::from_secs(5);
/// Names of a peer with all its paths up.
const RARELY: Duration = Duration::from_secs(600);
/// A name has at most this many addresses for us.
const MAX_ADDRESSES: usize = 8;
/// One look-up may take this long.
const PATIENCE: Duration = Duration::from_secs(4);

/// Tells the data thread the addresses of all peers, for ever.
pub(super) struct Resolver {
    peers: Vec<PeerConfig>,
    /// Uplinks by name, and whether each has a device of its own.
    uplinks: Vec<(String, bool)>,
    own: Vec<u32>,
    handle: Handle,
    netlink: Netlink,
    known: HashMap<String, Vec<SocketAddr>>,
    told: Vec<Vec<Endpoint>>,
    asked: Vec<Option<Instant>>,
    warned: Vec<SocketAddr>,
}

impl Resolver {
    pub(super) fn new(config: &Config, own: Vec<u32>, handle: Handle, netlink: Netlink) -> Self {
        let uplinks = config
            .uplinks
            .iter()
            .map(|u| (u.name.clone(), u.device.is_some()))
            .collect();
        let count = config.peers.len();
        Self {
            peers: config.peers.clone(),
            uplinks,
            own,
            handle,
            netlink,
            known: HashMap::new(),
            told: vec![Vec::new(); count],
            asked: vec![None; count],
            warned: Vec::new(),
        }
    }

    pub(super) async fn follow(mut self) {
        // What needs no look-up must not wait for one that hangs.
        for peer in 0..self.peers.len() {
            self.tell(peer).await;
        }
        loop {
            let incomplete = self.incomplete().await;
            for peer in 0..self.peers.len() {
                let patience = if incomplete.get(peer).copied().unwrap_or(true) {
                    EVERY
                } else {
                    RARELY
                };
                if self.asked[peer].is_none_or(|asked| asked.elapsed() >= patience) {
                    self.asked[peer] = Some(Instant::now());
                    self.resolve(peer).await;
                }
                self.tell(peer).await;
            }
            tokio::time::sleep(EVERY / 5).await;
        }
    }

    /// For each peer whether any path of it is not up.
    async fn incomplete(&self) -> Vec<bool> {
        let Ok(snapshot) = self.handle.call(Request::Status).await else {
            return Vec::new();
        };
        let lacks = |peer: &node::PeerSnapshot| {
            !peer.up || peer.paths.iter().any(|path| path.state != PathState::Up)
        };
        snapshot.node.peers.iter().map(lacks).collect()
    }

    async fn resolve(&mut self, peer: usize) {
        let names: Vec<(String, u16)> = self.peers[peer]
            .endpoints
            .iter()
            .filter_map(|endpoint| match &endpoint.host {
                Host::Name(name) => Some((name.clone(), endpoint.port)),
                Host::Address(_) => None,
            })
            .collect();
        for (name, port) in names {
            let look_up = tokio::net::lookup_host((name.as_str(), port));
            match tokio::time::timeout(PATIENCE, look_up).await {
                Ok(Ok(addresses)) => {
                    let addresses: Vec<SocketAddr> = addresses.take(MAX_ADDRESSES).collect();
                    self.known.insert(format!("{name}:{port}"), addresses);
                }
                Ok(Err(error)) => tracing::debug!(%name, %error, "the name does not resolve now"),
                Err(_) => tracing::debug!(%name, "the name server does not answer"),
            }
        }
    }

    async fn tell(&mut self, peer: usize) {
        let mut endpoints = Vec::new();
        for at in 0..self.peers[peer].endpoints.len() {
            let endpoint = &self.peers[peer].endpoints[at];
            let only = endpoint.uplink.as_ref();
            let only =
                only.and_then(|name| self.uplinks.iter().position(|(uplink, _)| uplink == name));
            let addresses = match &endpoint.host {
                Host::Address(ip) => vec![SocketAddr::new(*ip, endpoint.port)],
                Host::Name(name) => self
                    .known
                    .get(&format!("{name}:{}", endpoint.port))
                    .cloned()
                    .unwrap_or_default(),
            };
            for address in addresses {
                self.add(&mut endpoints, only, address).await;
            }
        }
        if endpoints != self.told[peer]
            && self
                .handle
                .ask(Request::Endpoints(peer, endpoints.clone()))
                .is_ok()
        {
            self.told[peer] = endpoints;
        }
    }

    /// Adds an endpoint for each uplink it may go over, except where the route leads into one of our own ports.
    async fn add(
        &mut self,
        endpoints: &mut Vec<Endpoint>,
        only: Option<usize>,
        address: SocketAddr,
    ) {
        let uplinks = only.map_or(0..self.uplinks.len(), |at| at..at + 1);
        for at in uplinks {
            let (name, has_device) = &self.uplinks[at];
            if !has_device && self.leads_into_own_port(address).await {
                if !self.warned.contains(&address) {
                    tracing::warn!(uplink = %name, %address, "the route to this endpoint leads into the tunnel itself; \
                        not dialled: give the uplink a `device`, or add a route to the endpoint outside the tunnel");
                    self.warned.push(address);
                }
                continue;
            }
            endpoints.push(Endpoint {
                uplink: Some(UplinkId(at as u8)),
                address,
            });
        }
    }

    async fn leads_into_own_port(&self, address: SocketAddr) -> bool {
        let route = self.netlink.route_to(address.ip(), None).await;
        matches!(route, Ok(Some(route)) if self.own.contains(&route.ifindex))
    }
}
