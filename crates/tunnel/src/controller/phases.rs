//! What is done when: start-up, probes for more, drains of a standing queue.

use crate::delivery::Rate;

use super::{
    ACK_SPREAD, CALM_JITTER, Controller, DRAIN_GAIN, DRAIN_GAIN_MIN, LEAST_GAIN, PER_JITTER,
    PROBE_GAIN, PROBE_GAIN_MAX, PROBE_GROWTH, PROBE_PAUSE, PROBE_PAUSE_MAX, Phase, QUEUE_FINE,
    QUEUE_FULL, STARTUP_FLAT, TOLERANCE_LIFE, UNPACED,
};

impl Controller {
    /// Ends phases whose time is over.
    pub(super) fn advance(&mut self, now: i64) {
        if now < self.until {
            return;
        }
        match self.phase {
            Phase::Probe => self.repay(now),
            Phase::Repay => {
                self.calm_from = now + self.delivery.interval() / 2;
                self.enter(Phase::JudgeProbe, 1.0, i64::MAX);
            }
            Phase::Drain => {
                self.calm_from = now + self.delivery.interval() / 2;
                self.enter(Phase::JudgeDrain, 1.0, i64::MAX);
            }
            _ => {}
        }
    }

    /// Decides after an acknowledgement of something sent at `seen`.
    pub(super) fn decide(&mut self, seen: i64, in_flight: u64, now: i64) {
        if now > self.drain.tolerated_until || 2 * self.delivery.standing() < self.drain.tolerance {
            self.drain.tolerance = 0;
        }
        let lowered = self.lower_if_full();
        match self.phase {
            Phase::Startup => self.grow(seen, in_flight, now),
            Phase::Drain
                if self.drain.deficit > 2 * QUEUE_FULL && self.excess(in_flight) < -ACK_SPREAD =>
            {
                self.until = now;
                self.advance(now);
            }
            Phase::Probe if self.delivery.present() > self.probe.limit => {
                self.repay(now);
            }
            Phase::Repay | Phase::JudgeProbe if seen >= self.probe.ended => {
                self.judge_probe(now);
            }
            Phase::JudgeDrain if seen >= self.calm_from => self.judge_drain(now),
            _ => {}
        }
        match self.phase {
            Phase::Cruise if seen >= self.calm_from => self.cruise(in_flight, now),
            Phase::Startup | Phase::Drain => {}
            _ if lowered => self.begin_drain(self.excess(in_flight), now),
            _ => {}
        }
    }

    /// What looks like a queue and is none, µs.
    pub(super) fn allowance(&self) -> i64 {
        let jitter = PER_JITTER * (self.delivery.jitter() - CALM_JITTER).max(0);
        jitter.max(self.drain.tolerance)
    }

    /// Whether a queue stood for all of a rate taken over some µs, and the line was the limit: if as much was sent as it is
    /// thought to carry, or if the queue was seen to grow or to shrink, so that it is one.
    pub(super) fn is_full(&self, rate: &Rate, over: i64) -> bool {
        let bound = QUEUE_FULL.max(self.queue_fine()) + self.allowance();
        let stood = self
            .delivery
            .stood_for(over)
            .min(self.delivery.before(rate));
        let (arrived, left) = (rate.arrived as f64, rate.left as f64);
        let part = self.clearly_less(over);
        let moves = arrived < part * left || left < part * arrived;
        let offered = rate.sent as f64 >= 0.95 * self.bandwidth.get() as f64;
        stood > bound && self.delivery.knows_jitter() && (moves || offered)
    }

    /// A rate over some µs that is less than this part of another differs from it by more than chance.
    fn clearly_less(&self, over: i64) -> f64 {
        0.93 - self.delivery.noise(over)
    }

    /// Takes less for what the line carries, when that is plain within half an interval.
    fn lower_if_full(&mut self) -> bool {
        let half = self.delivery.interval() / 2;
        let Some(rate) = self.delivery.short_rate() else {
            return false;
        };
        let limit = self.clearly_less(half) * self.bandwidth.get() as f64;
        let lower = (rate.arrived as f64) < limit && self.is_full(&rate, half);
        if lower {
            self.bandwidth.lower(rate.arrived);
        }
        lower
    }

    fn grow(&mut self, seen: i64, in_flight: u64, now: i64) {
        let bound = 10_000.max(self.least_round_trip() / 8) + self.allowance();
        let queue = self.delivery.stood_for(self.delivery.interval() / 4);
        if queue > bound && self.delivery.knows_jitter() {
            if self.delivery.short_rate().is_some() {
                let excess = self.excess(in_flight).max(self.delivery.standing());
                self.begin_drain(excess, now);
            } else {
                self.startup.acked = 0; // a slow line: it is full before it is measured
            }
            return;
        }
        if seen < self.startup.round_ends {
            return;
        }
        let told = self.backlogged && self.backlogged_since <= self.startup.round_began;
        if self.startup.peak > self.startup.grown / 4 * 5 {
            self.startup.grown = self.startup.peak;
            self.startup.flat = 0;
        } else if told && self.bandwidth.is_measured() {
            self.startup.flat += 1;
        }
        self.startup.round_began = self.startup.round_ends;
        self.startup.round_ends = now.max(seen + self.delivery.interval());
        if self.startup.flat >= STARTUP_FLAT {
            self.bandwidth.lower(self.startup.peak);
            self.begin_drain(self.excess(in_flight), now);
        }
    }

    fn least_round_trip(&self) -> i64 {
        self.least_round_trip.least(i64::MAX).unwrap_or(0)
    }

    fn cruise(&mut self, in_flight: u64, now: i64) {
        if self.bandwidth.get() >= UNPACED {
            return;
        }
        let queue = self.delivery.standing() - self.allowance();
        if queue > QUEUE_FULL.max(self.queue_fine()) {
            self.begin_drain(queue.max(self.excess(in_flight)), now);
        } else if queue > self.queue_fine() {
            self.begin_drain(queue, now);
        } else if self.backlogged && now >= self.probe.next {
            self.begin_probe(PROBE_GAIN, now);
        }
    }

    fn begin_probe(&mut self, gain: f64, now: i64) {
        self.probe.gain = gain;
        self.probe.judged = false;
        self.probe.limit = self.delivery.present() + QUEUE_FULL + self.allowance();
        self.probe.before = self.bandwidth.get();
        self.probe.began = now;
        self.enter(Phase::Probe, gain, now + self.delivery.interval());
    }

    /// Leaves the line as the probe found it, without waiting for news.
    fn repay(&mut self, now: i64) {
        self.probe.ended = now;
        let surplus = (self.gain - 1.0) * (now - self.probe.began) as f64;
        let takes = surplus / (1.0 - DRAIN_GAIN);
        self.enter(Phase::Repay, DRAIN_GAIN, now + takes as i64);
    }

    fn judge_probe(&mut self, now: i64) {
        if !std::mem::replace(&mut self.probe.judged, true) && self.learn_from_probe() {
            self.probe.pause = PROBE_PAUSE;
            let gain = (self.probe.gain * PROBE_GROWTH).min(PROBE_GAIN_MAX);
            self.begin_probe(gain, now);
            return;
        }
        if self.phase == Phase::JudgeProbe {
            self.rest(now);
        }
    }

    /// Takes up what the probe found; true if all of its surplus arrived in time, so that there may be more.
    fn learn_from_probe(&mut self) -> bool {
        let calm = self.delivery.standing() <= self.queue_fine() + self.allowance();
        let rate = self.delivery.rate_of(self.probe.began, self.probe.ended);
        let Some(rate) = rate.filter(|_| self.backlogged && calm) else {
            return false;
        };
        let before = self.probe.before as f64;
        let noise = self.delivery.noise(self.probe.ended - self.probe.began);
        let (arrived, left) = (rate.arrived as f64 * (1.0 + noise), rate.left as f64);
        let found = arrived.min(left);
        // Half of the surplus on time is all of it, as far as can be told.
        let surplus = (self.probe.gain - 1.0) / self.probe.gain;
        if found > before * (1.0 + LEAST_GAIN) && arrived > left * (1.0 - surplus / 2.0) {
            self.bandwidth.raise(found as u64);
            return true;
        }
        // A small gain is half chance; a true one is found again.
        self.bandwidth.raise(((before + found) / 2.0) as u64);
        false
    }

    /// A queue that is left alone, µs: a few ms, or a datagram and a half.
    fn queue_fine(&self) -> i64 {
        QUEUE_FINE.max(3 * self.datagram_time() / 2)
    }

    fn rest(&mut self, now: i64) {
        let pause = self.probe.pause.max(6 * self.least_round_trip());
        self.probe.next = now + pause;
        self.enter(Phase::Cruise, 1.0, i64::MAX);
    }

    /// Sends less for as long as `deficit` µs of the line's time need to be saved.
    fn begin_drain(&mut self, deficit: i64, now: i64) {
        self.answered = now;
        let deficit = (deficit - 1_000).max(0);
        let within = self.least_round_trip().max(50_000) as f64;
        let gain = (1.0 - deficit as f64 / within).clamp(DRAIN_GAIN_MIN, DRAIN_GAIN);
        self.drain.before = self.delivery.standing();
        self.drain.deficit = deficit;
        let takes = deficit as f64 / (1.0 - gain);
        self.enter(Phase::Drain, gain, now + takes as i64);
    }

    fn judge_drain(&mut self, now: i64) {
        let queue = self.delivery.standing();
        let serious = self.drain.before > QUEUE_FULL + self.allowance();
        let gone = queue <= self.drain.before - self.drain.deficit / 2;
        if serious && self.backlogged && !gone {
            self.drain.failed += 1;
        } else {
            self.drain.failed = 0;
        }
        if self.drain.failed == 2 {
            self.drain.failed = 0;
            self.drain.tolerance = queue;
            self.drain.tolerated_until = now + TOLERANCE_LIFE;
        }
        let next = self.probe.next;
        self.rest(now);
        self.probe.next = next.max(now);
    }

    /// More is lost than is usual here: the line is full, whatever the delay says.
    pub(super) fn on_overload(&mut self, in_flight: u64, now: i64) {
        self.answered = now;
        self.probe.pause = (2 * self.probe.pause).min(PROBE_PAUSE_MAX);
        let least = 0.95 * self.bandwidth.get() as f64;
        let rate = self.delivery.short_rate();
        if let Some(rate) = rate.filter(|rate| rate.sent as f64 >= least) {
            self.bandwidth.lower(rate.delivered());
        }
        match self.phase {
            Phase::Startup => self.begin_drain(self.excess(in_flight), now),
            Phase::Probe => self.repay(now),
            _ => {}
        }
    }
}
