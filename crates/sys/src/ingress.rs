//! An interface whose frames the kernel's own stack does not get: an nftables chain at its ingress
//! that drops everything. Packet sockets come before it.

use std::io;

use rtnetlink::sys::{Socket, SocketAddr, constants::NETLINK_NETFILTER};

mod message;

use message::{Batch, Reply};

/// Nobody else's chain at the same interface shall see frames that are not the kernel's any more.
const PRIORITY: i32 = -30_000;
/// The kernel's answer to a batch of this size is below this many bytes.
const ANSWER_LEN: usize = 8192;

/// The name of the table for an interface: unlike the interface's name, its index is a word that
/// `nft` can print and read.
pub fn table_name(ifindex: u32) -> String {
    format!("ropewalk_{ifindex}")
}

/// A chain that drops what comes in by one interface, in a table of its own; gone when dropped.
///
/// From Linux 5.12 on the table belongs to this value's socket: it goes with the process whatever
/// ends that, and stays when somebody flushes all rules. Before, [`remove`] undoes what a killed
/// process left.
#[derive(Debug)]
pub struct IngressDrop {
    socket: Socket,
    table: String,
}

impl IngressDrop {
    /// Drops what comes in by the interface, in the network namespace of the calling thread. A table
    /// left over from a killed process is replaced. Needs CAP_NET_ADMIN.
    ///
    /// # Errors
    /// What the kernel says; `EOPNOTSUPP` or `ENOENT` when it has no nftables for devices.
    pub fn install(ifindex: u32, device: &str) -> io::Result<Self> {
        let socket = open()?;
        let table = table_name(ifindex);
        let _ = talk(&socket, Batch::delete_table(&table));
        let owned = Batch::drop_all(&table, device, PRIORITY, true);
        if let Err(error) = talk(&socket, owned) {
            match error.raw_os_error() {
                Some(libc::EOPNOTSUPP | libc::EINVAL) => {
                    talk(&socket, Batch::drop_all(&table, device, PRIORITY, false))?;
                }
                _ => return Err(error),
            }
        }
        Ok(Self { socket, table })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl Drop for IngressDrop {
    fn drop(&mut self) {
        // Gone with its interface already, perhaps.
        let _ = talk(&self.socket, Batch::delete_table(&self.table));
    }
}

/// Removes a table that a killed process left.
///
/// # Errors
/// What the kernel says; `ENOENT` when there is none.
pub fn remove(table: &str) -> io::Result<()> {
    talk(&open()?, Batch::delete_table(table))
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // The kernel works while it is told, so its answer is there at once.
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// Sends a batch, which the kernel carries out as a whole or not at all.
fn talk(socket: &Socket, batch: Batch) -> io::Result<()> {
    let (bytes, mut awaited) = batch.finish();
    socket.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ANSWER_LEN);
    while awaited > 0 {
        answer.clear();
        socket.recv(&mut answer, 0)?;
        for reply in message::replies(&answer) {
            match reply {
                Reply::Done => awaited = awaited.saturating_sub(1),
                Reply::Error(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
