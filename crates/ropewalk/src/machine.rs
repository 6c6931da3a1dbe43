//! What a configuration expects of the machine that is not so at the moment: warnings, since
//! devices come and go and names resolve later.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sys::Netlink;
use sys::netlink::{Address, Link};

use crate::config::{Config, Host, Problem};
use crate::setup::unusable;

/// How long all names together may take to resolve before we stop asking.
const RESOLVE_WITHIN: Duration = Duration::from_secs(3);

/// Everything of the configuration that the machine does not offer right now, except names that
/// do not resolve: those take time, see [`unresolved_names`].
pub async fn warnings(config: &Config, netlink: &Netlink) -> Vec<Problem> {
    let links = netlink.links().await.unwrap_or_default();
    let addresses = netlink.addresses(None).await.unwrap_or_default();
    let mut warnings = Vec::new();
    for index in 0..config.uplinks.len() {
        warnings.extend(uplink_device(config, index, &links));
        warnings.extend(uplink_address(config, index, &links, &addresses));
        warnings.extend(strict_rp_filter(config, index, netlink).await);
    }
    for index in 0..config.ports.len() {
        warnings.extend(port_device(config, index, &links, &addresses));
        warnings.extend(port_bridge(config, index, &links));
    }
    warnings
}

fn find<'l>(links: &'l [Link], name: &str) -> Option<&'l Link> {
    links.iter().find(|link| link.name == name)
}

fn uplink_device(config: &Config, index: usize, links: &[Link]) -> Option<Problem> {
    let device = config.uplinks.get(index)?.device.as_ref()?;
    let what = match find(links, device) {
        None => "is not there now; the uplink waits until it appears",
        Some(link) if !link.up => "is switched off; the uplink waits until it is up",
        Some(link) if !link.carrier => "has no carrier; the uplink waits until it has",
        Some(_) => return None,
    };
    Some(config.warning_at("uplink", index, "device", format!("{device:?} {what}")))
}

fn uplink_address(
    config: &Config,
    index: usize,
    links: &[Link],
    present: &[Address],
) -> Option<Problem> {
    let uplink = config.uplinks.get(index)?;
    let device = uplink.device.as_ref();
    let ifindex = device
        .and_then(|device| find(links, device))
        .map(|link| link.index);
    // An absent device is a warning of its own.
    if device.is_some() && ifindex.is_none() {
        return None;
    }
    let is_here = |wanted: &IpAddr| {
        let here = |address: &&Address| ifindex.is_none_or(|index| index == address.ifindex);
        present
            .iter()
            .filter(here)
            .any(|address| address.address == *wanted)
    };
    let missing = uplink.addresses.iter().find(|wanted| !is_here(wanted))?;
    let place = device.map_or("this machine", String::as_str);
    let message = format!("{missing} is not on {place} now; the uplink waits until it is");
    Some(config.warning_at("uplink", index, "address", message))
}

fn port_device(
    config: &Config,
    index: usize,
    links: &[Link],
    addresses: &[Address],
) -> Option<Problem> {
    let port = config.ports.get(index)?;
    if let Some(device) = &port.device {
        let what = match find(links, device) {
            None => "is not there now; the port waits until it appears".to_owned(),
            Some(_) => unusable(device, links, addresses)?,
        };
        return Some(config.warning_at("port", index, "device", format!("{device:?} {what}")));
    }
    let link = find(links, &port.name)?;
    if link.kind.as_deref() == Some("tun") {
        return None;
    }
    let message = format!(
        "{:?} exists and is no TAP device; choose another name, or write device = {:?} to take \
         it over",
        port.name, port.name
    );
    Some(config.warning_at("port", index, "name", message))
}

fn port_bridge(config: &Config, index: usize, links: &[Link]) -> Option<Problem> {
    let bridge = config.ports.get(index)?.bridge.as_ref()?;
    let message = match find(links, bridge) {
        None => format!(
            "{bridge:?} is not there now; the port joins when it appears (ip link add {bridge} \
             type bridge)"
        ),
        Some(link) if link.kind.as_deref() != Some("bridge") => {
            format!("{bridge:?} is no bridge; name a kernel bridge")
        }
        Some(_) => return None,
    };
    Some(config.warning_at("port", index, "bridge", message))
}

/// Names of endpoints that do not resolve now. Blocks for up to 3 s; names that take longer are
/// passed over.
pub fn unresolved_names(config: &Config) -> Vec<Problem> {
    let (sender, receiver) = mpsc::channel();
    let mut asked = 0;
    for (index, peer) in config.peers.iter().enumerate() {
        for (at, endpoint) in peer.endpoints.iter().enumerate() {
            let Host::Name(name) = &endpoint.host else {
                continue;
            };
            let (name, port, sender) = (name.clone(), endpoint.port, sender.clone());
            asked += 1;
            // The system's resolver blocks, and cannot be told to stop.
            std::thread::spawn(move || {
                let error = (name.as_str(), port).to_socket_addrs().err();
                // The receiver is gone when time ran out.
                let _ = sender.send((index, at, name, error));
            });
        }
    }
    drop(sender);
    let deadline = Instant::now() + RESOLVE_WITHIN;
    let mut warnings = Vec::new();
    for _ in 0..asked {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((index, at, name, error)) = receiver.recv_timeout(left) else {
            break;
        };
        let Some(error) = error else { continue };
        let message = format!("{name:?} does not resolve now ({error}); it is tried again later");
        warnings.push(config.warning_at("peer", index, &format!("endpoints.{at}"), message));
    }
    warnings.sort_by_key(|warning| (warning.line, warning.column));
    warnings
}

/// With strict reverse-path filtering the kernel silently drops what peers send to a line that
/// is not the one it would itself answer over (RFC 3704, section 2.2).
async fn strict_rp_filter(config: &Config, index: usize, netlink: &Netlink) -> Option<Problem> {
    let device = config.uplinks.get(index)?.device.as_ref()?;
    let setting = |interface: &str| {
        let folder = Path::new("/proc/sys/net/ipv4/conf").join(interface);
        let text = std::fs::read_to_string(folder.join("rp_filter")).ok()?;
        text.trim().parse::<u8>().ok()
    };
    // The kernel takes the larger of the two: 1 is strict, 2 is loose.
    if setting("all").max(Some(setting(device)?)) != Some(1) {
        return None;
    }
    let ifindex = netlink.link(device).await.ok()??.index;
    let affected = affected_peer(config, index, ifindex, netlink).await?;
    let message = format!(
        "rp_filter is strict on {device:?}, so the kernel drops what {affected} sends there; run: \
         sysctl -w net.ipv4.conf.{device}.rp_filter=2"
    );
    Some(config.warning_at("uplink", index, "device", message))
}

/// A peer whose packets over this uplink would be dropped.
async fn affected_peer(
    config: &Config,
    uplink: usize,
    ifindex: u32,
    netlink: &Netlink,
) -> Option<String> {
    let name = &config.uplinks.get(uplink)?.name;
    for peer in &config.peers {
        for endpoint in &peer.endpoints {
            let is_over_this = endpoint.uplink.as_ref().is_none_or(|uplink| uplink == name);
            let Host::Address(address @ IpAddr::V4(_)) = endpoint.host else {
                continue;
            };
            if !is_over_this {
                continue;
            }
            let way = netlink.route_to(address, None).await.ok().flatten();
            if way.is_none_or(|way| way.ifindex != ifindex) {
                return Some(format!("peer {:?} ({address})", peer.name));
            }
        }
    }
    None
}
