//! The loop: wait, read all there is, let the node work, send all it made.

use std::{
    io::{self, IoSliceMut},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use node::{Arrival, Io, Node, NodeEvent, PortIndex, UplinkId};
use sys::{
    Tap,
    alarm::Alarm,
    clock::{Clock, wall_unix_nanos},
    packet::FrameBuffers,
    poll::{Events, Interest, Poller, Waker},
    tap::{READ_LEN, VNET_LEN},
    udp::{BATCH_SIZE, Meta, RECV_BUFFER_SIZE},
};
use tokio::sync::mpsc;

use super::{
    Request,
    ingress::Ingress,
    lines::Lines,
    port::{self, Port},
    sinks::{Outbox, Ports},
};

mod requests;

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
/// What an interface answers that has a super-frame of an unknown kind.
const EINVAL: i32 = 22;

const WAKER: u64 = u64::MAX;
const ALARM: u64 = WAKER - 1;
const PORT_BASE: u64 = 1 << 32;

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
    /// For interfaces; none yet while there was no such port.
    frames: Option<FrameBuffers>,
    unreadable: u64,
    overflows: u64,
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

/// What one port may still do in this wake-up.
struct Turn {
    port: PortIndex,
    /// Frames sent at once.
    direct: usize,
    /// Frames taken to wait.
    waiting: usize,
}

impl Turn {
    /// Whether a frame of `len` bytes is sent at once; otherwise it waits.
    fn is_next(&mut self, len: usize, budget: &mut usize, ingress: &Ingress) -> bool {
        if self.direct == 0 || *budget == 0 || !ingress.is_empty() {
            self.waiting = self.waiting.saturating_sub(1);
            return false;
        }
        self.direct -= 1;
        *budget = budget.saturating_sub(len);
        true
    }
}

enum Next {
    Continue,
    End,
}

impl Loop {
    pub(super) fn new(
        node: Node,
        taps: Vec<Option<Tap>>,
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
        let ports: Vec<Port> = taps
            .into_iter()
            .map(|tap| tap.map_or(Port::Absent, Port::Tap))
            .collect();
        for (at, port) in ports.iter().enumerate() {
            port::watch(&poller, port, PORT_BASE + at as u64)?;
        }
        let lines = Lines::new(node.uplink_names().count());
        Ok(Self {
            outbox: Outbox::new(lines, clock.now()),
            wakes: 0,
            fed: vec![0; ports.len()],
            ports: Ports::new(ports),
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
            frames: None,
            unreadable: 0,
            overflows: 0,
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
            for &token in tokens.iter().filter(|&&token| token < PORT_BASE) {
                self.read_socket(token, now);
            }
            let mut budget = BYTES_PER_WAKE;
            for &token in tokens
                .iter()
                .filter(|&&token| (PORT_BASE..ALARM).contains(&token))
            {
                self.read_port((token - PORT_BASE) as usize, &mut budget, now)?;
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
            self.ports.flush();
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

    /// Reads what a port has, within bounds. While nothing waits, it is sent at once, up to `budget` bytes; the rest waits.
    ///
    /// # Errors
    /// When a TAP device is gone: only a new start brings it back.
    fn read_port(&mut self, at: usize, budget: &mut usize, now: Instant) -> anyhow::Result<()> {
        let mut turn = Turn {
            port: PortIndex(at as u16),
            direct: FRAMES_PER_WAKE,
            waiting: WAITING_PER_WAKE,
        };
        match &self.ports.list[at] {
            Port::Tap(tap) => {
                let header = if tap.vnet() { VNET_LEN } else { 0 };
                self.read_tap(at, header, &mut turn, budget, now)?;
            }
            Port::Device(_) => self.read_device(&mut turn, budget, now),
            Port::Absent => {}
        }
        Ok(())
    }

    fn read_device(&mut self, turn: &mut Turn, budget: &mut usize, now: Instant) {
        let mut frames = self.frames.take().unwrap_or_default();
        while turn.waiting > 0 {
            let Port::Device(socket) = &self.ports.list[usize::from(turn.port.0)] else {
                break;
            };
            match socket.receive(&mut frames) {
                Ok(()) => {
                    for record in frames.records() {
                        self.take_record(turn, record, budget, now);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(EINVAL) => {
                    self.unreadable += 1;
                    turn.waiting -= 1;
                }
                // Nothing there, or switched off, or gone: the control thread tells.
                Err(_) => break,
            }
        }
        self.frames = Some(frames);
    }

    fn read_tap(
        &mut self,
        at: usize,
        header: usize,
        turn: &mut Turn,
        budget: &mut usize,
        now: Instant,
    ) -> anyhow::Result<()> {
        // A TAP that was not ready last time has one frame, most likely: looking for more would only delay it.
        let single = self.fed[at] + 1 < self.wakes;
        self.fed[at] = self.wakes;
        while turn.waiting > 0
            && let Some(len) = self.read_frame(at)?
        {
            if !turn.is_next(len, budget, &self.ingress) {
                self.ingress
                    .push(turn.port, header, &self.frame[..len], now);
                continue;
            }
            let mut io = Io {
                datagrams: &mut self.outbox,
                frames: &mut self.ports,
            };
            let frame = &mut self.frame;
            pass(
                &mut self.node,
                turn.port,
                header > 0,
                frame,
                len,
                now,
                &mut io,
            );
            if single {
                break;
            }
        }
        Ok(())
    }

    /// Sends a frame that an interface received, or lets it wait.
    fn take_record(&mut self, turn: &mut Turn, record: &[u8], budget: &mut usize, now: Instant) {
        if !turn.is_next(record.len(), budget, &self.ingress) {
            self.ingress.push(turn.port, VNET_LEN, record, now);
            return;
        }
        let mut io = Io {
            datagrams: &mut self.outbox,
            frames: &mut self.ports,
        };
        self.node.handle_record(turn.port, record, now, &mut io);
    }

    /// The length of the next frame of a TAP, now in `self.frame`; `None`: there is none.
    fn read_frame(&mut self, at: usize) -> anyhow::Result<Option<usize>> {
        let Port::Tap(tap) = &self.ports.list[at] else {
            return Ok(None);
        };
        loop {
            return match tap.read(&mut self.frame) {
                Ok(len) => Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Switched off: nothing to read either.
                Err(error) if error.raw_os_error() == Some(EIO) => Ok(None),
                Err(error) => {
                    let name = tap.name();
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
        node.handle_lent(port, buffer, len, now, io);
    } else {
        node.handle_frame(port, &buffer[..len], now, io);
    }
}
