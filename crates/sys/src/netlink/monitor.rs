//! What changes: links and addresses, as the kernel announces it.

use std::io;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use rtnetlink::{MulticastGroup, new_multicast_connection};

use super::{Address, Link};

/// Something changed in the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// An interface appeared or changed; the whole new state.
    Changed(Link),
    /// An interface is gone.
    Gone {
        /// Its index.
        ifindex: u32,
        /// Its last name.
        name: String,
    },
    /// An interface got an address.
    AddressAdded(Address),
    /// An interface lost an address.
    AddressRemoved(Address),
    /// Events were lost (the kernel's queue for us was full): read everything anew.
    Lost,
}

/// The stream of events; the kernel limits carrier events, which may come up to a second late.
#[derive(Debug)]
pub struct Monitor {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
}

impl Monitor {
    /// Listens in the namespace of the calling thread, served by the current Tokio runtime.
    ///
    /// To miss nothing, open the monitor first and list the links afterwards.
    pub fn open() -> io::Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ];
        let (connection, _, messages) = new_multicast_connection(&groups)?;
        tokio::spawn(connection);
        Ok(Self { messages })
    }

    /// As [`Monitor::open`], in another namespace.
    pub fn open_in(netns: &crate::Netns) -> io::Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        netns.enter(|| {
            let _guard = runtime.enter();
            Self::open()
        })?
    }

    /// The next event; `None` when the connection has failed, then open another. Safe to cancel.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        loop {
            let (message, _) = self.messages.next().await?;
            if let Some(event) = event(message.payload) {
                return Some(event);
            }
        }
    }
}

fn event(payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkEvent> {
    match payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message))
            if message.header.interface_family == AddressFamily::Unspec =>
        {
            Some(LinkEvent::Changed(Link::from_message(&message)))
        }
        // Bridges send messages of their own family when a port leaves: the link itself stays.
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message))
            if message.header.interface_family == AddressFamily::Unspec =>
        {
            let link = Link::from_message(&message);
            Some(LinkEvent::Gone {
                ifindex: link.index,
                name: link.name,
            })
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => {
            Address::from_message(&message).map(LinkEvent::AddressAdded)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => {
            Address::from_message(&message).map(LinkEvent::AddressRemoved)
        }
        NetlinkPayload::Overrun(_) => Some(LinkEvent::Lost),
        _ => None,
    }
}
