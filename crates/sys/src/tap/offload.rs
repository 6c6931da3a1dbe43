//! Offloads of a TAP device: the virtio-net header before each frame, and what the kernel may then
//! leave undone.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::raw;

/// Bytes of the virtio-net header before a frame (virtio 1.2 §5.1.6.1, with `num_buffers`).
pub const VNET_LEN: usize = 12;
/// Bytes that hold whatever a TAP device can give: the virtio-net header, an Ethernet header with
/// two VLAN tags, and an IP packet of 64 KiB.
pub const READ_LEN: usize = VNET_LEN + 14 + 2 * 4 + 65_536;

/// What the kernel leaves to who reads a TAP device. What it takes from who writes does not depend
/// on these, but a kernel that offers `uso` is also one that takes UDP super-frames (Linux 6.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Checksums that are partial.
    pub csum: bool,
    /// Super-frames of TCP segments, over IPv4 and IPv6.
    pub tso: bool,
    /// Super-frames of UDP datagrams, over both.
    pub uso: bool,
}

impl Offloads {
    const fn from_flags(flags: c_uint) -> Self {
        Self {
            csum: flags & libc::TUN_F_CSUM != 0,
            tso: flags & TSO == TSO,
            uso: flags & USO == USO,
        }
    }
}

const TSO: c_uint = libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
const USO: c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;
/// What is asked for, until the kernel takes one: it refuses a word with any bit it does not know.
const ASKED: [c_uint; 4] = [
    libc::TUN_F_CSUM | TSO | libc::TUN_F_TSO_ECN | USO,
    libc::TUN_F_CSUM | TSO | libc::TUN_F_TSO_ECN,
    libc::TUN_F_CSUM | TSO,
    libc::TUN_F_CSUM,
];

/// Whether the kernel has virtio-net headers at all.
pub(super) fn supported(fd: BorrowedFd<'_>) -> bool {
    raw::tun_get_features(fd).is_ok_and(|features| features & libc::IFF_VNET_HDR != 0)
}

/// A device that was attached with IFF_VNET_HDR.
#[derive(Debug)]
pub(super) struct Vnet {
    offloads: Offloads,
    found: (c_int, c_int),
    restore: Option<Restore>,
}

impl Vnet {
    /// Fixes the header's format and asks for offloads.
    pub(super) fn begin(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let found = raw::tun_get_vnet(fd)?;
        raw::tun_set_vnet(fd, (VNET_LEN as c_int, 1))?;
        let granted = ASKED
            .into_iter()
            .find(|&asked| raw::tun_set_offload(fd, asked).is_ok());
        Ok(Self {
            offloads: Offloads::from_flags(granted.unwrap_or(0)),
            found,
            restore: None,
        })
    }

    pub(super) const fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// For a device that outlives us: `spare` is `/dev/net/tun` opened in the device's namespace,
    /// in which who drops it may not be.
    pub(super) fn restore_with(&mut self, spare: OwnedFd, flags: c_int) {
        self.restore = Some(Restore {
            spare,
            flags,
            name: None,
        });
    }

    /// Before the device is closed: puts back what can be while it is attached.
    pub(super) fn end(&mut self, fd: BorrowedFd<'_>) {
        let Some(restore) = &mut self.restore else {
            return;
        };
        // All of this fails only when the device has been deleted; then there is nothing to do.
        restore.name = raw::tun_get_iff(fd).ok().map(|(_, name)| name);
        let _ = raw::tun_set_offload(fd, 0);
        let _ = raw::tun_set_vnet(fd, self.found);
    }
}

/// Takes the mark IFF_VNET_HDR from a device once it has been closed: only `TUNSETIFF` changes it,
/// and a descriptor can do that once. (What the mark was before cannot be asked for from within
/// any namespace; a device that had it gets it again from its next user.)
#[derive(Debug)]
struct Restore {
    spare: OwnedFd,
    flags: c_int,
    name: Option<String>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Should somebody else have taken the device meanwhile, the marks are his.
            let _ = raw::tun_set_iff(self.spare.as_fd(), name, self.flags);
        }
    }
}

#[cfg(test)]
mod tests;
