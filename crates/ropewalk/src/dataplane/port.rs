//! A port's device: a TAP device of ours, or a packet socket on an interface that is taken over.

use std::{io, os::fd::AsFd};

use node::{GsoKind, VnetHeader};
use sys::{
    PacketSocket, Tap,
    tap::{Offloads, VNET_LEN},
};

/// The virtio-net header of a frame that leaves nothing to its receiver.
const NO_OFFLOAD: [u8; VNET_LEN] = [0; VNET_LEN];

/// See the module.
pub(super) enum Port {
    /// A TAP device.
    Tap(Tap),
    /// An interface.
    Device(PacketSocket),
    /// An interface that is not there.
    Absent,
}

impl Port {
    pub(super) fn offloads(&self) -> Offloads {
        match self {
            Self::Tap(tap) => tap.offloads(),
            Self::Device(socket) => socket.offloads(),
            Self::Absent => Offloads::default(),
        }
    }

    /// Whether it takes frames with this to be done to them.
    pub(super) fn takes(&self, kind: Option<GsoKind>) -> bool {
        match kind {
            None => match self {
                Self::Tap(tap) => tap.vnet(),
                Self::Device(_) => true,
                Self::Absent => false,
            },
            Some(GsoKind::TcpV4 | GsoKind::TcpV6) => self.offloads().tso,
            Some(GsoKind::UdpL4) => self.offloads().uso,
        }
    }

    /// Returns how many frames were refused, this one or earlier ones.
    pub(super) fn send(&mut self, frame: &[u8]) -> u64 {
        match self {
            Self::Tap(tap) if tap.vnet() => refused(tap.write_parts(&NO_OFFLOAD, frame)),
            Self::Tap(tap) => refused(tap.write(frame)),
            Self::Device(socket) => socket.send(&NO_OFFLOAD, frame),
            Self::Absent => 1,
        }
    }

    /// The same for a frame with its virtio-net header.
    pub(super) fn send_record(&mut self, header: &VnetHeader, frame: &[u8]) -> u64 {
        match self {
            Self::Tap(tap) => refused(tap.write_parts(&header.encode(), frame)),
            Self::Device(socket) => socket.send(&header.encode(), frame),
            Self::Absent => 1,
        }
    }

    /// Sends what gathered; returns how many frames were refused.
    pub(super) fn flush(&mut self) -> u64 {
        match self {
            Self::Device(socket) => socket.flush(),
            Self::Tap(_) | Self::Absent => 0,
        }
    }
}

/// Watches the port's descriptor.
pub(super) fn watch(poller: &sys::Poller, port: &Port, token: u64) -> io::Result<()> {
    let fd = match port {
        Port::Tap(tap) => tap.as_fd(),
        Port::Device(socket) => socket.as_fd(),
        Port::Absent => return Ok(()),
    };
    poller.add(fd, token, sys::poll::Interest::Read)
}

/// A device that is down, or whose queue is full.
fn refused(written: io::Result<()>) -> u64 {
    u64::from(written.is_err())
}
