//! Waiting: level-triggered epoll, a timer that counts sleep, and a wake-up from other threads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// What to wait for on a descriptor. Errors and hang-ups are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Data to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    ReadWrite,
    /// Neither: stay registered, hear of errors only.
    None,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Read => epoll::EventFlags::IN,
            Self::Write => epoll::EventFlags::OUT,
            Self::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            Self::None => epoll::EventFlags::empty(),
        }
    }
}

/// One descriptor that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The token it was added with.
    pub token: u64,
    /// It can be read.
    pub readable: bool,
    /// It can be written.
    pub writable: bool,
    /// It has an error or the other side hung up: a read or a write tells which.
    pub failed: bool,
}

/// Room for the events of one [`Poller::wait`].
pub struct Events {
    slots: Vec<epoll::Event>,
}

impl Events {
    /// Room for `capacity` events; more stay ready for the next wait.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: Vec::with_capacity(capacity.max(1)),
        }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.slots.iter().map(|event| {
            let flags = event.flags;
            Event {
                token: event.data.u64(),
                readable: flags.contains(epoll::EventFlags::IN),
                writable: flags.contains(epoll::EventFlags::OUT),
                failed: flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP),
            }
        })
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An epoll instance; level-triggered: what is not consumed is reported again.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// A new, empty epoll instance.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches `fd`; its events carry `token`.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, fd, data, interest.flags())?)
    }

    /// Changes what is waited for on `fd`.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::modify(&self.epoll, fd, data, interest.flags())?)
    }

    /// Stops watching `fd`.
    pub fn delete(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready or `timeout` has passed (`None`: for ever).
    ///
    /// The time-out is exact to the thread's timer slack (see [`crate::thread::precise_timers`]). A
    /// signal ends the wait early, without events.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.slots.clear();
        let mut timeout = timeout;
        if let Some(fine) = timeout.filter(|time| time.subsec_nanos() % 1_000_000 != 0) {
            // epoll_wait counts milliseconds, and epoll_pwait2 is newer than Linux 5.10 and than
            // many seccomp filters; an epoll descriptor can itself be waited for, exactly.
            self.wait_ready(fine)?;
            timeout = Some(Duration::ZERO);
        }
        let timeout = timeout.map(timespec);
        let room = rustix::buffer::spare_capacity(&mut events.slots);
        match epoll::wait(&self.epoll, room, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn wait_ready(&self, timeout: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
        match poll(&mut fds, Some(&timespec(timeout))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// A timer descriptor on `CLOCK_BOOTTIME`: readable once it has expired, until [`Timer::clear`].
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
}

impl Timer {
    /// A disarmed timer.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self {
            fd: timerfd_create(TimerfdClockId::Boottime, flags)?,
        })
    }

    /// Expires once at this `CLOCK_BOOTTIME` reading; at once when that has passed.
    pub fn arm_at(&self, boottime: Duration) -> io::Result<()> {
        self.set(boottime, TimerfdTimerFlags::ABSTIME)
    }

    /// Expires once after `delay`.
    pub fn arm_after(&self, delay: Duration) -> io::Result<()> {
        self.set(delay, TimerfdTimerFlags::empty())
    }

    /// Never expires, and forgets an expiry.
    pub fn disarm(&self) -> io::Result<()> {
        let zero = timespec(Duration::ZERO);
        let value = Itimerspec {
            it_interval: zero,
            it_value: zero,
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }

    fn set(&self, time: Duration, flags: TimerfdTimerFlags) -> io::Result<()> {
        // Zero would disarm.
        let it_value = timespec(time.max(Duration::from_nanos(1)));
        let value = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value,
        };
        timerfd_settime(&self.fd, flags, &value)?;
        Ok(())
    }

    /// Takes the expiry; says whether there was one.
    pub fn clear(&self) -> bool {
        drain_counter(self.fd.as_fd())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Wakes a [`Poller`] from any thread: readable from [`Waker::wake`] until [`Waker::clear`].
#[derive(Debug, Clone)]
pub struct Waker {
    fd: Arc<OwnedFd>,
}

impl Waker {
    /// A waker that is not signalled.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Self {
            fd: Arc::new(eventfd(0, flags)?),
        })
    }

    /// Signals; many signals before the wake-up are one.
    pub fn wake(&self) {
        // The only error is a full counter (2^64 − 2 signals), and then it is signalled anyway.
        let _ = rustix::io::write(&*self.fd, &1u64.to_ne_bytes());
    }

    /// Takes the signal; says whether there was one.
    pub fn clear(&self) -> bool {
        drain_counter(self.fd.as_fd())
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn drain_counter(fd: BorrowedFd<'_>) -> bool {
    let mut count = [0u8; 8];
    matches!(rustix::io::read(fd, &mut count), Ok(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn tokens(poller: &Poller, timeout: Duration) -> Vec<u64> {
        let mut events = Events::with_capacity(8);
        poller.wait(&mut events, Some(timeout)).unwrap();
        events
            .iter()
            .filter(|event| event.readable)
            .map(|event| event.token)
            .collect()
    }

    #[test]
    fn waker_wakes_from_another_thread_and_clears() {
        let poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        poller.add(&waker, 7, Interest::Read).unwrap();
        assert_eq!(tokens(&poller, Duration::ZERO), []);
        let other = waker.clone();
        std::thread::spawn(move || {
            other.wake();
            other.wake();
        });
        assert_eq!(tokens(&poller, Duration::from_secs(5)), [7]);
        std::thread::sleep(Duration::from_millis(10));
        assert!(waker.clear());
        assert!(!waker.clear());
        assert_eq!(tokens(&poller, Duration::ZERO), []);
    }

    #[test]
    fn timer_expires_absolute_relative_and_in_the_past() {
        let poller = Poller::new().unwrap();
        let timer = Timer::new().unwrap();
        poller.add(&timer, 1, Interest::Read).unwrap();
        for arm in [
            |t: &Timer| t.arm_after(Duration::from_millis(5)),
            |t: &Timer| t.arm_at(crate::clock::boottime() + Duration::from_millis(5)),
        ] {
            let start = Instant::now();
            arm(&timer).unwrap();
            assert_eq!(tokens(&poller, Duration::from_secs(5)), [1]);
            assert!(start.elapsed() >= Duration::from_millis(4));
            assert!(timer.clear());
        }
        timer.arm_at(Duration::ZERO).unwrap();
        assert_eq!(tokens(&poller, Duration::from_secs(5)), [1]);
        timer.disarm().unwrap();
        assert_eq!(tokens(&poller, Duration::from_millis(2)), []);
    }

    #[test]
    fn waits_are_finer_than_milliseconds() {
        crate::thread::precise_timers().unwrap();
        let poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        poller.add(&waker, 5, Interest::Read).unwrap();
        let wait = Duration::from_micros(300);
        let shortest = (0..50).map(|_| {
            let start = Instant::now();
            assert_eq!(tokens(&poller, wait), []);
            start.elapsed()
        });
        let shortest = shortest.min().unwrap();
        assert!(shortest >= wait && shortest < 3 * wait, "{shortest:?}");
        waker.wake();
        assert_eq!(tokens(&poller, wait), [5]);
    }

    #[test]
    fn interest_can_be_changed_and_removed() {
        let poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        waker.wake();
        poller.add(&waker, 3, Interest::None).unwrap();
        assert_eq!(tokens(&poller, Duration::ZERO), []);
        poller.modify(&waker, 4, Interest::ReadWrite).unwrap();
        assert_eq!(tokens(&poller, Duration::ZERO), [4]);
        poller.delete(&waker).unwrap();
        assert_eq!(tokens(&poller, Duration::ZERO), []);
    }
}
