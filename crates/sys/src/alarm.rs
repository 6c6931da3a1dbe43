//! A deadline for a loop that mostly wakes up before it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::poll::Timer;

/// A timer on `CLOCK_BOOTTIME` to watch in a [`crate::poll::Poller`] instead of giving it a
/// time-out.
///
/// A time-out is programmed at each wait and taken back at each wake-up, which in a virtual
/// machine costs more than the frame that caused it. This timer is left as it is while it rings
/// early enough; then it rings too early now and then, and whoever wakes up looks at the time.
#[derive(Debug)]
pub struct Alarm {
    timer: Timer,
    set: Option<Duration>,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            timer: Timer::new()?,
            set: None,
        })
    }

    /// Makes it ring at `at` or before; `now` and `at` are `CLOCK_BOOTTIME` readings. Also stops an
    /// alarm that rings.
    pub fn ring_by(&mut self, at: Duration, now: Duration) -> io::Result<()> {
        if self.set.is_some_and(|set| now < set && set <= at) {
            return Ok(());
        }
        self.timer.arm_at(at)?;
        self.set = Some(at);
        Ok(())
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::boottime;
    use crate::poll::{Events, Interest, Poller};

    const LONG: Duration = Duration::from_secs(60);

    fn rings(poller: &Poller, within: Duration) -> bool {
        let mut events = Events::with_capacity(1);
        poller.wait(&mut events, Some(within)).unwrap();
        events.iter().count() > 0
    }

    #[test]
    fn rings_by_the_earliest_deadline_asked_for_and_is_stopped_by_the_next() {
        let (poller, mut alarm) = (Poller::new().unwrap(), Alarm::new().unwrap());
        poller.add(&alarm, 1, Interest::Read).unwrap();
        let now = boottime();
        let early = now + Duration::from_millis(20);
        alarm.ring_by(now + LONG, now).unwrap();
        alarm.ring_by(early, now).unwrap();
        alarm.ring_by(now + LONG, now).unwrap();
        assert!(rings(&poller, LONG));
        assert!(boottime() >= early && boottime() < now + LONG);
        assert!(rings(&poller, Duration::ZERO), "it rings until it is set");
        let now = boottime();
        alarm.ring_by(now + LONG, now).unwrap();
        assert!(!rings(&poller, Duration::from_millis(1)));
        // Each deadline is kept, also one that is past, and one set just when the last came due.
        for ahead in [Duration::ZERO, Duration::from_micros(50)] {
            for _ in 0..100 {
                let now = boottime();
                alarm.ring_by(now + ahead, now).unwrap();
                assert!(rings(&poller, LONG));
            }
        }
    }
}
