//! Routes, rules, and the question which way a packet would go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction as KernelAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, route::RouteScope};
use rtnetlink::{IpVersion, RouteMessageBuilder};

use super::{Netlink, NetlinkError, Result, prefix_text};

/// The table that applies without any rule of ours (`main`).
pub const MAIN_TABLE: u32 = 254;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The destination; `0.0.0.0` or `::` with prefix 0 is the default route.
    pub destination: IpAddr,
    /// The length of the destination's prefix, bits.
    pub prefix: u8,
    /// The next router; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface; `None` only with a gateway, or for a black hole.
    pub device: Option<String>,
    /// The source address that packets without one get.
    pub source: Option<IpAddr>,
    /// The table ([`MAIN_TABLE`] usually).
    pub table: u32,
    /// Its metric; the lowest wins. `None`: the kernel's default.
    pub metric: Option<u32>,
    /// Drop silently instead of forwarding.
    pub blackhole: bool,
}

impl Route {
    /// A route in the main table through `gateway`.
    pub fn via(destination: IpAddr, prefix: u8, gateway: IpAddr) -> Self {
        Self {
            destination,
            prefix,
            gateway: Some(gateway),
            device: None,
            source: None,
            table: MAIN_TABLE,
            metric: None,
            blackhole: false,
        }
    }

    /// A default route in `table` through `gateway`, or onto the link when there is none.
    pub fn default_in(table: u32, version: IpAddr, gateway: Option<IpAddr>, device: &str) -> Self {
        Self {
            gateway,
            device: Some(device.to_owned()),
            table,
            ..Self::via(unspecified(version), 0, version)
        }
    }

    fn text(&self) -> String {
        let mut text = prefix_text(self.destination, self.prefix);
        if let Some(gateway) = self.gateway {
            text.push_str(&format!(" via {gateway}"));
        }
        if let Some(device) = &self.device {
            text.push_str(&format!(" dev {device}"));
        }
        if self.table != MAIN_TABLE {
            text.push_str(&format!(" table {}", self.table));
        }
        text
    }
}

/// What a rule does with the packets it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// Route them by this table; when it has no route for them, the next rules apply.
    Lookup(u32),
    /// Drop them without a word.
    Blackhole,
}

/// A routing rule. It is made for IPv4 and IPv6 alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its place: rules apply from low to high.
    pub priority: u32,
    /// Matches packets with this mark.
    pub mark: Option<u32>,
    /// Matches packets that came in by this interface.
    pub input_device: Option<String>,
    /// What to do with them.
    pub action: RuleAction,
}

impl Rule {
    fn message(&self, family: AddressFamily) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = family;
        message
            .attributes
            .push(RuleAttribute::Priority(self.priority));
        match self.action {
            RuleAction::Lookup(table) => {
                message.header.action = KernelAction::ToTable;
                message.attributes.push(RuleAttribute::Table(table));
            }
            RuleAction::Blackhole => message.header.action = KernelAction::Blackhole,
        }
        if let Some(mark) = self.mark {
            message.attributes.push(RuleAttribute::FwMark(mark));
        }
        if let Some(device) = &self.input_device {
            message
                .attributes
                .push(RuleAttribute::Iifname(device.clone()));
        }
        message
    }

    fn text(&self) -> String {
        let mark = self
            .mark
            .map(|mark| format!(" mark {mark:#x}"))
            .unwrap_or_default();
        let input = self
            .input_device
            .as_ref()
            .map(|d| format!(" iif {d}"))
            .unwrap_or_default();
        format!("priority {}{mark}{input} {:?}", self.priority, self.action)
    }
}

/// The way a packet would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteTo {
    /// The interface it would leave by.
    pub ifindex: u32,
    /// The next router, when the destination is not on the link.
    pub gateway: Option<IpAddr>,
    /// The source address it would get.
    pub source: Option<IpAddr>,
}

impl Netlink {
    async fn route_message(&self, route: &Route) -> Result<RouteMessage> {
        let mut message = match route.destination {
            IpAddr::V4(to) => v4_message(to, route.prefix),
            IpAddr::V6(to) => v6_message(to, route.prefix),
        };
        message.header.protocol = RouteProtocol::Static;
        // Tables above 255 do not fit the header; the attribute holds any.
        message.header.table = u8::try_from(route.table).unwrap_or(0);
        let attributes = &mut message.attributes;
        attributes.push(RouteAttribute::Table(route.table));
        if let Some(device) = &route.device {
            attributes.push(RouteAttribute::Oif(self.index(device).await?));
        }
        if let Some(gateway) = route.gateway {
            attributes.push(RouteAttribute::Gateway(gateway.into()));
        } else {
            message.header.scope = RouteScope::Link;
        }
        if let Some(source) = route.source {
            attributes.push(RouteAttribute::PrefSource(source.into()));
        }
        if let Some(metric) = route.metric {
            attributes.push(RouteAttribute::Priority(metric));
        }
        if route.blackhole {
            message.header.kind = RouteType::BlackHole;
            message.header.scope = RouteScope::Universe;
        }
        Ok(message)
    }

    /// Adds a route, or replaces the one with the same destination, table and metric.
    pub async fn add_route(&self, route: &Route) -> Result<()> {
        let message = self.route_message(route).await?;
        let done = self.handle.route().add(message).replace().execute().await;
        done.map_err(|e| NetlinkError::new("add route", route.text(), e))
    }

    /// Deletes a route; one that is not there is no error.
    pub async fn delete_route(&self, route: &Route) -> Result<()> {
        let message = match self.route_message(route).await {
            // Its routes went with the device.
            Err(error) if error.not_found() => return Ok(()),
            other => other?,
        };
        let done = self.handle.route().del(message).execute().await;
        match done.map_err(|e| NetlinkError::new("delete route", route.text(), e)) {
            Err(error) if error.not_found() => Ok(()),
            other => other,
        }
    }

    /// Adds a rule for IPv4 and, where the kernel has it, IPv6; one that is there stays.
    pub async fn add_rule(&self, rule: &Rule) -> Result<()> {
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = self.handle.rule().add();
            *request.message_mut() = rule.message(family);
            match request
                .execute()
                .await
                .map_err(|e| NetlinkError::new("add rule", rule.text(), e))
            {
                Err(error) if error.exists() || no_such_family(&error, family) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Deletes a rule of both families; one that is not there is no error.
    pub async fn delete_rule(&self, rule: &Rule) -> Result<()> {
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let done = self.handle.rule().del(rule.message(family)).execute().await;
            match done.map_err(|e| NetlinkError::new("delete rule", rule.text(), e)) {
                Err(error) if error.not_found() || no_such_family(&error, family) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The priorities of all rules of a family: to find what an earlier run left behind.
    pub async fn rule_priorities(&self, v6: bool) -> Result<Vec<u32>> {
        let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
        let all: std::result::Result<Vec<RuleMessage>, _> = self
            .handle
            .rule()
            .get(version)
            .execute()
            .try_collect()
            .await;
        let all = all.map_err(|e| NetlinkError::new("list", "rules", e))?;
        let priority = |message: &RuleMessage| {
            message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    RuleAttribute::Priority(priority) => Some(*priority),
                    _ => None,
                })
        };
        // The kernel leaves the attribute out for 0.
        Ok(all
            .iter()
            .map(|message| priority(message).unwrap_or(0))
            .collect())
    }

    /// The way a packet to `destination` would take, with the socket's mark if it has one; `None`
    /// when there is no route.
    pub async fn route_to(
        &self,
        destination: IpAddr,
        mark: Option<u32>,
    ) -> Result<Option<RouteTo>> {
        let mut message = match destination {
            IpAddr::V4(to) => v4_message(to, 32),
            IpAddr::V6(to) => v6_message(to, 128),
        };
        if let Some(mark) = mark {
            message.attributes.push(RouteAttribute::Mark(mark));
        }
        let mut found = self.handle.route().get(message).execute();
        match found
            .try_next()
            .await
            .map_err(|e| NetlinkError::new("route to", destination, e))
        {
            Ok(message) => Ok(message.as_ref().and_then(route_to)),
            Err(error) if unroutable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The unspecified address of the same family: the destination of a default route.
fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn v4_message(to: Ipv4Addr, prefix: u8) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to, prefix)
        .build()
}

fn v6_message(to: Ipv6Addr, prefix: u8) -> RouteMessage {
    RouteMessageBuilder::<Ipv6Addr>::new()
        .destination_prefix(to, prefix)
        .build()
}

fn route_to(message: &RouteMessage) -> Option<RouteTo> {
    let address = |address: &RouteAddress| match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    };
    let mut to = RouteTo {
        ifindex: 0,
        gateway: None,
        source: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => to.ifindex = *index,
            RouteAttribute::Gateway(gateway) => to.gateway = address(gateway),
            RouteAttribute::PrefSource(source) => to.source = address(source),
            _ => {}
        }
    }
    let forwards = matches!(message.header.kind, RouteType::Unicast | RouteType::Local);
    (forwards && to.ifindex != 0).then_some(to)
}

fn unroutable(error: &NetlinkError) -> bool {
    let none = [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::EINVAL,
        libc::EACCES,
        libc::ESRCH,
    ];
    error
        .source
        .raw_os_error()
        .is_some_and(|errno| none.contains(&errno))
}

fn no_such_family(error: &NetlinkError, family: AddressFamily) -> bool {
    let none = [libc::EAFNOSUPPORT, libc::EOPNOTSUPP];
    family == AddressFamily::Inet6
        && error
            .source
            .raw_os_error()
            .is_some_and(|errno| none.contains(&errno))
}
