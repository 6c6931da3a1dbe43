//! BBR version 1, after its Linux code: a model of the path (the most bandwidth of ten rounds, the least round trip of ten
//! seconds), and a pace and window that follow from it. Without its long-term estimate for policers.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{AckEvent, CongestionControl, INITIAL_WINDOW};

/// 2 / ln 2: the least gain that doubles the rate every round.
const HIGH_GAIN: f64 = 2.885;
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
const WINDOW_GAIN: f64 = 2.0;
/// Rounds for which the most bandwidth is remembered.
const BANDWIDTH_ROUNDS: u64 = 10;
const LEAST_WINDOW: u64 = 4;
/// How long the least round trip holds.
const ROUND_TRIP_WINDOW: Duration = Duration::from_secs(10);
const PROBE_TIME: Duration = Duration::from_millis(200);
/// Pace a little below the estimate, so that no queue lasts.
const MARGIN: f64 = 0.99;
/// Most time's worth of window that is added for acknowledgements in lumps.
const MOST_AGGREGATION: f64 = 0.1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    ProbeBandwidth,
    ProbeRoundTrip,
}

/// The largest value of the last rounds.
#[derive(Clone, Debug, Default)]
struct MaxFilter(VecDeque<(u64, f64)>);

impl MaxFilter {
    fn update(&mut self, round: u64, value: f64) {
        while self
            .0
            .front()
            .is_some_and(|&(r, _)| r + BANDWIDTH_ROUNDS < round)
        {
            self.0.pop_front();
        }
        while self.0.back().is_some_and(|&(_, v)| v <= value) {
            self.0.pop_back();
        }
        self.0.push_back((round, value));
    }

    fn get(&self) -> f64 {
        self.0.front().map_or(0.0, |&(_, value)| value)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Bbr {
    mode: Mode,
    window: u64,
    prior_window: u64,
    bandwidth: MaxFilter,
    round: u64,
    round_end: u64,
    round_start: bool,
    least: Option<(Duration, Instant)>,
    full: f64,
    full_rounds: u32,
    cycle: usize,
    cycle_start: Instant,
    probe_end: Option<Instant>,
    /// Until the end of this round what leaves is what arrived.
    conserve: Option<u64>,
    recovering: bool,
    smoothed: Option<Duration>,
    aggregation: MaxFilter,
    epoch: (Instant, f64),
}

impl Bbr {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mode: Mode::Startup,
            window: INITIAL_WINDOW,
            prior_window: INITIAL_WINDOW,
            bandwidth: MaxFilter::default(),
            round: 0,
            round_end: 0,
            round_start: false,
            least: None,
            full: 0.0,
            full_rounds: 0,
            // Anywhere but at the low phase.
            cycle: 2,
            cycle_start: now,
            probe_end: None,
            conserve: None,
            recovering: false,
            smoothed: None,
            aggregation: MaxFilter::default(),
            epoch: (now, 0.0),
        }
    }

    fn full(&self) -> bool {
        self.full_rounds >= 3
    }

    fn gains(&self) -> (f64, f64) {
        match self.mode {
            Mode::Startup => (HIGH_GAIN, HIGH_GAIN),
            Mode::Drain => (1.0 / HIGH_GAIN, HIGH_GAIN),
            Mode::ProbeBandwidth => (CYCLE[self.cycle], WINDOW_GAIN),
            Mode::ProbeRoundTrip => (1.0, 1.0),
        }
    }

    /// Segments in flight that `gain` times the path holds.
    fn held(&self, gain: f64) -> f64 {
        self.least
            .filter(|_| self.bandwidth.get() > 0.0)
            .map_or(INITIAL_WINDOW as f64, |(rtt, _)| {
                gain * self.bandwidth.get() * rtt.as_secs_f64()
            })
    }

    fn burst(&self) -> f64 {
        (self.bandwidth.get() / 1024.0).clamp(2.0, 44.0)
    }

    fn update_model(&mut self, ack: &AckEvent) {
        self.round_start = false;
        let Some(rate) = ack.rate else { return };
        if rate.prior_delivered >= self.round_end {
            self.round_end = ack.total_delivered;
            self.round += 1;
            self.round_start = true;
        }
        if !rate.app_limited || rate.rate >= self.bandwidth.get() {
            self.bandwidth.update(self.round, rate.rate);
        }
        self.measure_aggregation(ack);
        self.look_for_plateau(rate.app_limited);
    }

    /// How much more arrives at once than the bandwidth explains.
    fn measure_aggregation(&mut self, ack: &AckEvent) {
        let (start, acked) = self.epoch;
        let bandwidth = self.bandwidth.get();
        let expected = bandwidth * (ack.now - start).as_secs_f64();
        if acked <= expected {
            self.epoch = (ack.now, ack.delivered as f64);
            return;
        }
        let acked = acked + ack.delivered as f64;
        self.epoch = (start, acked);
        let extra = (acked - expected).min(self.window as f64);
        self.aggregation.update(self.round, extra);
    }

    fn look_for_plateau(&mut self, app_limited: bool) {
        if self.full() || !self.round_start || app_limited {
            return;
        }
        if self.bandwidth.get() >= self.full * 1.25 {
            self.full = self.bandwidth.get();
            self.full_rounds = 0;
        } else {
            self.full_rounds += 1;
        }
    }

    fn update_mode(&mut self, ack: &AckEvent) {
        match self.mode {
            Mode::Startup if self.full() => self.mode = Mode::Drain,
            Mode::Drain if ack.flying as f64 <= self.held(1.0) => self.probe_bandwidth(ack.now),
            Mode::ProbeBandwidth => self.update_cycle(ack),
            _ => {}
        }
        self.update_round_trip(ack);
    }

    fn probe_bandwidth(&mut self, now: Instant) {
        self.mode = Mode::ProbeBandwidth;
        self.cycle = 2 + (self.round % 6) as usize;
        self.cycle_start = now;
    }

    fn update_cycle(&mut self, ack: &AckEvent) {
        let least = self.least.map_or(Duration::ZERO, |(rtt, _)| rtt);
        let whole = ack.now - self.cycle_start > least;
        let flying = (ack.flying + ack.delivered) as f64;
        let gain = CYCLE[self.cycle];
        let over = if gain > 1.0 {
            whole && (ack.lost > 0 || flying >= self.held(gain))
        } else if gain < 1.0 {
            whole || flying <= self.held(1.0)
        } else {
            whole
        };
        if over {
            self.cycle = (self.cycle + 1) % CYCLE.len();
            self.cycle_start = ack.now;
        }
    }

    fn update_round_trip(&mut self, ack: &AckEvent) {
        let now = ack.now;
        let expired = self
            .least
            .is_some_and(|(_, at)| now - at > ROUND_TRIP_WINDOW);
        if let Some(rtt) = ack.rtt
            && (expired || self.least.is_none_or(|(least, _)| rtt <= least))
        {
            self.least = Some((rtt, now));
        }
        if expired && self.mode != Mode::ProbeRoundTrip {
            self.mode = Mode::ProbeRoundTrip;
            self.prior_window = self.window;
            self.probe_end = None;
        }
        if self.mode != Mode::ProbeRoundTrip {
            return;
        }
        match self.probe_end {
            None if ack.flying <= LEAST_WINDOW => self.probe_end = Some(now + PROBE_TIME),
            Some(end) if now > end => {
                self.least = self.least.map(|(rtt, _)| (rtt, now));
                self.window = self.window.max(self.prior_window);
                if self.full() {
                    self.probe_bandwidth(now);
                } else {
                    self.mode = Mode::Startup;
                }
            }
            _ => {}
        }
    }

    fn update_window(&mut self, ack: &AckEvent) {
        if ack.recovering != self.recovering {
            self.recovering = ack.recovering;
            if !ack.recovering {
                self.window = self.window.max(self.prior_window);
                self.conserve = None;
            }
        }
        if ack.recovering {
            self.window = self.window.saturating_sub(ack.lost).max(1);
        }
        if self.conserve.is_some_and(|round| self.round > round) {
            self.conserve = None;
        }
        if self.conserve.is_some() {
            self.window = self.window.max(ack.flying + ack.delivered);
        } else {
            let extra = self
                .aggregation
                .get()
                .min(self.bandwidth.get() * MOST_AGGREGATION);
            let extra = if self.full() { extra } else { 0.0 };
            let target = (self.held(self.gains().1) + extra + 3.0 * self.burst()) as u64;
            if self.full() {
                self.window = (self.window + ack.delivered).min(target);
            } else if self.window < target || ack.total_delivered < INITIAL_WINDOW {
                self.window += ack.delivered;
            }
            self.window = self.window.max(LEAST_WINDOW);
        }
        if self.mode == Mode::ProbeRoundTrip {
            self.window = self.window.min(LEAST_WINDOW);
        }
    }
}

impl CongestionControl for Bbr {
    fn window(&self) -> u64 {
        self.window
    }

    fn ssthresh(&self) -> Option<u64> {
        None
    }

    fn pacing_rate(&self) -> Option<f64> {
        let bandwidth = self.bandwidth.get();
        if bandwidth > 0.0 {
            return Some((self.gains().0 * bandwidth * MARGIN).max(1.0));
        }
        let rtt = self.smoothed.map_or(0.001, |rtt| rtt.as_secs_f64());
        Some(HIGH_GAIN * self.window as f64 / rtt.max(1e-6))
    }

    fn on_ack(&mut self, ack: &AckEvent) {
        self.smoothed = ack.smoothed;
        self.update_model(ack);
        self.update_mode(ack);
        self.update_window(ack);
    }

    fn on_loss(&mut self, flying: u64, _: Instant) {
        self.prior_window = if self.mode == Mode::ProbeRoundTrip {
            self.prior_window
        } else {
            self.window
        };
        self.recovering = true;
        self.conserve = Some(self.round + 1);
        self.window = flying + 1;
    }

    fn on_recovered(&mut self) {}

    fn on_timeout(&mut self, _: Instant) {
        if self.mode != Mode::ProbeRoundTrip && !self.recovering {
            self.prior_window = self.window;
        }
        self.window = 1;
        self.full = 0.0;
        self.round_end = self.round_end.max(1);
        self.conserve = None;
    }

    fn undo(&mut self) {
        self.full = 0.0;
        self.full_rounds = 0;
        self.window = self.window.max(self.prior_window);
    }
}
