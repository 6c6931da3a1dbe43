//! Where a peer can be dialled.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use toml::de::DeValue;

use super::DEFAULT_PORT;
use super::section::{Complaint, unknown_key};
use super::value::{text, wrong_type};

/// One address of a peer to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An address, or a name to resolve (again while any path is down).
    pub host: Host,
    /// UDP port.
    pub port: u16,
    /// Dial over this uplink only; `None`: over every one.
    pub uplink: Option<String>,
}

/// The host part of an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A literal address.
    Address(IpAddr),
    /// A DNS name.
    Name(String),
}

impl Endpoint {
    /// The socket address, when no name has to be resolved for it.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match &self.host {
            Host::Address(address) => Some(SocketAddr::new(*address, self.port)),
            Host::Name(_) => None,
        }
    }
}

/// As `192.0.2.1:1830`, `[2001:db8::1]:1830` or `b.example.net:1830`, without the uplink.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// An endpoint as a string, or as a table of `address` and `uplink`.
pub(super) fn endpoint(value: &DeValue<'_>) -> Result<Endpoint, Complaint> {
    let DeValue::Table(table) = value else {
        let DeValue::String(address) = value else {
            return Err(wrong_type(
                value,
                "write \"HOST:PORT\" or { address = \"HOST:PORT\" }",
            ));
        };
        return parse(address);
    };
    const KEYS: [&str; 2] = ["address", "uplink"];
    if let Some((key, _)) = table
        .iter()
        .find(|(key, _)| !KEYS.contains(&key.get_ref().as_ref()))
    {
        let key = key.get_ref();
        return Err(format!("{key} {}", unknown_key(key, &KEYS)));
    }
    let address = table
        .get("address")
        .ok_or("has no address; add address = \"HOST:PORT\"")?;
    let mut endpoint = parse(text(address.get_ref()).map_err(|why| format!("address {why}"))?)?;
    if let Some(uplink) = table.get("uplink") {
        let uplink = text(uplink.get_ref()).map_err(|why| format!("uplink {why}"))?;
        endpoint.uplink = Some(uplink.to_owned());
    }
    Ok(endpoint)
}

fn parse(text: &str) -> Result<Endpoint, Complaint> {
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(match scheme {
            "tcp" => format!("tcp:// is reserved for a later version; write {rest:?} for UDP"),
            _ => format!("{scheme}:// is not known; write {rest:?}"),
        });
    }
    let (host, port) = split(text)?;
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|number| *number > 0 && !port.starts_with('+'))
            .ok_or_else(|| format!("{port:?} is no UDP port; write one from 1 to 65535"))?,
    };
    Ok(Endpoint {
        host: self::host(host)?,
        port,
        uplink: None,
    })
}

/// Splits into host and port; a bare IPv6 address has colons of its own.
fn split(text: &str) -> Result<(&str, Option<&str>), Complaint> {
    if let Some(rest) = text.strip_prefix('[') {
        let unclosed = || format!("{text:?} has no closing bracket; write \"[2001:db8::1]:1830\"");
        let (host, rest) = rest.split_once(']').ok_or_else(unclosed)?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(not_ipv6(host));
        }
        return match (rest, rest.strip_prefix(':')) {
            ("", _) => Ok((host, None)),
            (_, Some(port)) => Ok((host, Some(port))),
            (_, None) => Err(format!(
                "{rest:?} follows the bracket; write \":PORT\" there"
            )),
        };
    }
    match text.matches(':').count() {
        0 => Ok((text, None)),
        1 => Ok(text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port)))),
        _ if text.parse::<Ipv6Addr>().is_ok() => Ok((text, None)),
        _ => Err(not_ipv6(text)),
    }
}

fn not_ipv6(text: &str) -> Complaint {
    if text.contains('%') {
        return format!("{text:?} has a zone; write the address without it, and name the uplink");
    }
    format!("{text:?} is no IPv6 address; write \"[2001:db8::1]:1830\"")
}

fn host(text: &str) -> Result<Host, Complaint> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || is_broadcast {
            return Err(format!(
                "{address} is no address of a single host; write the peer's"
            ));
        }
        return Ok(Host::Address(address.to_canonical()));
    }
    if text.is_empty() {
        return Err("has no host; write \"HOST:PORT\"".to_owned());
    }
    let labels: Vec<&str> = text.trim_end_matches('.').split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    if last.chars().all(|c| c.is_ascii_digit()) {
        return Err(format!(
            "{text:?} is no IPv4 address; write four numbers from 0 to 255"
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &&str| (1..=63).contains(&label.len()) && label.chars().all(legal);
    if text.len() > 253 || !labels.iter().all(is_label) {
        return Err(format!(
            "{text:?} is no host name; write an address or a DNS name"
        ));
    }
    Ok(Host::Name(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_one() {
        let cases = [
            ("192.0.2.1:7", "192.0.2.1:7"),
            ("192.0.2.1", "192.0.2.1:1830"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7"),
            ("[2001:db8::1]", "[2001:db8::1]:1830"),
            ("2001:db8::1", "[2001:db8::1]:1830"),
            ("::ffff:192.0.2.1", "192.0.2.1:1830"),
            ("b.example.net", "b.example.net:1830"),
            ("b:9", "b:9"),
        ];
        for (written, meant) in cases {
            assert_eq!(parse(written).unwrap().to_string(), meant);
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let cases = [
            ("tcp://192.0.2.1:443", "reserved"),
            ("http://b", "not known"),
            ("192.0.2.1:0", "UDP port"),
            ("192.0.2.1:70000", "UDP port"),
            ("192.0.2.300", "IPv4"),
            ("[192.0.2.1]:7", "IPv6"),
            ("[2001:db8::1:7", "closing bracket"),
            ("[2001:db8::1]7", "follows"),
            ("fe80::1%eth0", "zone"),
            ("a::b::c", "IPv6"),
            (":7", "no host"),
            ("", "no host"),
            ("b example", "host name"),
            ("0.0.0.0:7", "single host"),
            ("ff02::1", "single host"),
        ];
        for (written, why) in cases {
            let complaint = parse(written).unwrap_err();
            assert!(complaint.contains(why), "{written}: {complaint}");
        }
    }
}
