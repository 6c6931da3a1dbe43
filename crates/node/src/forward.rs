//! The way of a frame through the switch, from whichever side it came.

use std::time::Instant;

use bridge::{Bridge, DropReason, Form, PortId, PortSet, encode};
use tunnel::DatagramSink;
use wire::flow::flow_hash;

use crate::{config::PortIndex, io::FrameSink};

/// A VLAN tag may be added on the way.
const TAG_ROOM: usize = 4;

/// The switch and what it needs to pass frames on. Local ports have ids from 0, peers follow.
pub(crate) struct Forwarder {
    pub bridge: Bridge,
    pub local_ports: u16,
    pub drops: [u64; DropReason::ALL.len()],
    /// Frames that found the sink of their local port full.
    pub port_full: u64,
    egress: PortSet,
    scratch: Vec<u8>,
}

/// Where a frame for a peer goes.
pub(crate) trait PeerPorts {
    fn send(&mut self, peer: usize, frame: &[u8], flow: u32, now: Instant, sink: &mut dyn DatagramSink);
}

impl Forwarder {
    pub(crate) fn new(bridge: Bridge, local_ports: u16, max_frame: usize) -> Self {
        Self {
            bridge,
            local_ports,
            drops: [0; DropReason::ALL.len()],
            port_full: 0,
            egress: PortSet::default(),
            scratch: vec![0; max_frame + TAG_ROOM],
        }
    }

    /// Passes a frame from local port `from` to peers and other local ports.
    pub(crate) fn on_local_frame(
        &mut self,
        from: PortIndex,
        frame: &[u8],
        now: Instant,
        peers: &mut dyn PeerPorts,
        datagrams: &mut dyn DatagramSink,
        frames: &mut dyn FrameSink,
    ) {
        let Some(vlan) = self.look_up(PortId(from.0), frame, now) else {
            return;
        };
        let flow = flow_hash(frame);
        for at in 0..self.egress.len() {
            let port = self.egress.as_slice()[at];
            let form = self.bridge.egress_form(port, vlan);
            let Some(peer) = port.0.checked_sub(self.local_ports) else {
                self.write(port, frame, form, frames);
                continue;
            };
            match self.formed(frame, form) {
                Some(len) => peers.send(usize::from(peer), &self.scratch[..len], flow, now, datagrams),
                None => peers.send(usize::from(peer), frame, flow, now, datagrams),
            }
        }
    }

    /// Passes a frame from a peer to the local ports.
    pub(crate) fn on_peer_frame(&mut self, peer: usize, frame: &[u8], now: Instant, frames: &mut dyn FrameSink) {
        let from = PortId(self.local_ports + peer as u16);
        let Some(vlan) = self.look_up(from, frame, now) else {
            return;
        };
        for at in 0..self.egress.len() {
            let port = self.egress.as_slice()[at];
            let form = self.bridge.egress_form(port, vlan);
            if port.0 < self.local_ports {
                self.write(port, frame, form, frames);
            }
        }
    }

    fn look_up(&mut self, from: PortId, frame: &[u8], now: Instant) -> Option<wire::vlan::VlanId> {
        let result = self.bridge.ingress(from, frame, now).and_then(|ingress| {
            self.bridge.egress(from, ingress.vlan, ingress.dst, now, &mut self.egress)?;
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

    /// The frame in its form for a port, in `scratch`; `None` when it can leave as it is.
    fn formed(&mut self, frame: &[u8], form: Form) -> Option<usize> {
        if form == Form::AsIs {
            return None;
        }
        Some(encode(frame, form, &mut self.scratch)).filter(|&len| len > 0)
    }

    fn write(&mut self, port: PortId, frame: &[u8], form: Form, frames: &mut dyn FrameSink) {
        let formed = self.formed(frame, form);
        let bytes = formed.map_or(frame, |len| &self.scratch[..len]);
        match frames.reserve(PortIndex(port.0), bytes.len()) {
            Some(slot) => {
                slot.copy_from_slice(bytes);
                frames.commit();
            }
            None => self.port_full += 1,
        }
    }

    fn count(&mut self, reason: DropReason) {
        if let Some(at) = DropReason::ALL.iter().position(|&r| r == reason) {
            self.drops[at] += 1;
        }
    }
}
