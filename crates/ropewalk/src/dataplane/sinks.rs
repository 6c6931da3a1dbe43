//! Where the node writes: datagrams gather into batches for UDP GSO, frames go to their port.

use std::{io, time::Instant};

use node::{DatagramSink, FrameSink, GsoKind, PortIndex, Target, VnetHeader, queue::QueueCounters};
use sys::udp::SendFailure;

use super::{lines::Lines, port::Port};

/// What one `sendmsg` with UDP_SEGMENT takes.
const MAX_SEGMENTS: usize = 64;
const MAX_BATCH_BYTES: usize = 64_768;
/// Batches open at once: one per path in use, usually.
const MAX_BATCHES: usize = 8;

/// How sending went, and what was not taken, for `status`.
#[derive(Clone, Debug, Default)]
pub struct SendStats {
    /// Datagrams that the kernel had no room for.
    pub no_room: u64,
    /// Datagrams larger than the interface takes.
    pub too_big: u64,
    /// Datagrams without a way: no route, no address, no device.
    pub unreachable: u64,
    /// Batches of datagrams that came to another uplink's address.
    pub foreign: u64,
    /// What waited to be sent.
    pub waiting: QueueCounters,
    /// Frames that a TAP did not take.
    pub tap_refused: u64,
    /// Frames that an interface did not take.
    pub device_refused: u64,
    /// Frames that found the buffer of an interface's socket full.
    pub device_overflow: u64,
    /// Super-frames of an interface that cannot be described.
    pub device_unreadable: u64,
    /// The last failure: where to, what, when.
    pub last_failure: Option<(Target, String, Instant)>,
}

struct Batch {
    target: Option<Target>,
    bytes: Vec<u8>,
    used: usize,
    segment: usize,
    count: usize,
    /// A shorter segment ends a batch.
    closed: bool,
    stamp: u64,
}

impl Batch {
    fn new() -> Self {
        Self {
            target: None,
            bytes: Vec::new(),
            used: 0,
            segment: 0,
            count: 0,
            closed: false,
            stamp: 0,
        }
    }

    fn takes(&self, len: usize) -> bool {
        self.count == 0
            || !self.closed
                && len <= self.segment
                && self.count < MAX_SEGMENTS
                && self.used + len <= MAX_BATCH_BYTES
    }
}

/// Datagrams on their way out.
pub(super) struct Outbox {
    pub lines: Lines,
    pub stats: SendStats,
    batches: Vec<Batch>,
    open: Option<(usize, usize)>,
    stamp: u64,
    now: Instant,
}

impl Outbox {
    pub(super) fn new(lines: Lines, now: Instant) -> Self {
        Self {
            lines,
            stats: SendStats::default(),
            batches: (0..MAX_BATCHES).map(|_| Batch::new()).collect(),
            open: None,
            stamp: 0,
            now,
        }
    }

    /// Begins a wake-up.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now = now;
    }

    /// Sends all batches.
    pub(super) fn flush(&mut self) {
        for at in 0..self.batches.len() {
            self.send(at);
        }
    }

    fn send(&mut self, at: usize) {
        let batch = &mut self.batches[at];
        let Some(target) = batch.target.take() else {
            return;
        };
        if batch.count > 0 {
            let segment = (batch.count > 1).then_some(batch.segment);
            let contents = &batch.bytes[..batch.used];
            let result = match self.lines.socket_for(&target) {
                Some(socket) => match socket.send(target.remote, target.local, contents, segment) {
                    // The source address went away before anyone told us: let the routing table choose.
                    Err(error)
                        if target.local.is_some()
                            && matches!(
                                SendFailure::of(&error),
                                SendFailure::AddressGone | SendFailure::Unreachable
                            ) =>
                    {
                        socket.send(target.remote, None, contents, segment)
                    }
                    result => result,
                },
                None => Err(io::ErrorKind::NotConnected.into()),
            };
            if let Err(error) = result {
                self.stats
                    .note(&target, &error, batch.count as u64, self.now);
            }
        }
        let batch = &mut self.batches[at];
        (batch.used, batch.count, batch.segment, batch.closed) = (0, 0, 0, false);
    }

    /// The batch to put `len` bytes for `target` into, emptied if need be.
    fn batch_for(&mut self, target: &Target, len: usize) -> usize {
        self.stamp += 1;
        let at = match self
            .batches
            .iter()
            .position(|batch| batch.target.as_ref() == Some(target))
        {
            Some(at) => {
                if !self.batches[at].takes(len) {
                    self.send(at);
                }
                at
            }
            None => {
                let oldest = (0..self.batches.len())
                    .min_by_key(|&at| (self.batches[at].target.is_some(), self.batches[at].stamp))
                    .unwrap_or(0);
                self.send(oldest);
                oldest
            }
        };
        self.batches[at].stamp = self.stamp;
        self.batches[at].target = Some(*target);
        at
    }
}

impl SendStats {
    fn note(&mut self, target: &Target, error: &io::Error, count: u64, now: Instant) {
        match SendFailure::of(error) {
            SendFailure::WouldBlock | SendFailure::NoBuffers => self.no_room += count,
            SendFailure::TooBig => self.too_big += count,
            SendFailure::Refused => {} // an ICMP for an earlier datagram: the path's silence says as much
            _ => self.unreachable += count,
        }
        self.last_failure = Some((*target, error.to_string(), now));
    }
}

impl DatagramSink for Outbox {
    fn reserve(&mut self, target: &Target, len: usize) -> Option<&mut [u8]> {
        if len > MAX_BATCH_BYTES {
            return None;
        }
        let at = self.batch_for(target, len);
        self.open = Some((at, len));
        let batch = &mut self.batches[at];
        let end = batch.used + len;
        if batch.bytes.len() < end {
            batch
                .bytes
                .resize(end.next_power_of_two().min(MAX_BATCH_BYTES).max(end), 0);
        }
        batch.bytes.get_mut(batch.used..end)
    }

    fn commit(&mut self) {
        let Some((at, len)) = self.open.take() else {
            return;
        };
        let batch = &mut self.batches[at];
        if batch.count == 0 {
            batch.segment = len;
        }
        batch.closed = len < batch.segment;
        batch.used += len;
        batch.count += 1;
    }
}

/// Frames on their way to the ports.
pub(super) struct Ports {
    pub list: Vec<Port>,
    /// Frames that a TAP device did not take.
    pub tap_refused: u64,
    /// Frames that an interface did not take.
    pub device_refused: u64,
}

impl Ports {
    pub(super) fn new(list: Vec<Port>) -> Self {
        Self {
            list,
            tap_refused: 0,
            device_refused: 0,
        }
    }

    /// Sends what gathered for interfaces.
    pub(super) fn flush(&mut self) {
        for port in &mut self.list {
            self.device_refused += port.flush();
        }
    }

    fn with(&mut self, port: PortIndex, send: impl FnOnce(&mut Port) -> u64) -> bool {
        let Some(port) = self.list.get_mut(usize::from(port.0)) else {
            return false;
        };
        let refused = send(port);
        match port {
            Port::Tap(_) => self.tap_refused += refused,
            Port::Device(_) | Port::Absent => self.device_refused += refused,
        }
        true
    }
}

impl FrameSink for Ports {
    fn takes(&self, port: PortIndex, kind: Option<GsoKind>) -> bool {
        let port = self.list.get(usize::from(port.0));
        port.is_some_and(|port| port.takes(kind))
    }

    fn send(&mut self, port: PortIndex, frame: &[u8]) -> bool {
        self.with(port, |port| port.send(frame))
    }

    fn send_record(&mut self, port: PortIndex, header: &VnetHeader, frame: &[u8]) -> bool {
        self.with(port, |port| port.send_record(header, frame))
    }
}
