//! What the control thread asks, and the changes of lines and ports that it tells.

use std::{sync::mpsc::TryRecvError, time::Instant};

use node::{Io, NodeCommand, PortChange, PortIndex, UplinkId, UplinkState};
use sys::{PacketSocket, UdpSocket, poll::Interest};

use super::{Loop, Next, PORT_BASE};
use crate::dataplane::{
    Request, Snapshot,
    port::{self, Port},
};

/// The reason of a port whose interface is gone.
const DEVICE_ABSENT: &str = "device-absent";

impl Loop {
    pub(super) fn serve(&mut self, now: Instant) -> Next {
        self.waker.clear();
        loop {
            match self.inbox.try_recv() {
                Ok(Request::Shutdown) | Err(TryRecvError::Disconnected) => {
                    self.command(NodeCommand::Close, now);
                    return Next::End;
                }
                Ok(request) => self.answer(request, now),
                Err(TryRecvError::Empty) => return Next::Continue,
            }
        }
    }

    /// Answers whose asker has gone are of no use to anyone.
    fn answer(&mut self, request: Request, now: Instant) {
        match request {
            Request::Status(answer) => {
                let mut stats = self.outbox.stats.clone();
                self.note_overflows();
                stats.tap_refused = self.ports.tap_refused;
                stats.device_refused = self.ports.device_refused;
                stats.device_overflow = self.overflows;
                stats.device_unreadable = self.unreadable;
                stats.waiting = self.ingress.counters();
                let node = self.node.snapshot(now);
                let _ = answer.send(Snapshot {
                    node,
                    sending: stats,
                    now,
                });
            }
            Request::Fdb(answer) => {
                let _ = answer.send(self.node.fdb(now));
            }
            Request::Ping(answer) => {
                let _ = answer.send(());
            }
            Request::Path(peer, uplink, remote, op, answer) => {
                let known = self.command(NodeCommand::Path(peer, uplink, remote, op), now);
                let _ = answer.send(known);
            }
            Request::Endpoints(peer, endpoints) => {
                self.command(NodeCommand::Endpoints(peer, endpoints), now);
            }
            Request::Uplink(uplink, state, sockets) => {
                self.change_line(uplink, state, sockets, now)
            }
            Request::Port(port, change, socket) => self.change_port(port, change, socket, now),
            Request::Foreign(uplink, addresses) => self.outbox.lines.set_foreign(uplink, addresses),
            Request::OwnInterfaces(indexes) => self.own_interfaces = indexes,
            Request::Shutdown => {}
        }
    }

    fn change_line(
        &mut self,
        uplink: UplinkId,
        state: UplinkState,
        sockets: Option<Vec<UdpSocket>>,
        now: Instant,
    ) {
        if let Some(sockets) = sockets {
            let old = self.outbox.lines.replace(uplink, sockets);
            for (_, socket) in &old.sockets {
                // It is closed right after; closing also ends the watch.
                let _ = self.poller.delete(socket);
            }
            drop(old);
            let line = self.outbox.lines.get(uplink);
            for (at, (_, socket)) in line.iter().flat_map(|line| line.sockets.iter().enumerate()) {
                let token = u64::from(uplink.0) << 8 | at as u64;
                if let Err(error) = self.poller.add(socket, token, Interest::Read) {
                    tracing::error!(%error, uplink = uplink.0, "a socket cannot be watched");
                }
            }
        }
        self.command(NodeCommand::Uplink(uplink, state), now);
    }

    fn change_port(
        &mut self,
        port: PortIndex,
        change: PortChange,
        socket: Option<PacketSocket>,
        now: Instant,
    ) {
        let at = usize::from(port.0);
        let Some(place) = self.ports.list.get_mut(at) else {
            return;
        };
        if let Some(socket) = socket {
            // The old one ends its watch with its descriptor.
            *place = Port::Device(socket);
            if let Err(error) = port::watch(&self.poller, place, PORT_BASE + at as u64) {
                tracing::error!(%error, port = at, "an interface cannot be watched");
            }
        } else if change == PortChange::Absent(DEVICE_ABSENT) {
            *place = Port::Absent;
        }
        self.command(NodeCommand::Port(port, change), now);
    }

    /// The kernel forgets what it tells.
    fn note_overflows(&mut self) {
        for port in &self.ports.list {
            if let Port::Device(socket) = port {
                self.overflows += socket.overflows();
            }
        }
    }

    pub(super) fn command(&mut self, command: NodeCommand, now: Instant) -> bool {
        let mut io = Io {
            datagrams: &mut self.outbox,
            frames: &mut self.ports,
        };
        self.node.handle_command(command, now, &mut io)
    }
}
