//! The UDP socket of the data plane: batches with GSO and GRO, source and device of each datagram,
//! never fragments.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::raw;

/// How many buffers one [`UdpSocket::recv`] fills at most.
pub const BATCH_SIZE: usize = quinn_udp::BATCH_SIZE;

/// A receive buffer of this size holds whatever the kernel coalesces (GRO), bytes.
pub const RECV_BUFFER_SIZE: usize = 65_536;

/// What one `sendmsg` takes: the limits of the kernel's UDP_SEGMENT.
const MAX_SEGMENTS: usize = 64;
const MAX_BATCH_BYTES: usize = 64_768;

/// How to open a socket.
#[derive(Debug, Clone)]
pub struct BindOptions {
    /// Where to listen. `[::]` takes IPv4 too, and becomes `0.0.0.0` where IPv6 is off.
    pub addr: SocketAddr,
    /// Sends and receives through this interface only; sockets of different interfaces can share
    /// one port. It must exist. Where no route leads through it, the kernel takes IPv4
    /// destinations to be on the link, and no error tells.
    pub device: Option<String>,
    /// The routing mark of what is sent. Needs CAP_NET_ADMIN.
    pub mark: Option<u32>,
    /// Lets other sockets that say so too bind the same port: for one socket without a device
    /// beside others with one, which then get what comes by their device. Any program could join
    /// in until [`UdpSocket::set_share_port`] ends it.
    pub share_port: bool,
    /// The size of the kernel's receive buffer, bytes; its default when `None`.
    pub recv_buffer: Option<usize>,
    /// The size of the kernel's send buffer, bytes; its default when `None`.
    pub send_buffer: Option<usize>,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self::port(0)
    }
}

impl BindOptions {
    /// All addresses of both families, at `port`.
    pub fn port(port: u16) -> Self {
        Self {
            addr: SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            device: None,
            mark: None,
            share_port: false,
            recv_buffer: None,
            send_buffer: None,
        }
    }
}

/// What came with a filled buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Who sent it. IPv4 is plain IPv4 always.
    pub from: SocketAddr,
    /// The address of ours it was sent to.
    pub local: Option<IpAddr>,
    /// The index of the interface it came in by.
    pub ifindex: Option<u32>,
    /// How many bytes the buffer has.
    pub len: usize,
    /// The size of each datagram in the buffer; the last may be shorter.
    pub stride: usize,
    /// The ECN bits of the IP header (RFC 3168); 0 when not ECN-capable.
    pub ecn: u8,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            from: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            local: None,
            ifindex: None,
            len: 0,
            stride: 0,
            ecn: 0,
        }
    }
}

/// What a failed send means. None of them harms the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// The send buffer is full: wait until the socket is writable.
    WouldBlock,
    /// The kernel or the device had no room; a datagram is lost, as on the way.
    NoBuffers,
    /// Larger than the interface takes (`EMSGSIZE`).
    TooBig,
    /// There is no way to the destination. From Linux 6.16 on also: our IPv4 address is not (any
    /// longer) on this machine.
    Unreachable,
    /// The interface is down or gone.
    LinkDown,
    /// Our address is not (any longer) on this machine, or the interface has none that fits.
    AddressGone,
    /// An earlier datagram was answered with "port unreachable".
    Refused,
    /// A firewall or the lack of a privilege.
    Denied,
    /// Anything else.
    Other,
}

impl SendFailure {
    /// Sorts an error of [`UdpSocket::send`].
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Self::WouldBlock,
            Some(libc::ENOBUFS | libc::ENOMEM) => Self::NoBuffers,
            Some(libc::EMSGSIZE) => Self::TooBig,
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EAFNOSUPPORT) => Self::Unreachable,
            Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => Self::LinkDown,
            Some(libc::EADDRNOTAVAIL | libc::EINVAL) => Self::AddressGone,
            Some(libc::ECONNREFUSED) => Self::Refused,
            Some(libc::EPERM | libc::EACCES) => Self::Denied,
            _ => Self::Other,
        }
    }
}

/// A non-blocking UDP socket that sets Don't Fragment, and sends what the interface takes whatever
/// ICMP says about the path (`IP_PMTUDISC_PROBE`): finding the path's MTU is the caller's.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    state: UdpSocketState,
    v6: bool,
    gso: AtomicBool,
}

impl UdpSocket {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open(options: &BindOptions) -> io::Result<Self> {
        match Self::open_at(options, options.addr) {
            Err(error) if options.addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                match error.raw_os_error() {
                    Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => {
                        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.addr.port()));
                        Self::open_at(options, v4)
                    }
                    _ => Err(error),
                }
            }
            other => other,
        }
    }

    fn open_at(options: &BindOptions, addr: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(addr);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(!addr.ip().is_unspecified())?;
        }
        if options.share_port {
            // Not SO_REUSEPORT: with that the kernel takes the first socket it finds, not the one
            // with the device.
            socket.set_reuse_address(true)?;
        }
        if let Some(device) = &options.device {
            // Before binding: only then is the port looked at per device.
            socket.bind_device(Some(device.as_bytes()))?;
        }
        if let Some(mark) = options.mark {
            socket.set_mark(mark)?;
        }
        size_buffers(&socket, options)?;
        socket.bind(&addr.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        if state.may_fragment() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the kernel cannot forbid fragments (IP_PMTUDISC_PROBE)",
            ));
        }
        let gso = AtomicBool::new(state.max_gso_segments() > 1);
        Ok(Self {
            socket,
            state,
            v6: addr.is_ipv6(),
            gso,
        })
    }

    /// Sends `contents` as one datagram, or as several of `segment` bytes (the last may be
    /// shorter), from our address `local` if given.
    ///
    /// Several go in as few system calls as the kernel allows. After an error none, some or all of
    /// them may have been sent. Sort errors with [`SendFailure::of`].
    pub fn send(
        &self,
        to: SocketAddr,
        local: Option<IpAddr>,
        contents: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
        let Some(size) = segment.filter(|size| *size < contents.len()) else {
            return self.transmit(to, local, contents, None);
        };
        if size == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let per_call = (MAX_BATCH_BYTES / size).clamp(1, MAX_SEGMENTS);
        contents
            .chunks(per_call * size)
            .try_for_each(|batch| self.send_batch(to, local, batch, size))
    }

    fn send_batch(
        &self,
        to: SocketAddr,
        local: Option<IpAddr>,
        batch: &[u8],
        size: usize,
    ) -> io::Result<()> {
        let singly = || {
            batch
                .chunks(size)
                .try_for_each(|datagram| self.transmit(to, local, datagram, None))
        };
        if !self.gso.load(Ordering::Relaxed) {
            return singly();
        }
        match self.transmit(to, local, batch, Some(size)) {
            // EIO: a device that cannot sum checksums (before Linux 6.11). EINVAL: segments larger
            // than the MTU (before 6.13), or an address that is not ours: only if one by one is
            // fine was the batch at fault.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                singly()?;
                self.gso.store(false, Ordering::Relaxed);
                Ok(())
            }
            other => other,
        }
    }

    fn transmit(
        &self,
        to: SocketAddr,
        local: Option<IpAddr>,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        let local = local.map(|ip| ip.to_canonical());
        let to = canonical(to);
        if local.is_some_and(|ip| ip.is_ipv4() != to.is_ipv4()) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let destination = self.mapped(to)?;
        let transmit = Transmit {
            destination,
            ecn: None,
            contents,
            segment_size,
            src_ip: local,
        };
        self.state.try_send((&self.socket).into(), &transmit)
    }

    /// The destination in the family of the socket.
    fn mapped(&self, to: SocketAddr) -> io::Result<SocketAddr> {
        match to {
            SocketAddr::V4(v4) if self.v6 => {
                Ok(SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())))
            }
            SocketAddr::V6(_) if !self.v6 => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            other => Ok(other),
        }
    }

    /// Receives into up to [`BATCH_SIZE`] buffers of [`RECV_BUFFER_SIZE`]; returns how many were
    /// filled. A datagram that does not fit its buffer is cut.
    pub fn recv(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [Meta]) -> io::Result<usize> {
        let count = buffers.len().min(metas.len()).min(BATCH_SIZE);
        let mut raw = [RecvMeta::default(); BATCH_SIZE];
        let filled = self
            .state
            .recv((&self.socket).into(), &mut buffers[..count], &mut raw)?;
        for (meta, raw) in metas.iter_mut().zip(&raw[..filled.min(count)]) {
            *meta = Meta {
                from: canonical(raw.addr),
                local: raw.dst_ip.map(|ip| ip.to_canonical()),
                ifindex: raw.interface_index,
                len: raw.len,
                stride: raw.stride.max(1),
                ecn: raw.ecn.map_or(0, EcnCodepoint::bits_of),
            };
        }
        Ok(filled)
    }

    /// How many datagrams one [`UdpSocket::send`] hands to the kernel in one call; 1 without GSO.
    pub fn max_segments(&self) -> usize {
        if self.gso.load(Ordering::Relaxed) {
            MAX_SEGMENTS
        } else {
            1
        }
    }

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.socket.local_addr()?;
        addr.as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The sizes of the kernel's receive and send buffers, bytes, as accounted (twice what was
    /// asked for).
    pub fn buffer_sizes(&self) -> io::Result<(usize, usize)> {
        Ok((
            self.socket.recv_buffer_size()?,
            self.socket.send_buffer_size()?,
        ))
    }

    /// Opens or closes the port to further sockets ([`BindOptions::share_port`]); those bound
    /// already are not affected.
    pub fn set_share_port(&self, share: bool) -> io::Result<()> {
        self.socket.set_reuse_address(share)
    }

    /// Changes the routing mark of what is sent from now on.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.socket.set_mark(mark)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The bits of a codepoint, as in the IP header.
trait EcnBits {
    fn bits_of(self) -> u8;
}

impl EcnBits for EcnCodepoint {
    fn bits_of(self) -> u8 {
        self as u8
    }
}

/// IPv4 as IPv4, and IPv6 without a flow label.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(mut v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => {
                v6.set_flowinfo(0);
                v6.into()
            }
        },
    }
}

/// Sizes above the system's limit take CAP_NET_ADMIN; without it the limit is what one gets.
fn size_buffers(socket: &Socket, options: &BindOptions) -> io::Result<()> {
    let int = |size: usize| libc::c_int::try_from(size).unwrap_or(libc::c_int::MAX / 2);
    if let Some(size) = options.recv_buffer {
        let force = libc::SO_RCVBUFFORCE;
        if raw::set_option(socket.as_fd(), libc::SOL_SOCKET, force, int(size)).is_err() {
            socket.set_recv_buffer_size(size)?;
        }
    }
    if let Some(size) = options.send_buffer {
        let force = libc::SO_SNDBUFFORCE;
        if raw::set_option(socket.as_fd(), libc::SOL_SOCKET, force, int(size)).is_err() {
            socket.set_send_buffer_size(size)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
