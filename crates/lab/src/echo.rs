//! Round trips: numbered UDP packets to an echo server and back.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Namespace;

/// How to ping.
#[derive(Debug, Clone, Copy)]
pub struct EchoOptions {
    /// How many packets.
    pub count: usize,
    /// The time between two.
    pub interval: Duration,
    /// How long to wait for the last answers.
    pub wait: Duration,
    /// The processors on which to ask and to answer; any when `None`.
    pub pin: Option<[usize; 2]>,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self {
            count: 100,
            interval: Duration::from_millis(10),
            wait: Duration::from_secs(1),
            pin: None,
        }
    }
}

/// What came back. The times are zero when nothing did.
#[derive(Debug, Clone, Copy, Default)]
pub struct EchoReport {
    /// Packets sent.
    pub sent: usize,
    /// Answers, copies not counted.
    pub received: usize,
    /// The shortest round trip.
    pub min: Duration,
    /// The median.
    pub p50: Duration,
    /// Nine of ten were not longer.
    pub p90: Duration,
    /// Ninety-nine of a hundred were not longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Sends packets from one host to an echo server at `address` on another. With an unreachable
/// destination nothing is received; that is no error.
pub fn ping(
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    options: EchoOptions,
) -> Result<EchoReport> {
    let server = to.enter(|| UdpSocket::bind((address, 0)))?;
    let server = server.with_context(|| format!("{}: bind {address}", to.name()))?;
    server.set_read_timeout(Some(Duration::from_millis(20)))?;
    let target = server.local_addr()?;
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let client = from.enter(|| UdpSocket::bind(any))??;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let [asking, answering] = options.pin.map_or([None; 2], |pin| pin.map(Some));
        let (server, client, stop) = (&server, &client, &stop);
        scope.spawn(move || {
            precise(answering);
            serve(server, stop);
        });
        let client = scope.spawn(move || {
            precise(asking);
            exchange(client, target, options)
        });
        let report = client
            .join()
            .map_err(|_| anyhow::anyhow!("the client panicked"));
        stop.store(true, Ordering::Relaxed);
        report?
    })
}

/// Waits until a packet comes back from `address`; returns how long that took, or an error when it
/// took longer than `timeout`.
pub fn wait_reachable(
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    timeout: Duration,
) -> Result<Duration> {
    let start = Instant::now();
    // Longer than any line takes.
    let wait = Duration::from_millis(500);
    while start.elapsed() < timeout {
        let once = EchoOptions {
            count: 1,
            interval: Duration::ZERO,
            wait,
            pin: None,
        };
        if ping(from, to, address, once)?.received > 0 {
            return Ok(start.elapsed());
        }
    }
    bail!(
        "{}: {address} is not reachable within {timeout:?}",
        from.name()
    )
}

fn serve(server: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&buffer[..length], from);
        }
    }
}

/// Meters should not measure how busy the machine is; without the privilege they do. A processor
/// that is not there leaves the thread where it is.
pub(crate) fn precise(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        let _ = sys::thread::pin(cpu);
    }
    let _ = sys::thread::precise_timers();
    let _ = sys::thread::real_time();
}

fn exchange(client: &UdpSocket, target: SocketAddr, options: EchoOptions) -> Result<EchoReport> {
    let start = Instant::now();
    let mut sent_at = Vec::with_capacity(options.count);
    let mut trips = vec![None; options.count];
    while sent_at.len() < options.count {
        let now = Instant::now();
        sent_at.push(now);
        // The report says that it is lost.
        let _ = client.send_to(&(sent_at.len() as u64 - 1).to_be_bytes(), target);
        let next = start + options.interval * sent_at.len() as u32;
        collect(client, next, &sent_at, &mut trips)?;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    collect(client, Instant::now() + options.wait, &sent_at, &mut trips)?;
    let mut times: Vec<Duration> = trips.into_iter().flatten().collect();
    times.sort_unstable();
    Ok(EchoReport {
        sent: options.count,
        received: times.len(),
        min: percentile(&times, 0.0),
        p50: percentile(&times, 0.5),
        p90: percentile(&times, 0.9),
        p99: percentile(&times, 0.99),
        max: percentile(&times, 1.0),
    })
}

/// Takes answers until `end`, or until all are there.
fn collect(
    client: &UdpSocket,
    end: Instant,
    sent_at: &[Instant],
    trips: &mut [Option<Duration>],
) -> Result<()> {
    let mut missing = trips
        .iter()
        .take(sent_at.len())
        .filter(|trip| trip.is_none())
        .count();
    while missing > 0 {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        client.set_read_timeout(Some(left.max(Duration::from_micros(10))))?;
        let mut buffer = [0; 8];
        match client.recv(&mut buffer) {
            Ok(8) => {
                let number = u64::from_be_bytes(buffer) as usize;
                let Some((sent, trip)) = sent_at.get(number).zip(trips.get_mut(number)) else {
                    continue;
                };
                missing -= usize::from(trip.is_none());
                trip.get_or_insert(sent.elapsed());
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // ICMP errors of earlier packets.
            Err(_) => thread::sleep(Duration::from_micros(100)),
        }
    }
    Ok(())
}

/// The value that this share of the sorted times does not exceed; zero when there are none.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_few_and_of_none() {
        let times: Vec<_> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.0), Duration::from_millis(1));
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(51));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(100));
        assert_eq!(percentile(&times, 1.0), Duration::from_millis(101));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn loopback_answers_at_once() {
        let _alone = crate::alone();
        crate::timed("loopback_answers_at_once", Duration::from_millis(3), || {
            let host = Namespace::new("host").unwrap();
            let options = EchoOptions {
                count: 50,
                interval: Duration::from_millis(1),
                ..EchoOptions::default()
            };
            let start = Instant::now();
            let report = ping(&host, &host, "127.0.0.1".parse().unwrap(), options).unwrap();
            assert_eq!((report.sent, report.received), (50, 50));
            assert!(report.p50 < Duration::from_millis(2), "{report:?}");
            assert!(
                start.elapsed() < Duration::from_millis(900),
                "it ends with the last answer"
            );
        });
    }
}
