//! TAP devices: the Ethernet port that the kernel sees.

use std::ffi::c_int;
use std::fs::OpenOptions;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::raw;

mod offload;

pub use offload::{Offloads, READ_LEN, VNET_LEN};

const DEVICE_FILE: &str = "/dev/net/tun";

/// Why a TAP device could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The kernel's device file is missing.
    #[error("/dev/net/tun does not exist: load the module \"tun\" or pass the device in")]
    NoDevNetTun,
    /// Making or attaching a TAP device takes CAP_NET_ADMIN and access to the device file.
    #[error("no permission for TAP device {0}: it takes CAP_NET_ADMIN and access to /dev/net/tun")]
    PermissionDenied(String),
    /// Another program holds the device.
    #[error("TAP device {0} is in use by another program")]
    Busy(String),
    /// An interface of this name exists and is no TAP device.
    #[error("{0} exists and is not a TAP device")]
    NameIsNotTap(String),
    /// The name is empty, too long (15 bytes) or has forbidden characters.
    #[error("{0:?} is no valid interface name")]
    BadName(String),
    /// Any other error of the system.
    #[error("TAP device {name}: {source}")]
    Io {
        /// The device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// How to open a TAP device.
#[derive(Debug, Clone, Copy, Default)]
pub struct TapOptions {
    /// Keep a device that this program makes when it is closed. An adopted one stays as it was.
    pub persist: bool,
    /// The interface index that a new device gets; the kernel chooses when `None`.
    pub ifindex: Option<u32>,
    /// Have a virtio-net header (virtio 1.2 §5.1.6.1) before each frame, both ways, and take from
    /// the kernel super-frames and partial checksums, as far as it offers them. Without support in
    /// the kernel, the device opens as if this were `false`; [`Tap::vnet`] tells.
    pub offload: bool,
}

/// An open TAP device, non-blocking: one Ethernet frame (without FCS) per read and per write, with
/// a virtio-net header before it if [`Tap::vnet`] says so.
///
/// Closing removes the device, unless it was there before (then it is persistent by itself) or
/// [`TapOptions::persist`] asked to keep it. A device that stays is left without offloads.
#[derive(Debug)]
pub struct Tap {
    // Closed first: what is put back needs the device to be free.
    fd: OwnedFd,
    vnet: Option<offload::Vnet>,
    name: String,
    ifindex: u32,
    adopted: bool,
}

impl Tap {
    /// Makes the TAP device `name`, or adopts the one that exists, in the network namespace of the
    /// calling thread. The device is left down and without an address.
    pub fn open(name: &str, options: TapOptions) -> Result<Self, TapError> {
        if !valid_name(name) {
            return Err(TapError::BadName(name.to_owned()));
        }
        let fd = open_device_file(name)?;
        let adopted = raw::if_index(name).is_some();
        let failed = |source| TapError::Io {
            name: name.to_owned(),
            source,
        };
        if let Some(ifindex) = options.ifindex.filter(|_| !adopted) {
            raw::tun_set_ifindex(fd.as_fd(), ifindex).map_err(failed)?;
        }
        let vnet = options.offload && offload::supported(fd.as_fd());
        let flags = raw::TAP_FLAGS | if vnet { libc::IFF_VNET_HDR } else { 0 };
        let flags = attach(fd.as_fd(), name, flags, adopted)?;
        // Offloads that a former user of an adopted device switched on would hand us frames
        // larger than the MTU, without the header that says how to cut them.
        raw::tun_set_offload(fd.as_fd(), 0).map_err(failed)?;
        let mut vnet = match vnet {
            true => Some(offload::Vnet::begin(fd.as_fd()).map_err(failed)?),
            false => None,
        };
        if let Some(vnet) = vnet.as_mut().filter(|_| adopted || options.persist) {
            vnet.restore_with(open_device_file(name)?, flags & !libc::IFF_VNET_HDR);
        }
        if options.persist && !adopted {
            raw::tun_set_persist(fd.as_fd(), true).map_err(failed)?;
        }
        let ifindex = raw::if_index(name)
            .ok_or_else(|| failed(io::Error::from_raw_os_error(libc::ENODEV)))?;
        Ok(Self {
            fd,
            vnet,
            name: name.to_owned(),
            ifindex,
            adopted,
        })
    }

    /// Reads one frame, with its virtio-net header before it if [`Tap::vnet`]; what is longer than
    /// `buffer` is cut. [`READ_LEN`] bytes are enough for every super-frame.
    ///
    /// `WouldBlock` when there is none; `EBADFD` (77) when the device has been deleted.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buffer)?)
    }

    /// Hands one frame to the kernel, with its virtio-net header before it if [`Tap::vnet`].
    ///
    /// `WouldBlock` when its queue is full; `EIO` while the interface is down; `EINVAL` for less
    /// than an Ethernet header, or a virtio-net header that does not fit the frame.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.fd, frame)?;
        Ok(())
    }

    /// The same for a frame and its virtio-net header that are not next to each other in memory.
    ///
    /// Errors as [`Tap::write`]; `InvalidInput` for a device without virtio-net headers.
    pub fn write_parts(&self, header: &[u8; VNET_LEN], frame: &[u8]) -> io::Result<()> {
        if self.vnet.is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        rustix::io::writev(&self.fd, &[IoSlice::new(header), IoSlice::new(frame)])?;
        Ok(())
    }

    /// Whether a virtio-net header of [`VNET_LEN`] bytes, little-endian, stands before each frame.
    pub fn vnet(&self) -> bool {
        self.vnet.is_some()
    }

    /// What the kernel leaves to who reads the device; nothing without [`Tap::vnet`].
    pub fn offloads(&self) -> Offloads {
        self.vnet
            .as_ref()
            .map(offload::Vnet::offloads)
            .unwrap_or_default()
    }

    /// Shows or hides the carrier: the kernel's side sees a pulled cable.
    pub fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        raw::tun_set_carrier(self.fd.as_fd(), carrier)
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface's index, which a rename does not change.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// The device existed before it was opened, and stays when it is closed.
    pub fn adopted(&self) -> bool {
        self.adopted
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(vnet) = &mut self.vnet {
            vnet.end(self.fd.as_fd());
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What the kernel's `dev_valid_name` accepts, less `%`, which it would take for a pattern.
fn valid_name(name: &str) -> bool {
    let forbidden = |c: char| c == '/' || c == ':' || c == '%' || c == '\0' || c.is_whitespace();
    !name.is_empty()
        && name.len() < libc::IFNAMSIZ
        && name != "."
        && name != ".."
        && !name.contains(forbidden)
}

fn open_device_file(name: &str) -> Result<OwnedFd, TapError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(DEVICE_FILE);
    match opened {
        Ok(file) => Ok(file.into()),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoDevNetTun,
            Some(libc::EACCES | libc::EPERM) => TapError::PermissionDenied(name.to_owned()),
            _ => TapError::Io {
                name: name.to_owned(),
                source: error,
            },
        }),
    }
}

/// Returns the flags that the device took.
fn attach(
    fd: BorrowedFd<'_>,
    name: &str,
    mut flags: c_int,
    adopted: bool,
) -> Result<c_int, TapError> {
    let mut attached = raw::tun_set_iff(fd, name, flags);
    if adopted && errno(&attached) == Some(libc::EINVAL) {
        // A persistent device made with several queues takes only users who say so too.
        flags |= libc::IFF_MULTI_QUEUE;
        attached = raw::tun_set_iff(fd, name, flags);
    }
    match attached {
        Ok(()) => verify(fd, name).map(|()| flags),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => TapError::PermissionDenied(name.to_owned()),
            Some(libc::EBUSY) => TapError::Busy(name.to_owned()),
            Some(libc::EINVAL) if adopted => TapError::NameIsNotTap(name.to_owned()),
            _ => TapError::Io {
                name: name.to_owned(),
                source: error,
            },
        }),
    }
}

fn verify(fd: BorrowedFd<'_>, name: &str) -> Result<(), TapError> {
    let (flags, _) = raw::tun_get_iff(fd).map_err(|source| TapError::Io {
        name: name.to_owned(),
        source,
    })?;
    if flags & libc::IFF_TAP == 0 {
        return Err(TapError::NameIsNotTap(name.to_owned()));
    }
    Ok(())
}

fn errno<T>(result: &io::Result<T>) -> Option<i32> {
    result.as_ref().err().and_then(io::Error::raw_os_error)
}

#[cfg(test)]
mod tests;
