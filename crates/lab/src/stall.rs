//! When the machine itself stood still: on a virtual machine whose processors are taken away for
//! tens of milliseconds, a measured gap says nothing about the program.
//!
//! Nothing here touches the program or its packets, so that a verdict about the machine never
//! rests on what the program did.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How often each processor is asked.
const EVERY: Duration = Duration::from_millis(2);
/// A pause that is worth noting.
const NOTED: Duration = Duration::from_millis(3);
/// The same for an ordinary thread. That waits for up to 30 ms while one that is no more important
/// uses all of a processor: the program under test must not pass for a machine that stands still.
const NOTED_ORDINARY: Duration = Duration::from_millis(40);
/// Pauses of one watching thread remembered at most.
const MAX_NOTED: usize = 100_000;

/// Which pauses a thread sees.
#[derive(Debug, Clone, Copy)]
enum Watcher {
    /// Before all ordinary threads: a pause means that the processor was taken away.
    RealTime,
    /// At the priority of who started the watch, as daemons have it: the processor may have been
    /// taken away, or a limit on processor time is used up, or others are in front.
    Ordinary,
}

impl Watcher {
    /// Makes the calling thread such a watcher of one processor, as well as it may; says which
    /// pauses are worth noting then.
    fn prepare(self, cpu: usize) -> Duration {
        let mut only = CpuSet::new();
        only.set(cpu);
        // Without these it sees fewer stalls.
        let _ = sched_setaffinity(None, &only);
        let _ = sys::thread::precise_timers();
        match self {
            Self::RealTime if sys::thread::real_time().is_ok() => NOTED,
            _ => NOTED_ORDINARY,
        }
    }
}

/// How the machine stood still in a stretch of time. Pauses of processors at the same time count
/// once: a packet waits for each processor only once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stall {
    /// The longest pause of one processor.
    pub longest: Duration,
    /// All together.
    pub total: Duration,
}

/// The least pause that explains anything: most goals are tens of milliseconds.
const MATTERS: Duration = Duration::from_millis(8);
/// How much later a pause makes things, at most: who was held up also measures longer round trips,
/// and is patient for longer.
const MAKES_LATER: u32 = 2;

impl Stall {
    /// As late as a lost packet: only who stands still for long loses any, in full queues.
    pub const LOSS: Duration = Duration::from_millis(100);
    /// As late as something that did not happen at all while it was waited for.
    pub const NEVER: Duration = Duration::from_secs(2);

    /// Whether it may have made something `late` by so much.
    pub fn explains(self, late: Duration) -> bool {
        self.longest >= MATTERS && self.total * MAKES_LATER >= late
    }
}

/// A pause: when it began and ended.
type Pause = (Instant, Instant);

/// Watches all processors until it is dropped, as well as it may: without the privilege for
/// real-time priority it sees the machine as ordinary threads do.
#[derive(Debug)]
pub struct StallWatch {
    pauses: Arc<Mutex<Vec<Pause>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl StallWatch {
    /// Starts to watch, at the caller's priority as well as before all ordinary threads.
    pub fn start() -> Self {
        let mut watch = Self::idle();
        let all = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)) {
            for watcher in [Watcher::RealTime, Watcher::Ordinary] {
                let (pauses, stop) = (watch.pauses.clone(), watch.stop.clone());
                let work = move || look(cpu, watcher, &pauses, &stop);
                let thread = thread::Builder::new().name("stall".to_owned()).spawn(work);
                // With fewer threads it sees fewer stalls.
                watch.threads.extend(thread);
            }
        }
        watch
    }

    fn idle() -> Self {
        Self {
            pauses: Arc::default(),
            stop: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// How the machine has stood still since then. What goes on still is seen when it ends.
    pub fn since(&self, from: Instant) -> Stall {
        self.between(from, Instant::now())
    }

    /// How the machine stood still in a stretch of time, the parts of pauses outside it left out.
    pub fn between(&self, from: Instant, to: Instant) -> Stall {
        let noted = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |(began, ended): &Pause| (from.max(*began), to.min(*ended));
        let mut pauses: Vec<Pause> = noted
            .iter()
            .map(inside)
            .filter(|(began, ended)| began < ended)
            .collect();
        drop(noted);
        pauses.sort_unstable();
        let (mut stall, mut counted) = (Stall::default(), from);
        for (began, ended) in pauses {
            stall.longest = stall.longest.max(ended - began);
            stall.total += ended.saturating_duration_since(counted.max(began));
            counted = counted.max(ended);
        }
        stall
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Sleeps again and again on one processor, and notes when that took too long.
fn look(cpu: usize, watcher: Watcher, pauses: &Mutex<Vec<Pause>>, stop: &AtomicBool) {
    let noted = watcher.prepare(cpu);
    let mut left = MAX_NOTED;
    while left > 0 && !stop.load(Ordering::Relaxed) {
        let due = Instant::now() + EVERY;
        thread::sleep(EVERY);
        let now = Instant::now();
        if now.saturating_duration_since(due) >= noted {
            let mut pauses = pauses.lock().unwrap_or_else(PoisonError::into_inner);
            pauses.push((due, now));
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_at_the_same_time_count_once_and_only_inside() {
        let start = Instant::now();
        let watch = StallWatch::idle();
        let noted = [(20, 60), (10, 30), (25, 28), (90, 100)];
        let noted = noted.map(|(began, ended)| (start + began * MS, start + ended * MS));
        watch.pauses.lock().unwrap().extend(noted);
        for (from, to, longest, total) in [
            (0, 200, 40, 60),
            (0, 50, 30, 40),
            (55, 95, 5, 10),
            (26, 29, 3, 3),
            (60, 90, 0, 0),
        ] {
            let expected = Stall {
                longest: longest * MS,
                total: total * MS,
            };
            let seen = watch.between(start + from * MS, start + to * MS);
            assert_eq!(seen, expected, "{from} to {to}");
        }
    }

    #[test]
    fn a_stall_explains_what_is_comparable_with_it() {
        let stall = |longest, total| Stall {
            longest: longest * MS,
            total: total * MS,
        };
        assert!(stall(8, 50).explains(100 * MS));
        assert!(!stall(8, 49).explains(100 * MS));
        assert!(!stall(7, 500).explains(100 * MS), "none that matters");
        assert!(!Stall::default().explains(Duration::ZERO));
    }

    #[test]
    fn a_processor_taken_away_is_seen() {
        let _alone = crate::alone();
        // Two threads before all ordinary ones, on one processor: each takes it from the other.
        let begin = Instant::now();
        let watch = StallWatch::start();
        let hog = thread::spawn(|| {
            let mut only = CpuSet::new();
            let all = sched_getaffinity(None).unwrap();
            only.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap());
            sched_setaffinity(None, &only).unwrap();
            let privileged = sys::thread::real_time().is_ok();
            let end = Instant::now() + 100 * MS;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            privileged
        });
        let privileged = hog.join().unwrap();
        thread::sleep(10 * MS);
        let seen = watch.since(begin);
        // Without the privilege the hog is an ordinary thread, and takes turns with the watch.
        assert!(!privileged || seen.longest >= 90 * MS, "{seen:?}");
    }
}
