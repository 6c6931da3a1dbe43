//! Checks between tables: names that clash, references to nothing, a tunnel through itself.

use super::Config;
use super::diagnostic::Diagnostics;
use super::keys::PublicKey;
use super::vlan::VlanSet;

/// Reports what no table shows by itself. Values that were refused before are blank by now and
/// are passed over.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    let uplinks = config.uplinks.iter().map(|uplink| uplink.name.as_str());
    duplicates(diagnostics, "uplink", "name", uplinks);
    duplicates(
        diagnostics,
        "peer",
        "name",
        config.peers.iter().map(|peer| peer.name.as_str()),
    );
    duplicates(
        diagnostics,
        "port",
        "name",
        config.ports.iter().map(|port| port.name.as_str()),
    );
    too_many(config, diagnostics);
    peer_keys(config, diagnostics);
    endpoint_uplinks(config, diagnostics);
    uplink_devices(config, diagnostics);
    alike_uplinks(config, diagnostics);
    port_devices(config, diagnostics);
    port_bridges(config, diagnostics);
    port_addresses(config, diagnostics);
}

/// Ids on the wire and in the switch are small numbers.
const MAX_UPLINKS: usize = 16;
/// See [`MAX_UPLINKS`].
const MAX_PEERS: usize = 1000;
/// Ports and peers together are the switch's ports.
const MAX_SWITCH_PORTS: usize = 1024;
/// What a handshake message has room for.
const MAX_VLAN_RANGES: usize = 64;

fn too_many(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    let mut refuse = |table, count: usize, limit: usize| {
        if count > limit {
            let message = format!("is one of {count}; at most {limit} are possible");
            diagnostics.error_at(table, limit, "name", message);
        }
    };
    refuse("uplink", config.uplinks.len(), MAX_UPLINKS);
    refuse("peer", config.peers.len(), MAX_PEERS);
    let ports = MAX_SWITCH_PORTS - config.peers.len().min(MAX_PEERS);
    refuse("port", config.ports.len(), ports);
    for (index, peer) in config.peers.iter().enumerate() {
        let ranges = peer.vlans.as_ref().map_or(0, ranges_of);
        if ranges > MAX_VLAN_RANGES {
            let message =
                format!("has {ranges} separate ranges; at most {MAX_VLAN_RANGES} are possible");
            diagnostics.error_at("peer", index, "vlans", message);
        }
    }
}

/// How many runs of adjacent VLANs a set has.
fn ranges_of(vlans: &VlanSet) -> usize {
    vlans
        .iter()
        .filter(|&vlan| vlan == 0 || !vlans.contains(vlan - 1))
        .count()
}

fn duplicates<'n>(
    diagnostics: &mut Diagnostics<'_>,
    table: &'static str,
    key: &str,
    names: impl Iterator<Item = &'n str>,
) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, name) in names.enumerate() {
        if !name.is_empty() && seen.contains(&name) {
            let message = format!("{name:?} is used by another {table} too; rename one");
            diagnostics.error_at(table, index, key, message);
        }
        seen.push(name);
    }
}

fn peer_keys(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    for (index, peer) in config.peers.iter().enumerate() {
        if peer.public_key == PublicKey([0; 32]) {
            continue;
        }
        if peer.public_key == config.node.public_key {
            let message = "is this node's own public key; write the peer's";
            diagnostics.error_at("peer", index, "public-key", message);
        }
        let mut earlier = config.peers.iter().take(index);
        if let Some(other) = earlier.find(|other| other.public_key == peer.public_key) {
            let message = format!(
                "is the key of peer {:?} too; every peer has its own",
                other.name
            );
            diagnostics.error_at("peer", index, "public-key", message);
        }
    }
}

fn endpoint_uplinks(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    for (index, peer) in config.peers.iter().enumerate() {
        for (at, endpoint) in peer.endpoints.iter().enumerate() {
            let Some(name) = &endpoint.uplink else {
                continue;
            };
            if config.uplinks.iter().any(|uplink| uplink.name == *name) {
                continue;
            }
            let names: Vec<&str> = config.uplinks.iter().map(|up| up.name.as_str()).collect();
            let message = format!(
                "names uplink {name:?}; the uplinks are: {}",
                names.join(", ")
            );
            diagnostics.error_at("peer", index, &format!("endpoints.{at}"), message);
        }
    }
}

/// An uplink through one of our own ports would carry the tunnel inside itself.
fn uplink_devices(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    for (index, uplink) in config.uplinks.iter().enumerate() {
        let Some(device) = &uplink.device else {
            continue;
        };
        for port in &config.ports {
            let own = port.device.as_ref().unwrap_or(&port.name);
            let what = if own == device {
                "a port of this node"
            } else if port.bridge.as_ref() == Some(device) {
                "the bridge that a port of this node joins"
            } else {
                continue;
            };
            let message =
                format!("{device:?} is {what}: the tunnel would run inside itself; name a line");
            diagnostics.error_at("uplink", index, "device", message);
            break;
        }
    }
}

fn alike_uplinks(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    for (index, uplink) in config.uplinks.iter().enumerate() {
        let mut earlier = config.uplinks.iter().take(index);
        let same = earlier.find(|other| {
            other.device == uplink.device
                && other.addresses == uplink.addresses
                && other.gateways == uplink.gateways
        });
        if let Some(other) = same {
            let message = format!(
                "takes the same way as uplink {:?}, so both fail together; give each its own \
                 device, address or gateway",
                other.name
            );
            diagnostics.warning_at("uplink", index, "name", message);
        }
    }
}

fn port_devices(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    for (index, port) in config.ports.iter().enumerate() {
        let Some(device) = &port.device else { continue };
        let is_theirs = |(at, other): (usize, &super::PortConfig)| {
            let taken = other.device.as_ref().unwrap_or(&other.name);
            at != index && (at < index || other.device.is_none()) && taken == device
        };
        if config.ports.iter().enumerate().any(is_theirs) {
            let message = format!("{device:?} is another port of this node too; keep one");
            diagnostics.error_at("port", index, "device", message);
        }
        let joined = |other: &super::PortConfig| other.bridge.as_ref() == Some(device);
        if config.ports.iter().any(joined) {
            let message = format!(
                "{device:?} is the bridge that a port of this node joins; take over one of its \
                 members, after taking it out of the bridge"
            );
            diagnostics.error_at("port", index, "device", message);
        }
    }
}

fn port_bridges(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    for (index, port) in config.ports.iter().enumerate() {
        let Some(bridge) = &port.bridge else { continue };
        if config.ports.iter().any(|other| other.name == *bridge) {
            let message = format!("{bridge:?} is a port of this node; name a kernel bridge");
            diagnostics.error_at("port", index, "bridge", message);
        }
    }
}

fn port_addresses(config: &Config, diagnostics: &mut Diagnostics<'_>) {
    let mut seen = Vec::new();
    for (index, port) in config.ports.iter().enumerate() {
        for (at, net) in port.addresses.iter().enumerate() {
            if seen.contains(&net.addr()) {
                let message = format!("{} is given twice; remove one", net.addr());
                diagnostics.error_at("port", index, &format!("address.{at}"), message);
            }
            seen.push(net.addr());
        }
    }
}
