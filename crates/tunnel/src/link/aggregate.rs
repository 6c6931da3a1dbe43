//! The aggregating mode: sparse flows at once on the quickest path, bulk paced and spread over as many as it takes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use wire::payload::Order;

use crate::{
    drops::Drop,
    egress::Egress,
    flows::Flows,
    inflight::{COPY, Carried},
    params::{ORDER_LINGER, STRIPE_LINGER},
    path::Path,
    queue::QueueCounters,
    record::Record,
    stripes::{Line, Stripes},
};

use super::{Context, Link, again::Again};

/// What the paths carried so long ago still counts: a line that is back within it finds its senders as they were…
const CAPACITY_LIFE: Duration = Duration::from_secs(10);
/// …as more is let stand in the meantime, up to so many times as much.
const SHRUNK_MOST: u64 = 4;
/// A path must be quicker than the present one by this for sparse flows to move to it.
const QUICKER_US: i64 = 2_000;
/// Share of datagrams lost above which what a path lost is sent again, though bulk goes on no other.
const WORTH_SENDING_AGAIN: f64 = 0.000_5;
/// Bounds of the standing delay that the queue tolerates, half a round trip, and of how long it tolerates more, three (RFC
/// 8289 §4.3, §4.4): a single TCP must not empty the queue when it halves its window. Nobody waits but who fills it.
const TARGET: (Duration, Duration) = (Duration::from_millis(15), Duration::from_millis(40));
const INTERVAL: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(300));
/// A path that joins is measured once its queue is shorter than this, or after this time at the latest.
const SETTLED: Duration = Duration::from_millis(4);
const SETTLE_WITHIN: Duration = Duration::from_millis(1500);
/// An open datagram may wait for the next bite for so long.
const PATIENCE: Duration = Duration::from_millis(2);

/// What the mode needs besides the paths.
pub(super) struct Aggregate {
    secret: u64,
    /// Made when something waits for the first time, freed when the session is quiet.
    egress: Option<Box<Egress>>,
    flows: Flows,
    pub stripes: Stripes,
    /// Parts of records to be sent again, oldest first.
    pub again: VecDeque<Again>,
    /// The path of sparse flows.
    quick: Option<usize>,
    /// When there were last two ways to send.
    spread: Option<Instant>,
    dropped: QueueCounters,
    /// The most that the paths carried lately, bytes per second, and when.
    capacity: Option<(u64, Instant)>,
}

impl Aggregate {
    pub(super) fn new(secret: u64, now: Instant) -> Self {
        Self {
            secret,
            egress: None,
            flows: Flows::default(),
            stripes: Stripes::new(now),
            again: VecDeque::new(),
            quick: None,
            spread: None,
            dropped: QueueCounters::default(),
            capacity: None,
        }
    }

    pub(super) fn memory(&self) -> usize {
        let egress = self.egress.as_ref().map_or(0, |egress| egress.memory());
        egress + self.flows.memory() + self.again.capacity() * size_of::<Again>()
    }

    /// Frees what an idle session does not need.
    pub(super) fn release(&mut self) {
        if !self.has_bulk() {
            self.egress = None;
            self.dropped = QueueCounters::default();
        }
        self.flows.release();
        self.again.shrink_to_fit();
    }

    /// Whether anything waits for a path.
    pub(super) fn has_backlog(&self) -> bool {
        !self.again.is_empty() || self.has_bulk()
    }

    /// Whether bulk that was not sent yet does.
    fn has_bulk(&self) -> bool {
        let egress = self.egress.as_ref();
        egress.is_some_and(|egress| !egress.is_empty())
    }

    /// How many times what they carry now the paths carried lately, rounded up; 1 to [`SHRUNK_MOST`], 1 also for little more.
    fn shrunk(&mut self, capacity: u64, now: Instant) -> u32 {
        let (most, at) = self.capacity.unwrap_or((0, now));
        let fresh = now.saturating_duration_since(at) < CAPACITY_LIFE;
        if capacity + capacity / 4 >= most || !fresh {
            if capacity >= most || !fresh {
                self.capacity = Some((capacity, now));
            }
            return 1;
        }
        most.div_ceil(capacity.max(1)).clamp(1, SHRUNK_MOST) as u32
    }

    pub(super) fn is_spreading(&self, now: Instant) -> bool {
        self.spread
            .is_some_and(|at| now.saturating_duration_since(at) < STRIPE_LINGER)
    }

    fn push(&mut self, record: &Record<'_>, now: Instant) {
        let secret = self.secret;
        self.egress
            .get_or_insert_with(|| Box::new(Egress::new(secret)))
            .push(record, now);
    }
}

impl Link {
    /// Whether bulk is paced and ordered now: in the aggregating mode, as long as there is, or was lately, more than one way.
    pub(super) fn is_spreading(&self, now: Instant) -> bool {
        self.aggregate
            .as_ref()
            .is_some_and(|aggregate| aggregate.is_spreading(now))
    }

    /// Whether records may be ordered.
    pub(crate) fn takes_ordered(&self) -> bool {
        self.takes_ordered
    }

    /// Bytes that wait for a path.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let aggregate = self.aggregate.as_ref();
        let egress = aggregate.and_then(|aggregate| aggregate.egress.as_ref());
        egress.map_or(0, |egress| egress.bytes())
    }

    /// What a path carries in our direction, bits per second of IP packets; `None`: not seen yet.
    pub(crate) fn capacity(&self, path: usize) -> Option<u64> {
        let path = &self.paths[path];
        let bandwidth = path.usable().then(|| path.pacing.bandwidth())?;
        Some(bandwidth * 8).filter(|_| !path.pacing.is_startup())
    }

    /// Whether bulk would only suffer from `path`.
    pub(crate) fn is_useless(&self, path: usize) -> bool {
        self.aggregate
            .as_ref()
            .is_some_and(|aggregate| aggregate.stripes.is_useless(path))
    }

    /// Takes the ranking in: call after [`Link::rank`] has changed it.
    pub(super) fn rank_stripes(&mut self, now: Instant) {
        let Some(aggregate) = &mut self.aggregate else {
            return;
        };
        let set = self.scheduler.set();
        let limited = |&path: &usize| self.paths[path].pacing.is_limited();
        let ways = set.len() + self.scheduler.overflow().len();
        if ways > 1 || set.iter().any(limited) {
            aggregate.spread = Some(now);
        }
        let paths = &self.paths;
        let delay = |&path: &usize| relative_delay(paths, path);
        let quickest = set
            .iter()
            .copied()
            .min_by_key(|path| delay(path).unwrap_or(i64::MAX));
        let stays = aggregate
            .quick
            .filter(|quick| set.contains(quick))
            .filter(|quick| {
                let best = quickest.as_ref().and_then(delay);
                let present = delay(quick);
                best.zip(present)
                    .is_some_and(|(best, present)| present < best + QUICKER_US)
            });
        aggregate.quick = stays.or(quickest);
        self.update_stripes(now);
    }

    /// Lets the demand decide how many paths bulk is spread over.
    fn update_stripes(&mut self, now: Instant) {
        let Some(aggregate) = &mut self.aggregate else {
            return;
        };
        let mut lines = [Line::default(); crate::params::MAX_PATHS];
        let (set, overflow) = (self.scheduler.set(), self.scheduler.overflow());
        let count = set.len() + overflow.len();
        for (at, (line, &path)) in lines.iter_mut().zip(set.iter().chain(overflow)).enumerate() {
            let pacing = &self.paths[path].pacing;
            *line = Line {
                path,
                bandwidth: pacing.bandwidth(),
                settled: !pacing.is_startup(),
                round_trip_us: self.paths[path].round_trip().as_micros() as u64,
                delay_us: relative_delay(&self.paths, path),
                overflow: at >= set.len(),
            };
        }
        let lines = &lines[..count];
        if aggregate.stripes.update(lines, now) {
            self.status.changed(now);
        }
        let members = aggregate.stripes.members().iter();
        let slowest = members.map(|&path| self.paths[path].round_trip()).max();
        let slowest = slowest.unwrap_or_default();
        let capacity: u64 = lines[..set.len()].iter().map(|line| line.bandwidth).sum();
        let shrunk = aggregate.shrunk(capacity, now);
        // What waits calls for another path only when it waits for longer than that one takes.
        let later = Duration::from_micros(aggregate.stripes.next_is_later(lines).unwrap_or(0));
        let more = if shrunk > 1 { shrunk + 1 } else { 1 };
        let target = (slowest / 2).clamp(TARGET.0, TARGET.1) * more;
        let target = target.max(later * 3 / 2);
        let interval = (slowest * 3).clamp(INTERVAL.0, INTERVAL.1) * shrunk;
        if let Some(egress) = &mut aggregate.egress {
            egress.set_patience(target, interval);
        }
    }

    /// Sends or queues one record in the aggregating mode.
    pub(super) fn send_spread(&mut self, record: &Record<'_>, context: &mut Context<'_>) {
        let now = context.now;
        let capacity = self.bulk_capacity();
        let Some(aggregate) = &mut self.aggregate else {
            return;
        };
        let bulk = aggregate
            .flows
            .is_bulk(record.flow, record.bytes.len(), capacity, now)
            || aggregate.flows.is_ordered(record.flow, now);
        if !bulk {
            if let Some(path) = aggregate.quick {
                self.transmit(path, record.bytes, record.vnet, record.flow, false, context);
            }
            return;
        }
        if !aggregate.has_backlog() {
            let open = self.open_stripe(now);
            let fits = |path: &usize| record.bytes.len() <= self.paths[*path].pacing.quantum();
            if let Some(path) = open.filter(fits) {
                self.transmit_bulk(path, record.bytes, record.vnet, record.flow, context);
                return;
            }
        }
        if let Some(aggregate) = &mut self.aggregate {
            aggregate.push(record, now);
        }
        self.pump(context);
    }

    /// Sends what waits, as far as the paths' pacing lets it.
    pub(super) fn pump(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let waits = |link: &Self| {
            link.aggregate
                .as_deref()
                .is_some_and(Aggregate::has_backlog)
        };
        while waits(self) {
            let Some(path) = self.open_stripe(now) else {
                break;
            };
            let again = self.quickest_arrival(now) == Some(path) && self.send_again(path, context);
            if !again && !self.send_bite(path, context) {
                break;
            }
        }
        self.note_backlog(context);
        let due =
            |aggregate: &Aggregate| aggregate.is_spreading(now) && aggregate.stripes.is_due(now);
        if self.aggregate.as_deref().is_some_and(due) {
            self.update_stripes(now);
        }
    }

    /// When a path opens for what waits.
    pub(super) fn next_pump(&self, now: Instant) -> Option<Instant> {
        let aggregate = self
            .aggregate
            .as_ref()
            .filter(|aggregate| aggregate.has_backlog())?;
        if !aggregate.has_bulk() {
            // What is sent again waits for one path alone.
            let path = self.quickest_arrival(now)?;
            let open = self.paths[path].pacing.next_open();
            return Some(self.again_at().map_or(open, |at| at.max(open)));
        }
        let members = aggregate.stripes.members().iter();
        members
            .map(|&path| &self.paths[path])
            // One that is full opens with an acknowledgement.
            .filter(|path| path.has_room(now))
            .map(|path| path.pacing.next_open())
            .min()
    }

    /// Whether the open datagram of `path` may wait for more to fill it.
    pub(super) fn may_wait(&self, path: usize, now: Instant) -> bool {
        let soon = |pacing: &crate::controller::Controller| {
            let at = pacing.next_open();
            at > now && at <= now + PATIENCE
        };
        let path = &self.paths[path];
        path.waits_for_bulk()
            && soon(&path.pacing)
            && self.aggregate.as_deref().is_some_and(Aggregate::has_bulk)
    }

    /// What was sent on `path` at `sent` has arrived.
    pub(super) fn on_stripe_arrived(&mut self, path: usize, sent: Option<Instant>) {
        if let (Some(aggregate), Some(sent)) = (&mut self.aggregate, sent) {
            aggregate.stripes.on_arrived(path, sent);
        }
    }

    /// Of the paths over which bulk is spread, the one of least delay that may send now.
    fn open_stripe(&self, now: Instant) -> Option<usize> {
        let aggregate = self.aggregate.as_ref()?;
        let members = aggregate.stripes.members().iter().copied();
        members
            .filter(|&path| self.paths[path].is_open(now))
            .min_by_key(|&path| relative_delay(&self.paths, path).unwrap_or(i64::MAX))
    }

    fn bulk_capacity(&self) -> u64 {
        let set = self.scheduler.set().iter();
        set.map(|&path| self.paths[path].pacing.bandwidth()).sum()
    }

    /// Sends one bite of what waits. False: nothing does.
    fn send_bite(&mut self, path: usize, context: &mut Context<'_>) -> bool {
        let quantum = self.paths[path].pacing.quantum();
        let Some(mut egress) = self.aggregate.as_mut().and_then(|a| a.egress.take()) else {
            return false;
        };
        let bite = egress.next(quantum, context.now);
        let sent = bite.is_some();
        if let Some(bite) = bite {
            self.transmit_bulk(path, bite.bytes, bite.vnet, bite.flow, context);
            self.copy_to_joining(bite.bytes, bite.vnet, context);
        }
        if let Some(aggregate) = &mut self.aggregate {
            aggregate.egress = Some(egress);
        }
        sent
    }

    /// Sends the latest record also on the path that is about to join, if that may send.
    fn copy_to_joining(&mut self, bytes: &[u8], vnet: bool, context: &mut Context<'_>) {
        let Some(aggregate) = &mut self.aggregate else {
            return;
        };
        let now = context.now;
        let joining = aggregate.stripes.joining();
        let Some((path, since)) = joining.filter(|&(path, _)| self.paths[path].is_open(now)) else {
            return;
        };
        let pacing = &self.paths[path].pacing;
        // The queue that finding its rate makes is no part of its delay.
        let settled = !pacing.is_startup() && pacing.queue_delay() < SETTLED;
        let measures = settled || now.saturating_duration_since(since) >= SETTLE_WITHIN;
        if measures {
            aggregate.stripes.on_copied(now);
        }
        let clock = now.saturating_duration_since(self.epoch);
        let copy = Carried {
            record: self.next_record - 1,
            offset: 0,
            len: bytes.len() as u32,
            again: COPY,
            handed: false,
            ordered: measures.then(|| Order::new(clock, false).sent),
        };
        self.paths[path].append(copy, vnet, bytes, &mut context.sending());
    }

    fn transmit_bulk(
        &mut self,
        path: usize,
        bytes: &[u8],
        vnet: bool,
        flow: u32,
        context: &mut Context<'_>,
    ) {
        let until = context.now + ORDER_LINGER;
        let mut ordered = false;
        if let Some(aggregate) = &mut self.aggregate {
            aggregate.stripes.on_sent(bytes.len());
            let lossy = |loss| loss > WORTH_SENDING_AGAIN;
            let path = &self.paths[path];
            // On a fast line that loses nothing, order and sending again would be had for nothing but work.
            let spread = aggregate.stripes.members().len() > 1
                || aggregate.stripes.joining().is_some()
                || path.pacing.quantum() < usize::MAX
                || path.estimator.proven_loss().is_some_and(lossy);
            ordered =
                self.takes_ordered && (spread || aggregate.flows.is_ordered(flow, context.now));
            if ordered && spread {
                aggregate.flows.on_ordered(flow, until);
            }
        }
        self.transmit(path, bytes, vnet, flow, ordered, context);
    }

    /// Gives a record its number and puts it on `path`.
    fn transmit(
        &mut self,
        path: usize,
        bytes: &[u8],
        vnet: bool,
        flow: u32,
        ordered: bool,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        let number = self.next_record;
        self.next_record += 1;
        self.counters.tx_frames += 1;
        self.history.push(number, bytes, flow, vnet, now);
        let clock = now.saturating_duration_since(self.epoch);
        let all = Carried {
            record: number,
            offset: 0,
            len: bytes.len() as u32,
            again: 0,
            handed: false,
            ordered: ordered.then(|| Order::new(clock, false).sent),
        };
        self.paths[path].append(all, vnet, bytes, &mut context.sending());
    }

    /// Tells the machines whether something waits, and counts what the queue dropped.
    fn note_backlog(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Some(aggregate) = &mut self.aggregate else {
            return;
        };
        let blocked = aggregate.has_backlog();
        let waits = aggregate.egress.as_ref().map_or(0, |egress| egress.bytes());
        aggregate.stripes.on_backlog(waits);
        for &path in aggregate.stripes.members() {
            self.paths[path].pacing.set_backlogged(blocked, now);
        }
        if let Some(egress) = &aggregate.egress {
            let counters = egress.counters();
            let before = std::mem::replace(&mut aggregate.dropped, counters);
            let overflow = counters.overflow_drops - before.overflow_drops;
            let delay = counters.codel_drops - before.codel_drops;
            context.drops.add(Drop::EgressFull, overflow);
            context.drops.add(Drop::EgressDelay, delay);
        }
    }
}

/// The one-way delay of a path now, µs, less that of the first path of which one is known.
pub(super) fn relative_delay(paths: &[Path], path: usize) -> Option<i64> {
    let reference = paths.iter().find_map(|path| path.pacing.delay())?;
    Some(paths[path].pacing.delay()?.beyond(reference))
}

impl Path {
    /// Whether it is open, or will be when its turn comes: it is not full.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.pacing.next_open() > now || self.is_open(now)
    }

    /// Whether bulk may go on it now.
    fn is_open(&self, now: Instant) -> bool {
        self.pacing.is_open(self.flight.bytes(), now)
    }
}
