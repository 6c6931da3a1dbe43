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

mod journal;
mod port;
#[cfg(test)]
mod tests;
mod uplink;

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
    /// The device; its `adopted()` tells whether it was there before.
    pub tap: Tap,
    /// The MTU it has now, bytes of IP.
    pub mtu: u16,
    /// The Ethernet address it has now.
    pub mac: [u8; 6],
}

/// The prepared machine. Dropping it undoes every change, also while unwinding; keep it where the
/// end of the data thread does not lose it.
#[derive(Debug)]
pub struct Setup {
    netlink: Netlink,
    ports: Vec<PortConfig>,
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
            tables: Vec::new(),
            journal,
        };
        let mut open = Vec::with_capacity(config.ports.len());
        for (index, port) in config.ports.iter().enumerate() {
            let prepared = port::open(&setup.netlink, &mut setup.journal, index, port).await?;
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
        self.journal.undo_all();
    }
}
