//! The loop: wait, read all there is, let the node work, send all it made.

use std::{
    io::{self, IoSliceMut},
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use node::{Arrival, Io, Node, NodeCommand, NodeEvent, PortIndex, UplinkId, UplinkState};
use sys::{
    Tap, UdpSocket,
    clock::{Clock, wall_unix_nanos},
    poll::{Events, Interest, Poller, Waker},
    udp::{BATCH_SIZE, Meta, RECV_BUFFER_SIZE},
};
use tokio::sync::mpsc;

use super::{
    Request, Snapshot,
    lines::Lines,
    sinks::{Outbox, Ports},
};

/// Frames read from one TAP, and receive calls made on one socket, in a wake-up: a flood on one must not starve the rest.
const FRAMES_PER_WAKE: usize = 128;
const RECEIVES_PER_WAKE: usize = 16;
/// As much of it: super-frames have up to 64 KiB each.
const BYTES_PER_WAKE: usize = 512 << 10;
/// Descriptors served in a wake-up; others stay ready.
const MAX_READY: usize = 64;
/// Wait at most this long, so that a stuck clock shows.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Largest frame a TAP gives: 64 KiB and a header.
const FRAME_BUFFER: usize = (64 << 10) + 64;

/// What a TAP that is switched off answers.
const EIO: i32 = 5;

const WAKER: u64 = u64::MAX;
const TAP_BASE: u64 = 1 << 32;

pub(super) struct Loop {
    node: Node,
    outbox: Outbox,
    ports: Ports,
    own_interfaces: Vec<u32>,
    inbox: Receiver<Request>,
    waker: Waker,
    events_out: mpsc::Sender<NodeEvent>,
    poller: Poller,
    clock: Clock,
    receive: Receive,
    frame: Vec<u8>,
}

/// Buffers of one receive call.
struct Receive {
    buffers: [Vec<u8>; BATCH_SIZE],
    metas: Vec<Meta>,
}

enum Next {
    Continue,
    End,
}

impl Loop {
    pub(super) fn new(
        node: Node,
        taps: Vec<Tap>,
        inbox: Receiver<Request>,
        waker: Waker,
        events_out: mpsc::Sender<NodeEvent>,
    ) -> io::Result<Self> {
        let clock = Clock::new();
        let poller = Poller::new()?;
        poller.add(&waker, WAKER, Interest::Read)?;
        for (at, tap) in taps.iter().enumerate() {
            poller.add(tap, TAP_BASE + at as u64, Interest::Read)?;
        }
        let lines = Lines::new(node.uplink_names().count());
        Ok(Self {
            outbox: Outbox::new(lines, clock.now()),
            ports: Ports::new(taps),
            own_interfaces: Vec::new(),
            inbox,
            waker,
            events_out,
            poller,
            clock,
            receive: Receive {
                buffers: std::array::from_fn(|_| vec![0; RECV_BUFFER_SIZE]),
                metas: vec![Meta::default(); BATCH_SIZE],
            },
            frame: vec![0; FRAME_BUFFER],
            node,
        })
    }

    /// Runs until told to end.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let mut ready = Events::with_capacity(MAX_READY);
        let mut tokens: Vec<u64> = Vec::with_capacity(MAX_READY);
        loop {
            let before = self.clock.now();
            let due = self.node.poll_timeout(before);
            let wait = due.map_or(LONGEST_WAIT, |due| due.saturating_duration_since(before));
            self.poller.wait(&mut ready, Some(wait.min(LONGEST_WAIT)))?;
            let now = self.clock.now();
            self.outbox.begin(now);
            tokens.clear();
            tokens.extend(ready.iter().map(|event| event.token));
            // Datagrams first: an acknowledgement that is here already must count before a timer does.
            for &token in tokens.iter().filter(|&&token| token < TAP_BASE) {
                self.read_socket(token, now);
            }
            for &token in tokens
                .iter()
                .filter(|&&token| (TAP_BASE..WAKER).contains(&token))
            {
                self.read_tap((token - TAP_BASE) as usize, now)?;
            }
            if tokens.contains(&WAKER) && matches!(self.serve(now), Next::End) {
                self.outbox.flush();
                return Ok(());
            }
            // The node wants to be called now and then even if nothing is due: it notices a sleep by that.
            if due.is_none_or(|due| due <= now)
                || now.saturating_duration_since(before) >= LONGEST_WAIT
            {
                let mut io = Io {
                    datagrams: &mut self.outbox,
                    frames: &mut self.ports,
                };
                self.node.handle_timeout(now, wall_unix_nanos(), &mut io);
            }
            let mut io = Io {
                datagrams: &mut self.outbox,
                frames: &mut self.ports,
            };
            self.node.flush(now, &mut io);
            self.outbox.flush();
            self.pass_events_on();
        }
    }

    /// Reads what the TAP has, within bounds.
    ///
    /// # Errors
    /// When the device is gone: only a new start brings it back.
    fn read_tap(&mut self, at: usize, now: Instant) -> anyhow::Result<()> {
        let (offloads, mut bytes) = (self.ports.taps[at].vnet(), 0);
        for _ in 0..FRAMES_PER_WAKE {
            let len = match self.ports.taps[at].read(&mut self.frame) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Switched off: nothing to read either.
                Err(error) if error.raw_os_error() == Some(EIO) => return Ok(()),
                Err(error) => {
                    let name = self.ports.taps[at].name();
                    return Err(anyhow::anyhow!(
                        "the device of port {name} is gone: {error}"
                    ));
                }
            };
            let mut io = Io {
                datagrams: &mut self.outbox,
                frames: &mut self.ports,
            };
            let (port, read) = (PortIndex(at as u16), &self.frame[..len]);
            if offloads {
                self.node.handle_record(port, read, now, &mut io);
            } else {
                self.node.handle_frame(port, read, now, &mut io);
            }
            bytes += len;
            if bytes >= BYTES_PER_WAKE {
                break;
            }
        }
        Ok(())
    }

    fn read_socket(&mut self, token: u64, now: Instant) {
        let (uplink, at) = (UplinkId((token >> 8) as u8), (token & 0xff) as usize);
        for _ in 0..RECEIVES_PER_WAKE {
            let filled = {
                let line = self.outbox.lines.get(uplink);
                let Some((_, socket)) = line.and_then(|line| line.sockets.get(at)) else {
                    return;
                };
                let mut slices = self
                    .receive
                    .buffers
                    .each_mut()
                    .map(|buffer| IoSliceMut::new(buffer));
                socket.recv(&mut slices, &mut self.receive.metas)
            };
            match filled {
                Ok(count) => self.take_received(uplink, count, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An error queued for an earlier datagram (port unreachable, say): read on.
                Err(_) => {}
            }
        }
    }

    fn take_received(&mut self, uplink: UplinkId, count: usize, now: Instant) {
        let wall = wall_unix_nanos();
        for (meta, buffer) in self.receive.metas[..count]
            .iter()
            .zip(&mut self.receive.buffers)
        {
            // Our own ports carry frames for the peers, never datagrams from them: that would be a loop.
            if meta
                .ifindex
                .is_some_and(|index| self.own_interfaces.contains(&index))
            {
                continue;
            }
            if self.outbox.lines.is_foreign(uplink, meta.local) {
                self.outbox.stats.foreign += 1;
                continue;
            }
            let arrival = Arrival {
                uplink,
                remote: meta.from,
                local: meta.local,
            };
            for datagram in buffer[..meta.len.min(RECV_BUFFER_SIZE)].chunks_mut(meta.stride) {
                let mut io = Io {
                    datagrams: &mut self.outbox,
                    frames: &mut self.ports,
                };
                self.node
                    .handle_datagram(&arrival, datagram, now, wall, &mut io);
            }
        }
    }

    fn serve(&mut self, now: Instant) -> Next {
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
                stats.tap_refused = self.ports.refused;
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

    fn command(&mut self, command: NodeCommand, now: Instant) -> bool {
        let mut io = Io {
            datagrams: &mut self.outbox,
            frames: &mut self.ports,
        };
        self.node.handle_command(command, now, &mut io)
    }

    fn pass_events_on(&mut self) {
        while let Some(event) = self.node.poll_event() {
            if self.events_out.try_send(event).is_err() {
                return; // nobody reads fast enough: the snapshot still tells the truth
            }
        }
    }
}
