//! A line between two uplinks: what each direction does to the packets that enter it.

use std::time::{Duration, Instant};

use rand::{RngExt as _, rngs::ChaCha8Rng};

/// Loss in bursts (the model of Gilbert): a good state without loss and a bad one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Chance per packet to enter the bad state.
    pub enter: f64,
    /// Chance per packet to leave it.
    pub leave: f64,
    /// Chance to lose a packet in it.
    pub loss: f64,
}

/// How one direction of a line behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// One-way delay.
    pub delay: Duration,
    /// More delay for each packet, uniform from nothing to this; without `overtaking` it never reorders.
    pub jitter: Duration,
    /// More delay for each packet, exponential with this mean; likewise.
    pub exponential: Duration,
    /// Packets with more jitter are overtaken by those with less.
    pub overtaking: bool,
    /// Bits per second of IP packets; 0: without limit.
    pub rate: u64,
    /// Bytes that wait for the line at most; what comes then is dropped.
    pub queue: usize,
    /// Share of packets lost at random.
    pub loss: f64,
    /// Loss in bursts besides.
    pub burst: Option<Burst>,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Share of packets that are held back for `reorder_by`.
    pub reorder: f64,
    /// See `reorder`.
    pub reorder_by: Duration,
    /// Longer IP packets vanish, bytes.
    pub mtu: u16,
    /// Everything vanishes.
    pub cut: bool,
}

impl Shape {
    /// A faultless line of this one-way delay, 1500 bytes MTU, without a rate.
    #[must_use]
    pub const fn clean(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            exponential: Duration::ZERO,
            overtaking: false,
            rate: 0,
            queue: 1 << 20,
            loss: 0.0,
            burst: None,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            mtu: 1500,
            cut: false,
        }
    }

    /// The same with a rate in bit/s and a queue of 50 ms of it (at least 30 kB).
    #[must_use]
    pub const fn with_rate(self, rate: u64) -> Self {
        let queue = rate / 8 / 20;
        let queue = if queue < 30_000 {
            30_000
        } else {
            queue as usize
        };
        Self {
            rate,
            queue,
            ..self
        }
    }

    /// The same with a queue that takes this long to empty, at least 30 kB.
    #[must_use]
    pub const fn with_buffer(self, time: Duration) -> Self {
        let queue = (self.rate / 8) as u128 * time.as_micros() / 1_000_000;
        let queue = if queue < 30_000 {
            30_000
        } else {
            queue as usize
        };
        Self { queue, ..self }
    }
}

/// One direction: its shape and what it is doing.
#[derive(Clone, Copy, Debug)]
pub struct Direction {
    /// How it behaves; see [`Self::reshape`].
    pub shape: Shape,
    free_at: Option<Instant>,
    last_arrival: Option<Instant>,
    bad: bool,
    /// Packets that went in and came out.
    pub carried: u64,
    /// Bytes of these.
    pub carried_bytes: u64,
    /// Bytes of IP packets that entered, lost ones too.
    pub offered_bytes: u64,
    /// Packets that vanished.
    pub lost: u64,
}

impl Direction {
    /// An idle one.
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self {
            shape,
            free_at: None,
            last_arrival: None,
            bad: false,
            carried: 0,
            carried_bytes: 0,
            offered_bytes: 0,
            lost: 0,
        }
    }

    /// When an IP packet of `size` bytes that enters now comes out; none: lost, two: duplicated.
    pub fn transmit(
        &mut self,
        size: usize,
        now: Instant,
        rng: &mut ChaCha8Rng,
    ) -> [Option<Instant>; 2] {
        self.offered_bytes += size as u64;
        if self.loses(size, rng) {
            self.lost += 1;
            return [None, None];
        }
        let Some(leaves) = self.enqueue(size, now) else {
            self.lost += 1;
            return [None, None];
        };
        self.carried += 1;
        self.carried_bytes += size as u64;
        let first = self.arrival(leaves, rng);
        let twice = self.shape.duplicate > 0.0 && rng.random_bool(self.shape.duplicate);
        let second = twice.then(|| first + Duration::from_micros(rng.random_range(0..20_000)));
        [Some(first), second]
    }

    fn loses(&mut self, size: usize, rng: &mut ChaCha8Rng) -> bool {
        let shape = &self.shape;
        if shape.cut || size > usize::from(shape.mtu) {
            return true;
        }
        if let Some(burst) = shape.burst {
            let change = if self.bad { burst.leave } else { burst.enter };
            self.bad ^= rng.random_bool(change);
            if self.bad && rng.random_bool(burst.loss) {
                return true;
            }
        }
        shape.loss > 0.0 && rng.random_bool(shape.loss)
    }

    /// When the last bit is on the line; `None` when the queue is full.
    fn enqueue(&mut self, size: usize, now: Instant) -> Option<Instant> {
        if self.shape.rate == 0 {
            return Some(now);
        }
        if self.waiting(now) > self.shape.queue as u64 {
            return None;
        }
        let start = self.free_at.map_or(now, |free| free.max(now));
        let leaves = start + Duration::from_nanos(size as u64 * 8_000_000_000 / self.shape.rate);
        self.free_at = Some(leaves);
        Some(leaves)
    }

    /// Bytes in the queue.
    #[must_use]
    pub fn waiting(&self, now: Instant) -> u64 {
        let busy = self
            .free_at
            .map_or(Duration::ZERO, |free| free.saturating_duration_since(now));
        (busy.as_nanos() * u128::from(self.shape.rate) / 8_000_000_000) as u64
    }

    /// Changes the shape; what is in the queue leaves at the new rate.
    pub fn reshape(&mut self, change: impl Fn(&mut Shape), now: Instant) {
        let waiting = self.waiting(now);
        change(&mut self.shape);
        let left = (waiting * 8_000_000_000)
            .checked_div(self.shape.rate)
            .unwrap_or(0);
        self.free_at = Some(now + Duration::from_nanos(left));
    }

    fn arrival(&mut self, leaves: Instant, rng: &mut ChaCha8Rng) -> Instant {
        let shape = &self.shape;
        let mut at = leaves + shape.delay;
        if !shape.jitter.is_zero() {
            at += shape.jitter.mul_f64(rng.random_range(0.0..1.0));
        }
        if !shape.exponential.is_zero() {
            at += shape
                .exponential
                .mul_f64(-rng.random_range(f64::EPSILON..1.0).ln());
        }
        if shape.reorder > 0.0 && rng.random_bool(shape.reorder) {
            return at + shape.reorder_by;
        }
        if !shape.overtaking {
            at = self.last_arrival.map_or(at, |last| at.max(last));
            self.last_arrival = Some(at);
        }
        at
    }
}

/// A line: two ends, each a machine and one of its uplinks; direction `n` leads away from end `n`.
#[derive(Clone, Debug)]
pub struct Line {
    /// Machine and uplink at both ends.
    pub ends: [(usize, u8); 2],
    /// What happens on the way from each end.
    pub directions: [Direction; 2],
}

impl Line {
    /// A line that behaves alike in both directions.
    #[must_use]
    pub const fn new(ends: [(usize, u8); 2], shape: Shape) -> Self {
        Self {
            ends,
            directions: [Direction::new(shape), Direction::new(shape)],
        }
    }

    /// Changes the shape of both directions.
    pub fn reshape(&mut self, change: impl Fn(&mut Shape)) {
        self.directions
            .iter_mut()
            .for_each(|direction| change(&mut direction.shape));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn rate_and_queue_delay_and_drop() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = Instant::now();
        let shape = Shape {
            rate: 8_000_000,
            queue: 3000,
            ..Shape::clean(Duration::from_millis(5))
        };
        let mut direction = Direction::new(shape);
        let arrivals: Vec<_> = (0..6)
            .map(|_| direction.transmit(1000, now, &mut rng)[0])
            .collect();
        let at = |ms| Some(now + Duration::from_millis(ms));
        assert_eq!(arrivals, [at(6), at(7), at(8), at(9), None, None]);
        assert_eq!(direction.transmit(1501, now, &mut rng), [None, None]);
    }

    #[test]
    fn jitter_does_not_reorder_unless_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = Instant::now();
        let jitter = Duration::from_millis(30);
        let ordered = |overtaking: bool, rng: &mut ChaCha8Rng| {
            let shape = Shape {
                jitter,
                overtaking,
                ..Shape::clean(Duration::ZERO)
            };
            let mut direction = Direction::new(shape);
            let step = Duration::from_millis(1);
            let arrivals: Vec<_> = (0..100)
                .map(|n| direction.transmit(100, now + step * n, rng)[0])
                .collect();
            arrivals.is_sorted()
        };
        assert!(ordered(false, &mut rng));
        assert!(!ordered(true, &mut rng));
    }

    #[test]
    fn exponential_jitter_has_its_mean_and_keeps_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = Instant::now();
        let shape = Shape {
            exponential: Duration::from_millis(10),
            ..Shape::clean(Duration::ZERO)
        };
        let (packets, step) = (10_000, Duration::from_millis(500));
        let mut direction = Direction::new(shape);
        let mut sum = Duration::ZERO;
        for n in 0..packets {
            let sent = now + step * n;
            sum += direction.transmit(100, sent, &mut rng)[0].unwrap() - sent;
        }
        let mean = (sum / packets).as_secs_f64() * 1e3;
        assert!((9.5..10.5).contains(&mean), "{mean}");
        let close = Duration::from_micros(100);
        let mut direction = Direction::new(shape);
        let arrivals: Vec<_> = (0..1000)
            .map(|n| direction.transmit(100, now + close * n, &mut rng)[0])
            .collect();
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn a_buffer_of_a_time_adds_that_delay_at_most() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let now = Instant::now();
        let buffer = Duration::from_millis(200);
        let shape = Shape::clean(Duration::ZERO).with_rate(20_000_000);
        let mut direction = Direction::new(shape.with_buffer(buffer));
        let arrivals: Vec<_> = (0..1000)
            .filter_map(|_| direction.transmit(1500, now, &mut rng)[0])
            .collect();
        let most = *arrivals.last().unwrap() - now;
        assert!(
            most >= buffer && most <= buffer + Duration::from_millis(2),
            "{most:?}"
        );
        assert_eq!(direction.offered_bytes, 1_500_000);
        assert_eq!(direction.carried_bytes, 1500 * arrivals.len() as u64);
    }
}
