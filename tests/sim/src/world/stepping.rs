//! One wake-up of a machine, as the program's loop does it: take in, do what is due, flush, ask when to wake next.

use node::{Arrival, Io, NodeCommand, NodeEvent, PortIndex, UplinkId};
use rand::Rng as _;

use super::{Happening, Packet, World};

/// Of so many steps within a second one asks for the memory in use.
const MEMORY_EVERY: u32 = 64;

/// What wakes a machine.
pub(super) enum Input {
    /// Datagrams, each at an uplink.
    Datagrams(Vec<(u8, Packet)>),
    /// Frames at a port.
    Frames(u16, Vec<Vec<u8>>),
    /// A virtio-net header and its super-frame, at a port.
    Record(u16, Vec<u8>),
    /// An order.
    Command(NodeCommand),
    /// Time.
    Nothing,
}

impl World {
    /// Switches a machine's node on.
    pub fn boot(&mut self, at: usize) {
        self.trace(|| format!("{} starts", self.hosts[at].recipe.name));
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let node = self.hosts[at].make_node(seed, &self.public_keys, self.now);
        let host = &mut self.hosts[at];
        host.node = Some(node);
        host.asleep = false;
        host.boots += 1;
        host.untold.clear();
        for command in host.first_commands() {
            self.command(at, command);
        }
    }

    /// Ends a machine's node without a word.
    pub fn crash(&mut self, at: usize) {
        self.trace(|| format!("{} crashes", self.hosts[at].recipe.name));
        let host = &mut self.hosts[at];
        (host.node, host.timer, host.frozen, host.asleep) = (None, None, None, false);
    }

    /// A machine wakes from sleep, or its node goes on after a stop.
    pub fn wake(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.asleep = false;
        let waiting = host.frozen.take().unwrap_or_default();
        self.step(at, Input::Datagrams(waiting));
        for command in std::mem::take(&mut self.hosts[at].untold) {
            self.command(at, command);
        }
    }

    pub(super) fn on_alarm(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        if host.alarm.is_some_and(|alarm| alarm <= self.now) {
            host.alarm = None;
        }
        if !host.runs() {
            return;
        }
        match host.timer {
            Some(timer) if timer + host.latency <= self.now => self.step(at, Input::Nothing),
            _ => self.set_alarm(at),
        }
    }

    pub(super) fn step(&mut self, at: usize, input: Input) {
        let now = self.now;
        let elapsed = self.elapsed();
        let host = &mut self.hosts[at];
        if !host.runs() {
            return;
        }
        let Some(node) = &mut host.node else { return };
        let second = host.second.at(elapsed);
        let wall = host
            .wall
            .at_base
            .saturating_add(elapsed.as_nanos() as i64)
            .max(0) as u64;
        let mut io = Io {
            datagrams: &mut host.datagrams,
            frames: &mut host.frames,
        };
        match input {
            Input::Datagrams(packets) => {
                for (uplink, mut packet) in packets {
                    second.taken += packet.bytes.len() as u64;
                    let local = Some(packet.dst.ip());
                    let arrival = Arrival {
                        uplink: UplinkId(uplink),
                        remote: packet.src,
                        local,
                    };
                    node.handle_datagram(&arrival, &mut packet.bytes, now, wall, &mut io);
                }
            }
            Input::Frames(port, frames) => {
                for frame in frames {
                    second.taken += frame.len() as u64;
                    node.handle_frame(PortIndex(port), &frame, now, &mut io);
                }
            }
            Input::Record(port, mut record) => {
                let len = record.len();
                second.taken += len as u64;
                node.handle_lent(PortIndex(port), &mut record, len, now, &mut io);
            }
            Input::Command(command) => {
                node.handle_command(command, now, &mut io);
            }
            Input::Nothing => {}
        }
        if host.timer.is_some_and(|timer| timer <= now) {
            second.timeouts += 1;
            node.handle_timeout(now, wall, &mut io);
        }
        node.flush(now, &mut io);
        host.timer = node.poll_timeout(now);
        let events: Vec<NodeEvent> = std::iter::from_fn(|| node.poll_event()).collect();
        second.events += events.len() as u32;
        second.steps += 1;
        // It takes a look at everything in flight.
        let memory = (second.steps % MEMORY_EVERY == 1).then(|| node.memory());
        for event in events {
            self.trace(|| format!("{}: {:?}", self.hosts[at].recipe.name, event.event));
            self.events.push((now, at, event.event));
        }
        self.drain(at, memory);
    }

    /// Passes on what the node left in its sinks.
    fn drain(&mut self, at: usize, memory: Option<usize>) {
        let mut frames = std::mem::take(&mut self.hosts[at].frames.sent);
        for (port, frame) in frames.drain(..) {
            self.on_frame(at, port.0, &frame);
        }
        self.hosts[at].frames.sent = frames;
        let mut datagrams = std::mem::take(&mut self.hosts[at].datagrams.sent);
        for (target, bytes) in datagrams.drain(..) {
            self.hosts[at].second.sent += bytes.len() as u64;
            self.send(at, &target, bytes);
        }
        let host = &mut self.hosts[at];
        host.datagrams.sent = datagrams;
        let who = (host.recipe.name.as_str(), host.recipe.peers.len());
        self.checks.bounded(who, &host.second, memory, self.now);
        self.set_alarm(at);
    }

    fn set_alarm(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let Some(timer) = host.timer else { return };
        let wanted = timer.max(self.now) + host.latency;
        if host.alarm.is_none_or(|alarm| wanted < alarm) {
            host.alarm = Some(wanted);
            self.schedule(wanted, Happening::Alarm(at));
        }
    }
}
