//! The outage meter: what users of a link feel, as gaps in a steady stream of small packets.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Namespace;

mod report;

use report::{Arrival, Log};
pub use report::{FlowReport, MeterReport};

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub struct MeterOptions {
    /// Packets per second in each direction.
    pub rate: u32,
    /// The UDP payload of each, bytes; at least 8.
    pub payload: usize,
    /// A packet that was sent less than this ago may still arrive: it counts as neither.
    pub grace: Duration,
}

impl Default for MeterOptions {
    fn default() -> Self {
        Self {
            rate: 1000,
            payload: 64,
            grace: Duration::from_secs(1),
        }
    }
}

/// Packets that one direction remembers at most; then it stops sending.
const MAX_PACKETS: usize = 4_000_000;

/// A host and the address its end of the meter has.
#[derive(Debug, Clone)]
pub struct MeterEnd {
    /// The host.
    pub host: Namespace,
    /// Its address on the link to be measured.
    pub address: IpAddr,
}

impl MeterEnd {
    /// An end.
    pub fn new(host: &Namespace, address: IpAddr) -> Self {
        Self {
            host: host.clone(),
            address,
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Flow {
    log: Mutex<Log>,
    stop_sending: AtomicBool,
    stop: AtomicBool,
}

impl Flow {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A panicked holder leaves a list that is still good.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running measurement: a numbered UDP stream in each direction between two hosts.
///
/// It goes on through every failure: what cannot be sent is lost.
#[derive(Debug)]
pub struct Meter {
    flows: [Arc<Flow>; 2],
    threads: Vec<JoinHandle<()>>,
    start: Instant,
    options: MeterOptions,
}

impl Meter {
    /// Starts both streams.
    pub fn start(a: &MeterEnd, b: &MeterEnd, options: MeterOptions) -> Result<Self> {
        if options.rate == 0 || options.payload < 8 {
            bail!("a meter needs a rate and 8 bytes of payload: {options:?}");
        }
        let mut meter = Self {
            flows: [Arc::new(Flow::new()), Arc::new(Flow::new())],
            threads: Vec::new(),
            start: Instant::now(),
            options,
        };
        for (flow, from, to) in [(0, a, b), (1, b, a)] {
            let receiver = bind(to)?;
            receiver.set_read_timeout(Some(Duration::from_millis(50)))?;
            let target = receiver.local_addr()?;
            let sender = bind(from)?;
            let (out, back) = (meter.flows[flow].clone(), meter.flows[flow].clone());
            meter.spawn("meter-recv", move || receive(&receiver, &back))?;
            meter.spawn("meter-send", move || send(&sender, target, &out, options))?;
        }
        Ok(meter)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        self.threads
            .push(thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    /// Waits until packets arrive in both directions; an error when they do not in time.
    pub fn wait_flowing(&self, timeout: Duration) -> Result<()> {
        let end = Instant::now() + timeout;
        let since = Instant::now();
        loop {
            let flowing = self
                .flows
                .iter()
                .all(|flow| flow.log().arrived_since(since));
            if flowing {
                return Ok(());
            }
            if Instant::now() > end {
                let arrived = self
                    .flows
                    .each_ref()
                    .map(|flow| flow.log().arrived_since(since));
                bail!(
                    "no packets within {timeout:?}: a to b {}, b to a {}",
                    arrived[0],
                    arrived[1]
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// When the streams began: what the times in reports count from.
    pub fn started(&self) -> Instant {
        self.start
    }

    /// Now, for [`Meter::report_since`].
    pub fn mark(&self) -> Instant {
        Instant::now()
    }

    /// What happened since a mark. A gap that has not ended yet counts up to now.
    pub fn report_since(&self, mark: Instant) -> MeterReport {
        self.report_between(mark, Instant::now())
    }

    /// What happened between two marks.
    pub fn report_between(&self, from: Instant, to: Instant) -> MeterReport {
        let settled = to.min(Instant::now() - self.options.grace);
        self.report_settled(from, to, settled)
    }

    fn report_settled(&self, from: Instant, to: Instant, settled: Instant) -> MeterReport {
        let window = report::Window {
            from,
            to,
            settled,
            start: self.start,
        };
        let [a_to_b, b_to_a] = self.flows.each_ref().map(|flow| flow.log().report(window));
        MeterReport { a_to_b, b_to_a }
    }

    /// Everything since the start.
    pub fn report(&self) -> MeterReport {
        self.report_since(self.start)
    }

    /// Stops sending, waits for stragglers (the grace), and reports the whole time, all packets.
    pub fn stop(mut self) -> MeterReport {
        let end = Instant::now();
        for flow in &self.flows {
            flow.stop_sending.store(true, Ordering::Relaxed);
        }
        thread::sleep(self.options.grace);
        self.end_threads();
        self.report_settled(self.start, end, end)
    }

    fn end_threads(&mut self) {
        for flow in &self.flows {
            flow.stop_sending.store(true, Ordering::Relaxed);
            flow.stop.store(true, Ordering::Relaxed);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end_threads();
    }
}

impl Flow {
    fn new() -> Self {
        Self {
            log: Mutex::new(Log::default()),
            stop_sending: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }
}

fn bind(end: &MeterEnd) -> Result<UdpSocket> {
    let bound = end.host.enter(|| UdpSocket::bind((end.address, 0)))?;
    bound.with_context(|| format!("{}: bind {}", end.host.name(), end.address))
}

fn send(socket: &UdpSocket, target: SocketAddr, flow: &Flow, options: MeterOptions) {
    crate::echo::precise(None);
    // A full device queue must not hold the stream up; the packet counts as lost.
    let _ = socket.set_nonblocking(true);
    let start = Instant::now();
    let mut packet = vec![0; options.payload];
    for number in 0..MAX_PACKETS as u64 {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / u64::from(options.rate));
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if flow.stop_sending.load(Ordering::Relaxed) {
            return;
        }
        if let Some(field) = packet.first_chunk_mut::<8>() {
            *field = number.to_be_bytes();
        }
        flow.log().sent.push(Instant::now());
        let _ = socket.send_to(&packet, target);
    }
}

fn receive(socket: &UdpSocket, flow: &Flow) {
    crate::echo::precise(None);
    let mut buffer = vec![0; 65_536];
    while !flow.stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(_) => {
                let Some(field) = buffer.first_chunk::<8>() else {
                    continue;
                };
                let number = u64::from_be_bytes(*field);
                let mut log = flow.log();
                // Copies could outnumber what was sent.
                if log.arrivals.len() < 2 * MAX_PACKETS {
                    log.arrivals.push(Arrival {
                        number,
                        at: Instant::now(),
                    });
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
mod tests;
