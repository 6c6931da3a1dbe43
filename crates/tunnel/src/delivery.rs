//! What acknowledgements with the receiver's time say about a path: how fast it delivers, and how long its queue is.

use std::{collections::VecDeque, time::Instant};

use crate::minima::Minima;

/// Shortest time that a rate is taken over, µs: receivers read the time once per wake-up, senders send in bursts, and either
/// error should stay within a few per cent.
const SHORTEST: i64 = 40_000;
/// Longest, µs.
const LONGEST: i64 = 240_000;
/// A rate is taken over this many times the delay's jitter.
const PER_JITTER: i64 = 25;
/// How far the delay at the ends of an interval may be from its mean, in jitters.
const PER_END: f64 = 4.5;
/// Datagrams that a rate takes on a busy line.
const DATAGRAMS: i64 = 16;
/// Datagrams that a rate takes at least.
const LEAST_DATAGRAMS: u64 = 4;
/// Points kept: those of three intervals.
const MAX_POINTS: usize = 64;
/// A greater bend is a queue gone or a path moved, µs.
const MOST_BEND: i64 = 40_000;
/// Delays that tell the jitter.
const ENOUGH_DELAYS: u32 = 6;
/// Distance of the delays that jitter is taken from, µs.
const JITTER_SPACING: i64 = 5_000;

/// A path's one-way delay against an unknown offset, which is the same for all paths of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelativeDelay(u32);

impl RelativeDelay {
    /// How much longer this delay is than `other`, in µs; negative when it is shorter.
    pub(crate) fn beyond(self, other: Self) -> i64 {
        i64::from(self.0.wrapping_sub(other.0) as i32)
    }
}

/// What one acknowledgement tells about arrivals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrivals {
    /// Bytes on the line that arrived since the last acknowledgement.
    pub bytes: u64,
    /// Datagrams that arrived, and that were lost, since then.
    pub acked: u32,
    /// See `acked`.
    pub lost: u32,
    /// The receiver's clock when the largest number arrived: µs, wrapping.
    pub arrival_us: u32,
    /// When the largest number was sent, if that is known.
    pub sent_at: Option<Instant>,
}

/// How fast datagrams left and arrived over a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Bytes per second that arrived.
    pub arrived: u64,
    /// Bytes per second at which those that arrived were sent.
    pub left: u64,
    /// Bytes per second that were sent, those that were lost included.
    pub sent: u64,
    /// Relative delay at the beginning, µs.
    delay: i64,
}

impl Rate {
    /// What the path delivered for certain: arrivals bunch behind whatever held them up.
    pub(crate) fn delivered(&self) -> u64 {
        self.arrived.min(self.left)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    bytes: u64,
    acked: u64,
    lost: u64,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    sent: i64,
    arrived: i64,
    delay: i64,
    totals: Totals,
}

/// Rates and delays of one path, all in the receiver's time.
#[derive(Debug)]
pub(crate) struct Delivery {
    epoch: Instant,
    totals: Totals,
    /// The receiver's clock, unwrapped.
    clock: Option<(u32, i64)>,
    points: VecDeque<Point>,
    /// The first delay seen: the others are kept as their distance to it.
    reference: Option<u32>,
    latest: i64,
    /// Delay, EWMA.
    smoothed: i64,
    jitter: Jitter,
    least_interval: i64,
    base: Minima<10>,
    recent: Minima<26>,
}

impl Delivery {
    /// `epoch`: common to all paths of a peer, so that their delays compare.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            totals: Totals::default(),
            clock: None,
            points: VecDeque::with_capacity(MAX_POINTS),
            reference: None,
            latest: 0,
            smoothed: 0,
            jitter: Jitter::default(),
            least_interval: 0,
            base: Minima::new(1_000_000),
            recent: Minima::new(10_000),
        }
    }

    /// Microseconds since the epoch.
    pub(crate) fn micros(&self, at: Instant) -> i64 {
        at.saturating_duration_since(self.epoch).as_micros() as i64
    }

    /// Takes an acknowledgement that is newer than the last; gives a rate when it ends an interval.
    pub(crate) fn on_arrivals(&mut self, arrivals: &Arrivals) -> Option<Rate> {
        self.totals.bytes += arrivals.bytes;
        self.totals.acked += u64::from(arrivals.acked);
        self.totals.lost += u64::from(arrivals.lost);
        let arrived = match self.clock {
            None => 0,
            Some((raw, arrived)) => arrived + i64::from(arrivals.arrival_us.wrapping_sub(raw)),
        };
        self.clock = Some((arrivals.arrival_us, arrived));
        let sent = self.micros(arrivals.sent_at?);
        self.on_delay(arrivals.arrival_us.wrapping_sub(sent as u32), arrived);
        self.rate(Point {
            sent,
            arrived,
            delay: self.latest,
            totals: self.totals,
        })
    }

    fn on_delay(&mut self, raw: u32, arrived: i64) {
        let reference = *self.reference.get_or_insert(raw);
        let delay = i64::from(raw.wrapping_sub(reference) as i32);
        self.latest = delay;
        self.base.add(delay, arrived);
        self.recent.add(delay, arrived);
        self.smoothed += (delay - self.smoothed) / 8;
        self.jitter.add(delay, arrived);
    }

    fn rate(&mut self, point: Point) -> Option<Rate> {
        let interval = self.interval();
        let rate = self.rate_over(&point, interval);
        // The oldest point kept is an interval older than the start of any rate.
        while self
            .points
            .get(1)
            .is_some_and(|next| point.arrived - next.arrived > 2 * interval)
        {
            self.points.pop_front();
        }
        let spacing = 3 * interval / MAX_POINTS as i64;
        if self
            .points
            .back()
            .is_none_or(|last| point.arrived - last.arrived >= spacing)
        {
            if self.points.len() == MAX_POINTS {
                self.points.pop_front();
            }
            self.points.push_back(point);
        }
        rate
    }

    /// The rate up to `end`, from at least `micros` before.
    fn rate_over(&self, end: &Point, micros: i64) -> Option<Rate> {
        let later = self
            .points
            .partition_point(|start| end.arrived - start.arrived >= micros);
        let start = self.points.get(later.checked_sub(1)?)?;
        let enough = end.sent - start.sent >= micros / 2
            && end.totals.acked - start.totals.acked >= LEAST_DATAGRAMS;
        enough.then(|| between(start, end))
    }

    /// The rate over about half an interval, for what changes fast.
    pub(crate) fn short_rate(&self) -> Option<Rate> {
        self.rate_over(self.points.back()?, self.interval() / 2)
    }

    /// The rate of what was sent in a period, if half of it or more is known: µs since the epoch.
    pub(crate) fn rate_of(&self, from: i64, to: i64) -> Option<Rate> {
        let first = self.points.partition_point(|point| point.sent < from);
        let behind = self.points.partition_point(|point| point.sent <= to);
        let start = self.points.get(first)?;
        let end = self.points.get(behind.checked_sub(1)?)?;
        (end.sent - start.sent >= (to - from) / 2).then(|| between(start, end))
    }

    /// The time that a rate is taken over, µs.
    pub(crate) fn interval(&self) -> i64 {
        (self.jitter.micros() * PER_JITTER)
            .max(self.least_interval)
            .clamp(SHORTEST, LONGEST)
    }

    /// Whether enough was seen to tell a queue from jitter.
    pub(crate) fn knows_jitter(&self) -> bool {
        self.jitter.seen >= ENOUGH_DELAYS
    }

    /// How much of a rate over `micros` may be due to jitter.
    pub(crate) fn noise(&self, micros: i64) -> f64 {
        PER_END * self.jitter.micros() as f64 / micros as f64
    }

    /// How long the line takes for a datagram, µs: rates are taken over a few of them.
    pub(crate) fn set_datagram_time(&mut self, micros: i64) {
        self.least_interval = DATAGRAMS * micros;
    }

    /// How much neighbouring delays differ, µs; a queue that grows or shrinks steadily does not count.
    pub(crate) fn jitter(&self) -> i64 {
        self.jitter.micros()
    }

    /// The queue that stood for the last half interval: its least delay above the base, µs.
    pub(crate) fn standing(&self) -> i64 {
        self.stood_for(self.interval() / 2)
    }

    /// The queue that stood for a time in µs.
    pub(crate) fn stood_for(&self, micros: i64) -> i64 {
        let least = self.recent.least(micros);
        (least.unwrap_or(self.latest) - self.floor()).max(0)
    }

    /// The queue when a rate began, µs.
    pub(crate) fn before(&self, rate: &Rate) -> i64 {
        rate.delay - self.floor()
    }

    /// The present queue: the smoothed delay above the base, µs.
    pub(crate) fn present(&self) -> i64 {
        (self.smoothed - self.floor()).max(0)
    }

    /// The delay now, smoothed.
    pub(crate) fn delay(&self) -> Option<RelativeDelay> {
        let reference = self.reference?;
        Some(RelativeDelay(reference.wrapping_add(self.smoothed as u32)))
    }

    fn floor(&self) -> i64 {
        self.base.least(i64::MAX).unwrap_or(self.latest)
    }

    /// Forgets delays and what is on its way, for a path that came back or leads elsewhere.
    pub(crate) fn start_again(&mut self) {
        *self = Self {
            clock: self.clock,
            totals: self.totals,
            ..Self::new(self.epoch)
        };
    }
}

fn between(start: &Point, end: &Point) -> Rate {
    let bytes = end.totals.bytes - start.totals.bytes;
    let acked = (end.totals.acked - start.totals.acked).max(1);
    let lost = end.totals.lost - start.totals.lost;
    let sending = (end.sent - start.sent).max(1) as u64;
    let arriving = (end.arrived - start.arrived).max(1) as u64;
    let sent = bytes + bytes / acked * lost;
    Rate {
        arrived: per_second(bytes, arriving),
        left: per_second(bytes, sending),
        sent: per_second(sent, sending),
        delay: start.delay,
    }
}

fn per_second(bytes: u64, micros: u64) -> u64 {
    bytes.saturating_mul(1_000_000) / micros
}

/// Mean bend of the delay: half its second difference, which a queue that grows steadily does not have.
#[derive(Clone, Copy, Debug, Default)]
struct Jitter {
    last: i64,
    before: i64,
    at: i64,
    seen: u32,
    /// Sixteenths of µs.
    mean: i64,
}

impl Jitter {
    fn add(&mut self, delay: i64, arrived: i64) {
        if self.seen > 0 && arrived - self.at < JITTER_SPACING {
            return;
        }
        if self.seen >= 2 {
            let bend = ((delay - 2 * self.last + self.before).abs() / 2).min(MOST_BEND);
            let weight = i64::from(self.seen - 1).min(16);
            self.mean += (16 * bend - self.mean) / weight;
        }
        self.seen = self.seen.saturating_add(1);
        (self.before, self.last, self.at) = (self.last, delay, arrived);
    }

    fn micros(&self) -> i64 {
        self.mean / 16
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn arrivals(arrival_us: u32, sent_at: Instant) -> Arrivals {
        Arrivals {
            bytes: 5_000,
            acked: 5,
            lost: 0,
            arrival_us,
            sent_at: Some(sent_at),
        }
    }

    /// Sends 5 kB every `sent` µs and lets them arrive every `arrived` µs, on a clock that wraps on the way.
    fn steady(sent: u64, arrived: u32) -> (Delivery, Option<Rate>) {
        let start = epoch();
        let mut delivery = Delivery::new(start);
        let mut rate = None;
        for n in 0..100u32 {
            let at = start + Duration::from_micros(sent * u64::from(n));
            let clock = (u32::MAX - 200_000).wrapping_add(n * arrived);
            rate = delivery.on_arrivals(&arrivals(clock, at)).or(rate);
        }
        (delivery, rate)
    }

    #[test]
    fn rates_are_those_of_both_ends_across_a_wrap_of_the_clock() {
        let (delivery, rate) = steady(5_000, 10_000);
        let rate = rate.expect("enough was sent");
        assert_eq!((rate.arrived, rate.left), (500_000, 1_000_000));
        assert_eq!(rate.delivered(), 500_000);
        let (queue, expected) = (delivery.standing(), 99 * 5_000);
        assert!(
            (expected - 60_000..=expected).contains(&queue),
            "{queue} µs"
        );
        assert!(delivery.jitter() < 100, "a growing queue is no jitter");
    }

    #[test]
    fn what_bunches_on_arrival_was_not_faster_than_it_was_sent() {
        let (_, rate) = steady(10_000, 5_000);
        assert_eq!(rate.expect("enough was sent").delivered(), 500_000);
    }

    #[test]
    fn delays_of_two_paths_compare_whatever_the_clocks_say() {
        let start = epoch();
        let delay = |arrival_us| {
            let mut delivery = Delivery::new(start);
            delivery.on_arrivals(&arrivals(arrival_us, start));
            delivery.delay().expect("one was seen")
        };
        let (near, far) = (delay(u32::MAX - 5), delay(994));
        assert_eq!((far.beyond(near), near.beyond(far)), (1_000, -1_000));
    }
}
