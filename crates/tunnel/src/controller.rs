//! How fast one path is used: finds what its line carries and keeps the line's own queue short.
//!
//! Pure and per path. The estimate is the most that arrived lately, by the receiver's clock; data leave at that rate. Short
//! surpluses, each paid back at once, find out whether there is more; a queue that stands is paid off in one go of the right
//! length, and its effect awaited before the next. Sizes are those of UDP payload; rates are those of IP packets.

mod bandwidth;
mod loss;
mod phases;
#[cfg(test)]
mod testline;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bandwidth::Bandwidth;
use loss::Losses;

use crate::{
    delivery::{Arrivals, Delivery, Rate, RelativeDelay},
    minima::Minima,
    pacer::Pacer,
};

/// The first guess, bytes/s.
const FIRST_GUESS: u64 = 15_000_000 / 8;
/// What is sent before anything is known, bytes.
const FIRST_WINDOW: u64 = 48 << 10;
/// Doubling in every round trip takes 2/ln 2 (the gain of BBR's start-up).
const STARTUP_GAIN: f64 = 2.77;
/// Rounds without growth that end start-up.
const STARTUP_FLAT: u32 = 3;
/// First and largest surplus of a probe, and its growth.
const PROBE_GAIN: f64 = 1.15;
const PROBE_GAIN_MAX: f64 = 2.0;
const PROBE_GROWTH: f64 = 1.25;
/// A probe that found less is not followed by another.
const LEAST_GAIN: f64 = 0.04;
/// Least pause between probes, µs, and the longest while they end in losses.
const PROBE_PAUSE: i64 = 150_000;
const PROBE_PAUSE_MAX: i64 = 3_000_000;
/// How fast a surplus is paid back, and how fast a queue at most.
const DRAIN_GAIN: f64 = 0.8;
const DRAIN_GAIN_MIN: f64 = 0.3;
/// A queue that may stand, µs.
const QUEUE_FINE: i64 = 3_000;
/// A queue that is one, µs.
const QUEUE_SOME: i64 = 1_500;
/// A queue that means that the line is the limit, µs.
const QUEUE_FULL: i64 = 8_000;
/// So many times the delay's jitter may look like a queue; a little of it does not, µs.
const PER_JITTER: i64 = 4;
const CALM_JITTER: i64 = 500;
/// How long what two drains could not remove is taken for the line's own delay, µs.
const TOLERANCE_LIFE: i64 = 10_000_000;
/// Beyond this no pacing is worth its cost, bytes/s.
const UNPACED: u64 = 1_250_000_000 / 8;
/// A round trip before any was measured, µs.
const UNKNOWN_ROUND_TRIP: i64 = 100_000;
/// The least that is ever assumed, bytes/s.
const LEAST: u64 = 250_000 / 8;
/// How long an acknowledgement may wait for more datagrams, µs.
const ACK_SPREAD: i64 = 5_000;
/// IPv4 and UDP headers, bytes.
const IPV4_UDP: u64 = 28;

/// What an acknowledgement of a path says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckSample {
    /// UDP payload bytes that the receiver counted on the path so far.
    pub received_bytes: u64,
    /// The receiver's clock at the arrival of the largest number, µs, wrapping.
    pub arrival_us: u32,
    /// Datagrams acknowledged for the first time.
    pub newly_acked: u32,
    /// Datagrams found to be lost.
    pub lost: u32,
    /// When the largest number was sent, if it is acknowledged for the first time.
    pub largest_sent_at: Option<Instant>,
    /// Bytes still on their way.
    pub in_flight: u64,
    /// A round trip, if the acknowledgement came back on the path itself: without the peer's delay.
    pub round_trip: Option<Duration>,
}

/// What is done at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Grows until the line is full.
    Startup,
    /// Sends what the line carries.
    Cruise,
    /// Sends more for a moment.
    Probe,
    /// Pays the surplus back.
    Repay,
    /// Waits until the probe's datagrams are acknowledged.
    JudgeProbe,
    /// Sends less until a queue should be gone.
    Drain,
    /// Waits until that shows.
    JudgeDrain,
}

#[derive(Debug, Default)]
struct Startup {
    /// Most that arrived, bytes/s.
    peak: u64,
    /// The same, when the last round that grew ended.
    grown: u64,
    flat: u32,
    /// Send times, µs.
    round_began: i64,
    round_ends: i64,
    /// Bytes that arrived.
    acked: u64,
}

#[derive(Debug)]
struct Probe {
    gain: f64,
    /// Estimate before it.
    before: u64,
    began: i64,
    ended: i64,
    judged: bool,
    /// A queue that ends it at once, µs.
    limit: i64,
    next: i64,
    pause: i64,
}

#[derive(Debug, Default)]
struct Drain {
    /// Queue before it, and how much of it should go, µs.
    before: i64,
    deficit: i64,
    /// Drains in a row that had no effect.
    failed: u32,
    /// What could not be drained, µs, and until when that is believed.
    tolerance: i64,
    tolerated_until: i64,
}

/// Finds and holds the rate of one path.
#[derive(Debug)]
pub(crate) struct Controller {
    delivery: Delivery,
    pacer: Pacer,
    bandwidth: Bandwidth,
    losses: Losses,
    overhead: u64,
    received: u64,
    phase: Phase,
    /// Of the estimate, so much is sent.
    gain: f64,
    /// When the phase ends by itself, µs.
    until: i64,
    /// What was sent from then on met the queue as the last probe or drain left it, µs.
    calm_from: i64,
    /// Losses of what was sent before have been answered, µs.
    answered: i64,
    /// Smoothed, µs.
    round_trip: Option<i64>,
    /// In the last 10 s, µs.
    least_round_trip: Minima<10>,
    backlogged: bool,
    /// When it last became so, µs.
    backlogged_since: i64,
    startup: Startup,
    probe: Probe,
    drain: Drain,
}

impl Controller {
    /// `epoch` is common to the paths of a peer.
    pub(crate) fn new(epoch: Instant, now: Instant) -> Self {
        let mut new = Self {
            delivery: Delivery::new(epoch),
            pacer: Pacer::new(FIRST_GUESS, now),
            bandwidth: Bandwidth::new(FIRST_GUESS),
            losses: Losses::default(),
            overhead: IPV4_UDP,
            received: 0,
            phase: Phase::Startup,
            gain: STARTUP_GAIN,
            until: i64::MAX,
            calm_from: 0,
            answered: 0,
            round_trip: None,
            least_round_trip: Minima::new(1_000_000),
            backlogged: false,
            backlogged_since: i64::MAX,
            startup: Startup::default(),
            probe: Probe {
                gain: PROBE_GAIN,
                before: 0,
                began: 0,
                ended: 0,
                judged: false,
                limit: 0,
                next: 0,
                pause: PROBE_PAUSE,
            },
            drain: Drain::default(),
        };
        new.set_pace();
        new
    }

    /// Bytes of headers that each datagram has on the line: 28, over IPv6 48.
    pub(crate) fn set_overhead(&mut self, bytes: u64) {
        self.overhead = bytes;
    }

    /// Never to send more than this, bytes/s of IP packets.
    pub(crate) fn set_ceiling(&mut self, ceiling: Option<u64>) {
        self.pacer.set_ceiling(ceiling);
        self.set_pace();
    }

    /// Whether there is a ceiling.
    pub(crate) fn is_limited(&self) -> bool {
        self.pacer.is_limited()
    }

    /// Notes any datagram sent on the path, bytes of UDP payload.
    pub(crate) fn on_sent(&mut self, size: usize, now: Instant) {
        self.advance(self.delivery.micros(now));
        self.pacer.on_sent(size + self.overhead as usize, now);
    }

    /// Says whether data wait for this path. While none do, little is learned from how little arrives.
    pub(crate) fn set_backlogged(&mut self, backlogged: bool, now: Instant) {
        if backlogged && !self.backlogged {
            self.backlogged_since = self.delivery.micros(now);
        }
        self.backlogged = backlogged;
    }

    /// The path came back or leads elsewhere: begins anew, from half of what it carried.
    pub(crate) fn restart(&mut self, now: Instant) {
        let half = self.bandwidth.get() / 2;
        self.delivery.start_again();
        self.bandwidth = Bandwidth::new(half.max(LEAST));
        self.losses = Losses::default();
        self.round_trip = None;
        self.least_round_trip = Minima::new(1_000_000);
        self.startup = Startup::default();
        self.drain = Drain::default();
        self.probe.pause = PROBE_PAUSE;
        self.startup.round_began = self.delivery.micros(now);
        self.enter(Phase::Startup, STARTUP_GAIN, i64::MAX);
    }

    /// Takes an acknowledgement.
    pub(crate) fn on_ack(&mut self, ack: &AckSample, now: Instant) {
        if ack.received_bytes <= self.received {
            return; // older than one that came another way
        }
        let now = self.delivery.micros(now);
        let payload = ack.received_bytes - self.received;
        self.received = ack.received_bytes;
        self.startup.acked += payload;
        if let Some(sample) = ack.round_trip {
            self.on_round_trip(sample.as_micros() as i64, now);
        }
        let rate = self.delivery.on_arrivals(&Arrivals {
            bytes: payload + self.overhead * u64::from(ack.newly_acked),
            acked: ack.newly_acked,
            lost: ack.lost,
            arrival_us: ack.arrival_us,
            sent_at: ack.largest_sent_at,
        });
        if let Some(rate) = rate {
            self.on_rate(&rate, now);
        }
        self.advance(now);
        let window = self.round();
        if let Some(at) = ack.largest_sent_at {
            let seen = self.delivery.micros(at);
            self.decide(seen, ack.in_flight, now);
        }
        let overload = self.losses.add(ack.newly_acked, ack.lost, now, window);
        if overload
            && ack
                .largest_sent_at
                .is_some_and(|at| self.delivery.micros(at) >= self.answered)
        {
            self.on_overload(ack.in_flight, now);
        }
        self.set_pace();
    }

    fn on_round_trip(&mut self, sample: i64, now: i64) {
        self.least_round_trip.add(sample, now);
        self.round_trip = Some(match self.round_trip {
            None => sample,
            Some(smoothed) => smoothed + (sample - smoothed) / 8,
        });
    }

    fn on_rate(&mut self, rate: &Rate, now: i64) {
        self.startup.peak = self.startup.peak.max(rate.delivered());
        if self.phase == Phase::Startup {
            self.bandwidth.raise(rate.delivered());
            return;
        }
        let interval = self.delivery.interval();
        if self.is_full(rate, interval) {
            self.bandwidth.follow(rate, 2 * interval, now);
        } else if self.delivery.stood_for(interval) > QUEUE_SOME + self.allowance() {
            let constant = (4 * interval).max(3 * self.round());
            self.bandwidth.track(rate, constant, now);
        }
    }

    /// Whether data may go now: the pacer is open and the path has room for more.
    pub(crate) fn is_open(&self, in_flight: u64, now: Instant) -> bool {
        self.pacer.is_open(now) && in_flight < self.window()
    }

    /// When the pacer opens; may be past.
    pub(crate) fn next_open(&self) -> Instant {
        self.pacer.next_open()
    }

    /// Bytes that one go may have.
    pub(crate) fn quantum(&self) -> usize {
        self.pacer.quantum()
    }

    /// What the line carries, bytes/s of IP packets.
    pub(crate) fn bandwidth(&self) -> u64 {
        (self.bandwidth.get() as f64 / (1.0 - self.losses.made_up_for())) as u64
    }

    /// Whether the line's rate is still being looked for.
    pub(crate) fn is_startup(&self) -> bool {
        self.phase == Phase::Startup
    }

    /// One-way delay now, smoothed.
    pub(crate) fn delay(&self) -> Option<RelativeDelay> {
        self.delivery.delay()
    }

    /// The queue in the line now, smoothed.
    pub(crate) fn queue_delay(&self) -> Duration {
        Duration::from_micros(self.delivery.present() as u64)
    }

    /// Bytes that may be on their way.
    fn window(&self) -> u64 {
        let jitter = self.delivery.jitter();
        let steady = self.carried_in(
            13 * self.empty_round_trip() / 10 + 12_000 + 10 * jitter + self.drain.tolerance,
        );
        if self.phase != Phase::Startup {
            return steady + 6_000;
        }
        let grown = FIRST_WINDOW + self.startup.acked;
        if self.bandwidth.is_measured() {
            grown.min(3 * steady / 2 + FIRST_WINDOW)
        } else {
            grown
        }
    }

    /// Bytes that the line carries in a time in µs.
    fn carried_in(&self, micros: i64) -> u64 {
        (u128::from(self.bandwidth()) * micros.max(0) as u128 / 1_000_000) as u64
    }

    /// How long what is on its way takes beyond an empty line, µs.
    fn excess(&self, in_flight: u64) -> i64 {
        let takes = in_flight.saturating_mul(1_000_000) / self.bandwidth().max(1);
        takes as i64 - self.empty_round_trip() - ACK_SPREAD
    }

    /// The round trip without the queue on the way there, µs.
    fn empty_round_trip(&self) -> i64 {
        let least = self.least_round_trip.least(i64::MAX);
        match (least, self.round_trip) {
            (Some(least), Some(now)) => least.max(now - self.delivery.present()),
            _ => UNKNOWN_ROUND_TRIP,
        }
    }

    /// Over which rates and losses are judged, µs.
    fn round(&self) -> i64 {
        let round_trip = self.round_trip.unwrap_or(UNKNOWN_ROUND_TRIP);
        round_trip.max(self.delivery.interval())
    }

    fn enter(&mut self, phase: Phase, gain: f64, until: i64) {
        (self.phase, self.gain, self.until) = (phase, gain, until);
        self.set_pace();
    }

    /// How long the line takes for a datagram, µs.
    fn datagram_time(&self) -> i64 {
        (1_500_000_000 / self.bandwidth.get().max(LEAST)) as i64
    }

    fn set_pace(&mut self) {
        let rate = self.bandwidth();
        self.delivery.set_datagram_time(self.datagram_time());
        let pace = (rate as f64 * self.gain) as u64;
        self.pacer.set_rate((rate < UNPACED).then_some(pace));
    }
}
