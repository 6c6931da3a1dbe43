//! The system calls that no library wraps safely: each is one function, with its argument types
//! fixed, so that the reasons why it is sound stand next to it.

use std::ffi::{CString, c_int, c_short, c_uint};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

mod packet;

pub(crate) use packet::{
    PACKET_BATCH, PacketMessage, packet_bind, packet_overflows, packet_promiscuous, packet_receive,
    packet_send, packet_socket,
};

/// A TAP device, in `TUNSETIFF` terms: layer 2, and no packet information before a frame.
pub(crate) const TAP_FLAGS: c_int = libc::IFF_TAP | libc::IFF_NO_PI;

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An empty `ifreq` that carries `name`; longer names than 15 bytes are refused.
fn ifreq(name: &str) -> io::Result<libc::ifreq> {
    let bytes = name.as_bytes();
    if bytes.len() >= libc::IFNAMSIZ || bytes.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `ifreq` is plain data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok(request)
}

/// `TUNSETIFF`: attaches the open `/dev/net/tun` to the device `name`, and makes it when missing.
pub(crate) fn tun_set_iff(fd: BorrowedFd<'_>, name: &str, flags: c_int) -> io::Result<()> {
    let mut request = ifreq(name)?;
    request.ifr_ifru.ifru_flags = flags as c_short;
    // SAFETY: the kernel reads and writes one `ifreq`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &mut request) })
}

/// `TUNGETIFF`: the flags of the attached device, and its name, which may have changed.
pub(crate) fn tun_get_iff(fd: BorrowedFd<'_>) -> io::Result<(c_int, String)> {
    let mut request = ifreq("")?;
    // SAFETY: the kernel writes one `ifreq`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETIFF, &mut request) })?;
    // SAFETY: `TUNGETIFF` fills the flags member of the union.
    let flags = c_int::from(unsafe { request.ifr_ifru.ifru_flags } as u16);
    let name = request.ifr_name.iter().map(|&c| c as u8);
    let name = name.take_while(|&byte| byte != 0).collect();
    let name = String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((flags, name))
}

/// `TUNGETFEATURES`: the flags that this kernel's `TUNSETIFF` knows.
pub(crate) fn tun_get_features(fd: BorrowedFd<'_>) -> io::Result<c_int> {
    let mut value: c_int = 0;
    // SAFETY: the kernel writes one `unsigned int`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETFEATURES, &mut value) })?;
    Ok(value)
}

/// `TUNGETVNETHDRSZ` and `TUNGETVNETLE`: bytes of the virtio-net header, and whether it is
/// little-endian (1) or in the machine's order (0).
pub(crate) fn tun_get_vnet(fd: BorrowedFd<'_>) -> io::Result<(c_int, c_int)> {
    let (mut size, mut little): (c_int, c_int) = (0, 0);
    // SAFETY: the kernel writes one `int`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETVNETHDRSZ, &mut size) })?;
    // SAFETY: the same.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETVNETLE, &mut little) })?;
    Ok((size, little))
}

/// `TUNSETVNETHDRSZ` and `TUNSETVNETLE`, as [`tun_get_vnet`] gives them.
pub(crate) fn tun_set_vnet(fd: BorrowedFd<'_>, (size, little): (c_int, c_int)) -> io::Result<()> {
    // SAFETY: the kernel reads one `int`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETVNETHDRSZ, &size) })?;
    // SAFETY: the same.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETVNETLE, &little) })
}

/// `TUNSETIFINDEX`: the interface index that the next `TUNSETIFF` gives.
pub(crate) fn tun_set_ifindex(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let value = ifindex as c_uint;
    // SAFETY: the kernel reads one `unsigned int`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFINDEX, &value) })
}

/// `TUNSETPERSIST`: whether the device outlives its last open descriptor.
pub(crate) fn tun_set_persist(fd: BorrowedFd<'_>, persist: bool) -> io::Result<()> {
    let value = libc::c_ulong::from(persist);
    // SAFETY: the argument is a plain number, no memory is passed.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETPERSIST, value) })
}

/// `TUNSETOFFLOAD`: the offloads that this end understands (`TUN_F_*`).
pub(crate) fn tun_set_offload(fd: BorrowedFd<'_>, offloads: c_uint) -> io::Result<()> {
    let value = libc::c_ulong::from(offloads);
    // SAFETY: the argument is a plain number, no memory is passed.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD, value) })
}

/// `TUNSETCARRIER`: whether the device shows a carrier.
pub(crate) fn tun_set_carrier(fd: BorrowedFd<'_>, carrier: bool) -> io::Result<()> {
    let value = c_int::from(carrier);
    // SAFETY: the kernel reads one `int`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETCARRIER, &value) })
}

/// The interface index of `name` in the caller's network namespace; `None` when there is none.
pub(crate) fn if_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the argument is a terminated string that lives across the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}

/// `setsockopt` with an `int`.
pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: c_int,
) -> io::Result<()> {
    let length = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `value`, which lives across the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    })
}

/// `getsockopt` of an `int`.
#[cfg(test)]
pub(crate) fn get_option(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut length = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of `value`.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw mut value).cast(),
            &mut length,
        )
    })?;
    Ok(value)
}

/// `unshare` for the calling thread.
pub(crate) fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: no memory is passed; descriptors (CLONE_FILES) are never unshared by our callers, so
    // the ownership rules of `OwnedFd` hold.
    check(unsafe { libc::unshare(flags) })
}

/// `setns` into a network namespace for the calling thread.
pub(crate) fn set_netns(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is passed; the descriptor is open.
    check(unsafe { libc::setns(fd.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Lets `command` enter the network namespace `fd` between fork and exec.
///
/// The caller keeps the descriptor open until the command has been spawned.
pub(crate) fn spawn_in_netns(command: &mut Command, fd: RawFd) {
    let enter = move || {
        // SAFETY: no memory is passed. A descriptor that is closed by then gives EBADF.
        check(unsafe { libc::setns(fd, libc::CLONE_NEWNET) })
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: `setns` is a bare
    // system call, and reading errno allocates nothing.
    unsafe { command.pre_exec(enter) };
}

/// Kills `command` (SIGKILL) when the thread that spawned it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let request = || {
        // SAFETY: a bare system call with plain numbers.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
    };
    // SAFETY: as above: `prctl` is a bare system call, and nothing is allocated.
    unsafe { command.pre_exec(request) };
}

/// `sched_setscheduler(SCHED_FIFO)` for the calling thread.
pub(crate) fn set_fifo(priority: c_int) -> io::Result<()> {
    // SAFETY: `sched_param` is plain data, for which all zeroes is a valid value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: the kernel reads one `sched_param`, which lives across the call.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_refused() {
        assert!(ifreq("exactly15bytes_").is_ok());
        assert!(ifreq("exactly_16_bytes").is_err());
        assert!(ifreq("nul\0inside").is_err());
    }

    #[test]
    fn loopback_has_an_index() {
        assert!(if_index("lo").is_some());
        assert_eq!(if_index("no-such-dev"), None);
    }
}
