//! CoDel (RFC 8289): whether the head of a flow is dropped, by how long its items have been standing.

use std::time::{Duration, Instant};

/// What is the same for all flows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Law {
    /// Standing delay that is tolerated.
    pub target: Duration,
    /// How long more is tolerated; the first pause between drops.
    pub interval: Duration,
    /// Bytes: a backlog of no more than this is not a standing queue.
    pub mtu: u32,
}

impl Law {
    /// The pause shrinks with the square root of the drops, so that a TCP's rate falls linearly (RFC 8289 §3.3).
    fn pause(&self, count: u32) -> Duration {
        self.interval.div_f64(f64::from(count.max(1)).sqrt())
    }
}

/// The state of one flow (RFC 8289 §5.2).
#[derive(Debug, Default)]
pub(super) struct Codel {
    /// When it will have been above the target for an interval.
    first_above: Option<Instant>,
    dropping: bool,
    drop_next: Option<Instant>,
    /// Drops since dropping began, and what it began with.
    count: u32,
    last_count: u32,
}

impl Codel {
    /// Whether the item that has just been taken from the head is to be dropped. `sojourn`: its stay; `len`: its bytes;
    /// `left`: those of its flow behind it. If so, ask again for the next, until the answer is no (RFC 8289 §5.5).
    pub(super) fn drops(
        &mut self,
        law: &Law,
        sojourn: Duration,
        len: u32,
        left: u32,
        now: Instant,
    ) -> bool {
        if !self.stands(law, sojourn, len, left, now) {
            self.dropping = false;
            return false;
        }
        let Some(due) = self.drop_next.filter(|_| self.dropping) else {
            self.begin(law, now);
            return true;
        };
        if now < due {
            return false;
        }
        self.count = self.count.saturating_add(1);
        self.drop_next = Some(due + law.pause(self.count));
        true
    }

    /// The flow has nothing left: whatever comes next has not been standing.
    pub(super) fn on_empty(&mut self) {
        self.first_above = None;
        self.dropping = false;
    }

    /// Above the target for a whole interval (RFC 8289 §5.6). What is spared is one MTU of backlog, which may be no more
    /// than what the line is busy with; of a flow of super-frames one super-frame, for the same reason.
    fn stands(&mut self, law: &Law, sojourn: Duration, len: u32, left: u32, now: Instant) -> bool {
        if sojourn < law.target || left <= law.mtu.max(len) {
            self.first_above = None;
            return false;
        }
        now >= *self.first_above.get_or_insert(now + law.interval)
    }

    /// Dropping begins, at the rate that was found if it ended only lately.
    fn begin(&mut self, law: &Law, now: Instant) {
        let found = self.count.saturating_sub(self.last_count);
        let lately = self
            .drop_next
            .is_some_and(|last| now.saturating_duration_since(last) < 16 * law.interval);
        self.count = if found > 1 && lately { found } else { 1 };
        self.last_count = self.count;
        self.dropping = true;
        self.drop_next = Some(now + law.pause(self.count));
    }
}
