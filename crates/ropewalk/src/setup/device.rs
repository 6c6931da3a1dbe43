//! Ports on interfaces that exist: taken over from the kernel while they are there, and given back.

use sys::ingress::{self, IngressDrop};
use sys::netlink::{Address, Link, NO_ADDRESS};
use sys::{Netlink, PacketSocket};

use super::SetupError;
use super::journal::{Journal, Undo};
use crate::config::PortConfig;

/// What became of a taken-over interface, for the data thread.
#[derive(Debug)]
pub struct DeviceChange {
    /// The port's place in the configuration.
    pub port: usize,
    /// A socket on the interface, the first time it is there.
    pub socket: Option<PacketSocket>,
    /// Why it cannot be used; empty when it can.
    pub reason: &'static str,
    /// The interface's own Ethernet address.
    pub mac: Option<[u8; 6]>,
}

/// A port on an interface.
#[derive(Debug)]
pub(super) struct Device {
    port: usize,
    config: PortConfig,
    /// The longest frames' payload that the node was made for, bytes.
    mtu: u16,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    ifindex: u32,
    reason: &'static str,
    /// Keeps the kernel's own stack away; `None` where the kernel cannot.
    drop: Option<IngressDrop>,
}

/// What one look at the machine led to.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) change: Option<DeviceChange>,
    /// What is missing or doubtful, a sentence each.
    pub(super) complaints: Vec<String>,
}

impl Device {
    pub(super) fn new(port: usize, config: &PortConfig, mtu: u16) -> Self {
        Self {
            port,
            config: config.clone(),
            mtu,
            held: None,
        }
    }

    /// The index of the interface while it is held.
    pub(super) fn ifindex(&self) -> Option<u32> {
        self.held.as_ref().map(|held| held.ifindex)
    }

    /// Takes the interface when it has come, lets go of it when it has gone, and notices what else
    /// changed.
    pub(super) async fn look(&mut self, netlink: &Netlink, journal: &mut Journal) -> Look {
        let name = self.name().to_owned();
        let mut look = Look::default();
        let (links, addresses) = match machine(netlink).await {
            Ok(both) => both,
            Err(error) => {
                look.complaints.push(error.to_string());
                return look;
            }
        };
        let link = links.iter().find(|link| link.name == name);
        if self
            .held
            .as_ref()
            .is_some_and(|held| link.is_none_or(|link| link.index != held.ifindex))
        {
            // Another of the same name is a new one.
            self.held = None;
            look.change = Some(self.change(None, "device-absent", None));
        }
        let Some(link) = link else {
            look.complaints
                .push(self.says("is not there; the port waits until it appears"));
            return look;
        };
        if let Some(why) = unusable(&name, &links, &addresses) {
            look.complaints.push(self.says(&why));
            if self.held.is_none() {
                return look;
            }
        }
        match &mut self.held {
            None => match self.take(netlink, journal, link).await {
                Ok(taken) => look.change = Some(taken),
                Err(error) => look
                    .complaints
                    .push(self.says(&format!("cannot be taken over: {error}"))),
            },
            Some(held) => {
                let reason = reason(link);
                if held.reason != reason {
                    held.reason = reason;
                    look.change = Some(self.change(None, reason, link.mac));
                }
            }
        }
        look.complaints.extend(self.doubts(link));
        look
    }

    async fn take(
        &mut self,
        netlink: &Netlink,
        journal: &mut Journal,
        link: &Link,
    ) -> Result<DeviceChange, SetupError> {
        let device = link.name.clone();
        let wanted = u32::from(self.config.mtu);
        if self.config.has_mtu && link.mtu != wanted {
            journal.note(Undo::SetMtu {
                device: device.clone(),
                mtu: link.mtu,
            })?;
            netlink.set_mtu(&device, wanted).await?;
        }
        journal.note(Undo::DeleteIngressTable {
            table: ingress::table_name(link.index),
        })?;
        silence_ipv6(netlink, journal, link).await?;
        let drop = match IngressDrop::install(link.index, &device) {
            Ok(drop) => Some(drop),
            Err(error) => {
                tracing::debug!(%device, %error, "no chain at the ingress");
                None
            }
        };
        if !link.up {
            journal.note(Undo::SetDown {
                device: device.clone(),
            })?;
            netlink.set_up(&device, true).await?;
        }
        let socket = PacketSocket::open(link.index).map_err(SetupError::PacketSocket)?;
        // Its carrier, if it was switched off until now, comes with an event.
        let now = netlink.link(&device).await?;
        let reason = now.as_ref().map_or("device-absent", reason);
        self.held = Some(Held {
            ifindex: link.index,
            reason,
            drop,
        });
        tracing::info!(port = %self.config.name, %device, "interface taken over");
        Ok(self.change(Some(socket), reason, link.mac))
    }

    fn change(
        &self,
        socket: Option<PacketSocket>,
        reason: &'static str,
        mac: Option<[u8; 6]>,
    ) -> DeviceChange {
        DeviceChange {
            port: self.port,
            socket,
            reason,
            mac,
        }
    }

    /// What does not keep it from working, but from working well.
    fn doubts(&self, link: &Link) -> Vec<String> {
        let mut doubts = Vec::new();
        let wanted = match self.config.has_mtu {
            true => u32::from(self.config.mtu),
            false => u32::from(self.mtu),
        };
        if link.mtu < wanted {
            doubts.push(self.says(&format!(
                "has an MTU of {}, below the port's {wanted}: longer frames cannot leave by it",
                link.mtu
            )));
        } else if link.mtu > u32::from(self.mtu) {
            doubts.push(self.says(&format!(
                "has an MTU of {}, above the port's {}: longer frames are not carried; restart to \
                 use it",
                link.mtu, self.mtu
            )));
        }
        if self.held.as_ref().is_some_and(|held| held.drop.is_none()) {
            doubts.push(self.says(
                "is also heard by the kernel's own stack, since this kernel has no nftables for \
                 devices (CONFIG_NF_TABLES_NETDEV): this host may answer for addresses of its own",
            ));
        }
        doubts
    }

    fn says(&self, what: &str) -> String {
        format!("port {}: {} {what}", self.config.name, self.name())
    }

    fn name(&self) -> &str {
        self.config.device.as_deref().unwrap_or_default()
    }
}

/// Keeps the host's IPv6 from speaking on an interface that is no longer its own: it would ask for
/// routers there, and report the groups of its link-local address.
async fn silence_ipv6(
    netlink: &Netlink,
    journal: &mut Journal,
    link: &Link,
) -> Result<(), SetupError> {
    let device = &link.name;
    match netlink.ipv6_address_mode(device).await? {
        None | Some(NO_ADDRESS) => {}
        Some(mode) => {
            journal.note(Undo::SetIpv6AddressMode {
                device: device.clone(),
                mode,
            })?;
            netlink.set_ipv6_address_mode(device, NO_ADDRESS).await?;
        }
    }
    for there in netlink.addresses(Some(link.index)).await? {
        if there.address.is_ipv6() {
            let (address, prefix) = (there.address, there.prefix);
            journal.note(Undo::AddAddress {
                device: device.clone(),
                address,
                prefix,
            })?;
            netlink.delete_address(device, address, prefix).await?;
        }
    }
    Ok(())
}

async fn machine(netlink: &Netlink) -> Result<(Vec<Link>, Vec<Address>), SetupError> {
    Ok((netlink.links().await?, netlink.addresses(None).await?))
}

fn reason(link: &Link) -> &'static str {
    match (link.up, link.carrier) {
        (false, _) => "device-down",
        (true, false) => "carrier-lost",
        (true, true) => "",
    }
}

/// Kinds of interfaces that stand on another one, and would hear nothing any more.
const STANDING: [&str; 6] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"];

/// Why the interface `name`, which is there, cannot be taken over, and what to do; `None` when it can.
pub(crate) fn unusable(name: &str, links: &[Link], addresses: &[Address]) -> Option<String> {
    let link = links.iter().find(|link| link.name == name)?;
    let other = |index| {
        let found = links.iter().find(|link| Some(link.index) == index);
        found.map_or("another interface", |link| link.name.as_str())
    };
    if link.mac.is_none() || name == "lo" {
        return Some("is no Ethernet interface; name one".to_owned());
    }
    if link.master.is_some() {
        let master = other(link.master);
        return Some(format!(
            "is a member of {master}; take it out (ip link set {name} nomaster)"
        ));
    }
    if link.kind.as_deref() == Some("bridge") {
        return Some(
            "is a bridge; take over its members, or let a TAP port join it with bridge = "
                .to_owned(),
        );
    }
    let held = addresses
        .iter()
        .find(|address| address.ifindex == link.index && address.global);
    if let Some(held) = held {
        return Some(format!(
            "has an address of this host, {}/{}, which would no longer be reached; remove it (ip \
             address flush dev {name}), and give it to a TAP port",
            held.address, held.prefix
        ));
    }
    let standing = links.iter().find(|above| {
        above.parent == Some(link.index)
            && above
                .kind
                .as_deref()
                .is_some_and(|kind| STANDING.contains(&kind))
    });
    standing.map(|above| {
        format!(
            "carries the interface {}, which would no longer hear anything; remove that one (ip \
             link delete {})",
            above.name, above.name
        )
    })
}
