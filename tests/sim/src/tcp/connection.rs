//! A transfer between two machines: sender and receiver, their frames, and what was seen of it.

use std::time::{Duration, Instant};

use super::{
    Ack, MSS, Receiver, Sender, SenderConfig,
    frame::{self, Addresses, Carrier, Parsed},
};
use crate::world::World;

/// Ranges that an acknowledgement has room for beside timestamps.
const TCP_BLOCKS: usize = 3;
/// Ranges in an acknowledgement of one like QUIC.
const QUIC_BLOCKS: usize = 32;
/// Goodput is noted in steps of this length.
pub const STEP: Duration = Duration::from_millis(10);

pub use super::frame::Carrier as Transport;

/// What a transfer is.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionSpec {
    /// Sending and receiving machine; both at their port 0.
    pub machines: [usize; 2],
    /// What carries it.
    pub carrier: Carrier,
    /// How its sender behaves.
    pub sender: SenderConfig,
}

/// One transfer.
#[derive(Debug)]
pub struct Connection {
    /// What it is.
    pub spec: ConnectionSpec,
    /// Its sending end.
    pub sender: Sender,
    /// Its receiving end.
    pub receiver: Receiver,
    /// Segments that reached the application in each [`STEP`] since it began.
    pub progress: Vec<u32>,
    /// Frames of segments that arrived at the receiver.
    pub arrived: u64,
    /// Of these after one that was sent later.
    pub disordered: u64,
    /// When the last segment reached the application, and the longest time between two.
    pub last_progress: Instant,
    /// See `last_progress`; since [`Self::restart`].
    pub longest_stall: Duration,
    /// One-way delay of every frame of a segment that arrived since [`Self::restart`], µs.
    pub delays: Vec<u32>,
    addresses: Addresses,
    began: Instant,
    transmissions: u64,
    highest: u64,
    /// A bit for each transmission that arrived.
    seen: Vec<u64>,
    /// When it will be looked at.
    alarm: Option<Instant>,
}

impl Connection {
    /// Number `id`, from now on.
    #[must_use]
    pub fn new(id: u16, spec: ConnectionSpec, now: Instant) -> Self {
        let blocks = match spec.carrier {
            Carrier::Tcp => TCP_BLOCKS,
            Carrier::Udp => QUIC_BLOCKS,
        };
        Self {
            spec,
            sender: Sender::new(spec.sender, now),
            receiver: Receiver::new(blocks),
            progress: Vec::new(),
            arrived: 0,
            disordered: 0,
            last_progress: now,
            longest_stall: Duration::ZERO,
            delays: Vec::new(),
            addresses: Addresses {
                id,
                machines: spec.machines,
                carrier: spec.carrier,
            },
            began: now,
            transmissions: 0,
            highest: 0,
            seen: Vec::new(),
            alarm: None,
        }
    }

    /// Forgets stalls and delays so far.
    pub fn restart(&mut self, now: Instant) {
        self.longest_stall = Duration::ZERO;
        self.delays.clear();
        self.last_progress = now;
    }

    /// Bytes that reached the application from `from` to before `to`, to the next [`STEP`].
    #[must_use]
    pub fn goodput(&self, from: Instant, to: Instant) -> u64 {
        let [from, to] = [from, to].map(|at| self.step(at).min(self.progress.len()));
        let segments = self.progress[from..to.max(from)].iter();
        segments.map(|&n| u64::from(n)).sum::<u64>() * MSS as u64
    }

    fn step(&self, at: Instant) -> usize {
        (at.saturating_duration_since(self.began).as_nanos() / STEP.as_nanos()) as usize
    }

    /// A frame of it comes out at a machine.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn on_frame(&mut self, host: usize, frame: &[u8], now: Instant) -> Result<(), String> {
        let parsed = frame::parse(frame).ok_or("a damaged frame")?;
        match parsed {
            Parsed::Data {
                sequence,
                transmission,
                departure,
            } if host == self.spec.machines[1] => {
                self.note(transmission)?;
                let took = (now - self.began).saturating_sub(Duration::from_nanos(departure));
                self.delays.push(took.as_micros() as u32);
                let before = self.receiver.next();
                let number = frame::segment(sequence, before);
                self.receiver.on_data(number, 1, now);
                self.note_progress(self.receiver.next() - before, now);
            }
            Parsed::Ack(next, blocks) if host == self.spec.machines[0] => {
                let una = self.sender.board.una();
                let number = |value| frame::segment(value, una);
                let blocks = blocks.iter().map(|&(a, b)| (number(a), number(b)));
                let ack = Ack {
                    next: number(next),
                    blocks: blocks.collect(),
                };
                self.sender.on_ack(&ack, now);
            }
            _ => return Err("a frame that does not belong there".to_owned()),
        }
        Ok(())
    }

    /// Every transmission arrives once at most.
    fn note(&mut self, transmission: u64) -> Result<(), String> {
        if transmission >= self.transmissions {
            return Err(format!("transmission {transmission} before it was sent"));
        }
        let (word, bit) = ((transmission / 64) as usize, 1 << (transmission % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            return Err(format!("transmission {transmission} twice"));
        }
        self.seen[word] |= bit;
        self.arrived += 1;
        self.disordered += u64::from(transmission < self.highest);
        self.highest = self.highest.max(transmission);
        Ok(())
    }

    fn note_progress(&mut self, segments: u64, now: Instant) {
        if segments == 0 {
            return;
        }
        self.longest_stall = self.longest_stall.max(now - self.last_progress);
        self.last_progress = now;
        let step = self.step(now);
        if self.progress.len() <= step {
            self.progress.resize(step + 1, 0);
        }
        self.progress[step] += segments as u32;
    }

    /// The next record to hand to a machine's port: (machine, record).
    fn poll(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        if let Some(ack) = self.receiver.poll(now) {
            let record = self.addresses.acknowledgement(&ack);
            return Some((self.spec.machines[1], record));
        }
        let burst = self.sender.poll(now)?;
        let end = self.transmissions + burst.count;
        let elapsed = (now - self.began).as_nanos() as u64;
        let record = self
            .addresses
            .data(burst.first, self.transmissions..end, elapsed);
        self.transmissions = end;
        Some((self.spec.machines[0], record))
    }

    fn timer(&self) -> Option<Instant> {
        let timers = [self.sender.poll_timeout(), self.receiver.poll_timeout()];
        timers.into_iter().flatten().min()
    }
}

impl World {
    /// Begins a transfer now; returns its number.
    pub fn add_connection(&mut self, spec: ConnectionSpec) -> usize {
        let id = self.connections.len();
        self.connections
            .push(Connection::new(id as u16, spec, self.now));
        self.wake_connection(id, self.now);
        id
    }

    /// A frame of transfer `id` came out of a port of a machine.
    pub(crate) fn on_transfer(&mut self, host: usize, id: u16, frame: &[u8]) -> Result<(), String> {
        let now = self.now;
        let of = |what: String| format!("{what} of transfer {id}");
        let connection = self
            .connections
            .get_mut(usize::from(id))
            .ok_or_else(|| of("a frame".to_owned()))?;
        connection.on_frame(host, frame, now).map_err(of)?;
        self.wake_connection(usize::from(id), now);
        Ok(())
    }

    /// Looks at a transfer again at `at`.
    fn wake_connection(&mut self, id: usize, at: Instant) {
        let connection = &mut self.connections[id];
        if connection.alarm.is_none_or(|alarm| at < alarm) {
            connection.alarm = Some(at);
            self.schedule(at, crate::world::Happening::Transfer(id));
        }
    }

    /// The applications of all transfers have nothing more to send, or do again.
    pub(crate) fn pause_connections(&mut self, paused: bool) {
        for id in 0..self.connections.len() {
            let sender = &mut self.connections[id].sender;
            sender.limit = paused.then(|| sender.board.next());
            self.wake_connection(id, self.now);
        }
    }

    /// A transfer does what it may now.
    pub(crate) fn on_connection(&mut self, id: usize) {
        let now = self.now;
        let connection = &mut self.connections[id];
        if connection.alarm.is_none_or(|alarm| alarm > now) {
            // An earlier alarm took the place of this one.
            return;
        }
        connection.alarm = None;
        connection.sender.on_timeout(now);
        while let Some((host, record)) = self.connections[id].poll(now) {
            self.offer_record(host, record);
        }
        if let Some(at) = self.connections[id].timer() {
            self.wake_connection(id, at.max(now));
        }
    }
}
