//! Taking a datagram's payload apart: control messages first, then the pieces of records.

use std::time::{Duration, Instant};

use wire::{
    control::{Ack, Admin, Control, Controls, put_ack},
    payload::Payload,
};

use crate::{drops::Drop, inflight::Lost, liveness::State, params::BASE_MTU, sink::Arrival};

use super::{Context, Link};

/// What the peer's datagram asked of those above the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The peer says that it ends.
    pub closed: bool,
    /// It carried frames.
    pub frames: bool,
}

/// A datagram that opened: where its payload came from.
#[derive(Clone, Copy)]
pub(crate) struct Opened<'a> {
    pub path_id: u8,
    pub number: u64,
    /// UDP payload, bytes.
    pub size: usize,
    pub plaintext: &'a [u8],
    pub arrival: &'a Arrival,
}

/// How the control section is to be acknowledged.
#[derive(Default)]
struct Asks {
    ack: bool,
    urgent: bool,
    elsewhere: bool,
}

impl Link {
    /// Takes an authentic datagram; whole records go to `deliver`.
    pub(crate) fn on_datagram(
        &mut self,
        opened: &Opened<'_>,
        deliver: &mut dyn FnMut(&[u8], bool),
        context: &mut Context<'_>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let path = if opened.path_id == 0 {
            if self.lobby.replay.accept(opened.number).is_err() {
                return outcome;
            }
            None
        } else {
            let Some(at) = self.by_id(opened.path_id) else {
                return outcome;
            };
            if !self.on_arrival(at, opened.number, opened.size, opened.arrival, context) {
                return outcome;
            }
            Some(at)
        };
        let Ok(payload) = Payload::parse(opened.plaintext) else {
            context.drops.count(Drop::Malformed);
            return outcome;
        };
        let mut asks =
            self.on_controls(payload.control, path, opened.arrival, &mut outcome, context);
        if let (Some(_), Some(pieces)) = (path, payload.records) {
            asks.ack = true;
            outcome.frames = true;
            self.last_frame = context.now;
            self.on_pieces(pieces, opened.path_id, deliver, context);
        }
        if let (Some(at), true) = (path, asks.ack) {
            self.paths[at]
                .acks
                .on_eliciting(asks.urgent, asks.elsewhere, context.now);
        }
        outcome
    }

    fn on_controls(
        &mut self,
        section: &[u8],
        path: Option<usize>,
        arrival: &Arrival,
        outcome: &mut Outcome,
        context: &mut Context<'_>,
    ) -> Asks {
        let mut asks = Asks::default();
        for control in Controls::new(section) {
            let Ok(control) = control else {
                context.drops.count(Drop::Malformed);
                break;
            };
            asks.ack |= control.is_ack_eliciting();
            match control {
                Control::Padding(_) => {}
                Control::Probe { echo_elsewhere } => {
                    asks.urgent = true;
                    asks.elsewhere |= echo_elsewhere;
                }
                Control::Ack(ack) => self.on_ack(&ack, path, context),
                Control::Challenge {
                    token,
                    uplink,
                    path,
                    role,
                } => {
                    self.on_challenge(token, uplink, path, role, arrival, context);
                }
                Control::Response {
                    token,
                    uplink,
                    path,
                    role,
                    ..
                } => {
                    self.on_response(token, uplink, path, role, context);
                }
                Control::Status { sequence, paths } => {
                    asks.urgent = true;
                    self.on_status(sequence, paths, context);
                }
                Control::Close { .. } => outcome.closed = true,
                Control::Site { .. } => {}
            }
        }
        asks
    }

    fn on_ack(&mut self, ack: &Ack<'_>, came_on: Option<usize>, context: &mut Context<'_>) {
        let Some(at) = self.by_id(ack.path) else {
            return;
        };
        let now = context.now;
        let path = &mut self.paths[at];
        let delay = Duration::from_micros(u64::from(ack.delay_us));
        let patience = path.round_trip();
        let mut parts = std::mem::take(&mut self.scratch);
        parts.clear();
        let mut lost = Lost {
            swallowed: &mut path.swallowed,
            parts: &mut parts,
            arrived: &mut self.arrived,
        };
        let result = path
            .flight
            .acknowledge(ack.ranges(), patience, BASE_MTU, &mut lost);
        if result.newly_acked > 0 || came_on == Some(at) {
            path.answered_here = came_on == Some(at);
        }
        let mut round_trip = None;
        if came_on == Some(at) {
            if let Some(sample) = path.times.round_trip(ack.largest, delay, now) {
                path.estimator.on_round_trip(sample, now);
                round_trip = Some(sample);
            }
        } else if let Some(sent) = result.largest_sent_at {
            let sample = now.saturating_duration_since(sent).saturating_sub(delay);
            path.estimator.on_round_trip_elsewhere(sample, now);
        }
        path.estimator.on_fate(result.newly_acked, result.lost, now);
        path.on_delivery(ack, &result, round_trip, now);
        if let Some(size) = result.mtu_probe_acked {
            path.mtu.on_acked(size, now);
        }
        path.mtu.on_arrived(result.largest_acked_size);
        path.swallowed
            .retain(|&(size, _)| size > result.largest_acked_size);
        path.mtu.on_full_size_lost(&result.big_lost, now);
        if let Some(sequence) = result.status_acked {
            self.status.on_acked(sequence);
        }
        if result.newly_acked > 0
            && path
                .live
                .is_news(came_on == Some(at), result.newest_sent_at)
        {
            self.on_answer(at, now, context);
        }
        self.on_stripe_arrived(at, result.newest_sent_at);
        self.forget_arrived();
        self.queue_again(&mut parts, Duration::ZERO, context);
        self.scratch = parts;
        self.check_black_hole(at, context);
        self.forget_settled(now);
    }

    fn on_answer(&mut self, at: usize, now: Instant, context: &mut Context<'_>) {
        let path = &mut self.paths[at];
        if !path.agreed || !path.present || path.admin == Admin::Down {
            return;
        }
        let before = path.live.state();
        path.live.on_answer(now);
        let after = path.live.state();
        if before == State::Down {
            // How late the answers to what was asked in the meantime come says nothing about the delay.
            path.estimator.start_again(now);
            path.times.clear();
        }
        if before == State::Probing && after == State::Up {
            // What was lost while it was dead says nothing about how good it is, nor does what will turn out to be.
            path.estimator.forget_loss();
            path.flight.give_up();
            path.times.clear();
            path.pacing.restart(now);
        }
        if before != after {
            self.on_path_changed(at, context);
        }
        if after == State::Probing {
            // One more answer and it is back: ask at once.
            self.probe(at, false, context);
        }
    }

    /// If full-size datagrams vanish: send again, smaller, what they carried.
    pub(super) fn check_black_hole(&mut self, at: usize, context: &mut Context<'_>) {
        let path = &mut self.paths[at];
        if !path.mtu.fell_into_black_hole(context.now) {
            return;
        }
        context.events.push(crate::Event::MtuBlackHole {
            uplink: path.uplink,
            remote: path.remote,
        });
        let mut parts: Vec<_> = path.swallowed.drain(..).map(|(_, part)| part).collect();
        path.discard_open_into(&mut parts);
        path.flight.take_outstanding(&mut parts);
        self.queue_ordered(&mut parts, Duration::ZERO, context);
        self.resend(&mut parts, context);
    }

    /// Writes acknowledgements that are due: on their own path, and on the best other one unless the session is idle.
    pub(super) fn send_due_acks(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        for at in 0..self.paths.len() {
            if self.paths[at].acks.due().is_some_and(|due| due <= now) {
                self.send_ack(at, context);
            }
        }
    }

    fn send_ack(&mut self, at: usize, context: &mut Context<'_>) {
        let now = context.now;
        let path = &self.paths[at];
        let elsewhere = (!self.idle(now) || path.acks.wanted_elsewhere())
            .then(|| self.best_answering(at))
            .flatten()
            .filter(|&other| {
                // Acknowledgements of a free line do not cost money on a metered one.
                self.paths[other].role() <= path.role() || !path.live_and_well()
            });
        let Some(header) = self.paths[at]
            .acks
            .header(self.paths[at].id, now, self.epoch)
        else {
            return;
        };
        self.paths[at].acknowledge_here(&header, &mut context.sending());
        let pair = elsewhere.and_then(|other| self.paths.get_disjoint_mut([at, other]).ok());
        if let Some([source, carrier]) = pair {
            carrier.control(false, &mut context.sending(), |out| {
                put_ack(out, &header, source.acks.ranges());
            });
        }
        self.paths[at].acks.on_sent(now);
    }
}
