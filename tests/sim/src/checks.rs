//! What must hold at every moment of every run.

use std::time::{Duration, Instant};

use memchr::memmem::Finder;

use crate::frame::MARKER;

/// Calls of `handle_timeout` per virtual second and peer.
const MAX_TIMEOUTS: u32 = 5_000;
/// Events that a node reports per virtual second and peer.
const MAX_EVENTS: u32 = 400;
/// Bytes per virtual second and peer that a node may send beyond [`MAX_AMPLIFICATION`] of what it was given.
const MAX_OWN_BYTES: u64 = 100_000;
/// Bytes sent per byte taken in (frames and datagrams), redundant copies and reinjection included.
const MAX_AMPLIFICATION: u64 = 4;
/// Memory that grows with traffic, per peer.
const MAX_MEMORY: usize = 40 << 20;
/// Violations kept: the first ones tell.
const KEPT: usize = 10;

/// What one machine did within the present second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// Which second of the run.
    pub number: u64,
    /// Wake-ups.
    pub steps: u32,
    /// Calls of `handle_timeout`.
    pub timeouts: u32,
    /// Events reported.
    pub events: u32,
    /// Bytes that came in: frames and datagrams.
    pub taken: u64,
    /// Bytes of UDP payload sent.
    pub sent: u64,
    /// What came in during the second before: it may be sent again now.
    pub taken_before: u64,
}

impl Second {
    /// The counters of the second in which `elapsed` lies.
    pub fn at(&mut self, elapsed: Duration) -> &mut Self {
        if self.number != elapsed.as_secs() {
            let adjacent = self.number + 1 == elapsed.as_secs();
            let taken_before = if adjacent { self.taken } else { 0 };
            *self = Self {
                number: elapsed.as_secs(),
                taken_before,
                ..Self::default()
            };
        }
        self
    }
}

/// Violations so far.
pub struct Checks {
    violations: Vec<String>,
    finder: Finder<'static>,
    base: Instant,
}

impl Checks {
    /// None so far; times are told relative to `base`.
    #[must_use]
    pub fn new(base: Instant) -> Self {
        Self {
            violations: Vec::new(),
            finder: Finder::new(MARKER),
            base,
        }
    }

    /// Notes a violation.
    pub fn violated(&mut self, now: Instant, what: impl Into<String>) {
        if self.violations.len() < KEPT {
            let at = now.duration_since(self.base).as_secs_f64();
            self.violations.push(format!("{at:.4}: {}", what.into()));
        }
    }

    /// All violations.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Nothing of a frame may be read outside.
    pub fn sealed(&mut self, machine: &str, datagram: &[u8], now: Instant) {
        if self.finder.find(datagram).is_some() {
            self.violated(now, format!("{machine} sent a frame in the clear"));
        }
    }

    /// A node of this many `peers` must not spin, storm or grow.
    pub fn bounded(
        &mut self,
        (machine, peers): (&str, usize),
        second: &Second,
        memory: Option<usize>,
        now: Instant,
    ) {
        if second.timeouts > MAX_TIMEOUTS * peers as u32 {
            self.violated(
                now,
                format!("{machine} wants to be woken more than {MAX_TIMEOUTS} times a second for each peer"),
            );
        }
        if second.events > MAX_EVENTS * peers as u32 {
            self.violated(
                now,
                format!("{machine} reports more than {MAX_EVENTS} events a second for each peer"),
            );
        }
        let own = MAX_OWN_BYTES * peers as u64;
        if second.sent > own + MAX_AMPLIFICATION * (second.taken + second.taken_before) {
            let (sent, taken) = (second.sent, second.taken);
            self.violated(
                now,
                format!("{machine} sends {sent} bytes a second, taking {taken}"),
            );
        }
        if let Some(memory) = memory.filter(|&memory| memory > MAX_MEMORY * peers) {
            self.violated(now, format!("{machine} holds {memory} bytes"));
        }
    }
}
