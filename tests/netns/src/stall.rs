//! When the machine itself stood still: on a virtual machine whose processors are taken away for
//! tens of milliseconds, a measured gap says nothing about the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How often each processor is asked.
const EVERY: Duration = Duration::from_millis(2);
/// A pause that is worth noting.
const NOTED: Duration = Duration::from_millis(3);
/// Pauses remembered at most.
const MAX_NOTED: usize = 100_000;

/// Pauses: when one ended, and how long it was.
type Pauses = Arc<Mutex<Vec<(Instant, Duration)>>>;

/// Watches all processors with real-time priority until it is dropped.
#[derive(Debug)]
pub struct StallWatch {
    pauses: Pauses,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl StallWatch {
    /// Starts to watch.
    pub fn start() -> Self {
        let (pauses, stop) = (Pauses::default(), Arc::new(AtomicBool::new(false)));
        let all = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        let processors = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
        let threads = processors
            .map(|cpu| {
                let (pauses, stop) = (pauses.clone(), stop.clone());
                thread::spawn(move || watch(cpu, &pauses, &stop))
            })
            .collect();
        Self {
            pauses,
            stop,
            threads,
        }
    }

    /// The longest pause of any processor that ended after `since`.
    pub fn longest_since(&self, since: Instant) -> Duration {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let after = pauses.iter().filter(|(ended, _)| *ended > since);
        after.map(|(_, pause)| *pause).max().unwrap_or_default()
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

fn watch(cpu: usize, pauses: &Pauses, stop: &AtomicBool) {
    let mut only = CpuSet::new();
    only.set(cpu);
    // Without these it sees fewer stalls.
    let _ = sched_setaffinity(None, &only);
    let _ = sys::thread::precise_timers();
    let _ = sys::thread::real_time();
    while !stop.load(Ordering::Relaxed) {
        let before = Instant::now();
        thread::sleep(EVERY);
        let now = Instant::now();
        let pause = now.saturating_duration_since(before + EVERY);
        if pause >= NOTED {
            let mut pauses = pauses.lock().unwrap_or_else(PoisonError::into_inner);
            if pauses.len() < MAX_NOTED {
                pauses.push((now, pause));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_found_by_when_they_ended() {
        let start = Instant::now();
        let (ms, watch) = (
            Duration::from_millis(1),
            StallWatch {
                pauses: Pauses::default(),
                stop: Arc::default(),
                threads: Vec::new(),
            },
        );
        let mut pauses = watch.pauses.lock().unwrap();
        pauses.extend([(start + ms, 9 * ms), (start + 3 * ms, 4 * ms)]);
        drop(pauses);
        assert_eq!(watch.longest_since(start), 9 * ms);
        assert_eq!(watch.longest_since(start + 2 * ms), 4 * ms);
        assert_eq!(watch.longest_since(start + 5 * ms), Duration::ZERO);
    }
}
