//! Ports: the TAP device and what the configuration says of it.

use sys::netlink::Link;
use sys::tap::TapOptions;
use sys::{Netlink, Tap};

use super::journal::{self, Journal, Undo};
use super::{OpenPort, SetupError};
use crate::config::PortConfig;

/// Opens a port's device and brings it into the configured state.
pub(super) async fn open(
    netlink: &Netlink,
    journal: &mut Journal,
    index: usize,
    port: &PortConfig,
) -> Result<OpenPort, SetupError> {
    let options = TapOptions {
        persist: port.persist,
        offload: true,
        ..TapOptions::default()
    };
    let tap = Tap::open(&port.name, options)?;
    // Only what was there before has a state to go back to; ours vanishes, or is to stay as it is.
    let mut change = Change {
        netlink,
        journal,
        port,
        is_ours: !tap.adopted(),
    };
    change.mac().await?;
    change.mtu().await?;
    change.addresses().await?;
    change.up().await?;
    change.gateways().await?;
    let link = change.link().await?;
    join_bridge(netlink, journal, port).await?;
    Ok(OpenPort {
        index,
        tap: Some(tap),
        mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
        mac: link.mac.unwrap_or(port.mac),
    })
}

/// A port on an interface, which need not be there now. It is not touched here.
pub(super) async fn existing(
    netlink: &Netlink,
    index: usize,
    port: &PortConfig,
    device: &str,
) -> Result<OpenPort, SetupError> {
    let (links, addresses) = (netlink.links().await?, netlink.addresses(None).await?);
    if let Some(why) = super::unusable(device, &links, &addresses) {
        let (port, device) = (port.name.clone(), device.to_owned());
        return Err(SetupError::Unusable { port, device, why });
    }
    let link = links.into_iter().find(|link| link.name == device);
    let has = link.as_ref().filter(|_| !port.has_mtu);
    Ok(OpenPort {
        index,
        tap: None,
        mtu: has.map_or(port.mtu, |link| u16::try_from(link.mtu).unwrap_or(u16::MAX)),
        mac: link.and_then(|link| link.mac).unwrap_or_default(),
    })
}

struct Change<'a> {
    netlink: &'a Netlink,
    journal: &'a mut Journal,
    port: &'a PortConfig,
    is_ours: bool,
}

impl Change<'_> {
    fn note(&mut self, step: Undo) -> Result<(), SetupError> {
        match self.is_ours {
            true => Ok(()),
            false => Ok(self.journal.note(step)?),
        }
    }

    async fn link(&self) -> Result<Link, SetupError> {
        let link = self.netlink.link(&self.port.name).await?;
        link.ok_or_else(|| {
            SetupError::Tap(sys::tap::TapError::Io {
                name: self.port.name.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            })
        })
    }

    /// An adopted device keeps its address unless the configuration gives one.
    async fn mac(&mut self) -> Result<(), SetupError> {
        let Some(before) = self.link().await?.mac else {
            return Ok(());
        };
        let wanted = self.port.mac;
        if before == wanted || !(self.is_ours || self.port.has_mac) {
            return Ok(());
        }
        self.note(Undo::SetMac {
            device: self.port.name.clone(),
            mac: before,
        })?;
        Ok(self.netlink.set_mac(&self.port.name, wanted).await?)
    }

    async fn mtu(&mut self) -> Result<(), SetupError> {
        let before = self.link().await?.mtu;
        let wanted = u32::from(self.port.mtu);
        if before == wanted || !(self.is_ours || self.port.has_mtu) {
            return Ok(());
        }
        self.note(Undo::SetMtu {
            device: self.port.name.clone(),
            mtu: before,
        })?;
        Ok(self.netlink.set_mtu(&self.port.name, wanted).await?)
    }

    async fn addresses(&mut self) -> Result<(), SetupError> {
        let index = self.link().await?.index;
        let before = self.netlink.addresses(Some(index)).await?;
        for net in &self.port.addresses {
            let (address, prefix) = (net.addr(), net.prefix_len());
            if before
                .iter()
                .any(|there| (there.address, there.prefix) == (address, prefix))
            {
                continue;
            }
            let device = self.port.name.clone();
            self.note(Undo::DeleteAddress {
                device,
                address,
                prefix,
            })?;
            self.netlink
                .add_address(&self.port.name, address, prefix)
                .await?;
        }
        Ok(())
    }

    async fn up(&mut self) -> Result<(), SetupError> {
        if self.link().await?.up {
            return Ok(());
        }
        self.note(Undo::SetDown {
            device: self.port.name.clone(),
        })?;
        Ok(self.netlink.set_up(&self.port.name, true).await?)
    }

    /// Default routes are taken back from a device of ours too: into one that stays with nobody
    /// behind it they would be a black hole.
    async fn gateways(&mut self) -> Result<(), SetupError> {
        for gateway in &self.port.gateways {
            let device = self.port.name.clone();
            self.journal.note(Undo::DeleteDefaultRoute {
                device,
                gateway: *gateway,
            })?;
            let route = journal::default_route(&self.port.name, *gateway);
            self.netlink.add_route(&route).await?;
        }
        Ok(())
    }
}

/// Puts a port into its bridge if it is not there yet; says so when the bridge is missing.
pub(super) async fn join_bridge(
    netlink: &Netlink,
    journal: &mut Journal,
    port: &PortConfig,
) -> Result<Option<String>, SetupError> {
    let Some(bridge) = &port.bridge else {
        return Ok(None);
    };
    let Some(master) = netlink.link(bridge).await? else {
        return Ok(Some(format!(
            "port {}: bridge {bridge} is not there",
            port.name
        )));
    };
    if master.kind.as_deref() != Some("bridge") {
        let (port, bridge) = (port.name.clone(), bridge.clone());
        return Err(SetupError::NotABridge { port, bridge });
    }
    let link = netlink.link(&port.name).await?;
    let before = link.and_then(|link| link.master);
    if before == Some(master.index) {
        return Ok(None);
    }
    let links = netlink.links().await?;
    let name = |index| links.iter().find(|link| Some(link.index) == index);
    let before = name(before).map(|link| link.name.clone());
    // Also for a device of ours: it may be told to stay, but not in somebody's bridge, where
    // nobody would carry its frames.
    journal.note(Undo::SetMaster {
        device: port.name.clone(),
        master: before,
    })?;
    netlink.set_master(&port.name, Some(bridge)).await?;
    Ok(None)
}
