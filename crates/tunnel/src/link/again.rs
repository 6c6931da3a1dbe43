//! What is sent again in the aggregating mode: what was lost, and what was on a path that fell silent.

use std::time::{Duration, Instant};

use crate::{
    drops::Drop,
    inflight::{COPY, Carried},
    params::{ACK_DELAY, DOUBT_MOST, MAX_AGAIN, MAX_REINJECTIONS, TAIL_PROBE},
    path::Path,
};

use super::{
    Context, Link,
    aggregate::{Aggregate, relative_delay},
};

/// A part of a record that waits to be sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    pub part: Carried,
    pub not_before: Instant,
}

impl Link {
    /// Whether parts of records wait to be sent again.
    pub(super) fn has_again(&self) -> bool {
        let waits = |aggregate: &Aggregate| !aggregate.again.is_empty();
        self.aggregate.as_deref().is_some_and(waits)
    }

    /// When something that was overtaken is to be sent again, or the last bulk datagram of a path to be asked for.
    pub(super) fn next_late(&self, now: Instant) -> Option<Instant> {
        if !self.is_spreading(now) {
            return None;
        }
        let paths = self.paths.iter().filter(|path| path.usable());
        paths
            .flat_map(|path| {
                [
                    path.flight.next_late(path.loss_delay()),
                    path.tail_probe_at(),
                ]
            })
            .flatten()
            .min()
    }

    /// Sends again what was overtaken, and asks for the last bulk datagram of a path that has fallen silent: were it lost,
    /// nothing would show it until more is sent.
    pub(super) fn heed_late(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if !self.is_spreading(now) {
            return;
        }
        let mut parts = std::mem::take(&mut self.scratch);
        parts.clear();
        for at in 0..self.paths.len() {
            let path = &mut self.paths[at];
            let delay = path.loss_delay();
            path.flight.take_late(delay, now, &mut parts);
            if path.tail_probe_at().is_some_and(|due| due <= now) && path.usable() {
                self.probe(at, false, context);
            }
        }
        self.queue_again(&mut parts, Duration::ZERO, context);
        self.scratch = parts;
    }

    /// Parts of records are lost, or on a path that cannot be trusted with them: they wait for their turn. With `doubt` each
    /// until it is so old: its acknowledgement may still come, the long way.
    pub(super) fn queue_again(
        &mut self,
        parts: &mut Vec<Carried>,
        doubt: Duration,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        let spreading = |aggregate: &&mut Box<Aggregate>| aggregate.is_spreading(now);
        let Some(aggregate) = self.aggregate.as_mut().filter(spreading) else {
            return;
        };
        parts.sort_unstable_by_key(|part| (part.record, part.offset));
        for part in parts.drain(..).filter(|part| part.again != COPY) {
            if part.again >= MAX_REINJECTIONS {
                context.drops.count(Drop::ReinjectionMissed);
                continue;
            }
            if aggregate.again.len() >= MAX_AGAIN {
                aggregate.again.pop_front();
                context.drops.count(Drop::ReinjectionMissed);
            }
            let sent = self.history.get(part.record).map_or(now, |kept| kept.at);
            aggregate.again.push_back(Again {
                part,
                not_before: sent + doubt,
            });
        }
    }

    /// How old what left by `path` has to be before it is known that it has not arrived, when the path's own way back is dead.
    pub(super) fn doubt(&self, path: usize) -> Duration {
        let usable = self.paths.iter().filter(|path| path.usable());
        let back = usable.map(Path::round_trip).max().unwrap_or_default();
        let doubt = (self.paths[path].round_trip() + back) / 2 + ACK_DELAY;
        doubt.min(DOUBT_MOST)
    }

    /// Sends nothing again that has arrived after all.
    pub(super) fn forget_arrived(&mut self) {
        if let Some(aggregate) = self.aggregate.as_mut().filter(|_| !self.arrived.is_empty()) {
            let arrived = &self.arrived;
            let same = |part: &Carried, other: &Carried| {
                (part.record, part.offset, part.len) == (other.record, other.offset, other.len)
            };
            aggregate
                .again
                .retain(|again| !arrived.iter().any(|other| same(&again.part, other)));
        }
        self.arrived.clear();
    }

    /// When the oldest part that waits to be sent again may be; `None`: there is none.
    pub(super) fn again_at(&self) -> Option<Instant> {
        let aggregate = self.aggregate.as_ref()?;
        Some(aggregate.again.front()?.not_before)
    }

    /// Of the paths over which bulk is spread, the one by which something small arrives first, be it that it has to wait for its turn.
    pub(super) fn quickest_arrival(&self, now: Instant) -> Option<usize> {
        let aggregate = self.aggregate.as_ref()?;
        let members = aggregate.stripes.members().iter().copied();
        members
            .filter(|&path| self.paths[path].has_room(now))
            .min_by_key(|&path| {
                let pacing = &self.paths[path].pacing;
                let wait = pacing
                    .next_open()
                    .saturating_duration_since(now)
                    .as_micros() as i64;
                let delay = relative_delay(&self.paths, path);
                delay.map_or(i64::MAX, |delay| delay + wait)
            })
    }

    /// Sends the oldest part that waits to be sent again. False: there is none.
    pub(super) fn send_again(&mut self, path: usize, context: &mut Context<'_>) -> bool {
        if self.again_at().is_some_and(|at| at > context.now) {
            return false;
        }
        let oldest = self.aggregate.as_mut().and_then(|a| a.again.pop_front());
        let Some(Again { part, .. }) = oldest else {
            return false;
        };
        self.put_again(&part, Some(path), context);
        true
    }
}

impl Path {
    /// How long after it was sent a datagram is missed that later ones have overtaken (RFC 9002 §6.1.2).
    fn loss_delay(&self) -> Duration {
        self.round_trip() * 9 / 8 + Duration::from_millis(1)
    }

    /// When the last bulk datagram, if nothing followed it, is to be asked for.
    fn tail_probe_at(&self) -> Option<Instant> {
        self.tail.map(|sent| sent + TAIL_PROBE)
    }
}
