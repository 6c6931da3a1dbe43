//! The sinks a caller lends for the length of one call.

use tunnel::DatagramSink;
use wire::vnet::{GsoKind, VnetHeader};

use crate::config::PortIndex;

/// Takes what goes to local ports. Each call says whether there was room (the caller counts the drop).
pub trait FrameSink {
    /// Whether `port` takes records: partial checksums, and super-frames of this kind where one is named.
    fn takes(&self, port: PortIndex, kind: Option<GsoKind>) -> bool;
    /// Sends one Ethernet frame to `port`.
    fn send(&mut self, port: PortIndex, frame: &[u8]) -> bool;
    /// Sends `frame` to a `port` that takes such, with the virtio-net header that describes it, checked.
    fn send_record(&mut self, port: PortIndex, header: &VnetHeader, frame: &[u8]) -> bool;
}

/// Both sinks.
pub struct Io<'a> {
    /// Towards the uplinks.
    pub datagrams: &'a mut dyn DatagramSink,
    /// Towards the local ports.
    pub frames: &'a mut dyn FrameSink,
}
