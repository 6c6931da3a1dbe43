//! What a thread that keeps time needs from the scheduler.

use std::io;
use std::num::NonZeroU64;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Lets the calling thread's waits end on time: timer slack of 1 ns instead of 50 µs.
pub fn precise_timers() -> io::Result<()> {
    Ok(rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?)
}

/// Puts the calling thread before all ordinary ones (`SCHED_FIFO`, lowest real-time priority).
///
/// For emulators and meters that must not add their own delay to what they measure. Needs
/// CAP_SYS_NICE; without it nothing changes and the error says so.
pub fn real_time() -> io::Result<()> {
    crate::raw::set_fifo(1)
}

/// Keeps the calling thread, and the threads and programs it starts from now on, on one processor.
///
/// # Errors
/// There is no such processor, or this process may not use it.
pub fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_was_pinned() {
        let pinned = || {
            pin(0)?;
            let cpus = rustix::thread::sched_getaffinity(None)?;
            Ok::<_, io::Error>((cpus.is_set(0), cpus.count()))
        };
        assert_eq!(
            std::thread::spawn(pinned).join().unwrap().unwrap(),
            (true, 1)
        );
        assert!(pin(CpuSet::MAX_CPU).is_err());
    }

    #[test]
    fn slack_becomes_small() {
        precise_timers().unwrap();
        assert_eq!(rustix::thread::current_timer_slack().unwrap(), 1);
    }
}
