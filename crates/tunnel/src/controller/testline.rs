//! A line in virtual time, with a receiver that acknowledges as the real one does, for tests of the controller.

mod measure;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use wire::control::AckHeader;

use super::{AckSample, Controller};
use crate::{
    acks::Acks,
    inflight::{InFlight, Lost, Purpose},
};

/// UDP payload of a full datagram.
const SIZE: usize = 1400;
/// The same on the line.
const ON_LINE: u64 = SIZE as u64 + 28;
const MS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Jitter {
    None,
    /// Up to so many ms.
    Uniform(f64),
    /// Of this mean, ms.
    Exponential(f64),
}

/// What the emulated line does.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// From so many ms on, Mbit/s of IP packets.
    pub rate: Vec<(u64, f64)>,
    /// From so many ms on, round trip without queues, ms; half of it each way.
    pub round_trip: Vec<(u64, f64)>,
    /// The longest queue, ms at the line's rate.
    pub buffer: f64,
    pub jitter: Jitter,
    /// Share of datagrams lost behind the queue.
    pub loss: f64,
    /// Drops what is beyond a rate, Mbit/s, and a burst, ms at that rate.
    pub policer: Option<(f64, f64)>,
    /// The receiver looks this often, µs.
    pub batch: u64,
    /// Timers of the sender fire so much later, µs.
    pub late: u64,
}

impl Line {
    pub(super) fn new(rate: f64, round_trip: f64) -> Self {
        Self {
            rate: vec![(0, rate)],
            round_trip: vec![(0, round_trip)],
            buffer: 100.0,
            jitter: Jitter::None,
            loss: 0.0,
            policer: None,
            batch: 200,
            late: 100,
        }
    }
}

/// From when to when a sender has data, ms.
pub(super) type Demand = Vec<(u64, u64)>;

#[derive(Debug)]
enum Event {
    Served,
    Arrived { flow: usize, number: u64 },
    Wake(usize),
    AckDue(usize),
    Acked(usize, AckHeader, Vec<RangeInclusive<u64>>),
    Send(usize),
    Demand(usize, bool),
    Restart(usize),
    Tick,
}

/// A millisecond of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Tick {
    /// Queue in the line, ms.
    pub queue: f64,
    /// Mbit/s that the line has.
    pub capacity: f64,
    /// Bits that the line carried, and that were offered to it, by sender.
    pub carried: Vec<u64>,
    pub offered: Vec<u64>,
    /// Estimates, Mbit/s.
    pub estimate: Vec<f64>,
}

/// SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Flow {
    controller: Controller,
    in_flight: InFlight,
    acks: Acks,
    pending: Vec<u64>,
    wake: bool,
    ack_at: u64,
    send_at: u64,
    demand: bool,
    last_arrival: u64,
    round_trip: Duration,
    carried: u64,
    offered: u64,
}

/// One line and its senders.
pub(super) struct World {
    line: Line,
    start: Instant,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    store: Vec<Option<Event>>,
    free: Vec<usize>,
    order: u64,
    queue: VecDeque<(usize, u64)>,
    serving: bool,
    tokens: f64,
    token_time: u64,
    rng: SplitMix,
    flows: Vec<Flow>,
    pub ticks: Vec<Tick>,
}

fn at_time(steps: &[(u64, f64)], now: u64) -> f64 {
    steps
        .iter()
        .rev()
        .find(|step| step.0 * MS <= now)
        .map_or(0.0, |step| step.1)
}

#[allow(clippy::disallowed_methods)] // only differences to it are used
fn epoch() -> Instant {
    Instant::now()
}

impl World {
    pub(super) fn new(line: Line, demands: &[Demand], seed: u64) -> Self {
        let start = epoch();
        let mut world = Self {
            line,
            start,
            now: 0,
            events: BinaryHeap::new(),
            store: Vec::new(),
            free: Vec::new(),
            order: 0,
            queue: VecDeque::new(),
            serving: false,
            tokens: f64::MAX,
            token_time: 0,
            rng: SplitMix(seed),
            flows: Vec::new(),
            ticks: Vec::new(),
        };
        for (at, demand) in demands.iter().enumerate() {
            world.flows.push(Flow {
                controller: Controller::new(start, start),
                in_flight: InFlight::default(),
                acks: Acks::new(start),
                pending: Vec::new(),
                wake: false,
                ack_at: 0,
                send_at: u64::MAX,
                demand: false,
                last_arrival: 0,
                round_trip: Duration::from_millis(100),
                carried: 0,
                offered: 0,
            });
            for (from, to) in demand {
                world.push(from * MS, Event::Demand(at, true));
                world.push(to * MS, Event::Demand(at, false));
            }
        }
        world.push(MS, Event::Tick);
        world
    }

    pub(super) fn restart(&mut self, flow: usize, at: u64) {
        self.push(at * MS, Event::Restart(flow));
    }

    fn push(&mut self, at: u64, event: Event) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.store.push(None);
            self.store.len() - 1
        });
        self.store[slot] = Some(event);
        self.order += 1;
        self.events.push(Reverse((at, self.order, slot)));
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + Duration::from_nanos(self.now)
    }

    /// Runs until so many ms after the start.
    pub(super) fn run(&mut self, until: u64) -> &mut Self {
        while let Some(&Reverse((at, _, slot))) = self.events.peek() {
            if at > until * MS {
                break;
            }
            self.events.pop();
            self.free.push(slot);
            let event = self.store[slot].take().expect("pushed with its slot");
            self.now = at;
            self.on_event(event);
        }
        self
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Served => self.on_served(),
            Event::Arrived { flow, number } => {
                self.flows[flow].pending.push(number);
                if !std::mem::replace(&mut self.flows[flow].wake, true) {
                    let grid = self.line.batch.max(1) * 1000;
                    self.push(self.now.div_ceil(grid) * grid, Event::Wake(flow));
                }
            }
            Event::Wake(flow) => self.on_wake(flow),
            Event::AckDue(flow) => self.acknowledge(flow),
            Event::Acked(flow, header, ranges) => self.on_ack(flow, &header, ranges),
            Event::Send(flow) => {
                if self.flows[flow].send_at == self.now {
                    self.flows[flow].send_at = u64::MAX;
                }
                self.send(flow);
            }
            Event::Demand(flow, demand) => {
                let now = self.instant();
                self.flows[flow].demand = demand;
                self.flows[flow].controller.set_backlogged(demand, now);
                self.send(flow);
            }
            Event::Restart(flow) => {
                let now = self.instant();
                self.flows[flow].in_flight.give_up();
                self.flows[flow].controller.restart(now);
                self.send(flow);
            }
            Event::Tick => self.on_tick(),
        }
    }

    fn send(&mut self, at: usize) {
        let now = self.instant();
        let mut gone = 0;
        while self.flows[at].demand && gone < self.flows[at].controller.quantum() {
            let flow = &mut self.flows[at];
            if !flow.controller.is_open(flow.in_flight.bytes(), now) {
                break;
            }
            let number = flow.in_flight.next_number();
            flow.in_flight.push(now, SIZE, Purpose::Ordinary, &[], None);
            flow.controller.on_sent(SIZE, now);
            flow.offered += ON_LINE * 8;
            gone += SIZE;
            self.enqueue(at, number);
        }
        let flow = &mut self.flows[at];
        if !flow.demand {
            return;
        }
        let next = flow.controller.next_open();
        let wait = next.saturating_duration_since(now).as_nanos() as u64;
        let due = self.now
            + wait
            + if wait > 0 {
                self.line.late * 1000
            } else {
                20_000
            };
        if (wait > 0 || gone > 0) && flow.send_at > due {
            flow.send_at = due;
            self.push(due, Event::Send(at));
        }
    }

    fn enqueue(&mut self, flow: usize, number: u64) {
        if let Some((rate, burst)) = self.line.policer {
            let most = rate * 1000.0 / 8.0 * burst;
            let earned = (self.now - self.token_time) as f64 * rate / 8000.0;
            self.tokens = (self.tokens + earned).min(most);
            self.token_time = self.now;
            if self.tokens < ON_LINE as f64 {
                return;
            }
            self.tokens -= ON_LINE as f64;
        }
        let rate = at_time(&self.line.rate, self.now);
        let room = rate * 1000.0 / 8.0 * self.line.buffer;
        if (self.queue.len() as u64 * ON_LINE) as f64 > room {
            return;
        }
        self.queue.push_back((flow, number));
        if !std::mem::replace(&mut self.serving, true) {
            self.serve();
        }
    }

    fn serve(&mut self) {
        let rate = at_time(&self.line.rate, self.now);
        let takes = (ON_LINE as f64 * 8000.0 / rate) as u64;
        self.push(self.now + takes, Event::Served);
    }

    fn on_served(&mut self) {
        let (flow, number) = self.queue.pop_front().expect("one is being served");
        self.serving = !self.queue.is_empty();
        if self.serving {
            self.serve();
        }
        self.flows[flow].carried += ON_LINE * 8;
        if self.rng.unit() < self.line.loss {
            return;
        }
        let jitter = match self.line.jitter {
            Jitter::None => 0.0,
            Jitter::Uniform(most) => most * self.rng.unit(),
            Jitter::Exponential(mean) => -mean * (1.0 - self.rng.unit()).ln(),
        };
        let delay = at_time(&self.line.round_trip, self.now) / 2.0 + jitter;
        let arrival = self.now + (delay * MS as f64) as u64;
        let arrival = arrival.max(self.flows[flow].last_arrival);
        self.flows[flow].last_arrival = arrival;
        self.push(arrival, Event::Arrived { flow, number });
    }

    fn on_wake(&mut self, at: usize) {
        let now = self.instant();
        let flow = &mut self.flows[at];
        flow.wake = false;
        for number in flow.pending.drain(..) {
            flow.acks.on_datagram(number, SIZE, now);
            flow.acks.on_eliciting(false, false, now);
        }
        self.acknowledge(at);
    }

    fn acknowledge(&mut self, at: usize) {
        let now = self.instant();
        let start = self.start;
        let flow = &mut self.flows[at];
        let Some(due) = flow.acks.due() else { return };
        if due > now {
            let due = self.now + due.duration_since(now).as_nanos() as u64;
            if flow.ack_at <= self.now || flow.ack_at > due {
                flow.ack_at = due;
                self.push(due, Event::AckDue(at));
            }
            return;
        }
        // A receiver's clock of its own, close to where it wraps.
        let theirs = start - Duration::from_micros(u64::from(u32::MAX) - 3_000_000);
        let header = flow.acks.header(1, now, theirs).expect("something arrived");
        let ranges = flow.acks.ranges().collect();
        flow.acks.on_sent(now);
        if self.rng.unit() < self.line.loss {
            return;
        }
        let back = at_time(&self.line.round_trip, self.now) / 2.0 * MS as f64;
        self.push(self.now + back as u64, Event::Acked(at, header, ranges));
    }

    fn on_ack(&mut self, at: usize, header: &AckHeader, ranges: Vec<RangeInclusive<u64>>) {
        let now = self.instant();
        let flow = &mut self.flows[at];
        let mut lost = Lost {
            swallowed: &mut Vec::new(),
            parts: &mut Vec::new(),
            arrived: &mut Vec::new(),
        };
        let outcome =
            flow.in_flight
                .acknowledge(ranges.into_iter(), flow.round_trip, u16::MAX, &mut lost);
        let round_trip = outcome.largest_sent_at.map(|sent| {
            let delay = Duration::from_micros(header.delay_us.into());
            now.duration_since(sent).saturating_sub(delay)
        });
        if let Some(sample) = round_trip {
            flow.round_trip = (flow.round_trip * 7 + sample) / 8;
        }
        let sample = AckSample {
            received_bytes: header.received_bytes,
            arrival_us: header.arrival_us,
            newly_acked: outcome.newly_acked,
            lost: outcome.lost,
            largest_sent_at: outcome.largest_sent_at,
            in_flight: flow.in_flight.bytes(),
            round_trip,
        };
        flow.controller.on_ack(&sample, now);
        self.send(at);
    }

    fn on_tick(&mut self) {
        let capacity = at_time(&self.line.rate, self.now);
        let mut tick = Tick {
            queue: self.queue.len() as f64 * ON_LINE as f64 * 8.0 / capacity / 1000.0,
            capacity,
            ..Tick::default()
        };
        for flow in &mut self.flows {
            tick.carried.push(std::mem::take(&mut flow.carried));
            tick.offered.push(std::mem::take(&mut flow.offered));
            let c = &flow.controller;
            tick.estimate.push(c.bandwidth() as f64 * 8e-6);
        }
        self.ticks.push(tick);
        self.push(self.now + MS, Event::Tick);
    }
}
