//! `[[peer]]`: a remote gateway.

use std::path::Path;

use super::diagnostic::Diagnostics;
use super::endpoint::{self, Endpoint, Host};
use super::keys::{self, PublicKey, SecretKey};
use super::section::Section;
use super::value;
use super::vlan::{self, VlanSet};

/// `[[peer]]`.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Its name in `status` and `path`.
    pub name: String,
    /// Who it must prove to be.
    pub public_key: PublicKey,
    /// From `preshared-key-file`.
    pub preshared_key: Option<SecretKey>,
    /// Where to dial it; empty: it dials us.
    pub endpoints: Vec<Endpoint>,
    /// How the paths are used.
    pub mode: Mode,
    /// What it may carry, 0 being untagged; `None`: everything.
    pub vlans: Option<VlanSet>,
}

/// How frames are spread over the paths to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The best path carries everything.
    Failover,
    /// A flow keeps its path while that is good.
    Balance,
    /// All paths add up, for one flow too.
    Aggregate,
    /// Every record goes over the two best disjoint paths.
    Redundant,
}

impl Mode {
    const WORDS: [(&'static str, Self); 4] = [
        ("failover", Self::Failover),
        ("balance", Self::Balance),
        ("aggregate", Self::Aggregate),
        ("redundant", Self::Redundant),
    ];
}

/// Reads one `[[peer]]`.
pub(super) fn peer(section: &mut Section<'_>, diagnostics: &mut Diagnostics<'_>) -> PeerConfig {
    let name = section.require(diagnostics, "name", "add name = \"b\", say", value::name);
    let remedy = "add what `ropewalk pubkey` prints on the peer";
    let public_key = section.require(diagnostics, "public-key", remedy, keys::public_key);
    let folder = diagnostics
        .file()
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let preshared_key = section.read(diagnostics, "preshared-key-file", |value| {
        keys::secret_from_file(&folder.join(value::text(value)?))
    });
    let endpoints = section.list(diagnostics, "endpoints", endpoint::endpoint);
    check_endpoints(
        section,
        diagnostics,
        endpoints.as_deref().unwrap_or_default(),
    );
    let vlans = section.list(diagnostics, "vlans", |value| vlan::range(value, 0));
    if vlans.as_ref().is_some_and(Vec::is_empty) {
        let message = "is an empty list, so nothing would pass; list VLANs, or leave it out";
        section.error(diagnostics, "vlans", message);
    }
    PeerConfig {
        name: name.unwrap_or_default(),
        public_key: public_key.unwrap_or(PublicKey([0; 32])),
        preshared_key,
        endpoints: endpoints.unwrap_or_default(),
        mode: section
            .read(diagnostics, "mode", |value| {
                value::one_of(value, &Mode::WORDS)
            })
            .unwrap_or(Mode::Aggregate),
        vlans: vlans.map(vlan::set),
    }
}

/// More would not fit the 16 paths of a peer in any case.
const ENDPOINTS_MAX: usize = 16;

fn check_endpoints(
    section: &Section<'_>,
    diagnostics: &mut Diagnostics<'_>,
    endpoints: &[Endpoint],
) {
    if endpoints.len() > ENDPOINTS_MAX {
        let message = format!(
            "has {} entries; keep {ENDPOINTS_MAX} at most",
            endpoints.len()
        );
        section.error(diagnostics, "endpoints", message);
    }
    for (at, endpoint) in endpoints.iter().enumerate() {
        let key = format!("endpoints.{at}");
        if endpoints.iter().take(at).any(|earlier| earlier == endpoint) {
            section.error(
                diagnostics,
                &key,
                format!("{endpoint} is listed twice; remove one"),
            );
        }
        let Host::Address(address) = &endpoint.host else {
            continue;
        };
        let std::net::IpAddr::V6(v6) = address else {
            continue;
        };
        if v6.is_unicast_link_local() && endpoint.uplink.is_none() {
            let message = format!(
                "{v6} is link-local, valid on one interface only; write {{ address = \
                 \"{endpoint}\", uplink = \"NAME\" }}"
            );
            section.error(diagnostics, &key, message);
        }
    }
}
