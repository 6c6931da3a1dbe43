//! Links, addresses, routes and rules over rtnetlink.
//!
//! A connection belongs to the network namespace in which it was opened, whatever thread uses it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use futures::TryStreamExt;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::{Error, Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};

mod address;
mod monitor;
mod route;

pub use address::{Address, NO_ADDRESS};
pub use monitor::{LinkEvent, Monitor};
pub use route::{MAIN_TABLE, Route, RouteTo, Rule, RuleAction};

/// A request to the kernel failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {object}: {source}")]
pub struct NetlinkError {
    /// What was asked for, in words: "add address", say.
    pub action: &'static str,
    /// The device, address or route concerned.
    pub object: String,
    /// What the kernel said.
    pub source: io::Error,
}

impl NetlinkError {
    fn new(action: &'static str, object: impl ToString, error: Error) -> Self {
        let source = match error {
            Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other.to_string()),
        };
        Self {
            action,
            object: object.to_string(),
            source,
        }
    }

    /// The object is there already (`EEXIST`).
    pub fn exists(&self) -> bool {
        self.source.raw_os_error() == Some(libc::EEXIST)
    }

    /// The object is not there.
    pub fn not_found(&self) -> bool {
        let missing = [libc::ENODEV, libc::ESRCH, libc::ENOENT, libc::EADDRNOTAVAIL];
        self.source
            .raw_os_error()
            .is_some_and(|errno| missing.contains(&errno))
    }
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, NetlinkError>;

/// A network interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// It is switched on (`IFF_UP`).
    pub up: bool,
    /// It can pass frames: carrier and no dormancy (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Its MTU, bytes of IP.
    pub mtu: u32,
    /// Its kind, as `ip link` writes it ("veth", "tun", "bridge"); `None` for hardware.
    pub kind: Option<String>,
    /// Its MAC address, for Ethernet.
    pub mac: Option<[u8; 6]>,
    /// The index of its master (bridge, bond), if it has one.
    pub master: Option<u32>,
    /// The index of the interface that it stands on (VLAN), or is joined with (veth), if it has one.
    pub parent: Option<u32>,
}

impl Link {
    fn from_message(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            mtu: 0,
            kind: None,
            mac: None,
            master: None,
            parent: None,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok(),
                LinkAttribute::Controller(index) => link.master = Some(*index).filter(|i| *i != 0),
                LinkAttribute::Link(index) => link.parent = Some(*index).filter(|i| *i != 0),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        link
    }
}

/// One end of a new veth pair.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// The interface's name.
    pub name: &'a str,
    /// The interface's index; the kernel chooses when `None`.
    pub index: Option<u32>,
    /// The namespace it is made in; the connection's own when `None`.
    pub netns: Option<BorrowedFd<'a>>,
}

/// A connection to the kernel's routing socket.
#[derive(Debug, Clone)]
pub struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Opens a connection in the namespace of the calling thread.
    ///
    /// Must be called within a Tokio runtime with I/O enabled, which then serves the connection:
    /// requests proceed while that runtime runs.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// As [`Netlink::open`], in another namespace.
    pub fn open_in(netns: &crate::Netns) -> io::Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        netns.enter(|| {
            let _guard = runtime.enter();
            Self::open()
        })?
    }

    /// The interface called `name`, or `None`.
    pub async fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut found = self.handle.link().get().match_name(name).execute();
        match found
            .try_next()
            .await
            .map_err(|e| NetlinkError::new("look up link", name, e))
        {
            Ok(message) => Ok(message.as_ref().map(Link::from_message)),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All interfaces of the namespace.
    pub async fn links(&self) -> Result<Vec<Link>> {
        let all = self.handle.link().get().execute();
        let all = all
            .map_ok(|message| Link::from_message(&message))
            .try_collect()
            .await;
        all.map_err(|e| NetlinkError::new("list", "links", e))
    }

    /// The index of `name`; an error when there is no such interface.
    pub async fn index(&self, name: &str) -> Result<u32> {
        match self.link(name).await? {
            Some(link) => Ok(link.index),
            None => Err(NetlinkError {
                action: "look up link",
                object: name.to_owned(),
                source: io::Error::from_raw_os_error(libc::ENODEV),
            }),
        }
    }

    async fn change(
        &self,
        action: &'static str,
        name: &str,
        set: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<()> {
        let index = self.index(name).await?;
        let message = set(LinkUnspec::new_with_index(index)).build();
        let done = self.handle.link().change(message).execute().await;
        done.map_err(|e| NetlinkError::new(action, name, e))
    }

    /// Switches an interface on or off.
    pub async fn set_up(&self, name: &str, up: bool) -> Result<()> {
        let action = if up { "bring up" } else { "bring down" };
        self.change(
            action,
            name,
            |link| if up { link.up() } else { link.down() },
        )
        .await
    }

    /// Sets the MTU, bytes of IP.
    pub async fn set_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        self.change("set MTU of", name, |link| link.mtu(mtu)).await
    }

    /// Sets the MAC address.
    pub async fn set_mac(&self, name: &str, mac: [u8; 6]) -> Result<()> {
        self.change("set MAC address of", name, |link| {
            link.address(mac.to_vec())
        })
        .await
    }

    /// Makes an interface a port of the bridge (or bond) `master`; `None` takes it out.
    pub async fn set_master(&self, name: &str, master: Option<&str>) -> Result<()> {
        let index = match master {
            Some(master) => self.index(master).await?,
            None => 0,
        };
        self.change("set master of", name, |link| link.controller(index))
            .await
    }

    /// Moves an interface into another namespace.
    pub async fn move_to_netns(&self, name: &str, netns: BorrowedFd<'_>) -> Result<()> {
        self.change("move", name, |link| link.setns_by_fd(netns.as_raw_fd()))
            .await
    }

    /// Deletes an interface.
    pub async fn delete_link(&self, name: &str) -> Result<()> {
        let index = self.index(name).await?;
        let done = self.handle.link().del(index).execute().await;
        done.map_err(|e| NetlinkError::new("delete link", name, e))
    }

    /// Makes a veth pair; both ends are down.
    pub async fn create_veth(&self, near: VethEnd<'_>, far: VethEnd<'_>) -> Result<()> {
        let peer = veth_end::<LinkUnspec>(LinkMessageBuilder::default(), far).build();
        let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
        let done = self
            .handle
            .link()
            .add(veth_end(pair, near).build())
            .execute()
            .await;
        done.map_err(|e| NetlinkError::new("create veth", near.name, e))
    }

    /// Makes a kernel bridge, up. It forwards at once when `stp` is off.
    pub async fn create_bridge(&self, name: &str) -> Result<()> {
        let done = self
            .handle
            .link()
            .add(LinkBridge::new(name).build())
            .execute()
            .await;
        done.map_err(|e| NetlinkError::new("create bridge", name, e))
    }
}

fn veth_end<T>(builder: LinkMessageBuilder<T>, end: VethEnd<'_>) -> LinkMessageBuilder<T> {
    let builder = builder.name(end.name).index(end.index.unwrap_or(0));
    match end.netns {
        Some(netns) => builder.setns_by_fd(netns.as_raw_fd()),
        None => builder,
    }
}

/// Writes `address/prefix` for messages.
fn prefix_text(address: IpAddr, prefix: u8) -> String {
    format!("{address}/{prefix}")
}

#[cfg(test)]
mod tests;
