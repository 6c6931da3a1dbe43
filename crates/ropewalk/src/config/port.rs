//! `[[port]]`: an Ethernet port of this node.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::de::DeValue;

use super::diagnostic::Diagnostics;
use super::section::Section;
use super::storm::{self, StormLimits};
use super::value;
use super::vlan::{self, VlanSet};

/// The MTU of a port that names none.
pub const DEFAULT_MTU: u16 = 1500;

/// `[[port]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortConfig {
    /// The port's name; also that of its TAP device, if it is one.
    pub name: String,
    /// The interface that it takes over; `None`: it is a TAP device.
    pub device: Option<String>,
    /// Leave a device that we made in place at the end.
    pub persist: bool,
    /// Addresses with their prefix lengths, host bits kept.
    pub addresses: Vec<IpNet>,
    /// Default routes; at most one of each family.
    pub gateways: Vec<IpAddr>,
    /// The device's Ethernet address, given or derived.
    pub mac: [u8; 6],
    /// Bytes of payload of an untagged frame.
    pub mtu: u16,
    /// Whether the file gives the MTU; if not, an adopted device keeps its own.
    pub has_mtu: bool,
    /// Whether the file gives the MAC; if not, an adopted device keeps its own.
    pub has_mac: bool,
    /// A kernel bridge to be a member of.
    pub bridge: Option<String>,
    /// Which VLANs pass, and how.
    pub vlan: PortVlan,
    /// How many frames that go to many it may bring in.
    pub storm: StormLimits,
}

/// How a port treats VLAN tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortVlan {
    /// Everything passes as it is; untagged is VLAN 0.
    Transparent,
    /// Untagged frames belong to this VLAN; tagged ones are dropped.
    Access(u16),
    /// Tagged frames of these VLANs pass.
    Trunk {
        /// The VLANs that pass, the native one among them.
        vlans: VlanSet,
        /// The VLAN of untagged frames; `None`: those are dropped.
        native: Option<u16>,
    },
}

/// Reads one `[[port]]`. The MAC is derived later, when the node's key is known.
pub(super) fn port(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) -> PortConfig {
    let device = section.read(diagnostics, "device", value::interface);
    let name = name(section, diagnostics, device.as_deref());
    switch_keys(section, diagnostics);
    let mtu = section.read(diagnostics, "mtu", mtu);
    let mac = section.read(diagnostics, "mac", value::mac);
    let has_mac = mac.is_some();
    if mac.is_some_and(|mac| mac[0] & 2 == 0) {
        let message = "is not locally administered; fine if it belongs to hardware of yours, \
                       otherwise set the second lowest bit of its first octet";
        section.warning(diagnostics, "mac", message);
    }
    let port = PortConfig {
        name,
        device,
        persist: section
            .read(diagnostics, "persist", value::boolean)
            .unwrap_or(false),
        addresses: section
            .list(diagnostics, "address", value::interface_address)
            .unwrap_or_default(),
        gateways: section
            .list(diagnostics, "gateway", value::host_address)
            .unwrap_or_default(),
        mac: mac.unwrap_or_default(),
        mtu: mtu.unwrap_or(DEFAULT_MTU),
        has_mtu: mtu.is_some(),
        has_mac,
        bridge: section.read(diagnostics, "bridge", value::interface),
        vlan: port_vlan(section, diagnostics),
        storm: section
            .read(diagnostics, "storm-limit", storm::limits)
            .unwrap_or_default(),
    };
    if section.has("device") {
        refuse_tap_keys(section, diagnostics);
    }
    check_addresses(section, diagnostics, &port);
    check_gateways(section, diagnostics, &port);
    port
}

fn name(
    section: &mut Section<'_>,
    diagnostics: &mut Diagnostics<'_>,
    device: Option<&str>,
) -> String {
    if section.has("device") {
        let name = section.read(diagnostics, "name", value::interface);
        return name.or(device.map(str::to_owned)).unwrap_or_default();
    }
    let remedy = "add name = \"bond0\", say: the TAP device to make; or device = \"eth1\": the \
                  interface to take over";
    section
        .require(diagnostics, "name", remedy, value::interface)
        .unwrap_or_default()
}

/// An interface that is taken over belongs to the switch alone: the host is no station there.
fn refuse_tap_keys(section: &Section<'_>, diagnostics: &mut Diagnostics<'_>) {
    for (key, instead) in [
        (
            "address",
            "give it to a TAP port beside this one, with the same VLAN",
        ),
        (
            "gateway",
            "give it to a TAP port beside this one, with the same VLAN",
        ),
        (
            "mac",
            "remove it: frames keep the addresses of the stations that sent them",
        ),
        ("persist", "remove it: the interface stays in any case"),
        (
            "bridge",
            "remove it, or remove device and let a TAP port join that bridge",
        ),
    ] {
        if section.has(key) {
            let message =
                format!("is for TAP ports, and device takes an interface over; {instead}");
            section.error(diagnostics, key, message);
        }
    }
}

/// Keys of the switch that this version checks but does not act on.
fn switch_keys(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) {
    if section.read(diagnostics, "stp", value::boolean) == Some(true) {
        let message = "= true is not supported yet in this version; remove it, and keep the \
                       port's LAN free of loops";
        section.error(diagnostics, "stp", message);
    }
    // IEEE 802.1Q-2022, 13.27.25 and 13.25: a port's path cost, and its priority in steps of 16.
    section.read(diagnostics, "path-cost", |value| {
        value::integer(value, 1..=200_000_000, "")
    });
    section.read(diagnostics, "port-priority", |value| {
        let priority = value::integer(value, 0..=240, "in steps of 16")?;
        match priority % 16 {
            0 => Ok(priority),
            _ => Err(format!("is {priority}; choose a multiple of 16 up to 240")),
        }
    });
    for flag in ["edge", "bpdu-guard", "root-guard"] {
        section.read(diagnostics, flag, value::boolean);
    }
    let keys = [
        "path-cost",
        "port-priority",
        "edge",
        "bpdu-guard",
        "root-guard",
    ];
    section.not_yet(diagnostics, &keys);
}

fn mtu(value: &DeValue<'_>) -> Result<u16, String> {
    value::integer_u16(
        value,
        576..=9000,
        "what IPv4 hosts must accept, and what a frame may hold",
    )
}

fn port_vlan(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) -> PortVlan {
    let tag = |value: &DeValue<'_>| match value {
        DeValue::Integer(_) => value::integer_u16(value, 1..=vlan::VLAN_MAX, "a VLAN"),
        other => Err(value::wrong_type(other, "write one VLAN, such as 10")),
    };
    let access = section.read(diagnostics, "vlan", tag);
    let trunk = section.list(diagnostics, "trunk", |value| vlan::range(value, 1));
    let native = section.read(diagnostics, "native", tag);
    if section.has("vlan") && section.has("trunk") {
        let message = "stands beside trunk; keep vlan for an access port, or trunk with native";
        section.error(diagnostics, "vlan", message);
    }
    if section.has("native") && !section.has("trunk") {
        let message = "is for trunks; add trunk = [...], or write vlan = for an access port";
        section.error(diagnostics, "native", message);
    }
    if trunk.as_ref().is_some_and(Vec::is_empty) && native.is_none() {
        let message = "is an empty list, so nothing would pass; list VLANs, or leave it out";
        section.error(diagnostics, "trunk", message);
    }
    match (access, trunk) {
        (_, Some(ranges)) => {
            let mut vlans = vlan::set(ranges);
            native.into_iter().for_each(|native| vlans.insert(native));
            PortVlan::Trunk { vlans, native }
        }
        (Some(vlan), None) => PortVlan::Access(vlan),
        (None, None) => PortVlan::Transparent,
    }
}

fn check_addresses(section: &Section<'_>, diagnostics: &mut Diagnostics<'_>, port: &PortConfig) {
    // RFC 8200, section 5: every link carries packets of 1280 bytes.
    const IPV6_MTU_MIN: u16 = 1280;
    let has_ipv6 = port.addresses.iter().any(|net| net.addr().is_ipv6());
    if has_ipv6 && port.mtu < IPV6_MTU_MIN {
        let message = format!(
            "is {}, too small for the port's IPv6; choose 1280 or more",
            port.mtu
        );
        section.error(diagnostics, "mtu", message);
    }
    if port.bridge.is_some() && !port.addresses.is_empty() {
        let message = "is on a member of a bridge, where it does not answer reliably; put it on \
                       the bridge instead";
        section.warning(diagnostics, "address", message);
    }
}

fn check_gateways(section: &Section<'_>, diagnostics: &mut Diagnostics<'_>, port: &PortConfig) {
    for (at, gateway) in port.gateways.iter().enumerate() {
        let key = format!("gateway.{at}");
        let same = |earlier: &IpAddr| earlier.is_ipv4() == gateway.is_ipv4();
        if port.gateways.iter().take(at).any(same) {
            let message = "has a second one of the same family; keep one IPv4 and one IPv6";
            section.error(diagnostics, &key, message);
        }
        if port.addresses.iter().any(|net| net.addr() == *gateway) {
            let message = format!("{gateway} is this port's own address; write the router's");
            section.error(diagnostics, &key, message);
        }
        let is_link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let is_on_link = port.addresses.iter().any(|net| net.contains(gateway));
        if !is_link_local && !is_on_link && !port.addresses.is_empty() {
            let message = format!("{gateway} is in no network of address; write one that is");
            section.error(diagnostics, &key, message);
        }
        if !section.has("address") {
            let message = "needs an address in its network; add address = [\"10.0.0.1/24\"], say";
            section.error(diagnostics, &key, message);
        }
    }
}
