//! Steady streams of numbered UDP packets: one way, or to an echo server and back.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::Namespace;

use crate::record::Packet;
use crate::tcp::Times;

/// How long after the last packet others are still waited for.
const GRACE: Duration = Duration::from_secs(1);

/// A stream that has not begun.
#[derive(Debug)]
pub(crate) struct Probe {
    sender: UdpSocket,
    target: SocketAddr,
    receiver: UdpSocket,
    /// Sends packets back.
    echo: Option<UdpSocket>,
    rate: f64,
    payload: usize,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    sent: Vec<Instant>,
    /// The first arrival of each that was sent.
    arrived: Vec<Option<Instant>>,
}

impl Probe {
    /// From one host to `address` on another, `rate` packets of `payload` bytes per second.
    pub(crate) fn one_way(
        from: &Namespace,
        to: &Namespace,
        address: IpAddr,
        rate: f64,
        payload: usize,
    ) -> Result<Self> {
        let receiver = bind(to, address)?;
        let any = IpAddr::from([0, 0, 0, 0]);
        Ok(Self {
            sender: bind(from, any)?,
            target: receiver.local_addr()?,
            receiver,
            echo: None,
            rate,
            payload,
            log: Mutex::default(),
        })
    }

    /// There and back.
    pub(crate) fn ping(
        from: &Namespace,
        to: &Namespace,
        address: IpAddr,
        rate: f64,
        payload: usize,
    ) -> Result<Self> {
        let probe = Self::one_way(from, to, address, rate, payload)?;
        Ok(Self {
            receiver: probe.sender.try_clone()?,
            echo: Some(probe.receiver),
            ..probe
        })
    }

    /// Sends and receives at these times, on threads of the scope.
    pub(crate) fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, times: Times) {
        scope.spawn(move || self.send(times));
        scope.spawn(move || self.receive(times));
        if let Some(echo) = &self.echo {
            scope.spawn(move || answer(echo, times.end + GRACE));
        }
    }

    /// What became of the packets, once the threads have ended.
    pub(crate) fn packets(&self, zero: Instant) -> Vec<Packet> {
        let log = self.log();
        let packet = |(sent, arrived): (&Instant, &Option<Instant>)| Packet {
            at: crate::record::seconds_since(zero, *sent),
            delay_ms: arrived.map(|at| at.duration_since(*sent).as_secs_f64() * 1e3),
        };
        log.sent.iter().zip(&log.arrived).map(packet).collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A panicked holder leaves a list that is still good.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, times: Times) {
        precise();
        // A full queue of the device must not hold the stream up; the packet counts as lost.
        let mut packet = vec![0; self.payload];
        for number in 0u64.. {
            let due = times.begin + Duration::from_secs_f64(number as f64 / self.rate);
            if due >= times.end {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if let Some(field) = packet.first_chunk_mut::<8>() {
                *field = number.to_be_bytes();
            }
            let mut log = self.log();
            log.sent.push(Instant::now());
            log.arrived.push(None);
            drop(log);
            let _ = self.sender.send_to(&packet, self.target);
        }
    }

    fn receive(&self, times: Times) {
        precise();
        let mut buffer = [0; 2048];
        while Instant::now() < times.end + GRACE {
            let Some(length) = receive(&self.receiver, &mut buffer) else {
                continue;
            };
            let Some(field) = buffer.get(..length).and_then(|b| b.first_chunk::<8>()) else {
                continue;
            };
            let number = u64::from_be_bytes(*field) as usize;
            let mut log = self.log();
            if let Some(arrived) = log.arrived.get_mut(number) {
                arrived.get_or_insert_with(Instant::now);
            }
        }
    }
}

fn bind(host: &Namespace, address: IpAddr) -> Result<UdpSocket> {
    let bound = host.enter(|| UdpSocket::bind((address, 0)))?;
    let socket = bound.with_context(|| format!("{}: bind {address}", host.name()))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    socket.set_write_timeout(Some(Duration::from_millis(1)))?;
    Ok(socket)
}

/// One packet's length, or `None` when none came for a while.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<usize> {
    match socket.recv(buffer) {
        Ok(length) => Some(length),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(_) => {
            thread::sleep(Duration::from_millis(1));
            None
        }
    }
}

fn answer(echo: &UdpSocket, until: Instant) {
    precise();
    let mut buffer = [0; 2048];
    while Instant::now() < until {
        if let Ok((length, from)) = echo.recv_from(&mut buffer) {
            let _ = echo.send_to(buffer.get(..length).unwrap_or_default(), from);
        }
    }
}

/// Probes should not measure how busy the machine is; without the privilege they do.
fn precise() {
    let _ = sys::thread::precise_timers();
    let _ = sys::thread::real_time();
}
