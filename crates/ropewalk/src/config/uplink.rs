//! `[[uplink]]`: a line over which peers are reached.

use std::net::IpAddr;

use super::diagnostic::Diagnostics;
use super::section::Section;
use super::value::{self, Budget};

/// The name of the one uplink there is when the file has none.
pub const DEFAULT_UPLINK: &str = "default";

/// `[[uplink]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkConfig {
    /// Its name in `status` and `path`.
    pub name: String,
    /// Send and receive through this interface only; it may be absent for now.
    pub device: Option<String>,
    /// The next hop of a private routing table; at most one of each family.
    pub gateways: Vec<IpAddr>,
    /// Source addresses; at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// Which lines carry first.
    pub role: Role,
    /// Whether it also takes load that better roles cannot.
    pub overflow: bool,
    /// Ceiling in bits per second.
    pub rate_limit: Option<u64>,
    /// What a metered line may carry.
    pub budget: Option<Budget>,
}

impl Default for UplinkConfig {
    /// What the routing table says, unrestricted.
    fn default() -> Self {
        Self {
            name: DEFAULT_UPLINK.to_owned(),
            device: None,
            gateways: Vec::new(),
            addresses: Vec::new(),
            role: Role::Primary,
            overflow: false,
            rate_limit: None,
            budget: None,
        }
    }
}

/// When a line carries; the better role orders first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Whenever it works.
    Primary,
    /// When no primary line is up.
    Backup,
    /// When nothing else is up.
    Metered,
}

impl Role {
    const WORDS: [(&'static str, Self); 3] = [
        ("primary", Self::Primary),
        ("backup", Self::Backup),
        ("metered", Self::Metered),
    ];
}

/// Reads one `[[uplink]]`.
pub(super) fn uplink(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) -> UplinkConfig {
    let name = section.require(
        diagnostics,
        "name",
        "add name = \"line1\", say",
        value::name,
    );
    let uplink = UplinkConfig {
        name: name.unwrap_or_default(),
        device: section.read(diagnostics, "device", value::interface),
        gateways: per_family(section, diagnostics, "gateway"),
        addresses: per_family(section, diagnostics, "address"),
        role: section
            .read(diagnostics, "role", |value| {
                value::one_of(value, &Role::WORDS)
            })
            .unwrap_or(Role::Primary),
        overflow: section
            .read(diagnostics, "overflow", value::boolean)
            .unwrap_or(false),
        rate_limit: section.read(diagnostics, "rate-limit", value::rate),
        budget: section.read(diagnostics, "budget", value::budget),
    };
    check(section, diagnostics, &uplink);
    uplink
}

/// One address, or one of each family.
fn per_family(
    section: &mut Section<'_>,
    diagnostics: &mut Diagnostics<'_>,
    key: &'static str,
) -> Vec<IpAddr> {
    let addresses = section
        .list(diagnostics, key, value::host_address)
        .unwrap_or_default();
    for (at, address) in addresses.iter().enumerate() {
        let same = |earlier: &IpAddr| earlier.is_ipv4() == address.is_ipv4();
        if addresses.iter().take(at).any(same) {
            let message = "has a second one of the same family; keep one IPv4 and one IPv6";
            section.error(diagnostics, &format!("{key}.{at}"), message);
        }
    }
    addresses
}

fn check(section: &Section<'_>, diagnostics: &mut Diagnostics<'_>, uplink: &UplinkConfig) {
    if !uplink.gateways.is_empty() && !section.has("device") {
        let message = "needs to know its interface; add device = \"eth0\", say";
        section.error(diagnostics, "gateway", message);
    }
    for gateway in &uplink.gateways {
        if uplink.addresses.contains(gateway) {
            let message = format!("{gateway} is also the address; write the router's here");
            section.error(diagnostics, "gateway", message);
        }
        let same = |address: &IpAddr| address.is_ipv4() == gateway.is_ipv4();
        if !uplink.addresses.is_empty() && !uplink.addresses.iter().any(same) {
            let message = format!("{gateway} is of another family than address; make them match");
            section.error(diagnostics, "gateway", message);
        }
    }
    if uplink.budget.is_some() && uplink.role != Role::Metered {
        let message = "is for metered lines; add role = \"metered\" or remove it";
        section.error(diagnostics, "budget", message);
    }
}
