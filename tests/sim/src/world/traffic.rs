//! Frames on their way into and out of machines.

use node::PortVlans;

use crate::{frame::identify, ping, superframe, tcp};

use super::{Happening, World, stepping::Input};

/// Whether a port of this kind carries frames of `vlan`, and whether they are tagged there.
fn form_at(port: &PortVlans, vlan: u16) -> Option<bool> {
    match port {
        PortVlans::Transparent => Some(true),
        PortVlans::Access(own) => (own.get() == vlan).then_some(false),
        PortVlans::Trunk { allowed, native } => {
            let is_native = native.is_some_and(|native| native.get() == vlan);
            let tagged =
                wire::vlan::VlanId::new(vlan).is_some_and(|id| vlan != 0 && allowed.contains(id));
            (is_native || tagged).then_some(!is_native)
        }
    }
}

impl World {
    pub(super) fn on_burst(&mut self, id: u16) {
        let stream = &mut self.streams[usize::from(id)];
        let (host, port) = stream.spec.from;
        let next = self.now + stream.spec.every;
        if !stream.paused && self.hosts[host].runs() {
            let tagged = form_at(
                &self.hosts[host].recipe.ports[usize::from(port)],
                stream.spec.vlan,
            )
            .unwrap_or(true);
            let mut frames = Vec::with_capacity(stream.spec.burst as usize);
            for _ in 0..stream.spec.burst {
                let seq = stream.sent.len() as u32;
                let mut frame = Vec::new();
                stream
                    .head
                    .write(seq, stream.spec.sizes.of(id, seq), tagged, &mut frame);
                stream.sent.push(self.now);
                frames.push(frame);
            }
            let input = if stream.spec.offload && frames.len() > 1 {
                Input::Record(port, superframe::merge(&frames))
            } else {
                Input::Frames(port, frames)
            };
            self.step(host, input);
        }
        self.schedule(next, Happening::Burst(id));
    }

    /// A kernel gives a record with a virtio-net header to port 0 of a machine.
    pub(crate) fn offer_record(&mut self, host: usize, record: Vec<u8>) {
        if self.hosts[host].runs() {
            self.step(host, Input::Record(0, record));
        }
    }

    /// The same with a frame.
    pub(crate) fn offer(&mut self, host: usize, frame: Vec<u8>) {
        if self.hosts[host].runs() {
            self.step(host, Input::Frames(0, vec![frame]));
        }
    }

    /// A node wrote a frame to its port: it must be one that was sent, whole, to here, and for the first time.
    pub(super) fn on_frame(&mut self, host: usize, port: u16, frame: &[u8]) {
        let now = self.now;
        let judged = if let Some(id) = tcp::frame::transfer(frame) {
            self.on_transfer(host, id, frame)
        } else if let Some((id, number)) = ping::identify(frame) {
            self.on_ping_frame(host, id, number)
        } else {
            self.judge(host, port, frame)
        };
        if let Err(wrong) = judged {
            let name = self.hosts[host].recipe.name.clone();
            self.checks
                .violated(now, format!("{name} port {port} was given {wrong}"));
        }
    }

    fn judge(&mut self, host: usize, port: u16, frame: &[u8]) -> Result<(), String> {
        let (id, seq) = identify(frame).ok_or("a frame that nobody sent")?;
        let stream = self
            .streams
            .get_mut(usize::from(id))
            .ok_or("a frame of no stream")?;
        if seq as usize >= stream.sent.len() {
            return Err(format!("frame {seq} of stream {id} before it was sent"));
        }
        let here = &self.hosts[host].recipe.ports[usize::from(port)];
        let tagged = form_at(here, stream.spec.vlan)
            .filter(|_| stream.spec.from != (host, port))
            .ok_or_else(|| format!("frame {seq} of stream {id}, which does not belong there"))?;
        stream.head.write(
            seq,
            stream.spec.sizes.of(id, seq),
            tagged,
            &mut self.scratch,
        );
        let same = if stream.spec.offload && stream.spec.burst > 1 {
            superframe::cut_from(frame, &self.scratch)
        } else {
            self.scratch == frame
        };
        if !same {
            return Err(format!("frame {seq} of stream {id} altered"));
        }
        let arrived = stream.arrived.entry((host, port)).or_default();
        arrived.resize(stream.sent.len(), None);
        if arrived[seq as usize].replace(self.now).is_some() {
            return Err(format!("frame {seq} of stream {id} twice"));
        }
        Ok(())
    }
}
