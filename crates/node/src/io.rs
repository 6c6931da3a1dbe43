//! The sinks a caller lends for the length of one call.

use tunnel::DatagramSink;

use crate::config::PortIndex;

/// Takes Ethernet frames. A reservation that is not committed is rolled back by the next one.
pub trait FrameSink {
    /// Lends exactly `len` bytes for one frame to `port`; `None` when the sink is full (the caller counts the drop).
    fn reserve(&mut self, port: PortIndex, len: usize) -> Option<&mut [u8]>;
    /// Sends what was written into the last reservation.
    fn commit(&mut self);
}

/// Both sinks.
pub struct Io<'a> {
    /// Towards the uplinks.
    pub datagrams: &'a mut dyn DatagramSink,
    /// Towards the local ports.
    pub frames: &'a mut dyn FrameSink,
}
