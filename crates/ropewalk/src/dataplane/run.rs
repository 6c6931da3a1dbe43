//! The loop: wait, read all there is, let the node work, send all it made.

use std::{
    io::{self, IoSliceMut},
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use node::{Arrival, Io, Node, NodeCommand, NodeEvent, PortIndex, UplinkId, UplinkState};
use sys::{
    Tap, UdpSocket,
    alarm::Alarm,
    clock::{Clock, wall_unix_nanos},
    poll::{Events, Interest, Poller, Waker},
    tap::{READ_LEN, VNET_LEN},
    udp::{BATCH_SIZE, Meta, RECV_BUFFER_SIZE},
};
use tokio::sync::mpsc;

use super::{
    Request, Snapshot,
    ingress::Ingress,
    lines::Lines,
    sinks::{Outbox, Ports},
};

/// Frames of one TAP sent at once, and receive calls made on one socket, in a wake-up: a flood on one must not starve the rest.
const FRAMES_PER_WAKE: usize = 128;
const RECEIVES_PER_WAKE: usize = 16;
/// As many bytes are sent, or received from one socket, in a wake-up: about a millisecond's work. What more a TAP has waits in
/// fair turns.
const BYTES_PER_WAKE: usize = 512 << 10;
/// Frames taken from one TAP to wait, in a wake-up.
const WAITING_PER_WAKE: usize = 1024;
/// Descriptors served in a wake-up; others stay ready.
const MAX_READY: usize = 64;
/// Wait at most this long, so that a stuck clock shows.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a TAP that is switched off answers.
const EIO: i32 = 5;

const WAKER: u64 = u64::MAX;
const ALARM: u64 = WAKER - 1;
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
    alarm: Alarm,
    clock: Clock,
    receive: Receive,
    frame: Vec<u8>,
    ingress: Ingress,
    /// How many wake-ups there were, and the last in which each TAP was ready.
    wakes: u64,
    fed: Vec<u64>,
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
        secret: u64,
    ) -> io::Result<Self> {
        let clock = Clock::new();
        let poller = Poller::new()?;
        poller.add(&waker, WAKER, Interest::Read)?;
        let alarm = Alarm::new()?;
        poller.add(&alarm, ALARM, Interest::Read)?;
        for (at, tap) in taps.iter().enumerate() {
            poller.add(tap, TAP_BASE + at as u64, Interest::Read)?;
        }
        let lines = Lines::new(node.uplink_names().count());
        Ok(Self {
            outbox: Outbox::new(lines, clock.now()),
            wakes: 0,
            fed: vec![0; taps.len()],
            ports: Ports::new(taps),
            own_interfaces: Vec::new(),
            inbox,
            waker,
            events_out,
            poller,
            alarm,
            clock,
            receive: Receive {
                buffers: std::array::from_fn(|_| vec![0; RECV_BUFFER_SIZE]),
                metas: vec![Meta::default(); BATCH_SIZE],
            },
            frame: vec![0; READ_LEN],
            ingress: Ingress::new(secret),
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
            self.wait(&mut ready, before, due)?;
            let now = self.clock.now();
            self.wakes += 1;
            self.outbox.begin(now);
            tokens.clear();
            tokens.extend(ready.iter().map(|event| event.token));
            // Datagrams first: an acknowledgement that is here already must count before a timer does.
            for &token in tokens.iter().filter(|&&token| token < TAP_BASE) {
                self.read_socket(token, now);
            }
            let mut budget = BYTES_PER_WAKE;
            for &token in tokens
                .iter()
                .filter(|&&token| (TAP_BASE..ALARM).contains(&token))
            {
                self.read_tap((token - TAP_BASE) as usize, &mut budget, now)?;
            }
            self.serve_waiting(budget, now);
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

    /// Waits until something can be read or `due` has come; not at all when frames wait to be sent.
    fn wait(&mut self, ready: &mut Events, now: Instant, due: Option<Instant>) -> io::Result<()> {
        let longest = now + LONGEST_WAIT;
        let until = due.map_or(longest, |due| due.min(longest));
        if until <= now || !self.ingress.is_empty() {
            return self.poller.wait(ready, Some(Duration::ZERO));
        }
        let [until, now] = [until, now].map(|at| self.clock.boottime_at(at));
        self.alarm.ring_by(until, now)?;
        self.poller.wait(ready, None)
    }

    /// Reads what the TAP has, within bounds. While nothing waits, it is sent at once, up to `budget` bytes; the rest waits.
    ///
    /// # Errors
    /// When the device is gone: only a new start brings it back.
    fn read_tap(&mut self, at: usize, budget: &mut usize, now: Instant) -> anyhow::Result<()> {
        let header = if self.ports.taps[at].vnet() {
            VNET_LEN
        } else {
            0
        };
        let port = PortIndex(at as u16);
        // A TAP that was not ready last time has one frame, most likely: looking for more would only delay it.
        let single = self.fed[at] + 1 < self.wakes;
        self.fed[at] = self.wakes;
        let (mut direct, mut waiting) = (FRAMES_PER_WAKE, WAITING_PER_WAKE);
        while waiting > 0 {
            let Some(len) = self.read_frame(at)? else {
                break;
            };
            if direct == 0 || *budget == 0 || !self.ingress.is_empty() {
                self.ingress.push(port, header, &self.frame[..len], now);
                waiting -= 1;
                continue;
            }
            direct -= 1;
            *budget = budget.saturating_sub(len);
            let mut io = Io {
                datagrams: &mut self.outbox,
                frames: &mut self.ports,
            };
            let frame = &mut self.frame;
            pass(&mut self.node, port, header > 0, frame, len, now, &mut io);
            if single {
                break;
            }
        }
        Ok(())
    }

    /// The length of the next frame of a TAP, now in `self.frame`; `None`: there is none.
    fn read_frame(&mut self, at: usize) -> anyhow::Result<Option<usize>> {
        loop {
            return match self.ports.taps[at].read(&mut self.frame) {
                Ok(len) => Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Switched off: nothing to read either.
                Err(error) if error.raw_os_error() == Some(EIO) => Ok(None),
                Err(error) => {
                    let name = self.ports.taps[at].name();
                    Err(anyhow::anyhow!(
                        "the device of port {name} is gone: {error}"
                    ))
                }
            };
        }
    }

    /// Sends what waits, up to `budget` bytes.
    fn serve_waiting(&mut self, mut budget: usize, now: Instant) {
        let Self {
            ingress,
            node,
            outbox,
            ports,
            ..
        } = self;
        while budget > 0 {
            let mut io = Io {
                datagrams: outbox,
                frames: ports,
            };
            let sent = ingress.pop(now, |port, header, buffer, len| {
                pass(node, port, header, buffer, len, now, &mut io);
            });
            let Some(sent) = sent else {
                break;
            };
            budget = budget.saturating_sub(sent);
        }
    }

    fn read_socket(&mut self, token: u64, now: Instant) {
        let (uplink, at) = (UplinkId((token >> 8) as u8), (token & 0xff) as usize);
        let mut budget = BYTES_PER_WAKE;
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
                Ok(count) => {
                    let metas = self.receive.metas[..count].iter();
                    let bytes: usize = metas.map(|meta| meta.len).sum();
                    self.take_received(uplink, count, now);
                    budget = budget.saturating_sub(bytes);
                    // Not all buffers are filled: there was no more, and what comes meanwhile is reported again.
                    if budget == 0 || count < BATCH_SIZE {
                        return;
                    }
                }
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

/// Hands what a port received to the node: a frame, or with `header` a virtio-net header and what it describes.
fn pass(
    node: &mut Node,
    port: PortIndex,
    header: bool,
    buffer: &mut Vec<u8>,
    len: usize,
    now: Instant,
    io: &mut Io<'_>,
) {
    if header {
        node.handle_record(port, buffer, len, now, io);
    } else {
        node.handle_frame(port, &buffer[..len], now, io);
    }
}
