//! CUBIC (RFC 9438), with `HyStart` (ack train and delay) as Linux has it.

use std::time::{Duration, Instant};

use super::{AckEvent, CongestionControl, INITIAL_WINDOW};

const C: f64 = 0.4;
const BETA: f64 = 0.7;
/// Growth of the Reno-friendly window (RFC 9438 section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// No `HyStart` below this window, segments.
const HYSTART_LOW_WINDOW: f64 = 16.0;
/// Samples per round before the delay is believed.
const HYSTART_SAMPLES: u32 = 8;
/// Acknowledgements closer than this are one train.
const TRAIN_SPACING: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug)]
pub(super) struct Cubic {
    window: f64,
    ssthresh: f64,
    w_max: f64,
    k: f64,
    epoch: Option<Instant>,
    epoch_window: f64,
    w_est: f64,
    before: (f64, f64, f64),
    hystart: Option<HyStart>,
}

impl Cubic {
    pub(super) fn new(hystart: bool) -> Self {
        Self {
            window: INITIAL_WINDOW as f64,
            ssthresh: f64::INFINITY,
            w_max: 0.0,
            k: 0.0,
            epoch: None,
            epoch_window: 0.0,
            w_est: 0.0,
            before: (INITIAL_WINDOW as f64, f64::INFINITY, 0.0),
            hystart: hystart.then(HyStart::default),
        }
    }

    fn reduce(&mut self) {
        self.before = (self.window, self.ssthresh, self.w_max);
        // Fast convergence (section 4.7).
        self.w_max = if self.window < self.w_max {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.ssthresh = (self.window * BETA).max(2.0);
        self.epoch = None;
    }

    fn avoid(&mut self, delivered: f64, smoothed: Duration, now: Instant) {
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.epoch_window = self.window;
            self.w_est = self.window;
            self.w_max = self.w_max.max(self.window);
            self.k = ((self.w_max - self.window) / C).cbrt();
            now
        });
        let t = (now - epoch + smoothed).as_secs_f64();
        let target = (C * (t - self.k).powi(3) + self.w_max).clamp(self.window, 1.5 * self.window);
        let alpha = if self.w_est >= self.before.0 {
            1.0
        } else {
            ALPHA
        };
        self.w_est += alpha * delivered / self.window;
        let cubic = self.window + (target - self.window) / self.window * delivered;
        self.window = cubic.max(self.w_est.min(self.window + delivered));
    }
}

impl CongestionControl for Cubic {
    fn window(&self) -> u64 {
        self.window as u64
    }

    fn ssthresh(&self) -> Option<u64> {
        Some(self.ssthresh as u64)
    }

    fn on_ack(&mut self, ack: &AckEvent) {
        if ack.recovering {
            return;
        }
        let slow_start = self.window < self.ssthresh;
        if slow_start
            && let (Some(hystart), Some(rtt), Some(least)) = (&mut self.hystart, ack.rtt, ack.least)
            && hystart.leave(rtt, least, self.window, ack)
        {
            self.ssthresh = self.window;
        }
        if !ack.window_limited {
            // The time without need is no time to grow in.
            self.epoch = None;
            return;
        }
        let mut delivered = ack.delivered as f64;
        if self.window < self.ssthresh {
            let grown = delivered.min(self.ssthresh - self.window);
            self.window += grown;
            delivered -= grown;
        }
        if delivered > 0.0
            && let Some(smoothed) = ack.smoothed
        {
            self.avoid(delivered, smoothed, ack.now);
        }
    }

    fn on_loss(&mut self, _: u64, _: Instant) {
        self.reduce();
    }

    fn on_recovered(&mut self) {
        self.window = self.ssthresh;
    }

    fn on_timeout(&mut self, _: Instant) {
        self.reduce();
        self.window = 1.0;
        if let Some(hystart) = &mut self.hystart {
            *hystart = HyStart::default();
        }
    }

    fn undo(&mut self) {
        let (window, ssthresh, w_max) = self.before;
        (self.window, self.ssthresh, self.w_max) = (self.window.max(window), ssthresh, w_max);
        self.epoch = None;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct HyStart {
    round_end: u64,
    round_start: Option<Instant>,
    last: Option<Instant>,
    samples: u32,
    current: Duration,
}

impl HyStart {
    /// Whether slow start is over.
    fn leave(&mut self, rtt: Duration, least: Duration, window: f64, ack: &AckEvent) -> bool {
        let round_over = self.round_start.is_none() || ack.total_delivered >= self.round_end;
        if round_over {
            *self = Self {
                round_end: ack.total_delivered + ack.flying + 1,
                round_start: Some(ack.now),
                last: Some(ack.now),
                samples: 0,
                current: rtt,
            };
        }
        let train = self.train_is_long(least, ack.now);
        if self.samples < HYSTART_SAMPLES {
            self.current = self.current.min(rtt);
            self.samples += 1;
        }
        let more = (least / 8).clamp(Duration::from_millis(4), Duration::from_millis(16));
        let delayed = self.samples == HYSTART_SAMPLES && self.current > least + more;
        window >= HYSTART_LOW_WINDOW && (train || delayed)
    }

    fn train_is_long(&mut self, least: Duration, now: Instant) -> bool {
        let (Some(start), Some(last)) = (self.round_start, self.last) else {
            return false;
        };
        if now - last > TRAIN_SPACING {
            return false;
        }
        self.last = Some(now);
        // Without pacing the train leaves at once, so half a round trip of it fills the line.
        now - start > least / 2
    }
}
