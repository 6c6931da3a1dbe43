//! TAP devices: the Ethernet port that the kernel sees.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::raw;

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
}

/// An open TAP device, non-blocking: one Ethernet frame (without FCS) per read and per write.
///
/// Closing removes the device, unless it was there before (then it is persistent by itself) or
/// [`TapOptions::persist`] asked to keep it.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
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
        attach(fd.as_fd(), name, adopted)?;
        // Offloads that a former user of an adopted device switched on would hand us frames
        // larger than the MTU, without the header that says how to cut them.
        raw::tun_set_offload(fd.as_fd(), 0).map_err(failed)?;
        if options.persist && !adopted {
            raw::tun_set_persist(fd.as_fd(), true).map_err(failed)?;
        }
        let ifindex = raw::if_index(name)
            .ok_or_else(|| failed(io::Error::from_raw_os_error(libc::ENODEV)))?;
        Ok(Self {
            fd,
            name: name.to_owned(),
            ifindex,
            adopted,
        })
    }

    /// Reads one frame; a frame longer than `buffer` is cut.
    ///
    /// `WouldBlock` when there is none; `EBADFD` (77) when the device has been deleted.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buffer)?)
    }

    /// Hands one frame to the kernel.
    ///
    /// `WouldBlock` when its queue is full; `EIO` while the interface is down; `EINVAL` for less
    /// than an Ethernet header.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.fd, frame)?;
        Ok(())
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

fn attach(fd: BorrowedFd<'_>, name: &str, adopted: bool) -> Result<(), TapError> {
    let mut attached = raw::tun_set_iff(fd, name, raw::TAP_FLAGS);
    if adopted && errno(&attached) == Some(libc::EINVAL) {
        // A persistent device made with several queues takes only users who say so too.
        attached = raw::tun_set_iff(fd, name, raw::TAP_FLAGS | libc::IFF_MULTI_QUEUE);
    }
    match attached {
        Ok(()) => verify(fd, name),
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
    let flags = raw::tun_get_iff(fd).map_err(|source| TapError::Io {
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
mod tests {
    use super::*;
    use crate::testing::{block_on, in_netns};

    #[test]
    fn names_are_checked_before_the_kernel_sees_them() {
        for bad in ["", ".", "..", "a b", "a/b", "tap%d", "sixteen-bytes-xx"] {
            let error = Tap::open(bad, TapOptions::default()).unwrap_err();
            assert!(matches!(error, TapError::BadName(_)), "{bad}: {error}");
        }
    }

    #[test]
    fn a_made_device_goes_and_an_adopted_one_stays() {
        in_netns(|| {
            let tap = Tap::open(
                "t0",
                TapOptions {
                    ifindex: Some(4711),
                    ..Default::default()
                },
            )
            .unwrap();
            assert!(!tap.adopted());
            assert_eq!((tap.name(), tap.ifindex()), ("t0", 4711));
            drop(tap);
            assert_eq!(raw::if_index("t0"), None);

            drop(
                Tap::open(
                    "t1",
                    TapOptions {
                        persist: true,
                        ..Default::default()
                    },
                )
                .unwrap(),
            );
            let index = raw::if_index("t1").expect("kept");
            let tap = Tap::open("t1", TapOptions::default()).unwrap();
            assert!(tap.adopted());
            assert_eq!(tap.ifindex(), index);
            drop(tap);
            assert_eq!(
                raw::if_index("t1"),
                Some(index),
                "an adopted device is left in place"
            );
        });
    }

    #[test]
    fn errors_are_told_apart() {
        in_netns(|| {
            let _held = Tap::open("t0", TapOptions::default()).unwrap();
            let error = Tap::open("t0", TapOptions::default()).unwrap_err();
            assert!(matches!(error, TapError::Busy(_)), "{error}");
            let error = Tap::open("lo", TapOptions::default()).unwrap_err();
            assert!(matches!(error, TapError::NameIsNotTap(_)), "{error}");
        });
    }

    #[test]
    fn frames_pass_and_carrier_can_be_taken_away() {
        in_netns(|| {
            let tap = Tap::open("t0", TapOptions::default()).unwrap();
            block_on(async |netlink| {
                assert_eq!(
                    tap.write(&[0; 60]).unwrap_err().raw_os_error(),
                    Some(libc::EIO),
                    "down"
                );
                netlink.set_up("t0", true).await.unwrap();
                tap.write(&[0; 60]).unwrap();
                assert!(netlink.link("t0").await.unwrap().unwrap().carrier);
                tap.set_carrier(false).unwrap();
                assert!(!netlink.link("t0").await.unwrap().unwrap().carrier);
                tap.set_carrier(true).unwrap();
                assert!(netlink.link("t0").await.unwrap().unwrap().carrier);
                let address = "10.9.8.1".parse().unwrap();
                netlink.add_address("t0", address, 24).await.unwrap();
            });
            // An ARP request for the neighbour appears on our side.
            let socket = std::net::UdpSocket::bind("10.9.8.1:0").unwrap();
            socket.send_to(b"x", "10.9.8.2:9").unwrap();
            let mut frame = [0u8; 2048];
            let arp = (0..200).any(|_| match tap.read(&mut frame) {
                Ok(length) => length >= 42 && frame[12..14] == [0x08, 0x06],
                Err(_) => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    false
                }
            });
            assert!(arp, "the kernel asked for its neighbour through the TAP");
        });
    }
}
