//! What a thread that keeps time needs from the scheduler.

use std::io;
use std::num::NonZeroU64;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_becomes_small() {
        precise_timers().unwrap();
        assert_eq!(rustix::thread::current_timer_slack().unwrap(), 1);
    }
}
