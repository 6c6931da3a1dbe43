//! Sending again what was in flight on a path that cannot be trusted with it.

use std::time::Duration;

use crate::{
    drops::Drop,
    inflight::{COPY, Carried},
    params::{MAX_REINJECTIONS, REINJECT_WITHIN},
};

use super::{Context, Link};

impl Link {
    /// Sends again, on what the scheduler chooses now, everything in flight on `path`.
    pub(crate) fn reinject(&mut self, path: usize, context: &mut Context<'_>) {
        let mut parts = std::mem::take(&mut self.scratch);
        parts.clear();
        self.paths[path].discard_open_into(&mut parts);
        self.paths[path].flight.take_outstanding(&mut parts);
        let doubt = self.doubt(path);
        self.queue_ordered(&mut parts, doubt, context);
        self.resend(&mut parts, context);
        self.scratch = parts;
    }

    /// Takes the parts of ordered records out of `parts`: they wait for their turn, lest they fill the next path's line.
    pub(super) fn queue_ordered(
        &mut self,
        parts: &mut Vec<Carried>,
        doubt: Duration,
        context: &mut Context<'_>,
    ) {
        if !self.is_spreading(context.now) {
            return;
        }
        parts.sort_unstable_by_key(|part| part.ordered.is_some());
        let from = parts.partition_point(|part| part.ordered.is_none());
        let mut ordered = parts.split_off(from);
        self.queue_again(&mut ordered, doubt, context);
    }

    /// Sends `parts` again, keeping numbers and offsets.
    pub(super) fn resend(&mut self, parts: &mut Vec<Carried>, context: &mut Context<'_>) {
        parts.sort_unstable_by_key(|part| (part.record, part.offset));
        parts.retain(|part| part.again != COPY);
        parts.dedup_by(|next, kept| kept.absorb(next));
        for part in parts.iter() {
            self.put_again(part, None, context);
        }
    }

    /// Sends `part` again by `path`, or by what the scheduler chooses; unless its record is gone or too old, or it was sent often
    /// enough.
    pub(super) fn put_again(
        &mut self,
        part: &Carried,
        path: Option<usize>,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        let kept = self.history.get(part.record).filter(|kept| {
            let age = now.saturating_duration_since(kept.at);
            part.again < MAX_REINJECTIONS && age < REINJECT_WITHIN
        });
        let Some(kept) = kept else {
            return context.drops.count(Drop::ReinjectionMissed);
        };
        let path = path.or_else(|| self.scheduler.choose(kept.flow, kept.bytes.len(), now)[0]);
        let Some(path) = path else {
            return context.drops.count(Drop::NoUsablePath);
        };
        self.counters.reinjected += 1;
        self.resent = Some(now);
        let again = Carried {
            again: part.again + 1,
            handed: false,
            ..*part
        };
        self.paths[path].append(again, kept.vnet, kept.bytes, &mut context.sending());
    }
}
