//! The receiving end of ordered records: whatever path brought it, each is released at the time it was sent plus one delay
//! that all share, so in the order of sending.
//!
//! That delay follows from when pieces arrive, never from numbers that are missing: a record that is lost stalls nobody, and
//! the flow that lost it learns of it no later than by its slowest path. What comes after its time, or after others that were
//! sent later are gone, is released at once.

mod buffers;
mod delay;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use wire::payload::Order;

use self::{buffers::Buffers, delay::Delay};
use crate::params::{MAX_PLAYOUT_BYTES, MAX_PLAYOUT_RECORDS, PLAYOUT_SLACK};

/// A moment in nanoseconds since the first piece, or a time between the sender's clock and ours, whose zero means nothing.
type Nanos = i64;

const TICK: Nanos = Order::TICK.as_nanos() as Nanos;
/// The numbers of a 24-bit clock.
const WRAP: i64 = 1 << 24;
/// No two honest clocks drift this far apart, in ticks; and sums of such times do not overflow.
const FURTHEST: i64 = 1 << 40;

const fn nanos(duration: Duration) -> Nanos {
    duration.as_nanos() as Nanos
}

/// A record whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Released<'a> {
    Whole {
        number: u64,
        bytes: &'a [u8],
        /// It begins with a virtio-net header.
        vnet: bool,
    },
    /// Announced by [`Playout::expect`]. It may be whole by now, and released as such just before or after.
    Incomplete { number: u64 },
}

/// Where released records go.
pub(crate) type Release<'a> = &'a mut dyn FnMut(Released<'_>);

/// Ordered by when it was sent, then by number.
#[derive(Debug)]
struct Waiting {
    sent: Nanos,
    number: u64,
    /// `None`: not whole when it was put here. True: begins with a virtio-net header.
    record: Option<(Vec<u8>, bool)>,
}

impl Waiting {
    const fn key(&self) -> (Nanos, u64) {
        (self.sent, self.number)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// How the sender's 24-bit clock relates to ours.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    epoch: Instant,
    /// About how much later by our clock pieces arrive than they were sent by the sender's, in ticks. It tells a clock that
    /// wrapped from one that did not, however long nothing came.
    transit: i64,
}

impl Clocks {
    fn new(sent: u32, epoch: Instant) -> Self {
        Self {
            epoch,
            transit: -i64::from(sent),
        }
    }

    fn at(&self, now: Instant) -> Nanos {
        nanos(now.saturating_duration_since(self.epoch))
    }

    /// When a record that is here at `at` was sent.
    fn sent(&self, ticks: u32, at: Nanos) -> Nanos {
        let arrived = at / TICK;
        let beyond =
            (arrived - i64::from(ticks) - self.transit + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
        (arrived - self.transit - beyond) * TICK
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Playout {
    clocks: Option<Clocks>,
    delay: Delay,
    waiting: BinaryHeap<Reverse<Waiting>>,
    buffers: Buffers,
    held: usize,
    /// The last in order that was released: what goes before it is late.
    passed: Option<(Nanos, u64)>,
}

impl Playout {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Measures by a piece of an ordered record that arrived, before the record itself is held.
    ///
    /// Also by one that was a duplicate, unless it was sent again: so a sender can make the delay cover a path before it
    /// trusts anything to it.
    pub(crate) fn on_piece(&mut self, order: Order, now: Instant) {
        let clocks = self
            .clocks
            .get_or_insert_with(|| Clocks::new(order.sent, now));
        let at = clocks.at(now);
        if self.waiting.is_empty() && self.delay.is_old(at) {
            self.delay = Delay::new(self.delay.round_trip());
            self.passed = None;
        }
        let transit = at - clocks.sent(order.sent, at);
        if !order.again {
            clocks.transit = (transit / TICK).clamp(-FURTHEST, FURTHEST);
        }
        self.delay.on_piece(transit, order.again, at);
    }

    /// A datagram is missing on a path by which ordered records come.
    pub(crate) fn on_gap(&mut self, now: Instant) {
        if let Some(clocks) = self.clocks {
            self.delay.on_gap(clocks.at(now));
        }
    }

    /// The round trip of the fastest path: how soon what was lost can be sent again.
    pub(crate) fn set_round_trip(&mut self, fastest: Duration) {
        self.delay.set_round_trip(nanos(fastest));
    }

    /// Takes a whole record, sent at `ticks` ([`Order::sent`]). One whose time has come is released without a copy, after
    /// those that go before it.
    pub(crate) fn hold(
        &mut self,
        number: u64,
        ticks: u32,
        record: (&[u8], bool),
        now: Instant,
        release: Release<'_>,
    ) {
        let (bytes, vnet) = record;
        match self.admit(number, ticks, bytes.len(), now, release) {
            Some(sent) => {
                let record = Some((self.buffers.copy(bytes), vnet));
                self.held += bytes.len();
                self.push(sent, number, record);
            }
            None => release(Released::Whole {
                number,
                bytes,
                vnet,
            }),
        }
    }

    /// Sees to it that an incomplete record is settled when its time comes, at once if it has come.
    pub(crate) fn expect(&mut self, number: u64, ticks: u32, now: Instant, release: Release<'_>) {
        match self.admit(number, ticks, 0, now, release) {
            Some(sent) => self.push(sent, number, None),
            None => release(Released::Incomplete { number }),
        }
    }

    /// When [`release`](Self::release) is to be called next.
    pub(crate) fn due(&self) -> Option<Instant> {
        let due = self.waiting.peek()?.0.sent + self.delay.current()?;
        Some(self.clocks?.epoch + Duration::from_nanos(due.max(0) as u64))
    }

    /// Releases what is due now or within [`PLAYOUT_SLACK`].
    pub(crate) fn release(&mut self, now: Instant, release: Release<'_>) {
        let Some(clocks) = self.clocks else { return };
        let at = clocks.at(now);
        self.delay.advance(at);
        while let Some(Reverse(first)) = self.waiting.peek()
            && self.is_due(first.sent, at)
        {
            self.release_first(release);
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Releases records below `next`, whatever their time: nothing that goes before them is missing.
    pub(crate) fn release_below(&mut self, next: u64, release: Release<'_>) {
        while let Some(Reverse(first)) = self.waiting.peek()
            && first.number < next
        {
            self.release_first(release);
        }
    }

    /// How long a record that came by the fastest path is held.
    #[cfg(test)]
    pub(crate) fn delay(&self) -> Duration {
        let beyond = self
            .delay
            .current()
            .map(|delay| delay - self.delay.lowest());
        Duration::from_nanos(beyond.unwrap_or_default().max(0) as u64)
    }

    /// Bytes of records held.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.buffers.memory() + self.waiting.capacity() * size_of::<Reverse<Waiting>>()
    }

    /// Frees what an idle session does not need, unless records are held.
    pub(crate) fn shrink(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = BinaryHeap::new();
            self.buffers = Buffers::default();
        }
    }

    /// When the record was sent, if it is to wait, and there is room for it then. Else what goes before it was released.
    fn admit(
        &mut self,
        number: u64,
        ticks: u32,
        len: usize,
        now: Instant,
        release: Release<'_>,
    ) -> Option<Nanos> {
        let clocks = self.clocks?;
        let at = clocks.at(now);
        // Nothing is faster than the fastest that was measured, so that no clock can make us hold it for longer.
        let sent = clocks.sent(ticks, at).min(at - self.delay.lowest());
        let key = Some((sent, number));
        let due = self.is_due(sent, at) || key < self.passed;
        while due || self.is_full(len) {
            match self.waiting.peek() {
                Some(Reverse(first)) if Some(first.key()) < key => self.release_first(release),
                _ => {
                    self.passed = self.passed.max(key);
                    return None;
                }
            }
        }
        Some(sent)
    }

    fn is_full(&self, len: usize) -> bool {
        self.waiting.len() >= MAX_PLAYOUT_RECORDS || self.held + len > MAX_PLAYOUT_BYTES
    }

    fn is_due(&self, sent: Nanos, at: Nanos) -> bool {
        let due = self.delay.current().map(|delay| sent + delay);
        due.is_none_or(|due| due <= at + nanos(PLAYOUT_SLACK))
    }

    fn push(&mut self, sent: Nanos, number: u64, record: Option<(Vec<u8>, bool)>) {
        self.waiting.push(Reverse(Waiting {
            sent,
            number,
            record,
        }));
    }

    fn release_first(&mut self, release: Release<'_>) {
        let Some(Reverse(first)) = self.waiting.pop() else {
            return;
        };
        let number = first.number;
        self.passed = self.passed.max(Some(first.key()));
        let Some((bytes, vnet)) = first.record else {
            return release(Released::Incomplete { number });
        };
        release(Released::Whole {
            number,
            bytes: &bytes,
            vnet,
        });
        self.held -= bytes.len();
        self.buffers.give(bytes);
    }
}

#[cfg(test)]
mod tests;
