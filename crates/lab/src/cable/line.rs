//! When a frame comes out at the far end of one direction, if it does: pure, given the time.

use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::{Jitter, LineStats, Loss, Profile, QueueLimit};

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is dropped.
    Dropped,
    /// It arrives at this time.
    Arrives(Instant),
    /// It arrives twice.
    ArrivesTwice(Instant),
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Line {
    rng: ChaCha8Rng,
    /// Until then the line is busy with frames that were accepted.
    busy_until: Option<Instant>,
    last_arrival: Option<Instant>,
    bad: bool,
}

impl Line {
    pub(super) fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            rng,
            busy_until: None,
            last_arrival: None,
            bad: false,
        }
    }

    /// Puts a frame with `bytes` bytes of IP on the line.
    pub(super) fn offer(
        &mut self,
        profile: &Profile,
        bytes: usize,
        now: Instant,
        stats: &mut LineStats,
    ) -> Fate {
        stats.offered += 1;
        if profile.cut {
            stats.cut += 1;
            return Fate::Dropped;
        }
        if profile.mtu_black_hole.is_some_and(|limit| bytes > limit) {
            stats.too_big += 1;
            return Fate::Dropped;
        }
        let Some(sent) = self.serialize(profile, bytes, now) else {
            stats.queue_full += 1;
            return Fate::Dropped;
        };
        if self.is_lost(profile.loss) {
            stats.lost += 1;
            return Fate::Dropped;
        }
        let arrival = self.travel(profile, sent, stats);
        if self.chance(profile.duplicate) {
            stats.duplicated += 1;
            return Fate::ArrivesTwice(arrival);
        }
        Fate::Arrives(arrival)
    }

    /// When the last bit has been sent; `None` when the queue is full.
    fn serialize(&mut self, profile: &Profile, bytes: usize, now: Instant) -> Option<Instant> {
        let Some(rate) = profile.rate.filter(|rate| *rate > 0) else {
            self.busy_until = None;
            return Some(now);
        };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        let wait = start - now;
        let full = match profile.queue {
            QueueLimit::Time(limit) => wait > limit,
            // A frame that finds the line free is always taken.
            QueueLimit::Bytes(limit) => {
                let waiting = wait.as_secs_f64() * rate as f64 / 8.0;
                !wait.is_zero() && waiting + bytes as f64 > limit as f64
            }
        };
        if full {
            return None;
        }
        let sent = start + Duration::from_secs_f64(bytes as f64 * 8.0 / rate as f64);
        self.busy_until = Some(sent);
        Some(sent)
    }

    fn is_lost(&mut self, loss: Loss) -> bool {
        match loss {
            Loss::None => false,
            Loss::Random(probability) => self.chance(probability),
            Loss::Burst { enter, leave, loss } => {
                let turn = if self.bad { leave } else { enter };
                self.bad ^= self.chance(turn);
                self.bad && self.chance(loss)
            }
        }
    }

    fn travel(&mut self, profile: &Profile, sent: Instant, stats: &mut LineStats) -> Instant {
        if self.chance(profile.reorder) {
            stats.reordered += 1;
            return sent;
        }
        let jitter = match profile.jitter {
            Jitter::None => Duration::ZERO,
            Jitter::Uniform(most) => most.mul_f64(self.rng.random::<f64>()),
            Jitter::Exponential(mean) => {
                let uniform: f64 = self.rng.random();
                mean.mul_f64((-(1.0 - uniform).ln()).min(10.0))
            }
        };
        let arrival = sent + profile.delay + jitter;
        // Behind the frame before it, except when the delay was shortened: then that frame is
        // overtaken, as on a route that has changed.
        let ordered = match (self.last_arrival, profile.jitter) {
            (Some(last), Jitter::Uniform(_) | Jitter::Exponential(_)) => arrival.max(last),
            _ => arrival,
        };
        self.last_arrival = Some(ordered);
        ordered
    }

    fn chance(&mut self, probability: f64) -> bool {
        // No draw for what never happens, so that switching one kind on leaves the others as
        // they were.
        probability > 0.0 && self.rng.random::<f64>() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn offer(line: &mut Line, profile: &Profile, bytes: usize, now: Instant) -> Fate {
        line.offer(profile, bytes, now, &mut LineStats::default())
    }

    #[test]
    fn rate_delay_and_queue_give_the_arrival() {
        // 1000 bytes take 1 ms at 8 Mbit/s.
        let profile = Profile::line(8.0, 20).with_queue(QueueLimit::Bytes(3000));
        let (mut line, now) = (Line::new(1), Instant::now());
        for count in 1..=4 {
            let fate = offer(&mut line, &profile, 1000, now);
            let expected = if count < 4 {
                Fate::Arrives(now + MS * (20 + count))
            } else {
                Fate::Dropped
            };
            assert_eq!(fate, expected, "frame {count}");
        }
        let later = now + MS * 10;
        assert_eq!(
            offer(&mut line, &profile, 500, later),
            Fate::Arrives(later + MS * 41 / 2)
        );
        let timed = profile.with_queue(QueueLimit::Time(Duration::ZERO));
        assert_eq!(offer(&mut line, &timed, 500, later), Fate::Dropped);
    }

    #[test]
    fn loss_comes_at_the_asked_rate_and_repeats_from_the_seed() {
        let run = |loss, seed| {
            let (mut line, now) = (Line::new(seed), Instant::now());
            let profile = Profile::default().with_loss(loss);
            let lost = |_| offer(&mut line, &profile, 100, now) == Fate::Dropped;
            (0..20_000).map(lost).collect::<Vec<bool>>()
        };
        let share = |losses: &[bool]| {
            losses.iter().filter(|lost| **lost).count() as f64 / losses.len() as f64
        };
        let random = run(Loss::Random(0.05), 3);
        assert!((share(&random) - 0.05).abs() < 0.01);
        assert_eq!(random, run(Loss::Random(0.05), 3));
        assert_ne!(random, run(Loss::Random(0.05), 4));
        // Bad for 1/5 of the time, in runs of 20.
        let burst = run(
            Loss::Burst {
                enter: 0.0125,
                leave: 0.05,
                loss: 1.0,
            },
            3,
        );
        assert!((share(&burst) - 0.2).abs() < 0.05);
        let runs = burst.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(runs < 1000, "{runs} changes: losses come in bursts");
    }

    #[test]
    fn jitter_keeps_the_order_and_reorder_breaks_it() {
        let base = Instant::now();
        let run = |profile: Profile| -> Vec<Instant> {
            let mut line = Line::new(9);
            let arrive = |n| match offer(&mut line, &profile, 100, base + MS * n) {
                Fate::Arrives(at) => at,
                other => panic!("{other:?}"),
            };
            (0..500).map(arrive).collect()
        };
        for jitter in [Jitter::Uniform(MS * 10), Jitter::Exponential(MS * 5)] {
            let arrivals = run(Profile::line(1000.0, 20).with_jitter(jitter));
            assert!(arrivals.is_sorted());
            let spread = |n: usize| arrivals[n] - (base + MS * n as u32);
            assert!(
                (0..500).any(|n| spread(n) > MS * 25) && (0..500).all(|n| spread(n) >= MS * 20)
            );
        }
        let reordered = Profile {
            reorder: 0.1,
            ..Profile::line(1000.0, 20)
        };
        assert!(!run(reordered).is_sorted());
    }

    #[test]
    fn drops_have_their_reasons() {
        let (mut line, now) = (Line::new(1), Instant::now());
        let mut stats = LineStats::default();
        let hole = Profile {
            mtu_black_hole: Some(1400),
            ..Profile::default()
        };
        assert_eq!(line.offer(&hole, 1401, now, &mut stats), Fate::Dropped);
        assert_eq!(line.offer(&hole, 1400, now, &mut stats), Fate::Arrives(now));
        let cut = Profile {
            cut: true,
            ..Profile::default()
        };
        assert_eq!(line.offer(&cut, 1, now, &mut stats), Fate::Dropped);
        let twice = Profile {
            duplicate: 1.0,
            ..Profile::default()
        };
        assert_eq!(
            line.offer(&twice, 1, now, &mut stats),
            Fate::ArrivesTwice(now)
        );
        let expected = LineStats {
            offered: 4,
            too_big: 1,
            cut: 1,
            duplicated: 1,
            ..LineStats::default()
        };
        assert_eq!(stats, expected);
    }
}
