//! Storm control: how many frames that go to many ports one port may bring in.
//!
//! A loop, or a host gone mad, fills a network with frames that every switch multiplies. A limit at
//! the port where they come in keeps the rest of it, and the lines between sites, usable.

use std::time::{Duration, Instant};

/// What a limit counts, each second.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StormLimit {
    /// Frames; a super-frame is as many as it will be cut into. 0 passes none.
    Frames(u32),
    /// Bits of frames, headers included. 0 passes none.
    Bits(u64),
}

/// The limits of a port, one for each kind of frame that goes to many; `None`: no limit.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct StormLimits {
    /// To everybody.
    pub broadcast: Option<StormLimit>,
    /// To other groups.
    pub multicast: Option<StormLimit>,
    /// To one station that is not known yet.
    pub unknown: Option<StormLimit>,
}

/// Kinds of frames that go to many ports.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Flood {
    /// To everybody.
    Broadcast,
    /// To another group.
    Multicast,
    /// To a station that is not known.
    Unknown,
}

/// How much a frame counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FloodSize {
    /// Frames it stands for.
    pub frames: u32,
    /// Bytes it has.
    pub bytes: u32,
}

/// A port may be ahead of its limit by what passes in this time: a host that starts asks for many
/// others at once.
const BURST: Duration = Duration::from_millis(250);

/// A token bucket, kept as the moment at which it will be full again.
#[derive(Copy, Clone, Debug)]
struct Bucket {
    limit: StormLimit,
    full_at: Option<Instant>,
}

impl Bucket {
    /// Whether a frame may pass. One may go beyond the burst, however large it is; later ones wait
    /// until that is made good.
    fn takes(&mut self, size: FloodSize, now: Instant) -> bool {
        let Some(cost) = self.cost(size) else {
            return false;
        };
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        if full_at - now > BURST {
            return false;
        }
        self.full_at = full_at.checked_add(cost);
        true
    }

    /// How long the bucket takes to get back what a frame takes out; `None`: for ever.
    fn cost(&self, size: FloodSize) -> Option<Duration> {
        let (amount, rate) = match self.limit {
            StormLimit::Frames(rate) => (u64::from(size.frames), u64::from(rate)),
            StormLimit::Bits(rate) => (u64::from(size.bytes) * 8, rate),
        };
        let nanos = (u128::from(amount) * 1_000_000_000).checked_div(u128::from(rate))?;
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

/// The buckets of one port.
#[derive(Clone, Debug, Default)]
pub(crate) struct StormGuard {
    buckets: [Option<Bucket>; 3],
    /// Frames that did not pass; a super-frame is one.
    pub(crate) dropped: u64,
}

impl StormGuard {
    pub(crate) fn new(limits: StormLimits) -> Self {
        let bucket = |limit: Option<StormLimit>| {
            limit.map(|limit| Bucket {
                limit,
                full_at: None,
            })
        };
        Self {
            buckets: [limits.broadcast, limits.multicast, limits.unknown].map(bucket),
            dropped: 0,
        }
    }

    /// Whether frames of this kind are limited at all.
    pub(crate) const fn limits(&self, kind: Flood) -> bool {
        self.buckets[kind as usize].is_some()
    }

    /// Whether a frame of this kind may pass.
    pub(crate) fn takes(&mut self, kind: Flood, size: FloodSize, now: Instant) -> bool {
        let takes = self.buckets[kind as usize]
            .as_mut()
            .is_none_or(|bucket| bucket.takes(size, now));
        self.dropped += u64::from(!takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "some starting point; only distances count"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn guard(limit: StormLimit) -> StormGuard {
        StormGuard::new(StormLimits {
            broadcast: Some(limit),
            ..StormLimits::default()
        })
    }

    const SMALL: FloodSize = FloodSize {
        frames: 1,
        bytes: 100,
    };

    /// How many of `count` frames pass that come every `gap`.
    fn passing(guard: &mut StormGuard, from: Instant, count: u32, gap: Duration) -> u32 {
        (0..count)
            .map(|n| u32::from(guard.takes(Flood::Broadcast, SMALL, from + gap * n)))
            .sum()
    }

    #[test]
    fn a_storm_is_cut_to_its_limit_and_less_passes_untouched() {
        let now = start();
        let ms = Duration::from_millis(1);
        for limit in [StormLimit::Frames(100), StormLimit::Bits(80_000)] {
            // 10,000 in a second: the burst and what the limit allows.
            let passed = passing(&mut guard(limit), now, 10_000, ms / 10);
            assert!((125..=127).contains(&passed), "{limit:?}: {passed}");
            assert_eq!(passing(&mut guard(limit), now, 200, ms * 10), 200);
            let mut storm = guard(limit);
            passing(&mut storm, now, 10_000, ms / 10);
            assert_eq!(storm.dropped, 10_000 - u64::from(passed));
            // A quiet second later all is as in the beginning.
            let later = now + ms * 2000;
            assert_eq!(passing(&mut storm, later, 1000, Duration::ZERO), 26);
        }
    }

    #[test]
    fn kinds_have_limits_of_their_own() {
        let (now, mut guard) = (start(), guard(StormLimit::Frames(0)));
        assert!(guard.limits(Flood::Broadcast) && !guard.limits(Flood::Unknown));
        assert!(!guard.takes(Flood::Broadcast, SMALL, now));
        for _ in 0..1000 {
            assert!(guard.takes(Flood::Multicast, SMALL, now));
            assert!(guard.takes(Flood::Unknown, SMALL, now));
        }
        assert_eq!(guard.dropped, 1);
    }

    #[test]
    fn a_super_frame_counts_as_what_it_is_cut_into_and_is_made_good() {
        let (now, mut guard) = (start(), guard(StormLimit::Frames(100)));
        let large = FloodSize {
            frames: 44,
            bytes: 65_000,
        };
        assert!(guard.takes(Flood::Broadcast, large, now));
        assert!(!guard.takes(Flood::Broadcast, SMALL, now));
        let ms = Duration::from_millis;
        assert!(!guard.takes(Flood::Broadcast, SMALL, now + ms(189)));
        assert!(guard.takes(Flood::Broadcast, SMALL, now + ms(191)));
    }

    #[test]
    fn extreme_limits_do_not_overflow() {
        let now = start();
        let huge = FloodSize {
            frames: u32::MAX,
            bytes: u32::MAX,
        };
        for limit in [
            StormLimit::Frames(1),
            StormLimit::Bits(1),
            StormLimit::Bits(u64::MAX),
        ] {
            let mut guard = guard(limit);
            assert!(guard.takes(Flood::Broadcast, huge, now));
            let later = now + Duration::from_millis(1);
            let expected = limit == StormLimit::Bits(u64::MAX);
            assert_eq!(guard.takes(Flood::Broadcast, huge, later), expected);
        }
    }
}
