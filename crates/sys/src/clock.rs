//! Time that counts a sleep of the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A clock whose [`Instant`]s advance with `CLOCK_BOOTTIME`.
///
/// `Instant::now()` stands still while the machine sleeps, so a lease or a key would seem younger
/// than it is. Instants of this clock must be compared with each other only, not with
/// `Instant::now()`. Copies agree with each other.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Instant,
    boot_base: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self {
            base: Instant::now(),
            boot_base: boottime(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.instant(boottime())
    }

    /// The instant of a `CLOCK_BOOTTIME` reading; readings before the clock's start give its start.
    pub fn instant(&self, boottime: Duration) -> Instant {
        self.base + boottime.saturating_sub(self.boot_base)
    }

    /// The `CLOCK_BOOTTIME` reading of an instant of this clock: what [`crate::poll::Timer`] takes.
    pub fn boottime_at(&self, instant: Instant) -> Duration {
        self.boot_base + instant.saturating_duration_since(self.base)
    }
}

/// `CLOCK_BOOTTIME`: time since the machine started, sleep included.
pub fn boottime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // The kernel never gives negative times here, nor nanoseconds beyond a second.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds since 1970-01-01 UTC; 0 when the machine's clock stands before that.
pub fn wall_unix_nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advances_with_boottime() {
        let clock = Clock::new();
        let drift = || {
            let (first, boot_first) = (clock.now(), boottime());
            std::thread::sleep(Duration::from_millis(20));
            let (second, boot_second) = (clock.now(), boottime());
            assert!(second - first >= Duration::from_millis(20));
            (second - first).abs_diff(boot_second - boot_first)
        };
        // The processor may be taken away between two looks, but not each time.
        let drift = (0..20).map(|_| drift()).min().unwrap();
        assert!(drift < Duration::from_millis(5), "{drift:?}");
    }

    #[test]
    fn instants_convert_both_ways() {
        let clock = Clock::new();
        let later = clock.now() + Duration::from_secs(7);
        assert_eq!(clock.instant(clock.boottime_at(later)), later);
    }

    #[test]
    fn wall_time_is_after_2020() {
        assert!(wall_unix_nanos() > 1_577_836_800_000_000_000);
    }
}
