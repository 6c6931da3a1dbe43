//! What happens without anything arriving: silence, probes, MTU search, late acknowledgements.

use std::time::{Duration, Instant};

use wire::control::{Admin, Role, put_probe};

use crate::{
    liveness::State,
    params::{
        ACTIVE_PROBE_MAX, ACTIVE_PROBE_MIN, DOWN_PATIENCE, DOWN_PROBE, DOWN_PROBE_SLOW,
        DOWN_PROBE_URGENT, DOWN_URGENT_FOR, IDLE_AFTER, IDLE_PROBE, METERED_PROBE,
        METERED_PROBE_ALERT, REINJECT_WITHIN,
    },
    path::Path,
};

use super::{Context, Link};

/// Unanswered probes of a dead path that are remembered: enough for a round trip of seconds.
const MAX_DEAD_PROBES: usize = 64;

/// How often a path is probed.
enum Cadence {
    /// This long after the last question.
    Every(Duration),
    /// The same, but not while the peer's questions arrive.
    Unheard(Duration),
}

/// A session that carries no more frames than this in [`IDLE_AFTER`] is calm.
const CALM_FRAMES: u64 = 100;

/// How many frames came and went lately.
pub(super) struct Calm {
    since: Instant,
    frames: u64,
    calm: bool,
}

impl Calm {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            frames: 0,
            calm: false,
        }
    }

    /// Whether few did in the last full period; `frames` have in all.
    fn look(&mut self, frames: u64, now: Instant) -> bool {
        let few = frames - self.frames <= CALM_FRAMES;
        if now.saturating_duration_since(self.since) >= IDLE_AFTER {
            *self = Self {
                since: now,
                frames,
                calm: few,
            };
        }
        self.calm && few
    }
}

impl Link {
    /// When [`Self::on_timeout`] has something to do.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        (0..self.paths.len())
            .flat_map(|at| self.path_timeouts(at, now))
            .chain([self.next_pump(now), self.next_late(now), self.playout.due()])
            .chain([self.status.due().filter(|_| {
                self.answers() || self.paths.iter().any(|path| path.tells_of_order(now))
            })])
            .flatten()
            .min()
    }

    fn path_timeouts(&self, at: usize, now: Instant) -> [Option<Instant>; 5] {
        let path = &self.paths[at];
        let talks = path.agreed && path.present && path.admin != Admin::Down;
        let live = path.live.deadline(
            path.flight.oldest(),
            path.patience(),
            self.is_alone(at),
            now,
        );
        [
            path.acks.due().filter(|_| path.present),
            live.filter(|_| talks),
            path.mtu
                .next_at()
                .filter(|_| talks && path.live.state() == State::Up),
            self.probe_at(at, now),
            path.live.hold_until().filter(|&until| until > self.ranked),
        ]
    }

    /// Does what is due.
    pub(crate) fn on_timeout(&mut self, context: &mut Context<'_>) {
        for at in 0..self.paths.len() {
            self.check_silence(at, context);
            if self
                .probe_at(at, context.now)
                .is_some_and(|due| due <= context.now)
            {
                let path = &self.paths[at];
                let doubtful = path.live.state() != State::Up
                    || !path.answered_here
                    || self.is_silent_last(at, context.now);
                self.probe(at, doubtful, context);
            }
            self.search_mtu(at, context);
        }
        self.heed_late(context);
        let held = self.ranked..=context.now;
        if self.paths.iter().any(|path| {
            path.live
                .hold_until()
                .is_some_and(|until| held.contains(&until))
        }) {
            self.rank(context.now);
        }
        self.release_if_quiet(context.now);
    }

    /// Gives back what traffic took once there is none, or next to none: in a large segment somebody always asks for an
    /// address.
    fn release_if_quiet(&mut self, now: Instant) {
        let frames = self.counters.tx_frames + self.counters.rx_frames;
        let calm = self.calm.look(frames, now);
        let pause = now.saturating_duration_since(self.last_frame);
        if !(self.idle(now) || calm && pause >= REINJECT_WITHIN) {
            return;
        }
        self.history.release();
        self.assembly.release();
        self.playout.shrink();
        self.scratch = Vec::new();
        if let Some(aggregate) = &mut self.aggregate {
            aggregate.release();
        }
        for path in &mut self.paths {
            path.flight.shrink();
            path.swallowed.shrink_to_fit();
        }
    }

    /// The machine slept: what was in flight proves nothing, nor do delays that include the sleep, and every path is asked at once.
    pub(crate) fn on_woke(&mut self, context: &mut Context<'_>) {
        for at in 0..self.paths.len() {
            self.paths[at].flight.give_up();
            self.paths[at].times.clear();
            self.paths[at].estimator.start_again(context.now);
            self.probe(at, true, context);
        }
    }

    /// The only usable path has gone silent: time to try a handshake everywhere.
    pub(crate) fn last_path_is_silent(&self, now: Instant) -> bool {
        let mut usable = self.paths.iter().filter(|path| path.usable());
        match (usable.next(), usable.next()) {
            (Some(path), None) => path
                .live
                .is_silent(path.flight.oldest(), path.patience(), now),
            (None, _) => true,
            _ => false,
        }
    }

    /// Whether `at` is the last path and silent: then it stays in use, but is asked again and again.
    fn is_silent_last(&self, at: usize, now: Instant) -> bool {
        let path = &self.paths[at];
        self.is_last(at)
            && path
                .live
                .is_silent(path.flight.oldest(), path.patience(), now)
    }

    /// Sends a PROBE at once; a doubtful path is asked for an answer `elsewhere` too.
    pub(super) fn probe(&mut self, at: usize, elsewhere: bool, context: &mut Context<'_>) {
        let path = &mut self.paths[at];
        if path.agreed && path.present && path.admin != Admin::Down {
            if path.live.state() == State::Down {
                path.flight.forget_oldest(MAX_DEAD_PROBES);
            }
            if elsewhere {
                // Full-size datagrams may be all that vanishes: the question travels in a small one.
                path.flush(&mut context.sending());
            }
            path.control(true, &mut context.sending(), |out| {
                put_probe(out, elsewhere)
            });
            path.last_eliciting = context.now;
            path.last_probe = context.now;
        }
    }

    fn check_silence(&mut self, at: usize, context: &mut Context<'_>) {
        let last = self.is_alone(at);
        let now = context.now;
        let path = &mut self.paths[at];
        if !path.agreed || !path.present || path.admin == Admin::Down {
            return;
        }
        let oldest = path.flight.oldest();
        let patience = path.patience();
        if path.live.on_silence(oldest, patience, last, now) {
            let suspect = path.live.state() == State::Suspect;
            self.on_path_changed(at, context);
            if suspect {
                self.probe(at, true, context);
            }
        }
    }

    fn search_mtu(&mut self, at: usize, context: &mut Context<'_>) {
        let path = &mut self.paths[at];
        if path.live.state() != State::Up || !path.agreed || !path.present {
            return;
        }
        if let Some(size) = path.mtu.poll(context.now, path.round_trip()) {
            path.send_mtu_probe(size, &mut context.sending());
        }
        self.check_black_hole(at, context);
    }

    /// When the next PROBE of a path is due.
    fn probe_at(&self, at: usize, now: Instant) -> Option<Instant> {
        let path = &self.paths[at];
        if !path.agreed || !path.present || path.admin == Admin::Down {
            return None;
        }
        let due = self.probe_interval(at, now).map(|cadence| match cadence {
            Cadence::Every(interval) => path.last_eliciting + interval,
            Cadence::Unheard(interval) => {
                (path.last_eliciting + interval).max(path.last_arrival + interval * 3 / 2)
            }
        });
        if path.live.state() == State::Up && path.estimator.is_lossy() {
            let doubt = path.estimator.doubt();
            let late = path
                .flight
                .oldest()
                .map(|oldest| (oldest + doubt).max(path.last_probe + doubt));
            return due.into_iter().chain(late).min();
        }
        if !self.is_silent_last(at, now) {
            return due;
        }
        let again = path.last_probe + path.patience().suspicion;
        Some(due.map_or(again, |due| due.min(again)))
    }

    fn probe_interval(&self, at: usize, now: Instant) -> Option<Cadence> {
        let path = &self.paths[at];
        match path.live.state() {
            State::Suspect => Some(Cadence::Every(path.patience().suspicion)),
            State::Probing => Some(Cadence::Every(
                path.round_trip().clamp(ACTIVE_PROBE_MIN, ACTIVE_PROBE_MAX),
            )),
            State::Down => Some(Cadence::Every(self.probe_interval_down(path, now))),
            State::Up => self.probe_interval_up(at, now),
        }
    }

    fn probe_interval_up(&self, at: usize, now: Instant) -> Option<Cadence> {
        let path = &self.paths[at];
        let standby = path.role() == Role::Metered && !self.carries(at);
        let alert = || {
            let better = self
                .paths
                .iter()
                .filter(|other| other.role() < Role::Metered && other.agreed);
            better
                .clone()
                .any(|other| other.live.state() == State::Suspect)
        };
        if standby {
            // One prober is enough where bytes cost money.
            let interval = if alert() {
                METERED_PROBE_ALERT
            } else {
                METERED_PROBE
            };
            return Some(self.as_one_prober(interval));
        }
        if self.idle(now) {
            return Some(self.as_one_prober(if path.role() == Role::Metered {
                METERED_PROBE
            } else {
                IDLE_PROBE
            }));
        }
        Some(Cadence::Every(
            path.round_trip().clamp(ACTIVE_PROBE_MIN, ACTIVE_PROBE_MAX),
        ))
    }

    /// Of two ends the one with the lower key asks; the other one only when it hears nothing of that.
    fn as_one_prober(&self, interval: Duration) -> Cadence {
        if self.we_are_lower {
            Cadence::Every(interval)
        } else {
            Cadence::Unheard(interval)
        }
    }

    fn probe_interval_down(&self, path: &Path, now: Instant) -> Duration {
        let age = now.saturating_duration_since(path.live.since());
        let metered = path.role() == Role::Metered;
        let rest = if metered { METERED_PROBE } else { IDLE_PROBE };
        match (self.has_path(), self.idle(now)) {
            (false, _) if age < DOWN_URGENT_FOR => DOWN_PROBE_URGENT,
            _ if metered && age >= Duration::from_secs(60) && self.has_path() => rest,
            (_, false) => DOWN_PROBE,
            (_, true) if age < DOWN_PATIENCE => DOWN_PROBE_SLOW,
            (_, true) => rest,
        }
    }
}
