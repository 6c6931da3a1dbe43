//! `[node]` and `[control]`: who this is, and where it listens.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::diagnostic::Diagnostics;
use super::keys::{self, PublicKey, SecretKey};
use super::section::{Complaint, Section};
use super::value::{self, wrong_type};
use super::{DEFAULT_PORT, DEFAULT_SOCKET};

/// `[node]`.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// This gateway's name; default: the host name.
    pub name: String,
    /// From `private-key-file`.
    pub private_key: SecretKey,
    /// Derived from the private key.
    pub public_key: PublicKey,
    /// Where datagrams arrive, and where all leave from; `[::]` means dual stack. Never empty.
    pub listen: Vec<SocketAddr>,
    /// Data threads; `None`: the program chooses.
    pub workers: Option<u16>,
    /// Gateways with the same site share one LAN.
    pub site: Option<String>,
    /// Within the site: the higher one forwards.
    pub priority: u16,
    /// VLANs with a priority of their own.
    pub vlan_priority: BTreeMap<u16, u16>,
    /// Whether frames may pass from peer to peer.
    pub relay: bool,
}

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlConfig {
    /// The unix socket of the control API.
    pub socket: PathBuf,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            socket: PathBuf::from(DEFAULT_SOCKET),
        }
    }
}

/// Reads `[node]`; what fails is reported and replaced, so that the rest is checked too.
pub(super) fn node(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) -> NodeConfig {
    let name = section.read(diagnostics, "name", value::name);
    let folder = diagnostics
        .file()
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let private_key = section.require(
        diagnostics,
        "private-key-file",
        "write private-key-file = \"a.key\", and make it: (umask 077; ropewalk keygen > a.key)",
        |value| keys::secret_from_file(&folder.join(value::text(value)?)),
    );
    let listen = section.list(diagnostics, "listen", listen);
    check_listen(section, diagnostics, listen.as_deref());
    let workers = section.read(diagnostics, "workers", |value| {
        value::integer_u16(value, 1..=64, "")
    });
    if workers.is_some_and(|workers| workers > 1) {
        section.not_yet(diagnostics, &["workers"]);
    }
    let node = NodeConfig {
        name: name.unwrap_or_else(|| default_name(section, diagnostics)),
        public_key: private_key
            .as_ref()
            .map_or(PublicKey([0; 32]), SecretKey::public_key),
        private_key: private_key.unwrap_or_else(|| SecretKey::new([0; 32])),
        listen: listen
            .filter(|list| !list.is_empty())
            .unwrap_or_else(|| vec![any(DEFAULT_PORT)]),
        workers,
        site: section.read(diagnostics, "site", value::name),
        priority: section
            .read(diagnostics, "priority", priority)
            .unwrap_or(100),
        vlan_priority: section
            .read(diagnostics, "vlan-priority", vlan_priority)
            .unwrap_or_default(),
        relay: section
            .read(diagnostics, "relay", value::boolean)
            .unwrap_or(false),
    };
    section.not_yet(diagnostics, &["site", "priority", "vlan-priority"]);
    node
}

/// The host name, unless it is none that a node may have.
fn default_name(section: &Section<'_>, diagnostics: &mut Diagnostics<'_>) -> String {
    if section.has("name") {
        return String::new();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match value::name(&DeValue::String(host.trim().into())) {
        Ok(name) => name,
        Err(why) => {
            let message = format!("is missing, and the host name {why}; add name = \"a\", say");
            section.error(diagnostics, "name", message);
            String::new()
        }
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

fn listen(value: &DeValue<'_>) -> Result<SocketAddr, Complaint> {
    const REMEDY: &str = "write a UDP port such as 1830, or \"192.0.2.1:1830\", or a list of them";
    let address = match value {
        DeValue::Integer(_) => {
            return value::integer_u16(value, 1..=u16::MAX, "a UDP port").map(any);
        }
        DeValue::String(text) => text
            .parse::<SocketAddr>()
            .or_else(|_| {
                text.parse::<IpAddr>()
                    .map(|ip| SocketAddr::new(ip, DEFAULT_PORT))
            })
            .map_err(|_| format!("{text:?} is no address with port; {REMEDY}"))?,
        other => return Err(wrong_type(other, REMEDY)),
    };
    let is_broadcast = matches!(address.ip(), IpAddr::V4(v4) if v4.is_broadcast());
    if address.port() == 0 || address.ip().is_multicast() || is_broadcast {
        return Err(format!("{address} cannot be listened on; {REMEDY}"));
    }
    Ok(address)
}

fn check_listen(
    section: &Section<'_>,
    diagnostics: &mut Diagnostics<'_>,
    listen: Option<&[SocketAddr]>,
) {
    let listen = listen.unwrap_or_default();
    for (at, address) in listen.iter().enumerate() {
        if listen.iter().take(at).any(|earlier| earlier == address) {
            let message = format!("{address} is listed twice; remove one");
            section.error(diagnostics, &format!("listen.{at}"), message);
        }
    }
}

fn priority(value: &DeValue<'_>) -> Result<u16, Complaint> {
    value::integer_u16(value, 0..=u16::MAX, "")
}

fn vlan_priority(value: &DeValue<'_>) -> Result<BTreeMap<u16, u16>, Complaint> {
    let DeValue::Table(table) = value else {
        return Err(wrong_type(
            value,
            "write { 10 = 200 }: a VLAN and its priority",
        ));
    };
    let mut priorities = BTreeMap::new();
    for (vlan, value) in table {
        let text = vlan.get_ref();
        let vlan = text.parse().ok().filter(|vlan| *vlan <= super::VLAN_MAX);
        let vlan = vlan.ok_or_else(|| format!("{text:?} is no VLAN; write numbers to 4094"))?;
        let priority = priority(value.get_ref()).map_err(|why| format!("VLAN {vlan} {why}"))?;
        priorities.insert(vlan, priority);
    }
    Ok(priorities)
}

/// Reads `[control]`.
pub(super) fn control(
    section: &mut Section<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> ControlConfig {
    let socket = section.read(diagnostics, "socket", socket);
    socket.map_or_else(ControlConfig::default, |socket| ControlConfig { socket })
}

/// The longest path a unix socket's address holds: `sun_path` has 108 bytes with the NUL.
const SOCKET_PATH_MAX: usize = 107;

fn socket(value: &DeValue<'_>) -> Result<PathBuf, Complaint> {
    let path = value::text(value)?;
    if !path.starts_with('/') {
        return Err(format!("{path:?} is not absolute; begin with '/'"));
    }
    if path.len() > SOCKET_PATH_MAX || path.ends_with('/') || path.contains('\0') {
        return Err(format!(
            "names no socket; write a file's path of {SOCKET_PATH_MAX} bytes"
        ));
    }
    Ok(PathBuf::from(path))
}
