//! Where contestants are measured: two hosts in namespaces, and the lines between them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use lab::{End, Namespace, Plug, Veth};
use serde::Serialize;

use crate::relay::{Relay, Side};

/// What the hosts are joined by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Topology {
    /// Two veth pairs: batches of datagrams cross them whole, as in one machine.
    Plain,
    /// The same, but batches are cut at the sender and put together at the receiver, as with a
    /// network card that can do neither in hardware.
    Nic,
    /// One line, through a host in the middle that loses one datagram in 1000.
    Loss,
}

/// Lines between the hosts, where they are joined directly.
const LINES: u8 = 2;
/// The UDP ports of the contestants that are measured with loss: ropewalk's and OpenVPN's.
const LOSSY_PORTS: [u16; 2] = [1830, 1194];

/// Two hosts and the lines between them.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The hosts A and B.
    pub(crate) hosts: [Namespace; 2],
    middle: Option<Middle>,
    _veths: Vec<Veth>,
}

/// The host that loses datagrams.
#[derive(Debug)]
struct Middle {
    relay: Relay,
    host: Namespace,
}

impl Scene {
    /// Makes it anew.
    pub(crate) fn build(topology: Topology) -> Result<Self> {
        let hosts = [Namespace::new("a")?, Namespace::new("b")?];
        if topology == Topology::Loss {
            return Self::build_lossy(hosts);
        }
        let mut veths = Vec::new();
        for line in 1..=LINES {
            let device = device(line);
            let plug = |end: End| Plug::new(&hosts[end as usize], &device);
            let veth = Veth::join(plug(End::A), plug(End::B))?;
            for end in [End::A, End::B] {
                veth.address(end, &format!("{}/24", address(end, line)))?;
            }
            if topology == Topology::Nic {
                emulate_card(&hosts, &device)?;
            }
            veths.push(veth);
        }
        Ok(Self {
            hosts,
            middle: None,
            _veths: veths,
        })
    }

    /// Each host has a network of its own with the one in the middle, which forwards nothing but
    /// what the relay does.
    fn build_lossy(hosts: [Namespace; 2]) -> Result<Self> {
        let host = Namespace::new("middle")?;
        let mut veths = Vec::new();
        for end in [End::A, End::B] {
            let line = network(end);
            let plug = Plug::new(&hosts[end as usize], &device(1));
            let veth = Veth::join(plug, Plug::new(&host, &device(line)))?;
            veth.address(End::A, &format!("{}/24", address(end, line)))?;
            veth.address(End::B, &format!("{}/24", address(other(end), line)))?;
            veths.push(veth);
        }
        let side = |end| Side {
            local: address(other(end), network(end)),
            host: address(end, network(end)),
        };
        let relay = Relay::start(&host, [side(End::A), side(End::B)], &LOSSY_PORTS)?;
        Ok(Self {
            hosts,
            middle: Some(Middle { relay, host }),
            _veths: veths,
        })
    }

    /// The host at one end.
    pub(crate) fn host(&self, end: End) -> &Namespace {
        &self.hosts[end as usize]
    }

    /// The address of one end on a line.
    pub(crate) fn local(&self, end: End, line: u8) -> IpAddr {
        address(end, self.network(end, line))
    }

    /// Where one end reaches the other on a line.
    pub(crate) fn remote(&self, end: End, line: u8) -> IpAddr {
        address(other(end), self.network(end, line))
    }

    fn network(&self, end: End, line: u8) -> u8 {
        match self.middle {
            Some(_) => network(end),
            None => line,
        }
    }

    /// The numbers of the lines.
    pub(crate) fn lines(&self) -> RangeInclusive<u8> {
        match self.middle {
            Some(_) => 1..=1,
            None => 1..=LINES,
        }
    }

    /// Segments that the sender's TCP has sent again so far.
    pub(crate) fn resent(&self) -> Result<u64> {
        counter(self.host(End::A), "Tcp", "RetransSegs")
    }

    /// Datagrams that were lost from A to B so far: on purpose, and because a receive buffer was
    /// full, which should be none.
    pub(crate) fn lost(&self) -> Result<u64> {
        let middle = self.middle.as_ref().context("nothing is lost here")?;
        let overrun = |host| counter(host, "Udp", "RcvbufErrors");
        Ok(middle.relay.dropped() + overrun(&middle.host)? + overrun(self.host(End::B))?)
    }
}

/// The other end.
pub(crate) fn other(end: End) -> End {
    match end {
        End::A => End::B,
        End::B => End::A,
    }
}

/// The interface of a line, at both ends.
pub(crate) fn device(line: u8) -> String {
    format!("line{line}")
}

/// The network between an end and the host in the middle.
fn network(end: End) -> u8 {
    end as u8 + 1
}

fn address(end: End, line: u8) -> IpAddr {
    Ipv4Addr::new(10, 80, line, end as u8 + 1).into()
}

/// Cutting costs the sender and putting together the receiver; both in software here.
fn emulate_card(hosts: &[Namespace; 2], device: &str) -> Result<()> {
    let sender = ["-K", device, "tso", "off", "tx-udp-segmentation", "off"];
    let receiver = ["-K", device, "gro", "on", "rx-udp-gro-forwarding", "on"];
    for (host, arguments) in hosts.iter().zip([sender, receiver]) {
        host.run("ethtool", &arguments)?;
    }
    Ok(())
}

/// A counter of a host's `/proc/net/snmp`: `("Tcp", "RetransSegs")`.
fn counter(host: &Namespace, protocol: &str, name: &str) -> Result<u64> {
    // Not `/proc/net`: that is the namespace of the process's first thread.
    let text = host.enter(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let found = parse_counter(&text, protocol, name);
    found.with_context(|| format!("/proc/net/snmp has no {protocol} {name}"))
}

/// The file has two lines of each protocol: names, then values.
fn parse_counter(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace());
    pairs.find(|(key, _)| *key == name)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = "Udp: InDatagrams RcvbufErrors\nUdp: 5 6\n\
                    UdpLite: InDatagrams RcvbufErrors\nUdpLite: 7 8\n";
        assert_eq!(parse_counter(text, "Udp", "RcvbufErrors"), Some(6));
        assert_eq!(parse_counter(text, "UdpLite", "InDatagrams"), Some(7));
        assert_eq!(parse_counter(text, "Udp", "SndbufErrors"), None);
        assert_eq!(parse_counter(text, "Tcp", "InDatagrams"), None);
    }
}
