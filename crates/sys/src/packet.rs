//! Packet sockets: an existing interface as an Ethernet port, with its offloads.
//!
//! Frames come and go as from a TAP device with virtio-net headers ([`crate::tap`]). Packet sockets
//! get them before the kernel's own stack does; [`crate::ingress`] keeps that one from also taking
//! them. Receiving in batches beats a ring mapped into memory here: a slot of a ring would have to
//! hold 64 KiB for super-frames, and its bytes are copied once more anyway.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::raw::{self, PACKET_BATCH, PacketMessage};
use crate::tap::{Offloads, READ_LEN, VNET_LEN};

/// Bytes of the virtio-net header on a packet socket: without `num_buffers`.
const SHORT_VNET_LEN: usize = 10;
/// Bytes of a VLAN tag.
const TAG_LEN: usize = 4;
/// Both Ethernet addresses, behind which a tag stands.
const ADDRESSES_LEN: usize = 12;
/// Where the kernel puts a frame in its buffer: before it there is room for the whole virtio-net
/// header and a tag.
const FRAME_AT: usize = VNET_LEN + TAG_LEN;
/// Bytes from one buffer to the next. The odd cache lines keep their beginnings from sharing one set
/// of a cache.
const STRIDE: usize = (FRAME_AT + READ_LEN).next_multiple_of(64) + 64;
/// Shorter frames gather, to be sent with one call.
const GATHERED_LEN: usize = 2048;
/// What the kernel keeps of arrivals, and of what is to be sent, bytes: a few milliseconds at
/// 10 Gbit/s.
const SOCKET_BUFFER: i32 = 4 << 20;

/// virtio 1.2 §5.1.6.1.
const NEEDS_CSUM: u8 = 1;
const GSO_UDP_L4: u8 = 5;
const HDR_LEN_AT: usize = 2;
const CSUM_START_AT: usize = 6;

/// A non-blocking packet socket on one interface. Own transmissions are not heard; the interface is
/// promiscuous while it is open.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    ifindex: u32,
    /// The kernel takes UDP super-frames (Linux 6.2), as far as is known.
    uso: bool,
    gathered: Gathered,
}

/// Frames that wait to be sent with one call, each behind its short virtio-net header.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl PacketSocket {
    /// Opens a socket on the interface `ifindex` of the calling thread's network namespace. Needs
    /// CAP_NET_RAW.
    ///
    /// # Errors
    /// `ENODEV` for an interface that is not there, `ENOPROTOOPT` before Linux 4.20, and whatever
    /// else the kernel refuses.
    pub fn open(ifindex: u32) -> io::Result<Self> {
        let fd = raw::packet_socket()?;
        for option in [
            libc::PACKET_VNET_HDR,
            libc::PACKET_AUXDATA,
            libc::PACKET_IGNORE_OUTGOING,
        ] {
            raw::set_option(fd.as_fd(), libc::SOL_PACKET, option, 1)?;
        }
        for (force, polite) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            // Beyond the machine's limit only with CAP_NET_ADMIN; without, as much as there is.
            raw::set_option(fd.as_fd(), libc::SOL_SOCKET, force, SOCKET_BUFFER).or_else(|_| {
                raw::set_option(fd.as_fd(), libc::SOL_SOCKET, polite, SOCKET_BUFFER)
            })?;
        }
        raw::packet_promiscuous(fd.as_fd(), ifindex)?;
        raw::packet_bind(fd.as_fd(), ifindex)?;
        Ok(Self {
            fd,
            ifindex,
            uso: true,
            gathered: Gathered::default(),
        })
    }

    /// The interface's index.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// What the kernel takes from us. What it gives depends on the interface alone.
    pub fn offloads(&self) -> Offloads {
        Offloads {
            csum: true,
            tso: true,
            uso: self.uso,
        }
    }

    /// Fills `buffers` with what has arrived.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; `ENETDOWN` once after the interface was switched off or
    /// removed; `EINVAL` for a super-frame of a kind that a virtio-net header cannot tell, which is
    /// lost: read on.
    pub fn receive(&self, buffers: &mut FrameBuffers) -> io::Result<()> {
        buffers.records.clear();
        let mut messages = [PacketMessage::default(); PACKET_BATCH];
        let slots = buffers
            .bytes
            .chunks_exact_mut(STRIDE)
            .map(|slot| &mut slot[FRAME_AT - SHORT_VNET_LEN..]);
        let count = raw::packet_receive(self.fd.as_fd(), slots, &mut messages)?;
        let slots = buffers.bytes.chunks_exact_mut(STRIDE);
        for (at, (message, slot)) in messages[..count].iter().zip(slots).enumerate() {
            let Some(frame_len) = message.len.checked_sub(SHORT_VNET_LEN) else {
                continue;
            };
            if message.cut || frame_len < ADDRESSES_LEN + 2 {
                continue;
            }
            let start = finish(slot, message.tag);
            let end = FRAME_AT + frame_len;
            buffers.records.push(at * STRIDE + start..at * STRIDE + end);
        }
        Ok(())
    }

    /// Sends `frame` as `header` (little-endian, see [`crate::Tap::vnet`]) describes it; a short one
    /// at the next [`PacketSocket::flush`], or when many have gathered. Returns how many frames were
    /// refused by that.
    pub fn send(&mut self, header: &[u8; VNET_LEN], frame: &[u8]) -> u64 {
        let mut short = [0; SHORT_VNET_LEN];
        short.copy_from_slice(&header[..SHORT_VNET_LEN]);
        to_native(&mut short);
        if frame.len() <= GATHERED_LEN {
            self.gathered.push(&short, frame);
            return match self.gathered.ends.len() < PACKET_BATCH {
                true => 0,
                false => self.flush(),
            };
        }
        let refused = self.flush();
        let parts = [IoSlice::new(&short), IoSlice::new(frame)];
        match rustix::io::writev(&self.fd, &parts) {
            Ok(_) => refused,
            Err(error) => {
                if error == rustix::io::Errno::INVAL && header[1] & 0x7f == GSO_UDP_L4 {
                    self.uso = false;
                }
                refused + 1
            }
        }
    }

    /// Sends what has gathered; returns how many frames were refused: the interface is down, its
    /// queue full, or a frame longer than its MTU.
    pub fn flush(&mut self) -> u64 {
        let (mut refused, mut next) = (0, 0);
        while next < self.gathered.ends.len() {
            match raw::packet_send(self.fd.as_fd(), self.gathered.from(next)) {
                Ok(sent) => next += sent.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    refused += (self.gathered.ends.len() - next) as u64;
                    break;
                }
                Err(_) => {
                    refused += 1;
                    next += 1;
                }
            }
        }
        self.gathered.bytes.clear();
        self.gathered.ends.clear();
        refused
    }

    /// How many frames found the socket's buffer full since the last call.
    pub fn overflows(&self) -> u64 {
        raw::packet_overflows(self.fd.as_fd()).map_or(0, u64::from)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Gathered {
    fn push(&mut self, header: &[u8], frame: &[u8]) {
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
    }

    fn from(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        let begin = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut start = begin;
        self.ends[first..].iter().map(move |&end| {
            let message = &self.bytes[start..end];
            start = end;
            message
        })
    }
}

/// Buffers for one call of [`PacketSocket::receive`], any socket's.
pub struct FrameBuffers {
    bytes: Vec<u8>,
    records: Vec<Range<usize>>,
}

impl FrameBuffers {
    /// Room for a batch, 2 MiB, of which the kernel fills only as much as frames are long.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; STRIDE * PACKET_BATCH],
            records: Vec::with_capacity(PACKET_BATCH),
        }
    }

    /// What came last: each frame behind a little-endian virtio-net header of [`VNET_LEN`] bytes,
    /// with the VLAN tag it had on the wire.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(|range| &self.bytes[range.clone()])
    }
}

impl Default for FrameBuffers {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FrameBuffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FrameBuffers").field(&self.records).finish()
    }
}

/// Makes the short virtio-net header and the frame in `slot` a whole one, with the tag that was taken
/// out of the frame; says where it begins.
fn finish(slot: &mut [u8], tag: Option<(u16, u16)>) -> usize {
    let mut header = [0; VNET_LEN];
    header[..SHORT_VNET_LEN].copy_from_slice(&slot[FRAME_AT - SHORT_VNET_LEN..FRAME_AT]);
    to_native(&mut header);
    let start = match tag {
        None => FRAME_AT - VNET_LEN,
        Some((kind, tci)) => {
            slot.copy_within(FRAME_AT..FRAME_AT + ADDRESSES_LEN, FRAME_AT - TAG_LEN);
            let at = FRAME_AT - TAG_LEN + ADDRESSES_LEN;
            slot[at..at + 2].copy_from_slice(&kind.to_be_bytes());
            slot[at + 2..at + 4].copy_from_slice(&tci.to_be_bytes());
            shift(&mut header);
            FRAME_AT - TAG_LEN - VNET_LEN
        }
    };
    slot[start..start + VNET_LEN].copy_from_slice(&header);
    start
}

/// Moves what a header points at behind a tag: the length of all headers, where it says one, and the
/// checksum's start.
fn shift(header: &mut [u8; VNET_LEN]) {
    let has_checksum = header[0] & NEEDS_CSUM != 0;
    for (at, is_set) in [(HDR_LEN_AT, true), (CSUM_START_AT, has_checksum)] {
        let number = u16::from_le_bytes([header[at], header[at + 1]]);
        if is_set && number != 0 {
            let moved = number.saturating_add(TAG_LEN as u16);
            header[at..at + 2].copy_from_slice(&moved.to_le_bytes());
        }
    }
}

/// Packet sockets have the header's numbers in the machine's order; turns one into the other.
fn to_native(header: &mut [u8]) {
    if cfg!(target_endian = "big") {
        for number in header[2..SHORT_VNET_LEN].chunks_exact_mut(2) {
            number.swap(0, 1);
        }
    }
}

#[cfg(test)]
mod tests;
