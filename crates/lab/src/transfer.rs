//! What TCP gets through: bulk transfers of a given length in time.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::Namespace;

/// How to transfer.
#[derive(Debug, Clone)]
pub struct TcpOptions {
    /// How long to send.
    pub duration: Duration,
    /// How many connections at once.
    pub streams: usize,
    /// The congestion control, "cubic" or "bbr", if the kernel has it; its default when `None`.
    pub congestion: Option<String>,
    /// The address to send from; the kernel chooses when `None`.
    pub source: Option<IpAddr>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(3),
            streams: 1,
            congestion: Some("cubic".to_owned()),
            source: None,
        }
    }
}

/// What a transfer achieved, seen by the receiver.
#[derive(Debug, Clone, Copy)]
pub struct TcpReport {
    /// Payload received, bytes.
    pub bytes: u64,
    /// From the first connection's start to the last byte.
    pub elapsed: Duration,
    /// Payload bits per second.
    pub goodput_bps: f64,
    /// The longest time in which nothing arrived, of all streams together.
    pub longest_stall: Duration,
}

/// One stream, seen by its receiver.
#[derive(Debug, Default)]
struct Received {
    bytes: u64,
    /// When something arrived, at most one entry per millisecond.
    arrivals: Vec<Instant>,
}

/// How long a connection may take to come up, and to end after the sender has.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends as much as goes from one host to `address` on the other.
pub fn tcp(
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    options: &TcpOptions,
) -> Result<TcpReport> {
    let listener = to.enter(|| TcpListener::bind((address, 0)))?;
    let listener = listener.with_context(|| format!("{}: bind {address}", to.name()))?;
    let target = listener.local_addr()?;
    let start = Instant::now();
    let received = thread::scope(|scope| {
        let mut receivers = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..options.streams.max(1) {
            let out = from.enter(|| connect(target, options))??;
            let accepted = accept(&listener)?;
            senders.push(scope.spawn(move || send(out, start + options.duration)));
            receivers.push(scope.spawn(move || receive(accepted, start + options.duration)));
        }
        for sender in senders {
            sender
                .join()
                .map_err(|_| anyhow::anyhow!("a sender panicked"))?;
        }
        let join = |receiver: thread::ScopedJoinHandle<'_, Received>| {
            receiver
                .join()
                .map_err(|_| anyhow::anyhow!("a receiver panicked"))
        };
        receivers
            .into_iter()
            .map(join)
            .collect::<Result<Vec<Received>>>()
    })?;
    Ok(report(start, &received))
}

fn connect(target: SocketAddr, options: &TcpOptions) -> Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if let Some(congestion) = &options.congestion {
        // Kernels come without some; then the default is measured.
        let _ = socket.set_tcp_congestion(congestion.as_bytes());
    }
    if let Some(source) = options.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    let connected = socket.connect_timeout(&target.into(), PATIENCE);
    connected.with_context(|| format!("connect to {target}"))?;
    Ok(socket.into())
}

/// Accepts one connection, which has 5 s to come.
///
/// # Errors
/// When it does not, or the listener fails.
pub fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => bail!("accept: {error}"),
        }
    }
}

fn send(mut stream: TcpStream, end: Instant) {
    let block = vec![0x5a; 128 * 1024];
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    while Instant::now() < end {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // The receiver's count says what got through.
            Err(_) => break,
        }
    }
    // Without waiting for what is in the buffer: the transfer is over.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn receive(mut stream: TcpStream, end: Instant) -> Received {
    let mut received = Received::default();
    let mut buffer = vec![0; 256 * 1024];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    // What arrives after the end does not count: the time is over.
    while Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                received.bytes += length as u64;
                let now = Instant::now();
                let step = Duration::from_millis(1);
                if received
                    .arrivals
                    .last()
                    .is_none_or(|last| now - *last >= step)
                {
                    received.arrivals.push(now);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    received
}

fn report(start: Instant, received: &[Received]) -> TcpReport {
    let bytes = received.iter().map(|stream| stream.bytes).sum();
    let mut arrivals: Vec<Instant> = received
        .iter()
        .flat_map(|stream| stream.arrivals.iter().copied())
        .collect();
    arrivals.sort_unstable();
    let elapsed = arrivals.last().map_or(Duration::ZERO, |last| *last - start);
    let longest_stall = arrivals
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default();
    let seconds = elapsed.as_secs_f64();
    let goodput_bps = if seconds > 0.0 {
        bytes as f64 * 8.0 / seconds
    } else {
        0.0
    };
    TcpReport {
        bytes,
        elapsed,
        goodput_bps,
        longest_stall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_streams_over_loopback() {
        crate::timed(
            "several_streams_over_loopback",
            Duration::from_millis(50),
            || {
                let host = Namespace::new("host").unwrap();
                let duration = Duration::from_millis(300);
                let options = TcpOptions {
                    duration,
                    streams: 3,
                    ..TcpOptions::default()
                };
                let report = tcp(&host, &host, "127.0.0.1".parse().unwrap(), &options).unwrap();
                assert!(report.goodput_bps > 50e6, "{report:?}");
                assert!(report.elapsed <= duration * 2, "{report:?}");
            },
        );
    }

    #[test]
    fn stalls_are_those_of_all_streams_together() {
        let start = Instant::now();
        let at = |ms: &[u64]| Received {
            bytes: 1000,
            arrivals: ms
                .iter()
                .map(|ms| start + Duration::from_millis(*ms))
                .collect(),
        };
        let report = report(start, &[at(&[10, 500]), at(&[300, 1000])]);
        assert_eq!(report.longest_stall, Duration::from_millis(500));
        assert_eq!(
            (report.bytes, report.elapsed),
            (2000, Duration::from_secs(1))
        );
        assert!((report.goodput_bps - 16_000.0).abs() < 1.0);
    }
}
