//! Sender and receiver over a bare bottleneck.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use rand::{SeedableRng as _, rngs::ChaCha8Rng};

use super::{Ack, Algorithm, Detection, MSS, Pacing, Receiver, Sender, SenderConfig};
use crate::{
    line::{Direction, Shape},
    ms, secs,
};

/// Bytes of IP packet that carry a segment.
const PACKET: usize = MSS + 52;
const ALL: [Algorithm; 4] = [
    Algorithm::Reno,
    Algorithm::CUBIC,
    Algorithm::Cubic { hystart: false },
    Algorithm::Bbr,
];

/// What is on its way: until when, in which order of departure, a segment or the number of an acknowledgement.
type Flying = (Instant, u64, Result<u64, usize>);

/// A transfer over one line.
struct Run {
    now: Instant,
    sender: Sender,
    receiver: Receiver,
    lines: [Direction; 2],
    rng: ChaCha8Rng,
    flying: BinaryHeap<Reverse<Flying>>,
    acks: Vec<Ack>,
    count: u64,
}

impl Run {
    fn new(config: SenderConfig, shape: Shape, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            sender: Sender::new(config, now),
            receiver: Receiver::new(3),
            lines: [
                Direction::new(shape),
                Direction::new(Shape::clean(shape.delay)),
            ],
            rng: ChaCha8Rng::seed_from_u64(seed),
            flying: BinaryHeap::new(),
            acks: Vec::new(),
            count: 0,
        }
    }

    fn launch(&mut self, direction: usize, size: usize, what: Result<u64, usize>) {
        let at = self.lines[direction].transmit(size, self.now, &mut self.rng);
        for at in at.into_iter().flatten() {
            self.count += 1;
            self.flying.push(Reverse((at, self.count, what)));
        }
    }

    fn pump(&mut self) {
        while let Some(burst) = self.sender.poll(self.now) {
            for number in burst.first..burst.first + burst.count {
                self.launch(0, PACKET, Ok(number));
            }
        }
        while let Some(ack) = self.receiver.poll(self.now) {
            self.acks.push(ack);
            self.launch(1, 70, Err(self.acks.len() - 1));
        }
    }

    /// Runs on; the rate of what reached the application, bit/s.
    fn run(&mut self, time: Duration) -> f64 {
        let (end, before) = (self.now + time, self.receiver.next());
        self.pump();
        loop {
            let flying = self.flying.peek().map(|Reverse((at, ..))| *at);
            let timers = [self.sender.poll_timeout(), self.receiver.poll_timeout()];
            let next = timers.into_iter().flatten().chain(flying).min();
            let Some(next) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if flying.is_some_and(|at| at <= self.now)
                && let Some(Reverse((.., what))) = self.flying.pop()
            {
                match what {
                    Ok(number) => self.receiver.on_data(number, 1, self.now),
                    Err(ack) => self.sender.on_ack(&self.acks[ack], self.now),
                }
            } else {
                self.sender.on_timeout(self.now);
            }
            self.pump();
        }
        self.now = end;
        let bytes = (self.receiver.next() - before) * MSS as u64;
        bytes as f64 * 8.0 / time.as_secs_f64()
    }
}

/// 50 Mbit/s, 20 ms round trip, one such product of buffer.
fn fifty() -> Shape {
    Shape {
        queue: 125_000,
        ..Shape::clean(ms(10)).with_rate(50_000_000)
    }
}

/// Of what the line can carry.
fn share(rate: f64) -> f64 {
    rate / (50e6 * MSS as f64 / PACKET as f64)
}

#[test]
fn a_line_is_filled() {
    for algorithm in ALL {
        for pacing in [Pacing::Off, Pacing::Linux] {
            let config = SenderConfig {
                pacing,
                ..SenderConfig::linux(algorithm)
            };
            let mut run = Run::new(config, fifty(), 1);
            run.run(secs(5));
            let share = share(run.run(secs(20)));
            let counts = run.sender.counts;
            assert!(
                share >= 0.97,
                "{algorithm:?} {pacing:?}: {share} {counts:?}"
            );
            assert_eq!(counts.timeouts, 0, "{algorithm:?} {pacing:?}: {counts:?}");
        }
    }
}

#[test]
fn reno_follows_the_square_root_of_loss() {
    for (loss, delay) in [(0.01, 10), (0.01, 40), (0.001, 20)] {
        let shape = Shape {
            loss,
            ..Shape::clean(ms(delay)).with_rate(1_000_000_000)
        };
        let mut run = Run::new(SenderConfig::linux(Algorithm::Reno), shape, 2);
        run.run(secs(10));
        let rate = run.run(secs(200));
        let model = 1.22 * MSS as f64 * 8.0 / (0.002 * delay as f64 * loss.sqrt());
        let ratio = rate / model;
        assert!((0.75..1.25).contains(&ratio), "{loss} {delay}: {ratio}");
    }
}

#[test]
fn only_bbr_survives_one_percent() {
    let shape = Shape {
        loss: 0.01,
        ..fifty()
    };
    for algorithm in ALL {
        let mut run = Run::new(SenderConfig::linux(algorithm), shape, 3);
        run.run(secs(5));
        let share = share(run.run(secs(20)));
        let counts = run.sender.counts;
        if algorithm == Algorithm::Bbr {
            assert!(share >= 0.9, "{share} {counts:?}");
        } else {
            assert!((0.08..0.35).contains(&share), "{algorithm:?}: {share}");
        }
        // A lost retransmission is found without a timeout too.
        assert!(counts.timeouts <= 1, "{algorithm:?}: {counts:?}");
    }
}

#[test]
fn a_cut_ends_in_a_timeout_and_is_survived() {
    for algorithm in ALL {
        let mut run = Run::new(SenderConfig::linux(algorithm), fifty(), 4);
        run.run(secs(5));
        assert_eq!(run.sender.counts.timeouts, 0);
        run.lines[0].shape.cut = true;
        run.run(secs(1));
        let timeouts = run.sender.counts.timeouts;
        assert!((1..=2).contains(&timeouts), "{algorithm:?}: {timeouts}");
        assert_eq!(run.sender.counts.probes, 1);
        run.lines[0].shape.cut = false;
        run.run(secs(3));
        let share = share(run.run(secs(3)));
        assert!(share >= 0.9, "{algorithm:?}: {share}");
    }
}

#[test]
fn without_loss_nothing_is_sent_again() {
    for algorithm in ALL {
        let shape = Shape {
            queue: 10_000_000,
            ..fifty()
        };
        let mut run = Run::new(SenderConfig::linux(algorithm), shape, 5);
        run.run(secs(10));
        let counts = run.sender.counts;
        assert_eq!((counts.resent, counts.timeouts), (0, 0), "{algorithm:?}");
    }
}

#[test]
fn a_lost_tail_is_probed() {
    let mut run = Run::new(SenderConfig::linux(Algorithm::CUBIC), fifty(), 6);
    run.sender.limit = Some(100);
    run.run(secs(1));
    assert_eq!(run.receiver.next(), 100);
    run.lines[0].shape.cut = true;
    run.sender.limit = Some(103);
    run.run(ms(20));
    run.lines[0].shape.cut = false;
    run.run(ms(200));
    assert_eq!(run.receiver.next(), 103);
    let counts = run.sender.counts;
    assert_eq!((counts.probes, counts.timeouts), (1, 0), "{counts:?}");
}

#[test]
fn rack_learns_to_wait_for_what_was_overtaken_and_quic_does_not() {
    let shape = Shape {
        reorder: 0.02,
        reorder_by: ms(8),
        ..fifty()
    };
    let resent = |detection| {
        let config = SenderConfig {
            detection,
            pacing: Pacing::Linux,
            ..SenderConfig::linux(Algorithm::CUBIC)
        };
        let mut run = Run::new(config, shape, 7);
        let rate = share(run.run(secs(20)));
        (rate, run.sender.counts)
    };
    let (rack, counts) = resent(Detection::Rack);
    assert!(rack >= 0.9 && counts.undone > 0, "{rack} {counts:?}");
    let (quic, counts) = resent(Detection::Quic);
    assert!(
        quic < 0.6 * rack && counts.resent > 100,
        "{quic} {counts:?}"
    );
}

#[test]
fn bbr_keeps_the_queue_short() {
    let shape = Shape {
        queue: 10_000_000,
        ..fifty()
    };
    let smoothed = |algorithm| {
        let mut run = Run::new(SenderConfig::linux(algorithm), shape, 8);
        run.run(secs(9));
        run.sender.smoothed_round_trip().unwrap()
    };
    assert!(smoothed(Algorithm::Bbr) < ms(45));
    assert!(smoothed(Algorithm::Reno) > ms(60));
}
