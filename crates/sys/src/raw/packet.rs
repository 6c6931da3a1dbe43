//! Packet sockets, packet(7).

use std::ffi::{c_int, c_uint, c_void};
use std::io;
use std::mem::{self, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::check;

/// Messages of one call.
pub(crate) const PACKET_BATCH: usize = 32;

/// Room for one control message with a `tpacket_auxdata`, aligned as control messages are.
type Control = [u64; 8];

/// What came in one message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PacketMessage {
    /// Bytes of the buffer that were filled.
    pub(crate) len: usize,
    /// The message was longer than its buffer.
    pub(crate) cut: bool,
    /// The VLAN tag that the kernel took out of the frame: type and control information.
    pub(crate) tag: Option<(u16, u16)>,
}

/// `socket`: a packet socket that hears of nothing until it is bound.
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    check(fd)?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `bind`: from now on the socket gets every frame of the interface, and sends through it.
pub(crate) fn packet_bind(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain data, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = ifindex as c_int;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `address`, which lives across the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) })
}

/// `PACKET_ADD_MEMBERSHIP` for everything on the wire, until the socket is closed.
pub(crate) fn packet_promiscuous(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: ifindex as c_int,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let length = size_of::<libc::packet_mreq>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `request`, which lives across the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            length,
        )
    })
}

/// `PACKET_STATISTICS`: how many frames found the socket's buffer full since the last call.
pub(crate) fn packet_overflows(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut found = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of `found`.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut found).cast(),
            &mut length,
        )
    })?;
    Ok(found.tp_drops)
}

fn empty_message() -> libc::mmsghdr {
    // SAFETY: `mmsghdr` is plain data, for which all zeroes (no buffers) is a valid value.
    unsafe { mem::zeroed() }
}

const NO_IOVEC: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// `recvmmsg`: one message into each of `buffers`, of which the first [`PACKET_BATCH`] count, without
/// waiting. Says in `out` what came, and returns how many.
pub(crate) fn packet_receive<'b>(
    fd: BorrowedFd<'_>,
    buffers: impl Iterator<Item = &'b mut [u8]>,
    out: &mut [PacketMessage; PACKET_BATCH],
) -> io::Result<usize> {
    let mut controls: [Control; PACKET_BATCH] = [[0; 8]; PACKET_BATCH];
    let mut iovecs = [NO_IOVEC; PACKET_BATCH];
    let mut messages = [empty_message(); PACKET_BATCH];
    let mut count = 0;
    let slots = iovecs.iter_mut().zip(&mut controls).zip(&mut messages);
    for (buffer, ((iovec, control), message)) in buffers.zip(slots) {
        iovec.iov_base = buffer.as_mut_ptr().cast();
        iovec.iov_len = buffer.len();
        message.msg_hdr.msg_iov = iovec;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_control = control.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = size_of::<Control>() as _;
        count += 1;
    }
    // SAFETY: the first `count` messages point at one I/O vector and one control buffer each, of the
    // lengths they say; these and the buffers, borrowed for `'b`, live across the call.
    let received = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            messages.as_mut_ptr(),
            count as c_uint,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    check(received)?;
    let received = received as usize;
    for (message, out) in messages[..received].iter().zip(out.iter_mut()) {
        *out = PacketMessage {
            len: message.msg_len as usize,
            cut: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            tag: stripped_tag(&message.msg_hdr),
        };
    }
    Ok(received)
}

/// The VLAN tag in the `PACKET_AUXDATA` of a message that `recvmmsg` filled.
fn stripped_tag(message: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the kernel has set the length of the control buffer, which lives while `message` is used.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !control.is_null() {
        // SAFETY: the macros give null or a whole header within the control buffer.
        let header = unsafe { &*control };
        let room = size_of::<libc::tpacket_auxdata>();
        let is_aux = header.cmsg_level == libc::SOL_PACKET
            && header.cmsg_type == libc::PACKET_AUXDATA
            // SAFETY: arithmetic only.
            && header.cmsg_len as usize >= unsafe { libc::CMSG_LEN(room as c_uint) } as usize;
        if is_aux {
            // SAFETY: the header says that so many bytes follow; they need not be aligned.
            let data = unsafe {
                ptr::read_unaligned(libc::CMSG_DATA(control).cast::<libc::tpacket_auxdata>())
            };
            return (data.tp_status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
                let known = data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
                let kind = if known {
                    data.tp_vlan_tpid
                } else {
                    libc::ETH_P_8021Q as u16
                };
                (kind, data.tp_vlan_tci)
            });
        }
        // SAFETY: as for the first one.
        control = unsafe { libc::CMSG_NXTHDR(message, control) };
    }
    None
}

/// `sendmmsg`: each of `messages`, at most [`PACKET_BATCH`], without waiting. Returns how many went
/// before one did not; the error is that of the first.
pub(crate) fn packet_send<'b>(
    fd: BorrowedFd<'_>,
    messages: impl Iterator<Item = &'b [u8]>,
) -> io::Result<usize> {
    let mut iovecs = [NO_IOVEC; PACKET_BATCH];
    let mut headers = [empty_message(); PACKET_BATCH];
    let mut count = 0;
    for (bytes, (iovec, header)) in messages.zip(iovecs.iter_mut().zip(&mut headers)) {
        iovec.iov_base = bytes.as_ptr().cast::<c_void>().cast_mut();
        iovec.iov_len = bytes.len();
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` messages point at one I/O vector each; these and the bytes, which
    // the kernel only reads, live across the call.
    let sent = unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            count as c_uint,
            libc::MSG_DONTWAIT as _,
        )
    };
    check(sent)?;
    Ok(sent as usize)
}
