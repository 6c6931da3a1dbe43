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
    /// Frames longer than any port of ours takes, whose tag could not be changed.
    pub does_not_fit: u64,
    egress: PortSet,
    scratch: Vec<u8>,
}

/// Where a frame for a peer goes.
pub(crate) trait PeerPorts {
    fn send(
        &mut self,
        peer: usize,
        frame: &[u8],
        flow: u32,
        now: Instant,
        sink: &mut dyn DatagramSink,
    );
}

impl Forwarder {
    pub(crate) fn new(bridge: Bridge, local_ports: u16, max_frame: usize) -> Self {
        Self {
            bridge,
            local_ports,
            drops: [0; DropReason::ALL.len()],
            port_full: 0,
            does_not_fit: 0,
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
            let Some(formed) = formed(frame, form, &mut self.scratch) else {
                self.does_not_fit += 1;
                continue;
            };
            peers.send(usize::from(peer), formed, flow, now, datagrams);
        }
    }

    /// Passes a frame from a peer to the local ports.
    pub(crate) fn on_peer_frame(
        &mut self,
        peer: usize,
        frame: &[u8],
        now: Instant,
        frames: &mut dyn FrameSink,
    ) {
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

    fn write(&mut self, port: PortId, frame: &[u8], form: Form, frames: &mut dyn FrameSink) {
        let Some(bytes) = formed(frame, form, &mut self.scratch) else {
            self.does_not_fit += 1;
            return;
        };
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

/// The frame in its form for a port, in `scratch` if it is not the one it has. `None`: it does not fit there, and must not leave
/// as it is, which would be in another VLAN.
fn formed<'a>(frame: &'a [u8], form: Form, scratch: &'a mut [u8]) -> Option<&'a [u8]> {
    if form == Form::AsIs {
        return Some(frame);
    }
    let len = encode(frame, form, scratch);
    scratch.get(..len).filter(|formed| !formed.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::vlan::VlanId;

    #[test]
    fn a_frame_that_does_not_fit_with_its_tag_goes_nowhere() {
        let frame = [0x42; 64];
        let tagged = Form::Tagged(VlanId::new(10).unwrap());
        assert_eq!(
            formed(&frame, tagged, &mut [0; 68]).map(<[u8]>::len),
            Some(68)
        );
        assert_eq!(formed(&frame, tagged, &mut [0; 67]), None);
        assert_eq!(formed(&frame, Form::AsIs, &mut [0; 0]), Some(&frame[..]));
    }
}
