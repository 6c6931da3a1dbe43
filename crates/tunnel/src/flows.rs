//! Which flows are bulk: they may wait and be spread over paths. All others go at once, on the quickest path.
//!
//! A flow is known by its bucket alone. Each has a leaky bucket that drains at a small share of what the paths carry; who
//! fills it is bulk until it has drained again. All sparse flows together have a bucket too, lest many small ones take a path
//! unasked.

use std::time::{Duration, Instant};

use crate::params::FLOW_BUCKETS;

/// A sparse flow has at most one part in this many of the capacity…
const SHARE: u64 = 16;
/// …all sparse flows together one in this many…
const SHARE_OF_ALL: u64 = 2;
/// …but never less than this, bytes per second: what a call or a terminal takes.
const LEAST: u64 = 250_000;
/// Bytes that a flow may send in one burst: a first flight of TCP (RFC 6928).
const BURST: u64 = 16_384;
/// The same for all sparse flows together.
const BURST_OF_ALL: u64 = 131_072;
/// Bulk for at least this long after a burst.
const LINGER: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, Default)]
struct Leaky {
    level: u64,
    at: Option<Instant>,
}

impl Leaky {
    /// Adds `bytes`; the level, at most `most`, after draining at `rate` bytes per second.
    fn add(&mut self, bytes: u64, rate: u64, most: u64, now: Instant) -> u64 {
        let pause = self
            .at
            .map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let drained = u128::from(rate) * pause.as_micros().min(1 << 40) / 1_000_000;
        self.level = self
            .level
            .saturating_sub(drained.min(u128::from(u64::MAX)) as u64);
        self.level = (self.level + bytes).min(most);
        self.at = Some(now);
        self.level
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    leaky: Leaky,
    bulk: bool,
    /// Until then records that went out ordered may be held by the receiver: none of this flow may overtake them.
    ordered_until: Option<Instant>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    table: Vec<Flow>,
    sparse: Leaky,
}

impl Flows {
    /// Whether a frame of `flow` with `bytes` bytes is bulk; `capacity`: what the paths carry together, bytes per second.
    pub(crate) fn is_bulk(&mut self, flow: u32, bytes: usize, capacity: u64, now: Instant) -> bool {
        let rate = (capacity / SHARE).max(LEAST);
        let most = BURST + (u128::from(rate) * LINGER.as_micros() / 1_000_000) as u64;
        let flow = self.flow(flow);
        let level = flow.leaky.add(bytes as u64, rate, most, now);
        flow.bulk = level > BURST || flow.bulk && level > bytes as u64;
        if flow.bulk {
            return true;
        }
        let rate = (capacity / SHARE_OF_ALL).max(LEAST);
        let level = self.sparse.add(bytes as u64, rate, 2 * BURST_OF_ALL, now);
        level > BURST_OF_ALL
    }

    /// Notes that a record of `flow` is held by the receiver until `until` at the latest.
    pub(crate) fn on_ordered(&mut self, flow: u32, until: Instant) {
        self.flow(flow).ordered_until = Some(until);
    }

    /// Whether an earlier record of `flow` may still be held.
    pub(crate) fn is_ordered(&mut self, flow: u32, now: Instant) -> bool {
        self.flow(flow)
            .ordered_until
            .is_some_and(|until| until > now)
    }

    /// Frees the memory of an idle session.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.table.capacity() * size_of::<Flow>()
    }

    fn flow(&mut self, flow: u32) -> &mut Flow {
        if self.table.is_empty() {
            self.table = vec![Flow::default(); FLOW_BUCKETS];
        }
        &mut self.table[flow as usize % FLOW_BUCKETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const CAPACITY: u64 = 8_750_000; // 70 Mbit/s

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    /// How many of `count` frames of `bytes` bytes, one each `every`, are bulk.
    fn bulk(flows: &mut Flows, bytes: usize, every: Duration, count: u32, start: Instant) -> usize {
        (0..count)
            .filter(|&n| flows.is_bulk(7, bytes, CAPACITY, start + every * n))
            .count()
    }

    #[test]
    fn a_call_is_sparse_for_ever_and_a_download_is_bulk_after_its_first_flight() {
        let now = epoch();
        let mut flows = Flows::default();
        assert_eq!(bulk(&mut flows, 200, 20 * MS, 10_000, now), 0);
        let mut flows = Flows::default();
        let download = bulk(&mut flows, 1514, MS / 4, 1000, now);
        assert!((985..=990).contains(&download), "{download}");
    }

    #[test]
    fn bulk_that_pauses_is_sparse_again() {
        let now = epoch();
        let mut flows = Flows::default();
        bulk(&mut flows, 1514, MS / 4, 1000, now);
        assert!(flows.is_bulk(7, 100, CAPACITY, now + 260 * MS));
        assert!(!flows.is_bulk(7, 100, CAPACITY, now + 700 * MS));
    }

    #[test]
    fn many_small_flows_together_are_not_sparse() {
        let now = epoch();
        let mut flows = Flows::default();
        let bulk = (0..20_000u32)
            .filter(|n| flows.is_bulk(n % 1000, 500, CAPACITY, now + MS / 20 * *n))
            .count();
        assert!(bulk > 8_000, "10 MB/s in all, 10 kB/s each: {bulk}");
    }

    #[test]
    fn a_flow_stays_ordered_while_its_records_may_be_held() {
        let now = epoch();
        let mut flows = Flows::default();
        flows.on_ordered(3, now + 100 * MS);
        assert!(flows.is_ordered(3, now + 99 * MS));
        assert!(!flows.is_ordered(3, now + 100 * MS) && !flows.is_ordered(4, now));
    }
}
