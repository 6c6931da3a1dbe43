//! The sending end: what may leave when, what is lost, and how long to wait for news.

use std::time::{Duration, Instant};

use super::{
    Ack, Burst, Detection,
    congestion::{AckEvent, CongestionControl},
    prr::Prr,
    rack::{Rack, THRESHOLD},
    rate::{Deliveries, Departure},
    rtt::RoundTrip,
    scoreboard::Scoreboard,
    settings::{Pacing, SenderConfig, SenderCounts},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Until this segment is acknowledged.
    Recovery(u64),
    /// The same after a timeout.
    Loss(u64),
}

/// See the module.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    pub(super) board: Scoreboard,
    pub(super) round_trip: RoundTrip,
    deliveries: Deliveries,
    rack: Rack,
    congestion: Box<dyn CongestionControl>,
    phase: Phase,
    prr: Option<Prr>,
    /// Retransmissions of this recovery not yet reported as duplicates, and whether all so far were.
    undo: Option<u64>,
    window_limited: bool,
    restarted_at: Instant,
    probed: bool,
    probe: bool,
    reorder_at: Option<Instant>,
    pace_at: Option<Instant>,
    /// What there is to send, segments; `None`: without end.
    pub limit: Option<u64>,
    /// What happened.
    pub counts: SenderCounts,
}

impl Sender {
    /// One that has everything to send.
    #[must_use]
    pub fn new(config: SenderConfig, now: Instant) -> Self {
        Self {
            config,
            board: Scoreboard::default(),
            round_trip: RoundTrip::default(),
            deliveries: Deliveries::new(now),
            rack: Rack::new(config.detection),
            congestion: config.algorithm.start(now),
            phase: Phase::Open,
            prr: None,
            undo: None,
            window_limited: false,
            restarted_at: now,
            probed: false,
            probe: false,
            reorder_at: None,
            pace_at: None,
            limit: None,
            counts: SenderCounts::default(),
        }
    }

    /// Congestion window, segments.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.congestion.window()
    }

    /// Smoothed round trip.
    #[must_use]
    pub fn smoothed_round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    /// Segments believed to be on their way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.board.flying()
    }

    /// Takes an acknowledgement.
    pub fn on_ack(&mut self, ack: &Ack, now: Instant) {
        if ack.next > self.board.next() {
            return;
        }
        let (una, flying) = (self.board.una(), self.board.flying());
        let fresh = self.note_duplicate(ack);
        let before = self.deliveries.delivered;
        let mut latest = None;
        self.deliver(una, ack.next, &mut latest, now);
        for &(first, end) in &ack.blocks[fresh..] {
            self.deliver(first.max(una), end, &mut latest, now);
        }
        self.board.advance(ack.next);
        let delivered = self.deliveries.delivered - before;
        let advanced = ack.next > una;
        if advanced || delivered > 0 {
            self.probed = false;
        }
        if advanced {
            self.restarted_at = now;
        }
        let lost = self.detect(now);
        let least = self.round_trip.least();
        let rate = latest
            .as_ref()
            .and_then(|(of, at, _)| self.deliveries.sample(of, *at, least));
        self.change_phase(lost, flying, delivered, advanced, now);
        self.congestion.on_ack(&AckEvent {
            now,
            delivered,
            total_delivered: self.deliveries.delivered,
            rtt: latest.and_then(|(.., rtt)| rtt),
            smoothed: self.round_trip.smoothed(),
            least,
            rate,
            flying: self.board.flying(),
            lost,
            recovering: matches!(self.phase, Phase::Recovery(_)),
            window_limited: self.window_limited,
        });
    }

    /// Marks `first` to before `end` as delivered.
    fn deliver(
        &mut self,
        first: u64,
        end: u64,
        latest: &mut Option<(Departure, Instant, Option<Duration>)>,
        now: Instant,
    ) {
        for number in first..end {
            let Some(entry) = self.board.deliver(number) else {
                continue;
            };
            self.deliveries.delivered += 1;
            self.deliveries.delivered_at = now;
            let rtt = now - entry.sent_at;
            let once = entry.times == 1;
            if once {
                self.round_trip.sample(rtt, now);
                if number < self.board.highest() {
                    self.rack.reordered();
                }
            }
            // What comes back faster than the line allows answers the first copy (RFC 8985 section 6.2, step 2).
            if once || self.round_trip.least().is_none_or(|least| rtt >= least) {
                self.rack.delivered(entry.sent_at, number, rtt);
            }
            if latest.is_none_or(|(_, at, _)| at <= entry.sent_at) {
                *latest = Some((entry.departure, entry.sent_at, once.then_some(rtt)));
            }
        }
        self.board.raise(end);
    }

    /// How many blocks of `ack` tell of duplicates: the first, or none.
    fn note_duplicate(&mut self, ack: &Ack) -> usize {
        let Some(&(first, end)) = ack.blocks.first() else {
            return 0;
        };
        let inside = ack
            .blocks
            .get(1)
            .is_some_and(|&(a, b)| a <= first && end <= b);
        if end > ack.next && !inside {
            return 0;
        }
        self.rack.duplicate(self.board.una(), self.board.next());
        if let Some(left) = &mut self.undo {
            *left = left.saturating_sub(end - first);
            if *left == 0 && self.phase != Phase::Open {
                self.counts.undone += 1;
                self.congestion.undo();
                self.open();
            }
        }
        1
    }

    fn detect(&mut self, now: Instant) -> u64 {
        self.reorder_at = None;
        if self.board.sacked() == 0 && self.phase == Phase::Open {
            return 0;
        }
        let smoothed = self.round_trip.smoothed().unwrap_or_default();
        let least = self.round_trip.least().unwrap_or_default();
        let recovering = self.phase != Phase::Open;
        let window = self
            .rack
            .window((least, smoothed), recovering, self.board.sacked());
        let quic = self.rack.detection == Detection::Quic;
        let highest = self.board.highest();
        let mut soonest: Option<Instant> = None;
        let rack = &self.rack;
        let lost = self.board.lose(|number, entry| {
            if quic && entry.times == 1 && number + THRESHOLD < highest {
                return true;
            }
            let Some(at) = rack.lost_at(entry.sent_at, number, window) else {
                return false;
            };
            if at > now {
                soonest = Some(soonest.map_or(at, |s| s.min(at)));
            }
            at <= now
        });
        self.reorder_at = soonest;
        lost
    }

    fn change_phase(
        &mut self,
        lost: u64,
        flying_before: u64,
        delivered: u64,
        advanced: bool,
        now: Instant,
    ) {
        match self.phase {
            Phase::Open if lost > 0 => self.recover(flying_before, now),
            Phase::Recovery(end) | Phase::Loss(end) if self.board.una() >= end => {
                self.rack.recovered();
                if matches!(self.phase, Phase::Recovery(_)) {
                    self.congestion.on_recovered();
                }
                self.open();
            }
            _ => {}
        }
        if let Some(prr) = &mut self.prr {
            prr.on_ack(delivered, self.board.flying(), advanced && lost == 0);
        }
    }

    fn recover(&mut self, flying_before: u64, now: Instant) {
        self.counts.recoveries += 1;
        self.phase = Phase::Recovery(self.board.next());
        self.undo = Some(0);
        self.congestion.on_loss(self.board.flying(), now);
        self.prr = self
            .congestion
            .ssthresh()
            .map(|ssthresh| Prr::new(ssthresh, flying_before));
    }

    fn open(&mut self) {
        self.phase = Phase::Open;
        (self.prr, self.undo) = (None, None);
    }

    /// Does what is due.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.reorder_at.is_some_and(|at| at <= now) {
            let flying = self.board.flying();
            let lost = self.detect(now);
            self.change_phase(lost, flying, 0, false, now);
        }
        if self.retransmission_at().is_some_and(|at| at <= now) {
            self.time_out(now);
        } else if self.probe_at().is_some_and(|at| at <= now) {
            self.counts.probes += 1;
            (self.probed, self.probe) = (true, true);
        }
    }

    fn time_out(&mut self, now: Instant) {
        self.counts.timeouts += 1;
        self.round_trip.back_off();
        self.restarted_at = now;
        self.board.lose(|_, _| true);
        if !matches!(self.phase, Phase::Loss(_)) {
            self.undo = Some(0);
            self.congestion.on_timeout(now);
        }
        self.prr = None;
        self.phase = Phase::Loss(self.board.next());
        self.pace_at = None;
    }

    fn outstanding(&self) -> bool {
        self.board.next() > self.board.una()
    }

    fn retransmission_at(&self) -> Option<Instant> {
        self.outstanding()
            .then(|| self.restarted_at + self.round_trip.timeout())
    }

    /// Tail loss probe (RFC 8985 section 7).
    fn probe_at(&self) -> Option<Instant> {
        let smoothed = self.round_trip.smoothed()?;
        let quiet = self.phase == Phase::Open && self.board.sacked() == 0 && !self.probed;
        let more = Duration::from_millis(if self.board.flying() == 1 { 200 } else { 8 });
        (quiet && self.outstanding()).then(|| self.restarted_at + smoothed * 2 + more)
    }

    /// When to call [`Self::on_timeout`] or [`Self::poll`] again, if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timers = [
            self.retransmission_at(),
            self.probe_at(),
            self.reorder_at,
            self.pace_at,
        ];
        timers.into_iter().flatten().min()
    }

    /// The next segments to send now.
    pub fn poll(&mut self, now: Instant) -> Option<Burst> {
        let rate = self.pacing_rate();
        if std::mem::take(&mut self.probe) && self.outstanding() {
            let new = self.new_data(1) == 1;
            let first = self.board.next() - u64::from(!new);
            return Some(self.leave(first, 1, !new, now));
        }
        if self.pace_at.is_some_and(|at| at > now) {
            return None;
        }
        self.pace_at = None;
        let allowed = self.allowed();
        let most = allowed.min(self.burst(rate));
        let (first, count, again) = match self.board.first_lost(most) {
            Some((first, count)) => (first, count, true),
            None => (self.board.next(), self.new_data(most), false),
        };
        self.window_limited = allowed == 0 || (count > 0 && most == allowed);
        if count == 0 {
            return None;
        }
        if let Some(rate) = rate.filter(|_| self.paces()) {
            self.pace_at = Some(now + Duration::from_secs_f64(count as f64 / rate));
        }
        Some(self.leave(first, count, again, now))
    }

    /// How much new data there is, at most `most`.
    fn new_data(&self, most: u64) -> u64 {
        let next = self.board.next();
        let end = self.board.una() + self.config.receive_window;
        let end = self.limit.map_or(end, |limit| limit.min(end));
        end.saturating_sub(next).min(most)
    }

    fn allowed(&self) -> u64 {
        match &self.prr {
            Some(prr) => prr.allowed(),
            None => self.window().saturating_sub(self.board.flying()),
        }
    }

    fn paces(&self) -> bool {
        self.config.pacing == Pacing::Linux || self.congestion.pacing_rate().is_some()
    }

    /// Segments per second.
    fn pacing_rate(&self) -> Option<f64> {
        self.congestion.pacing_rate().or_else(|| {
            let smoothed = self.round_trip.smoothed()?.as_secs_f64().max(1e-6);
            let window = self.window() as f64;
            let slow_start = self
                .congestion
                .ssthresh()
                .is_some_and(|s| self.window() < s / 2);
            Some(if slow_start { 2.0 } else { 1.2 } * window / smoothed)
        })
    }

    /// Segments of a super-frame: 1 ms worth of them, at least two, at most 64 kB (`tcp_tso_autosize`).
    fn burst(&self, rate: Option<f64>) -> u64 {
        rate.map_or(10, |rate| (rate / 1024.0) as u64).clamp(2, 44)
    }

    fn leave(&mut self, first: u64, count: u64, again: bool, now: Instant) -> Burst {
        let idle = self.board.flying() == 0;
        if !self.outstanding() || (again && first == self.board.una()) {
            self.restarted_at = now;
        }
        for number in first..first + count {
            let departure = self.deliveries.depart(idle && number == first, now);
            if again {
                self.board.resend(number, now, departure);
            } else {
                self.board.push(now, departure);
            }
        }
        self.counts.sent += count;
        if again {
            self.counts.resent += count;
            self.undo = self.undo.map(|left| left + count);
        }
        if let Some(prr) = &mut self.prr {
            prr.on_send(count);
        }
        if self.limit == Some(self.board.next()) {
            self.deliveries.app_limited_until = self.deliveries.delivered + self.board.flying();
        }
        Burst {
            first,
            count,
            again,
        }
    }
}
