//! The delay of [`super::Playout`]: the time between the sending of a record by the sender's clock and its release by ours.

use super::{Nanos, nanos};
use crate::params::{
    AGAIN_LEAST, AGAIN_MARGIN, AGAIN_SHARE, AGAIN_SPREAD, GAP_PATIENCE, MAX_PLAYOUT_HOLD,
    PLAYOUT_FALL, PLAYOUT_FORGET, PLAYOUT_MARGIN, PLAYOUT_RISE, PLAYOUT_STEP,
};

const BUCKET: Nanos = 125_000_000;
/// For how long losses count: 4 s.
const BUCKETS: i64 = 32;
/// For how long a transit counts: 1 s, and so for as long as what came after it can be held.
const TRANSIT_BUCKETS: i64 = 8;

/// The pieces of one bucket's time, or of several.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: u64,
    again: u64,
    /// The shortest transit.
    lowest: Nanos,
    /// The longest of first-time pieces.
    highest: Nanos,
    /// The longest transit of those sent again that is worth waiting for.
    late: Nanos,
}

const NOTHING: Seen = Seen {
    first: 0,
    again: 0,
    lowest: Nanos::MAX,
    highest: Nanos::MIN,
    late: Nanos::MIN,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Delay {
    buckets: [Seen; BUCKETS as usize],
    newest: i64,
    /// Of the last second that had any.
    lowest: Nanos,
    highest: Nanos,
    /// Of the last four seconds; `None`: too little is lost to wait for it.
    late: Option<Nanos>,
    round_trip: Nanos,
    current: Option<Nanos>,
    /// When `current` was last looked after.
    moved: Nanos,
    /// When a piece last came.
    heard: Nanos,
    /// How far it may rise at once.
    step: Nanos,
    /// Until then something lost lately is waited for.
    gap_until: Nanos,
}

impl Default for Delay {
    fn default() -> Self {
        Self {
            buckets: [NOTHING; BUCKETS as usize],
            newest: 0,
            lowest: 0,
            highest: 0,
            late: None,
            round_trip: 0,
            current: None,
            moved: 0,
            heard: 0,
            step: nanos(PLAYOUT_STEP),
            gap_until: Nanos::MIN,
        }
    }
}

impl Delay {
    pub(super) fn new(round_trip: Nanos) -> Self {
        Self {
            round_trip,
            ..Self::default()
        }
    }

    /// Whether so long nothing came that what was measured means little, since clocks drift.
    pub(super) fn is_old(&self, at: Nanos) -> bool {
        at - self.heard > nanos(PLAYOUT_FORGET)
    }

    pub(super) const fn round_trip(&self) -> Nanos {
        self.round_trip
    }

    /// The delay, once a piece was measured.
    pub(super) const fn current(&self) -> Option<Nanos> {
        self.current
    }

    /// The shortest transit of the last second that had any. No record is held for longer than the delay less this.
    pub(super) const fn lowest(&self) -> Nanos {
        self.lowest
    }

    pub(super) const fn set_round_trip(&mut self, fastest: Nanos) {
        self.round_trip = fastest;
    }

    /// A piece came at `at` after `transit`; `again`: not when its bytes were first sent.
    pub(super) fn on_piece(&mut self, transit: Nanos, again: bool, at: Nanos) {
        self.roll(at);
        self.heard = self.heard.max(at);
        if self.current.is_none() {
            (self.lowest, self.highest) = (transit, transit);
            self.current = Some(self.target(at));
        }
        let patience = self.patience();
        let bucket = &mut self.buckets[self.newest.rem_euclid(BUCKETS) as usize];
        bucket.lowest = bucket.lowest.min(transit);
        self.lowest = self.lowest.min(transit);
        if again {
            bucket.again += 1;
            // What was lost twice is not waited for: that would delay everything for the few.
            if transit <= patience {
                bucket.late = bucket.late.max(transit);
            }
        } else {
            bucket.first += 1;
            bucket.highest = bucket.highest.max(transit);
            self.highest = self.highest.max(transit);
        }
        self.advance(at);
    }

    /// Moves the delay towards what it should be.
    ///
    /// A rise holds back all that follows, so the first part of it comes at once, before more is out of order, and what is
    /// beyond comes so slowly that the flow goes on: a TCP takes a pause longer than its timeout for loss. A fall lets what
    /// is held go faster than it came, and is slow so that no burst is made.
    pub(super) fn advance(&mut self, at: Nanos) {
        let Some(current) = self.current else { return };
        self.roll(at);
        let elapsed = (at - self.moved).max(0);
        self.moved = self.moved.max(at);
        self.step = (self.step + elapsed / PLAYOUT_RISE).min(nanos(PLAYOUT_STEP));
        let target = self.target(at);
        let moved = if target > current {
            let rise = (target - current).min(self.step);
            self.step -= rise;
            current + rise
        } else {
            target.max(current - elapsed / PLAYOUT_FALL)
        };
        self.current = Some(moved.min(self.ceiling()));
    }

    /// A datagram is missing at `at`: what follows it is held until it can have been sent again.
    pub(super) fn on_gap(&mut self, at: Nanos) {
        self.gap_until = at + nanos(GAP_PATIENCE);
        self.advance(at);
    }

    fn target(&self, at: Nanos) -> Nanos {
        let late = if at < self.gap_until {
            Some(self.patience())
        } else {
            self.late.map(|late| late.min(self.patience()))
        };
        let longest = self.highest.max(late.unwrap_or(Nanos::MIN));
        (longest + nanos(PLAYOUT_MARGIN)).min(self.ceiling())
    }

    fn ceiling(&self) -> Nanos {
        self.lowest + nanos(MAX_PLAYOUT_HOLD)
    }

    /// The transit up to which something sent again is waited for.
    fn patience(&self) -> Nanos {
        self.highest + (self.round_trip * 3 + nanos(AGAIN_MARGIN)).max(nanos(AGAIN_LEAST))
    }

    /// Begins new buckets when their time has come, and sums up what is left in the old ones.
    fn roll(&mut self, at: Nanos) {
        let bucket = at / BUCKET;
        if bucket <= self.newest {
            return;
        }
        for gone in 1..=(bucket - self.newest).min(BUCKETS) {
            self.buckets[(self.newest + gone).rem_euclid(BUCKETS) as usize] = NOTHING;
        }
        self.newest = bucket;
        let (mut all, mut spread) = (NOTHING, 0);
        for age in 0..BUCKETS {
            let seen = &self.buckets[(bucket - age).rem_euclid(BUCKETS) as usize];
            all.first += seen.first;
            all.again += seen.again;
            all.late = all.late.max(seen.late);
            spread += usize::from(seen.again > 0);
            if age <= TRANSIT_BUCKETS {
                all.lowest = all.lowest.min(seen.lowest);
                all.highest = all.highest.max(seen.highest);
            }
        }
        if all.lowest < Nanos::MAX {
            self.lowest = all.lowest;
        }
        if all.highest > Nanos::MIN {
            self.highest = all.highest;
        }
        // A burst, as when a path dies, is over when it is known: waiting helps only where losses go on.
        let lossy = spread >= AGAIN_SPREAD && all.again * AGAIN_SHARE > all.first + all.again;
        self.late = (lossy && all.late > Nanos::MIN).then_some(all.late);
    }
}
