//! Path MTU discovery without ICMP (RFC 8899, DPLPMTUD): which UDP payload a path carries.

use std::time::{Duration, Instant};

use crate::params::BASE_MTU;

/// Attempts per size (RFC 8899 `MAX_PROBES`).
const MAX_PROBES: u8 = 3;
/// The search ends when the bounds are this close, in bytes.
const GRANULARITY: u16 = 8;
/// A path that grew is noticed after this (RFC 8899 `PMTU_RAISE_TIMER`).
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// Lost full-size datagrams, with none arriving, that prove a black hole.
const BLACK_HOLE_LOSSES: usize = 3;

/// Sizes of lost datagrams, bytes of UDP payload, of which no larger or equal one has arrived since. As many as prove a hole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BigLosses {
    sizes: [u16; BLACK_HOLE_LOSSES],
    count: usize,
}

impl BigLosses {
    /// One more was lost; beyond the proof it does not matter.
    pub(crate) fn push(&mut self, size: u16) {
        if let Some(slot) = self.sizes.get_mut(self.count) {
            *slot = size;
            self.count += 1;
        }
    }

    /// A datagram of `size` arrived: losses of what is not larger have another cause.
    fn forget_up_to(&mut self, size: u16) {
        let (mut kept, all) = (Self::default(), *self);
        all.iter()
            .filter(|&lost| lost > size)
            .for_each(|lost| kept.push(lost));
        *self = kept;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.sizes.iter().copied().take(self.count)
    }

    fn is_proof(&self) -> bool {
        self.count == BLACK_HOLE_LOSSES
    }
}

/// The discovery machine of one path.
#[derive(Debug)]
pub(crate) struct MtuSearch {
    current: u16,
    /// Largest size to look for: what the uplink's device can send.
    limit: u16,
    /// Largest size not yet known to fail.
    high: u16,
    tries: u8,
    probing: Option<u16>,
    verifying: bool,
    next_at: Option<Instant>,
    losses: BigLosses,
    /// The check of the present size failed.
    fell: bool,
}

impl MtuSearch {
    /// Starts from [`BASE_MTU`] towards `limit` bytes of UDP payload.
    pub(crate) fn new(limit: u16, now: Instant) -> Self {
        let limit = limit.max(BASE_MTU);
        Self {
            current: BASE_MTU,
            limit,
            high: limit,
            tries: 0,
            probing: None,
            verifying: false,
            next_at: Some(now),
            losses: BigLosses::default(),
            fell: false,
        }
    }

    /// UDP payload that the path is known to carry, bytes.
    pub(crate) fn current(&self) -> u16 {
        self.current
    }

    /// When [`Self::poll`] has something to do.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// The size to probe for now, if any; the caller sends it alone and reports its fate.
    pub(crate) fn poll(&mut self, now: Instant, round_trip: Duration) -> Option<u16> {
        if self.next_at.is_none_or(|at| at > now) {
            return None;
        }
        if self.probing.is_some() && self.tries >= MAX_PROBES {
            self.failed();
        }
        if self.probing.is_none() {
            self.start_next(now);
        }
        let size = self.probing?;
        self.tries += 1;
        let wait = if self.verifying {
            round_trip * 3 / 2 + Duration::from_millis(15)
        } else {
            (round_trip * 2 + Duration::from_millis(50)).max(Duration::from_millis(100))
        };
        self.next_at = Some(now + wait);
        Some(size)
    }

    /// A probe of `size` arrived.
    pub(crate) fn on_acked(&mut self, size: u16, now: Instant) {
        self.on_arrived(size);
        if self.probing == Some(size) {
            self.probing = None;
            self.verifying = false;
            self.next_at = Some(now);
        }
        if size > self.current && size <= self.limit {
            self.current = size;
        }
    }

    /// A datagram of `size` bytes got through.
    pub(crate) fn on_arrived(&mut self, size: u16) {
        self.losses.forget_up_to(size);
    }

    /// Datagrams larger than [`BASE_MTU`] were lost while smaller ones arrived. Suspicion leads to a quick check.
    pub(crate) fn on_full_size_lost(&mut self, lost: &BigLosses, now: Instant) {
        if self.current == BASE_MTU || lost.count == 0 {
            return; // stragglers from before it fell back
        }
        lost.iter().for_each(|size| self.losses.push(size));
        if !self.verifying && !self.losses.is_proof() {
            self.verifying = true;
            self.probing = Some(self.current);
            self.tries = 0;
            self.next_at = Some(now);
        }
    }

    /// Whether the path swallows what it used to carry; if so it is back at [`BASE_MTU`] and searching. Reports a hole once.
    pub(crate) fn fell_into_black_hole(&mut self, now: Instant) -> bool {
        if self.current == BASE_MTU || !(self.fell || self.losses.is_proof()) {
            return false;
        }
        self.high = self.current - 1;
        self.back_to_base(now + Duration::from_millis(200));
        true
    }

    /// The uplink's device changed what it can send.
    pub(crate) fn set_limit(&mut self, limit: u16, now: Instant) {
        let limit = limit.max(BASE_MTU);
        if limit != self.limit {
            self.limit = limit;
            self.high = limit;
            self.current = self.current.min(limit);
            self.probing = None;
            self.verifying = false;
            self.fell = false;
            self.losses = BigLosses::default();
            self.next_at = Some(now);
        }
    }

    /// The path leads elsewhere now: nothing is known of it.
    pub(crate) fn start_again(&mut self, now: Instant) {
        self.high = self.limit;
        self.back_to_base(now);
    }

    fn back_to_base(&mut self, next: Instant) {
        self.current = BASE_MTU;
        self.losses = BigLosses::default();
        self.fell = false;
        self.verifying = false;
        self.probing = None;
        self.next_at = Some(next);
    }

    fn failed(&mut self) {
        if self.verifying {
            self.fell = true;
            self.verifying = false;
        } else if let Some(size) = self.probing {
            self.high = size.saturating_sub(1).max(self.current);
        }
        self.probing = None;
    }

    fn start_next(&mut self, now: Instant) {
        if self.fell {
            self.next_at = Some(now); // the caller asks for the black hole next
            return;
        }
        if self.high <= self.current && self.high < self.limit || self.current >= self.limit {
            self.rest(now);
            return;
        }
        let span = self.high - self.current;
        if span < GRANULARITY {
            self.rest(now);
            return;
        }
        // Most lines carry all their device can: try that first, then halve.
        let size = if self.high == self.limit {
            self.high
        } else {
            self.current + span.div_ceil(2)
        };
        self.probing = Some(size);
        self.tries = 0;
    }

    fn rest(&mut self, now: Instant) {
        self.high = self.limit;
        self.next_at = (self.current < self.limit).then(|| now + RAISE_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(20);

    /// Runs the machine against a path that carries `carries` bytes; returns the result, probes used and the time taken.
    fn search(mtu: &mut MtuSearch, carries: u16, mut now: Instant) -> (u16, u32, Instant) {
        let mut probes = 0;
        while let Some(at) = mtu
            .next_at()
            .filter(|at| *at < now + Duration::from_secs(60))
        {
            now = now.max(at);
            let Some(size) = mtu.poll(now, RTT) else {
                continue;
            };
            probes += 1;
            if size <= carries {
                mtu.on_acked(size, now + RTT);
            }
        }
        (mtu.current(), probes, now)
    }

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn lost(sizes: &[u16]) -> BigLosses {
        let mut lost = BigLosses::default();
        sizes.iter().for_each(|&size| lost.push(size));
        lost
    }

    #[test]
    fn large_ones_that_arrive_do_not_excuse_the_loss_of_larger_ones() {
        let start = epoch();
        let mut mtu = MtuSearch::new(1472, start);
        let (_, _, now) = search(&mut mtu, 1472, start);
        for _ in 0..3 {
            assert!(!mtu.fell_into_black_hole(now));
            mtu.on_full_size_lost(&lost(&[1450]), now);
            mtu.on_arrived(1270);
        }
        assert!(mtu.fell_into_black_hole(now));
    }

    #[test]
    fn an_ordinary_line_is_found_with_one_probe() {
        let mut mtu = MtuSearch::new(1472, epoch());
        let (found, probes, _) = search(&mut mtu, 1472, epoch());
        assert_eq!((found, probes), (1472, 1));
    }

    #[test]
    fn any_line_is_found_to_within_the_granularity() {
        for carries in (1200..1472).step_by(7) {
            let start = epoch();
            let mut mtu = MtuSearch::new(1472, start);
            let (found, _, end) = search(&mut mtu, carries, start);
            assert!(
                found <= carries && carries - found < 2 * GRANULARITY,
                "{carries}: {found}"
            );
            assert!(
                end - start < Duration::from_secs(4),
                "{carries}: {:?}",
                end - start
            );
        }
    }

    #[test]
    fn lost_full_size_datagrams_lead_back_to_base_and_a_new_search() {
        let start = epoch();
        let mut mtu = MtuSearch::new(1472, start);
        let (_, _, now) = search(&mut mtu, 1472, start);
        mtu.on_full_size_lost(&lost(&[1472; 3]), now);
        assert!(mtu.fell_into_black_hole(now));
        assert!(!mtu.fell_into_black_hole(now));
        assert_eq!(mtu.current(), BASE_MTU);
        let (found, ..) = search(&mut mtu, 1300, now);
        assert!((1290..=1300).contains(&found), "{found}");
    }

    #[test]
    fn losses_known_late_do_not_disturb_the_search() {
        let start = epoch();
        let mut mtu = MtuSearch::new(1472, start);
        let (_, _, now) = search(&mut mtu, 1472, start);
        mtu.on_full_size_lost(&lost(&[1472; 3]), now);
        assert!(mtu.fell_into_black_hole(now));
        mtu.on_full_size_lost(&lost(&[1472; 3]), now);
        let mut at = now;
        for _ in 0..100 {
            at = mtu
                .next_at()
                .filter(|&next| next > at)
                .expect("it waits for something to come");
            mtu.poll(at, RTT);
            if at - now > Duration::from_secs(1) {
                break;
            }
        }
        assert!(!mtu.fell_into_black_hole(at));
    }

    #[test]
    fn a_single_lost_datagram_is_checked_within_the_time_the_issue_allows() {
        let start = epoch();
        let mut mtu = MtuSearch::new(1472, start);
        let (_, _, now) = search(&mut mtu, 1472, start);
        mtu.on_full_size_lost(&lost(&[1472]), now);
        let mut at = now;
        while !mtu.fell_into_black_hole(at) {
            at = at.max(mtu.next_at().expect("the check goes on"));
            mtu.poll(at, RTT);
            assert!(at - now < Duration::from_millis(200));
        }
    }
}
