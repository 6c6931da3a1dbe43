//! Addresses of interfaces.

use std::net::IpAddr;

use futures::TryStreamExt;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};

use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute};

/// `IN6_ADDR_GEN_MODE_NONE`.
pub const NO_ADDRESS: u8 = 1;

use super::{Netlink, NetlinkError, Result, prefix_text};

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The interface's index.
    pub ifindex: u32,
    /// The address itself.
    pub address: IpAddr,
    /// The length of its prefix, bits.
    pub prefix: u8,
    /// It reaches beyond its link: not link-local, not the host's own.
    pub global: bool,
}

impl Address {
    pub(super) fn from_message(message: &AddressMessage) -> Option<Self> {
        // On point-to-point links `Address` is the far end and `Local` is ours.
        let local = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
        let any = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
        Some(Self {
            ifindex: message.header.index,
            address: local.or(any)?,
            prefix: message.header.prefix_len,
            global: message.header.scope == AddressScope::Universe,
        })
    }
}

impl Netlink {
    /// Gives an interface an address; one that it has already is left as it is.
    ///
    /// An IPv6 address is usable at once: duplicate address detection is skipped.
    pub async fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> Result<()> {
        let index = self.index(name).await?;
        let mut request = self.handle.address().add(index, address, prefix);
        if address.is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        let object = || format!("{} to {name}", prefix_text(address, prefix));
        match request
            .execute()
            .await
            .map_err(|e| NetlinkError::new("add address", object(), e))
        {
            Err(error) if error.exists() => Ok(()),
            other => other,
        }
    }

    /// Takes an address from an interface.
    pub async fn delete_address(&self, name: &str, address: IpAddr, prefix: u8) -> Result<()> {
        let index = self.index(name).await?;
        let object = || format!("{} from {name}", prefix_text(address, prefix));
        let failed = |e| NetlinkError::new("delete address", object(), e);
        // The kernel wants the whole description, which the request builder for adding makes.
        let message = self
            .handle
            .address()
            .add(index, address, prefix)
            .message_mut()
            .clone();
        self.handle
            .address()
            .del(message)
            .execute()
            .await
            .map_err(failed)
    }

    /// How an interface makes its link-local IPv6 address (`IN6_ADDR_GEN_MODE_*`); `None` where there is no IPv6.
    pub async fn ipv6_address_mode(&self, name: &str) -> Result<Option<u8>> {
        let mut found = self.handle.link().get().match_name(name).execute();
        let message = found
            .try_next()
            .await
            .map_err(|e| NetlinkError::new("look up link", name, e))?;
        let attributes = message.iter().flat_map(|message| &message.attributes);
        let inet6 = attributes
            .filter_map(|attribute| match attribute {
                LinkAttribute::AfSpecUnspec(families) => Some(families),
                _ => None,
            })
            .flatten()
            .filter_map(|family| match family {
                AfSpecUnspec::Inet6(inet6) => Some(inet6),
                _ => None,
            })
            .flatten();
        let mut modes = inet6.filter_map(|setting| match setting {
            AfSpecInet6::AddrGenMode(mode) => Some(u8::from(mode)),
            _ => None,
        });
        Ok(modes.next())
    }

    /// Sets how an interface makes its link-local IPv6 address when it is switched on; [`NO_ADDRESS`]: it does not.
    pub async fn set_ipv6_address_mode(&self, name: &str, mode: u8) -> Result<()> {
        let setting = AfSpecInet6::AddrGenMode(In6AddrGenMode::from(mode));
        let families = vec![AfSpecUnspec::Inet6(vec![setting])];
        self.change("set IPv6 of", name, |link| {
            link.append_extra_attribute(LinkAttribute::AfSpecUnspec(families))
        })
        .await
    }

    /// The addresses of the interface `ifindex`, or of all.
    pub async fn addresses(&self, ifindex: Option<u32>) -> Result<Vec<Address>> {
        let all: std::result::Result<Vec<_>, _> =
            self.handle.address().get().execute().try_collect().await;
        let all = all.map_err(|e| NetlinkError::new("list", "addresses", e))?;
        let wanted = |address: &Address| ifindex.is_none_or(|index| index == address.ifindex);
        Ok(all
            .iter()
            .filter_map(Address::from_message)
            .filter(wanted)
            .collect())
    }
}
