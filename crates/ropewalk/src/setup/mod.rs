//! Preparing the machine: TAP ports, addresses, bridges, private routing tables for uplinks; and
//! putting everything back.
//!
//! A TAP device that we make goes away with its file descriptor, so only changes to adopted
//! devices and to shared tables are noted in the journal.

use std::io;

use sys::netlink::NetlinkError;
use sys::tap::TapError;
use sys::{Netlink, Tap};

use crate::config::{Config, PortConfig};

mod device;
mod journal;
mod port;
#[cfg(test)]
mod tests;
mod uplink;

use device::Device;
pub use device::DeviceChange;
pub(crate) use device::unusable;
use journal::Journal;
use uplink::PrivateTable;

/// Why the machine could not be prepared; what had been changed by then is undone.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A TAP device.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The kernel refused a change.
    #[error("{0}")]
    Netlink(#[from] NetlinkError),
    /// The journal beside the control socket.
    #[error("cannot note what to undo later: {0}")]
    Journal(#[from] io::Error),
    /// An interface cannot be taken over.
    #[error("port {port}: {device} {why}")]
    Unusable {
        /// The port.
        port: String,
        /// The interface.
        device: String,
        /// Why, and what to do.
        why: String,
    },
    /// A socket on an interface.
    #[error("no packet socket: {0}; it takes CAP_NET_RAW")]
    PacketSocket(io::Error),
    /// What should be a bridge is something else.
    #[error("port {port}: {bridge} is no bridge: name a kernel bridge")]
    NotABridge {
        /// The port.
        port: String,
        /// What it should join.
        bridge: String,
    },
    /// No number is free for a private routing table.
    #[error("no routing rule priority from {0} to {1} is free: remove rules that nobody needs")]
    NoFreeTable(u32, u32),
}

/// A port whose device is open and prepared.
#[derive(Debug)]
pub struct OpenPort {
    /// Its place in [`Config::ports`].
    pub index: usize,
    /// The TAP device; its `adopted()` tells whether it was there before. `None`: an interface that is
    /// taken over, by [`Setup::refresh`], when it is there.
    pub tap: Option<Tap>,
    /// The MTU it has now, bytes of IP.
    pub mtu: u16,
    /// The Ethernet address it has now; zeroes while it is not there.
    pub mac: [u8; 6],
}

/// The prepared machine. Dropping it undoes every change, also while unwinding; keep it where the
/// end of the data thread does not lose it.
#[derive(Debug)]
pub struct Setup {
    netlink: Netlink,
    ports: Vec<PortConfig>,
    devices: Vec<Device>,
    changes: Vec<DeviceChange>,
    tables: Vec<PrivateTable>,
    journal: Journal,
}

impl Setup {
    /// Opens and prepares everything. Call it when the control socket is open: that one proves
    /// that no other daemon is at work on the same devices, so that what a killed one left can
    /// be undone first.
    pub async fn apply(
        config: &Config,
        netlink: Netlink,
    ) -> Result<(Self, Vec<OpenPort>), SetupError> {
        let journal = Journal::open(Journal::beside(&config.control.socket));
        let mut setup = Self {
            netlink,
            ports: config.ports.clone(),
            devices: Vec::new(),
            changes: Vec::new(),
            tables: Vec::new(),
            journal,
        };
        let mut open = Vec::with_capacity(config.ports.len());
        for (index, port) in config.ports.iter().enumerate() {
            let prepared = match &port.device {
                None => port::open(&setup.netlink, &mut setup.journal, index, port).await?,
                Some(device) => port::existing(&setup.netlink, index, port, device).await?,
            };
            if port.device.is_some() {
                setup.devices.push(Device::new(index, port, prepared.mtu));
            }
            open.push(prepared);
        }
        setup.tables = uplink::tables(&setup.netlink, &mut setup.journal, config).await?;
        Ok((setup, open))
    }

    /// Does what has become possible since: private tables of uplinks whose device or address
    /// appeared, ports whose bridge appeared. To be called once after [`Self::apply`] and after
    /// every change of a link or an address; it changes nothing when all is in place. Returns
    /// what is still missing, in sentences.
    pub async fn refresh(&mut self) -> Vec<String> {
        let mut missing = Vec::new();
        for port in &self.ports {
            let joined = port::join_bridge(&self.netlink, &mut self.journal, port).await;
            missing.extend(joined.unwrap_or_else(|error| Some(error.to_string())));
        }
        for device in &mut self.devices {
            let look = device.look(&self.netlink, &mut self.journal).await;
            self.changes.extend(look.change);
            missing.extend(look.complaints);
        }
        for table in &mut self.tables {
            let filled = table.fill(&self.netlink, &mut self.journal).await;
            missing.extend(
                filled
                    .err()
                    .map(|why| format!("uplink {}: {why}", table.uplink())),
            );
        }
        missing
    }

    /// What became of taken-over interfaces since the last call.
    pub fn take_changes(&mut self) -> Vec<DeviceChange> {
        std::mem::take(&mut self.changes)
    }

    /// The indexes of the interfaces that are taken over now.
    pub fn taken(&self) -> impl Iterator<Item = u32> {
        self.devices.iter().filter_map(Device::ifindex)
    }

    /// The mark (`SO_MARK`) that leads an uplink's packets into its private routing table; `None`
    /// when it has no gateway of its own.
    pub fn mark(&self, uplink: &str) -> Option<u32> {
        self.tables
            .iter()
            .find(|table| table.uplink() == uplink)
            .map(PrivateTable::mark)
    }

    /// Undoes everything now, rather than at the drop.
    pub fn undo(mut self) {
        // Its tables are this process's own: nobody else can remove them.
        self.devices.clear();
        self.journal.undo_all();
    }
}
