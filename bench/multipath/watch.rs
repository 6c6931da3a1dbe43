//! Looks at counters ten times a second: those of the lines, and those of both hosts' TCP.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::Namespace;
use netns::Line;

use crate::record::{Sample, seconds_since};
use crate::scenario::Direction;
use crate::tcp::Times;

/// The time between two samples.
const EVERY: Duration = Duration::from_millis(100);

/// TCP's counters of one host: retransmission timeouts, segments sent again.
type TcpCounters = [u64; 2];

/// Takes samples from `times.begin` to `times.end`, both included.
pub(crate) fn samples(lines: &[Line], hosts: &[Namespace; 2], times: Times) -> Result<Vec<Sample>> {
    thread::scope(|scope| {
        // One thread stays in each host, so that a look costs no new one.
        let counters = hosts.each_ref().map(|host| {
            let work = move || -> Result<Vec<TcpCounters>> {
                host.netns().enter_thread()?;
                let mut all = Vec::new();
                for _ in ticks(times) {
                    all.push(tcp_counters()?);
                }
                Ok(all)
            };
            scope.spawn(work)
        });
        let mut samples: Vec<Sample> = Vec::new();
        for _ in ticks(times) {
            samples.push(of_lines(lines, times.zero));
        }
        for (end, thread) in counters.into_iter().enumerate() {
            let counters = thread.join().map_err(|_| anyhow::anyhow!("a watcher"))??;
            for (sample, [timeouts, resent]) in samples.iter_mut().zip(counters) {
                sample.timeouts[end] = timeouts;
                sample.resent[end] = resent;
            }
        }
        Ok(samples)
    })
}

/// Waits for each time to look.
fn ticks(times: Times) -> impl Iterator<Item = ()> {
    let due = (0..).map(move |number| times.begin + EVERY * number);
    due.take_while(move |due| *due <= times.end)
        .map(|due| thread::sleep(due.saturating_duration_since(Instant::now())))
}

fn of_lines(lines: &[Line], zero: Instant) -> Sample {
    let mut sample = Sample {
        at: seconds_since(zero, Instant::now()),
        ..Sample::default()
    };
    for cable in lines.iter().filter_map(Line::cable) {
        let stats = Direction::BOTH.map(|direction| cable.stats(direction.of_cable()));
        sample
            .delivered
            .push(stats.map(|stats| stats.delivered_bytes));
        sample.queue_full.push(stats.map(|stats| stats.queue_full));
    }
    sample
}

fn tcp_counters() -> Result<TcpCounters> {
    let extended = fs::read_to_string("/proc/thread-self/net/netstat")?;
    let basic = fs::read_to_string("/proc/thread-self/net/snmp")?;
    Ok([
        counter(&extended, "TcpExt:", "TCPTimeouts").context("no counter TCPTimeouts")?,
        counter(&basic, "Tcp:", "RetransSegs").context("no counter RetransSegs")?,
    ])
}

/// A counter in a file that has, for each group, a line of names and a line of values.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace());
    pairs.find(|(key, _)| *key == name)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = "Tcp: A RetransSegs B\nTcp: 1 22 3\nTcpExt: RetransSegs\nTcpExt: 7\n";
        assert_eq!(counter(text, "Tcp:", "RetransSegs"), Some(22));
        assert_eq!(counter(text, "TcpExt:", "RetransSegs"), Some(7));
        assert_eq!(counter(text, "Tcp:", "C"), None);
        assert_eq!(counter(text, "Udp:", "A"), None);
        assert!(tcp_counters().is_ok());
    }
}
