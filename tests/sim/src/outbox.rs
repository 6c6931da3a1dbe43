//! The sinks that a simulated machine lends its node.

use node::{DatagramSink, FrameSink, GsoKind, PortIndex, Target, VnetHeader};

/// Datagrams that a node sent in one call.
#[derive(Debug, Default)]
pub struct Datagrams {
    /// What was committed.
    pub sent: Vec<(Target, Vec<u8>)>,
    /// Reservations beyond this many are refused; 0: never.
    pub limit: usize,
    open: Option<(Target, Vec<u8>)>,
}

impl DatagramSink for Datagrams {
    fn reserve(&mut self, target: &Target, len: usize) -> Option<&mut [u8]> {
        if self.limit != 0 && self.sent.len() >= self.limit {
            return None;
        }
        self.open = Some((*target, vec![0; len]));
        self.open.as_mut().map(|(_, bytes)| &mut bytes[..])
    }

    fn commit(&mut self) {
        self.sent.extend(self.open.take());
    }
}

/// Frames that a node wrote to its ports in one call.
#[derive(Debug, Default)]
pub struct Frames {
    /// What was sent.
    pub sent: Vec<(PortIndex, Vec<u8>)>,
}

impl FrameSink for Frames {
    /// Like a port on an old kernel: what travels as a super-frame arrives as frames.
    fn takes(&self, _: PortIndex, _: Option<GsoKind>) -> bool {
        false
    }

    fn send(&mut self, port: PortIndex, frame: &[u8]) -> bool {
        self.sent.push((port, frame.to_vec()));
        true
    }

    fn send_record(&mut self, _: PortIndex, _: &VnetHeader, _: &[u8]) -> bool {
        false
    }
}
