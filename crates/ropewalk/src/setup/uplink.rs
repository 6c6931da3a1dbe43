//! Uplinks with a gateway of their own: a private routing table for each, reached by a mark on
//! our sockets. The main table, and with it everybody else's traffic, stays untouched.
//!
//! Of the numbers 1830 to 1929 the first whose rule priority is free becomes the priority of the
//! rule and the number of the table; rules of that order come before the main table's (32766).

use std::net::IpAddr;

use ipnet::IpNet;
use sys::Netlink;
use sys::netlink::Address;

use super::SetupError;
use super::journal::{self, Journal, Undo};
use crate::config::{Config, UplinkConfig};

/// The first number tried for a rule and its table.
const FIRST: u32 = 1830;
/// The last one.
const LAST: u32 = 1929;
/// Added to the table's number for its mark: others use small marks.
const MARK_BASE: u32 = 0x5257_0000;

/// The private table of one uplink.
#[derive(Debug)]
pub(super) struct PrivateTable {
    uplink: UplinkConfig,
    device: String,
    number: u32,
    /// The routes that were added when it was last filled.
    filled: Vec<(IpAddr, u8, Option<IpAddr>)>,
}

/// Makes the rules for every uplink with a gateway; the tables are filled by
/// [`PrivateTable::fill`] when their device is there.
pub(super) async fn tables(
    netlink: &Netlink,
    journal: &mut Journal,
    config: &Config,
) -> Result<Vec<PrivateTable>, SetupError> {
    let mut tables: Vec<PrivateTable> = Vec::new();
    for uplink in config
        .uplinks
        .iter()
        .filter(|uplink| !uplink.gateways.is_empty())
    {
        let Some(device) = uplink.device.clone() else {
            continue;
        };
        let mut taken = netlink.rule_priorities(false).await?;
        taken.extend(netlink.rule_priorities(true).await.unwrap_or_default());
        let free = (FIRST..=LAST).find(|number| !taken.contains(number));
        let number = free.ok_or(SetupError::NoFreeTable(FIRST, LAST))?;
        let table = PrivateTable {
            uplink: uplink.clone(),
            device,
            number,
            filled: Vec::new(),
        };
        let (priority, mark, table_number) = (number, table.mark(), number);
        journal.note(Undo::DeleteRule {
            priority,
            mark,
            table: table_number,
        })?;
        netlink
            .add_rule(&journal::rule(priority, mark, table_number))
            .await?;
        tables.push(table);
    }
    Ok(tables)
}

impl PrivateTable {
    /// The uplink's name.
    pub(super) fn uplink(&self) -> &str {
        &self.uplink.name
    }

    /// The mark that leads into this table.
    pub(super) fn mark(&self) -> u32 {
        MARK_BASE + self.number
    }

    /// Brings the table in line with the addresses that the device has now. The kernel empties
    /// it when the device goes down; so every route is set again, which changes none that stands.
    pub(super) async fn fill(
        &mut self,
        netlink: &Netlink,
        journal: &mut Journal,
    ) -> Result<(), SetupError> {
        let link = netlink.link(&self.device).await?;
        let Some(link) = link.filter(|link| link.up) else {
            self.filled.clear();
            return Ok(());
        };
        let addresses = netlink.addresses(Some(link.index)).await?;
        let wanted = self.routes(&addresses);
        let stale: Vec<_> = self
            .filled
            .extract_if(.., |route| !wanted.contains(route))
            .collect();
        for (destination, prefix, gateway) in stale {
            let route =
                journal::table_route(&self.device, (destination, prefix), gateway, self.number);
            netlink.delete_route(&route).await?;
        }
        for (destination, prefix, gateway) in wanted {
            let device = self.device.clone();
            let table = self.number;
            journal.note(Undo::DeleteTableRoute {
                device,
                destination,
                prefix,
                gateway,
                table,
            })?;
            let to = (destination, prefix);
            let mut route = journal::table_route(&self.device, to, gateway, table);
            route.source = self.source(destination, &addresses);
            netlink.add_route(&route).await?;
            if !self.filled.contains(&(destination, prefix, gateway)) {
                self.filled.push((destination, prefix, gateway));
            }
        }
        Ok(())
    }

    /// The networks on the link, the gateway where it is in none of them, then the way out; in
    /// this order, since the kernel takes a gateway only when it can reach it.
    fn routes(&self, addresses: &[Address]) -> Vec<(IpAddr, u8, Option<IpAddr>)> {
        let nets: Vec<IpNet> = addresses
            .iter()
            .filter(|address| address.global)
            .filter_map(|address| IpNet::new(address.address, address.prefix).ok())
            .collect();
        let has_family = |gateway: &IpAddr| {
            addresses
                .iter()
                .any(|address| address.address.is_ipv4() == gateway.is_ipv4())
        };
        let gateways = || {
            self.uplink
                .gateways
                .iter()
                .filter(|gateway| has_family(gateway))
        };
        let mut routes = Vec::new();
        for net in &nets {
            let is_needed = gateways().any(|gateway| gateway.is_ipv4() == net.addr().is_ipv4());
            let route = (net.network(), net.prefix_len(), None);
            if is_needed && !routes.contains(&route) {
                routes.push(route);
            }
        }
        for gateway in gateways() {
            let is_link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
            if !is_link_local && !nets.iter().any(|net| net.contains(gateway)) {
                routes.push((*gateway, if gateway.is_ipv4() { 32 } else { 128 }, None));
            }
        }
        for gateway in gateways() {
            let everywhere = match gateway {
                IpAddr::V4(_) => IpAddr::from([0; 4]),
                IpAddr::V6(_) => IpAddr::from([0; 16]),
            };
            routes.push((everywhere, 0, Some(*gateway)));
        }
        routes
    }

    /// The configured source address of the destination's family, if the device has it.
    fn source(&self, destination: IpAddr, addresses: &[Address]) -> Option<IpAddr> {
        let mut configured = self.uplink.addresses.iter();
        let source = configured.find(|source| source.is_ipv4() == destination.is_ipv4())?;
        addresses
            .iter()
            .any(|address| address.address == *source)
            .then_some(*source)
    }
}
