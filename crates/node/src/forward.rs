//! The way of a frame through the switch, from whichever side it came.

use std::time::Instant;

use bridge::{Bridge, DropReason, Form, PortId, PortSet, encode, storm::FloodSize};
use tunnel::{DatagramSink, Lent, Record};
use wire::{
    coalesce::Coalescer,
    flow::flow_hash,
    superframe::{MAX_FRAME_LEN, NestedSuperFrame, Shape, SuperFrame},
    vnet::{GsoKind, VNET_LEN, VnetHeader},
};

use crate::{config::PortIndex, io::FrameSink};

mod relay;
mod watch;

use relay::Relay;
use watch::Watches;

/// Of shorter frames few belong to a transfer in bulk.
const WORTH_MERGING: usize = 1000;
/// A shorter record is copied rather than kept in a buffer made for the longest.
const WORTH_LENDING: usize = 16 << 10;
/// A VLAN tag may be added on the way.
const TAG_ROOM: usize = 4;

/// The switch and what it needs to pass frames on. Local ports have ids from 0, peers follow.
pub(crate) struct Forwarder {
    pub bridge: Bridge,
    pub local_ports: u16,
    pub drops: [u64; DropReason::ALL.len()],
    /// Frames that found the sink of their local port full.
    pub port_full: u64,
    /// Frames longer than any port of ours takes, whose tag could not be changed.
    pub does_not_fit: u64,
    /// Super-frames whose virtio-net header does not fit what is behind it.
    pub bad_header: u64,
    /// Frames from one peer to another that found no room.
    pub relay_full: u64,
    /// What taken-over interfaces let pass.
    pub watches: Watches,
    relay: Relay,
    egress: PortSet,
    /// A record in another form, and then a segment of it.
    scratch: [Vec<u8>; 2],
    /// A segment of a super-frame inside a tunnel; grows to the longest.
    nested: Vec<u8>,
    /// Where frames for a port with offloads are put together, once a peer has sent some that can be.
    merging: Option<Merging>,
}

/// Frames of this batch for one port.
struct Merging {
    port: PortIndex,
    coalescer: Box<Coalescer>,
}

/// Where a frame for a peer goes.
pub(crate) trait PeerPorts {
    fn send(&mut self, peer: usize, record: &Record<'_>, now: Instant, sink: &mut dyn DatagramSink);

    /// The same for a record whose buffer the peer may keep.
    fn send_lent(
        &mut self,
        peer: usize,
        record: &mut Lent<'_>,
        now: Instant,
        sink: &mut dyn DatagramSink,
    );

    /// Whether the peer takes records with a virtio-net header.
    fn takes_vnet(&self, peer: usize) -> bool;
}

/// A frame, or a super-frame, on its way.
#[derive(Clone, Copy)]
struct Passing<'a> {
    /// With the virtio-net header in front if it has a `shape`.
    record: &'a [u8],
    /// What a checked virtio-net header says of it; `None`: a frame as it is on a wire.
    shape: Option<Shape>,
}

impl<'a> Passing<'a> {
    fn plain(frame: &'a [u8]) -> Self {
        Self {
            record: frame,
            shape: None,
        }
    }

    /// `None` when the header does not fit the frame. A header that says nothing is left out.
    fn checked(record: &'a [u8]) -> Option<Self> {
        let (header, frame) = VnetHeader::split(record).ok()?;
        if header.is_plain() {
            return Some(Self::plain(frame));
        }
        let shape = Shape::check(header, frame, frame.len()).ok()?;
        Some(Self {
            record,
            shape: Some(shape),
        })
    }

    fn frame(&self) -> &'a [u8] {
        &self.record[if self.shape.is_some() { VNET_LEN } else { 0 }..]
    }

    fn header(&self) -> VnetHeader {
        self.shape.map_or(VnetHeader::PLAIN, |shape| shape.header())
    }

    /// The longest frame that it stands for, bytes.
    fn longest(&self) -> usize {
        self.shape
            .map_or(self.record.len(), |shape| shape.segment_len())
    }

    /// In its form for a port, in `scratch` if it is not the one it has. `None`: it does not fit there, and must not leave as it
    /// is, which would be in another VLAN.
    fn formed<'b>(&self, form: Form, scratch: &'b mut [u8]) -> Option<Passing<'b>>
    where
        'a: 'b,
    {
        if form == Form::AsIs {
            return Some(*self);
        }
        let frame = self.frame();
        let (head, body) = scratch.split_at_mut_checked(VNET_LEN)?;
        let len = encode(frame, form, body);
        if len == 0 {
            return None;
        }
        let mut header = self.header();
        header.shift(len as isize - frame.len() as isize);
        head.copy_from_slice(&header.encode());
        Passing::checked(&scratch[..VNET_LEN + len])
    }

    /// What it counts as where frames to many are limited.
    fn size(&self) -> FloodSize {
        FloodSize {
            frames: self.shape.map_or(1, |shape| shape.segments() as u32),
            bytes: self.frame().len() as u32,
        }
    }

    /// Hands each frame that it stands for to `each`, with all checksums.
    fn segment(&self, scratch: &mut [u8], each: impl FnMut(&[u8])) {
        let whole = self
            .shape
            .and_then(|shape| SuperFrame::new(shape, self.frame()));
        if let Some(whole) = whole {
            let _ = whole.for_each_segment(scratch, each); // `scratch` holds the longest
        }
    }
}

/// What the way of a frame needs besides the switch.
pub(crate) struct Ways<'a> {
    pub now: Instant,
    pub peers: &'a mut dyn PeerPorts,
    pub datagrams: &'a mut dyn DatagramSink,
    pub frames: &'a mut dyn FrameSink,
}

impl Forwarder {
    /// `max_frame`: the longest frame that a port takes, bytes.
    pub(crate) fn new(bridge: Bridge, local_ports: u16, max_frame: usize) -> Self {
        let longest = max_frame.max(MAX_FRAME_LEN);
        Self {
            bridge,
            local_ports,
            drops: [0; DropReason::ALL.len()],
            port_full: 0,
            does_not_fit: 0,
            bad_header: 0,
            relay_full: 0,
            watches: Watches::default(),
            relay: Relay::default(),
            egress: PortSet::default(),
            scratch: [
                vec![0; VNET_LEN + longest + TAG_ROOM],
                vec![0; longest + TAG_ROOM],
            ],
            nested: Vec::new(),
            merging: None,
        }
    }

    /// Passes a frame from local port `from` to peers and other local ports.
    pub(crate) fn on_local_frame(&mut self, from: PortIndex, frame: &[u8], ways: &mut Ways<'_>) {
        self.pass_from_local(from, &Passing::plain(frame), ways);
    }

    /// The same for a record: virtio-net header and frame.
    pub(crate) fn on_local_record(&mut self, from: PortIndex, record: &[u8], ways: &mut Ways<'_>) {
        match Passing::checked(record) {
            Some(passing) => self.pass_from_local(from, &passing, ways),
            None => self.on_nested(from, record, ways),
        }
    }

    /// The same for a record in the first `len` bytes of `buffer`, which may be kept; then there is another of its length.
    pub(crate) fn on_lent_record(
        &mut self,
        from: PortIndex,
        buffer: &mut Vec<u8>,
        len: usize,
        ways: &mut Ways<'_>,
    ) {
        let Some(record) = buffer.get(..len).filter(|_| len >= WORTH_LENDING) else {
            return self.on_local_record(from, &buffer[..len.min(buffer.len())], ways);
        };
        let Some(passing) = Passing::checked(record) else {
            return self.on_nested(from, record, ways);
        };
        let Some(vlan) = self.look_up(PortId(from.0), &passing, ways.now) else {
            return;
        };
        let vnet = passing.shape.is_some();
        let takes = |peer: &usize| !vnet || ways.peers.takes_vnet(*peer);
        let Some(peer) = self.only_peer(vlan).filter(takes) else {
            return self.pass_on(&passing, vlan, ways);
        };
        let mut lent = Lent {
            range: len - passing.record.len()..len,
            vnet,
            longest: passing.longest(),
            flow: flow_hash(passing.frame()),
            buffer,
        };
        ways.peers
            .send_lent(peer, &mut lent, ways.now, ways.datagrams);
    }

    /// The peer that alone gets the frame just looked up, as it is.
    fn only_peer(&self, vlan: wire::vlan::VlanId) -> Option<usize> {
        let &[port] = self.egress.as_slice() else {
            return None;
        };
        let peer = port.0.checked_sub(self.local_ports)?;
        (self.bridge.egress_form(port, vlan) == Form::AsIs).then_some(usize::from(peer))
    }

    /// A super-frame inside somebody's tunnel is cut here, since nobody later could.
    fn on_nested(&mut self, from: PortIndex, record: &[u8], ways: &mut Ways<'_>) {
        let split = VnetHeader::split(record);
        let checked = split.map(|(header, frame)| NestedSuperFrame::check(header, frame));
        let Ok(Ok(nested)) = checked else {
            self.bad_header += 1;
            return;
        };
        // Out of `self`, which the segments go on to.
        let mut buffer = std::mem::take(&mut self.nested);
        buffer.resize(buffer.len().max(nested.segment_len()), 0);
        nested.for_each_segment(&mut buffer, |frame| {
            self.pass_from_local(from, &Passing::plain(frame), ways);
        });
        self.nested = buffer;
    }

    fn pass_from_local(&mut self, from: PortIndex, passing: &Passing<'_>, ways: &mut Ways<'_>) {
        if let Some(vlan) = self.look_up(PortId(from.0), passing, ways.now) {
            self.pass_on(passing, vlan, ways);
        }
    }

    /// Passes what a local port received to where it was found to belong.
    fn pass_on(&mut self, passing: &Passing<'_>, vlan: wire::vlan::VlanId, ways: &mut Ways<'_>) {
        let flow = flow_hash(passing.frame());
        for at in 0..self.egress.len() {
            let port = self.egress.as_slice()[at];
            let form = self.bridge.egress_form(port, vlan);
            match port.0.checked_sub(self.local_ports) {
                None => self.write(port, passing, form, ways.now, ways.frames),
                Some(peer) => self.send(usize::from(peer), passing, form, flow, ways),
            }
        }
    }

    fn send(
        &mut self,
        peer: usize,
        passing: &Passing<'_>,
        form: Form,
        flow: u32,
        ways: &mut Ways<'_>,
    ) {
        let [scratch, segments] = &mut self.scratch;
        let Some(formed) = passing.formed(form, scratch) else {
            self.does_not_fit += 1;
            return;
        };
        forward_to(peer, &formed, flow, segments, ways);
    }

    /// Sends what peers sent for other peers, on a hub: to be called when a datagram was taken in.
    pub(crate) fn relay(&mut self, ways: &mut Ways<'_>) {
        self.relay.send(&mut self.scratch[1], ways);
    }

    /// Passes what a peer sent to the local ports: a frame, or with `vnet` a virtio-net header and frame, as the peer wrote them.
    /// Other peers that shall have it get it by [`Self::relay`].
    pub(crate) fn on_peer(
        &mut self,
        peer: usize,
        record: &[u8],
        vnet: bool,
        now: Instant,
        frames: &mut dyn FrameSink,
    ) {
        let passing = if vnet {
            Passing::checked(record)
        } else {
            Some(Passing::plain(record))
        };
        match passing {
            Some(passing) => self.pass_from_peer(peer, &passing, now, frames),
            None => self.bad_header += 1,
        }
    }

    fn pass_from_peer(
        &mut self,
        peer: usize,
        passing: &Passing<'_>,
        now: Instant,
        frames: &mut dyn FrameSink,
    ) {
        let from = PortId(self.local_ports + peer as u16);
        let Some(vlan) = self.look_up(from, passing, now) else {
            return;
        };
        for at in 0..self.egress.len() {
            let port = self.egress.as_slice()[at];
            let form = self.bridge.egress_form(port, vlan);
            match port.0.checked_sub(self.local_ports) {
                None => self.write(port, passing, form, now, frames),
                Some(other) => self.keep(usize::from(other), passing, form),
            }
        }
    }

    fn keep(&mut self, peer: usize, passing: &Passing<'_>, form: Form) {
        let Some(formed) = passing.formed(form, &mut self.scratch[0]) else {
            self.does_not_fit += 1;
            return;
        };
        let kept = self.relay.push(peer, &formed, flow_hash(formed.frame()));
        self.relay_full += u64::from(!kept);
    }

    fn look_up(
        &mut self,
        from: PortId,
        passing: &Passing<'_>,
        now: Instant,
    ) -> Option<wire::vlan::VlanId> {
        let frame = passing.frame();
        let result = self.bridge.ingress(from, frame, now).and_then(|ingress| {
            self.watches.received(from, ingress.dst);
            self.bridge.admit(from, &ingress, passing.size(), now)?;
            self.bridge
                .egress(from, ingress.vlan, ingress.dst, now, &mut self.egress)?;
            Ok(ingress.vlan)
        });
        match result {
            Ok(vlan) => Some(vlan),
            Err(reason) => {
                self.count(reason);
                None
            }
        }
    }

    fn write(
        &mut self,
        port: PortId,
        passing: &Passing<'_>,
        form: Form,
        now: Instant,
        frames: &mut dyn FrameSink,
    ) {
        self.watches.sent(port, passing.frame(), now);
        let [scratch, segments] = &mut self.scratch;
        let Some(formed) = passing.formed(form, scratch) else {
            self.does_not_fit += 1;
            return;
        };
        let port = PortIndex(port.0);
        let bulk = formed.shape.is_none() && formed.record.len() >= WORTH_MERGING;
        if !frames.takes(port, Some(GsoKind::TcpV4)) || !bulk && self.merging.is_none() {
            let taken = emit(port, formed.header(), formed.frame(), segments, frames);
            self.port_full += u64::from(!taken);
            return;
        }
        let merging = self.merging.get_or_insert_with(|| Merging {
            port,
            coalescer: Box::default(),
        });
        let port_full = &mut self.port_full;
        if merging.port != port {
            *port_full += merging.flush(segments, frames);
            merging.port = port;
        }
        merging
            .coalescer
            .push(formed.header(), formed.frame(), &mut |header, frame| {
                *port_full += u64::from(!emit(port, header, frame, segments, frames));
            });
    }

    /// Ends a batch: hands over what waited to be put together with later frames.
    pub(crate) fn flush(&mut self, frames: &mut dyn FrameSink) {
        if let Some(merging) = &mut self.merging {
            self.port_full += merging.flush(&mut self.scratch[1], frames);
        }
    }

    fn count(&mut self, reason: DropReason) {
        if let Some(at) = DropReason::ALL.iter().position(|&r| r == reason) {
            self.drops[at] += 1;
        }
    }
}

impl Merging {
    /// Returns how many frames found no room.
    fn flush(&mut self, segments: &mut [u8], frames: &mut dyn FrameSink) -> u64 {
        let (port, mut lost) = (self.port, 0);
        self.coalescer.flush(&mut |header, frame| {
            lost += u64::from(!emit(port, header, frame, segments, frames));
        });
        lost
    }
}

/// Sends a frame in its form to a peer, as that one takes it.
fn forward_to(
    peer: usize,
    formed: &Passing<'_>,
    flow: u32,
    segments: &mut [u8],
    ways: &mut Ways<'_>,
) {
    let Ways {
        now,
        peers,
        datagrams,
        ..
    } = ways;
    if formed.shape.is_some() && !peers.takes_vnet(peer) {
        formed.segment(segments, |frame| {
            peers.send(peer, &Record::plain(frame, flow), *now, *datagrams);
        });
        return;
    }
    let record = Record {
        bytes: formed.record,
        vnet: formed.shape.is_some(),
        longest: formed.longest(),
        flow,
    };
    peers.send(peer, &record, *now, *datagrams);
}

/// Sends as the port can take it. Whether there was room.
fn emit(
    port: PortIndex,
    header: VnetHeader,
    frame: &[u8],
    segments: &mut [u8],
    frames: &mut dyn FrameSink,
) -> bool {
    if header.is_plain() {
        return frames.send(port, frame);
    }
    if frames.takes(port, header.gso.map(|gso| gso.kind)) {
        return frames.send_record(port, &header, frame);
    }
    let mut taken = true;
    if let Ok(whole) = SuperFrame::check(header, frame) {
        let _ = whole.for_each_segment(segments, |frame| taken &= frames.send(port, frame));
    }
    taken
}

#[cfg(test)]
mod tests;
