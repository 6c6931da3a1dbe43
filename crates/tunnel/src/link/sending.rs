//! The way of a record onto the paths, and how long it is kept for sending again.

use std::time::Instant;

use crate::{
    drops::Drop,
    inflight::Carried,
    liveness::State,
    params::{MAX_SUPER_RECORD, REINJECT_WITHIN},
    path::Path,
    record::{Lent, Record},
};

use super::{Context, Link};

/// What becomes of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All of it goes out at once, on the paths that the scheduler chooses.
    Whole,
    /// It may have to wait for its path.
    Spread,
    TooLong,
    NoPath,
}

impl Link {
    /// Sends one record. False when no path is usable.
    pub(crate) fn send(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> bool {
        let now = context.now;
        match self.way(record, now) {
            Way::Whole => {
                let number = self.send_whole(record, context);
                self.history
                    .push(number, record.bytes, record.flow, record.vnet, now);
            }
            Way::Spread => self.send_spread(record, context),
            Way::TooLong => context.drops.count(Drop::FrameTooLong),
            Way::NoPath => return false,
        }
        true
    }

    /// The same for a record whose buffer may be kept: it is if all of it goes out at once.
    pub(crate) fn send_lent(&mut self, lent: &mut Lent<'_>, context: &mut Context<'_>) -> bool {
        let record = lent.record();
        if self.way(&record, context.now) != Way::Whole {
            return self.send(&record, context);
        }
        let number = self.send_whole(&record, context);
        self.history.push_lent(number, lent, context.now);
        true
    }

    fn way(&mut self, record: &Record<'_>, now: Instant) -> Way {
        self.last_frame = now;
        if !self.scheduler.has_path() {
            return Way::NoPath;
        }
        let longest = if record.vnet && self.takes_vnet {
            MAX_SUPER_RECORD
        } else {
            self.max_frame
        };
        if record.longest > self.max_frame as usize || record.bytes.len() > longest as usize {
            Way::TooLong
        } else if self.is_spreading(now) {
            Way::Spread
        } else {
            Way::Whole
        }
    }

    /// Returns the number of the record, which is to be kept under it.
    fn send_whole(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> u64 {
        let bytes = record.bytes;
        let chosen = self.scheduler.choose(record.flow, bytes.len(), context.now);
        let number = self.next_record;
        self.next_record += 1;
        self.counters.tx_frames += 1;
        for path in chosen.into_iter().flatten() {
            let all = Carried {
                record: number,
                offset: 0,
                len: bytes.len() as u32,
                again: 0,
                ordered: None,
                handed: false,
            };
            self.paths[path].append(all, record.vnet, bytes, &mut context.sending());
        }
        number
    }

    /// Forgets records whose fate is known: what is kept for sending again stays small, and in the processor's caches.
    ///
    /// A record sent again is in flight twice; for a while after that nothing is forgotten early.
    pub(super) fn forget_settled(&mut self, now: Instant) {
        let resent = |at| now.saturating_duration_since(at) < REINJECT_WITHIN;
        if self.resent.is_some_and(resent) || self.has_again() {
            return;
        }
        let lives = |path: &&Path| matches!(path.live.state(), State::Up | State::Suspect);
        let mut living = self.paths.iter().filter(lives);
        if living.clone().any(|path| !path.swallowed.is_empty()) {
            return;
        }
        let oldest = living.try_fold(now, |oldest, path| {
            // What waits in an open datagram is not in flight yet.
            (!path.has_open()).then(|| oldest.min(path.flight.oldest().unwrap_or(now)))
        });
        if let Some(oldest) = oldest {
            self.history.forget_before(oldest);
        }
    }
}
