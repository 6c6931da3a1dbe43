//! How hosts are joined: directly, through a router, or in one segment.

use std::net::IpAddr;
use std::os::fd::AsFd;

use anyhow::Result;
use sys::netlink::{Rule, RuleAction, VethEnd};

use crate::namespace::{Namespace, next_ifindex};
use crate::{End, Way};

/// A host and the name of its interface on a line.
#[derive(Debug, Clone)]
pub struct Plug {
    /// The host.
    pub host: Namespace,
    /// The interface that is made there.
    pub device: String,
}

impl Plug {
    /// The interface `device` of `host`.
    pub fn new(host: &Namespace, device: &str) -> Self {
        Self {
            host: host.clone(),
            device: device.to_owned(),
        }
    }
}

/// A veth pair between two hosts: a perfect, immediate line.
#[derive(Debug)]
pub struct Veth {
    /// The first end.
    pub a: Plug,
    /// The second end.
    pub b: Plug,
}

impl Veth {
    /// Makes the pair, both ends up, with unequal interface indexes.
    pub fn join(a: Plug, b: Plug) -> Result<Self> {
        let (near, far) = (next_ifindex(), next_ifindex());
        a.host.netlink(async |netlink| {
            let near = VethEnd {
                name: &a.device,
                index: Some(near),
                netns: None,
            };
            let netns = Some(b.host.netns().as_fd());
            netlink
                .create_veth(
                    near,
                    VethEnd {
                        name: &b.device,
                        index: Some(far),
                        netns,
                    },
                )
                .await
        })?;
        let veth = Self { a, b };
        veth.a.host.set_up(&veth.a.device, true)?;
        veth.b.host.set_up(&veth.b.device, true)?;
        Ok(veth)
    }

    /// One end.
    pub fn end(&self, end: End) -> &Plug {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// Gives the interface of one end an address.
    pub fn address(&self, end: End, cidr: &str) -> Result<()> {
        let plug = self.end(end);
        plug.host.add_address(&plug.device, cidr)
    }

    /// Takes the carrier from the interface of one end, by switching the other end off. (That end's
    /// IPv6 addresses go with it.)
    pub fn set_carrier(&self, end: End, carrier: bool) -> Result<()> {
        let other = self.end(match end {
            End::A => End::B,
            End::B => End::A,
        });
        other.host.set_up(&other.device, carrier)
    }
}

/// A line between two hosts through a router, which can fall silent while everything looks well:
/// interfaces up, gateways answering.
///
/// With number N: `a` is 10.N.1.2 and fdN:1::2 behind the gateways 10.N.1.1 and fdN:1::1, and `b`
/// is 10.N.2.2 and fdN:2::2 likewise. Both hosts have routes to the other's networks.
#[derive(Debug)]
pub struct Router {
    host: Namespace,
    a: Veth,
    b: Veth,
    number: u8,
}

/// Where [`Router::silence`] puts its rules: behind the one for local addresses (0), so that the
/// router itself goes on answering.
const SILENCE_PRIORITY: u32 = 10;

impl Router {
    /// Makes the router and the interfaces of both hosts.
    pub fn join(number: u8, a: Plug, b: Plug) -> Result<Self> {
        let host = Namespace::new(&format!("router{number}"))?;
        host.sysctl("ipv4/ip_forward", "1")?;
        host.sysctl("ipv6/conf/all/forwarding", "1")?;
        let router = Self {
            a: Veth::join(a, Plug::new(&host, "a"))?,
            b: Veth::join(b, Plug::new(&host, "b"))?,
            host,
            number,
        };
        for (end, veth) in [(End::A, &router.a), (End::B, &router.b)] {
            for v6 in [false, true] {
                let prefix = if v6 { 64 } else { 24 };
                veth.address(End::A, &format!("{}/{prefix}", router.address(end, v6)))?;
                veth.address(End::B, &format!("{}/{prefix}", router.gateway(end, v6)))?;
            }
        }
        for (end, other) in [(End::A, End::B), (End::B, End::A)] {
            for v6 in [false, true] {
                router
                    .plug(end)
                    .host
                    .add_route(&router.network(other, v6), router.gateway(end, v6))?;
            }
        }
        Ok(router)
    }

    fn veth(&self, end: End) -> &Veth {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// The host and interface at one end.
    pub fn plug(&self, end: End) -> &Plug {
        &self.veth(end).a
    }

    /// The router itself, to do more with it.
    pub fn host(&self) -> &Namespace {
        &self.host
    }

    fn ip(&self, end: End, v6: bool, last: u8) -> IpAddr {
        let side = match end {
            End::A => 1,
            End::B => 2,
        };
        if v6 {
            let first = 0xfd00 | u16::from(self.number);
            return IpAddr::from([first, side, 0, 0, 0, 0, 0, last.into()]);
        }
        IpAddr::from([10, self.number, side as u8, last])
    }

    /// The address of the host at one end.
    pub fn address(&self, end: End, v6: bool) -> IpAddr {
        self.ip(end, v6, 2)
    }

    /// The router's address at one end.
    pub fn gateway(&self, end: End, v6: bool) -> IpAddr {
        self.ip(end, v6, 1)
    }

    /// The network at one end, "10.1.2.0/24".
    pub fn network(&self, end: End, v6: bool) -> String {
        format!("{}/{}", self.ip(end, v6, 0), if v6 { 64 } else { 24 })
    }

    fn rules(way: Way) -> impl Iterator<Item = Rule> {
        let devices = match way {
            Way::AToB => &["a"][..],
            Way::BToA => &["b"][..],
            Way::Both => &["a", "b"][..],
        };
        devices.iter().map(|device| Rule {
            priority: SILENCE_PRIORITY,
            mark: None,
            input_device: Some((*device).to_owned()),
            action: RuleAction::Blackhole,
        })
    }

    /// Drops everything that would be forwarded this way, without a word.
    pub fn silence(&self, way: Way) -> Result<()> {
        self.host.netlink(async |netlink| {
            for rule in Self::rules(way) {
                netlink.add_rule(&rule).await?;
            }
            Ok(())
        })
    }

    /// Ends [`Router::silence`], both ways.
    pub fn heal(&self) -> Result<()> {
        self.host.netlink(async |netlink| {
            for rule in Self::rules(Way::Both) {
                netlink.delete_rule(&rule).await?;
            }
            Ok(())
        })
    }

    /// Sets or takes the carrier at one end, by switching the router's interface.
    ///
    /// The router's IPv6 address and routes of that side go with it, and come back here.
    pub fn set_carrier(&self, end: End, carrier: bool) -> Result<()> {
        let veth = self.veth(end);
        veth.set_carrier(End::A, carrier)?;
        if carrier {
            veth.address(End::B, &format!("{}/64", self.gateway(end, true)))?;
        }
        Ok(())
    }

    /// The MTU of the line towards one end; the router answers larger packets with ICMP.
    pub fn set_mtu(&self, end: End, mtu: u32) -> Result<()> {
        let router = &self.veth(end).b;
        router.host.set_mtu(&router.device, mtu)
    }
}

/// One Ethernet segment: a bridge (which knows no VLANs, but passes what is below 1500 bytes of
/// payload plus one tag) with any number of hosts.
#[derive(Debug)]
pub struct Segment {
    host: Namespace,
    ports: Vec<Veth>,
}

impl Segment {
    /// An empty segment.
    pub fn new(name: &str) -> Result<Self> {
        let host = Namespace::new(name)?;
        host.netlink(async |netlink| netlink.create_bridge("br0").await)?;
        Ok(Self {
            host,
            ports: Vec::new(),
        })
    }

    /// Connects a host, whose interface is made. Returns the number of the port.
    pub fn plug(&mut self, host: &Namespace, device: &str) -> Result<usize> {
        let number = self.ports.len();
        let port = format!("port{number}");
        let veth = Veth::join(Plug::new(host, device), Plug::new(&self.host, &port))?;
        self.host
            .netlink(async |netlink| netlink.set_master(&port, Some("br0")).await)?;
        self.ports.push(veth);
        Ok(number)
    }

    /// The line of port `number`, as [`Segment::plug`] returned it: end A is the host's.
    pub fn port(&self, number: usize) -> Option<&Veth> {
        self.ports.get(number)
    }

    /// The switch itself.
    pub fn host(&self) -> &Namespace {
        &self.host
    }
}

#[cfg(test)]
mod tests;
