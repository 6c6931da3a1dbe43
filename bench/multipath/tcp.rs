//! TCP flows that send as much as goes, and when what arrived.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::Namespace;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::record::Arrivals;

/// How long a connection may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Given to the kernel, and taken from it, at once.
const BLOCK: usize = 256 * 1024;
/// How finely arrivals are told apart.
const GRAIN: Duration = Duration::from_millis(1);

/// A connection that is up and has carried nothing.
#[derive(Debug)]
pub(crate) struct Flow {
    out: TcpStream,
    inwards: TcpStream,
}

/// When a flow sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// What times count from.
    pub(crate) zero: Instant,
    /// When it begins.
    pub(crate) begin: Instant,
    /// When it ends, for sender and receiver.
    pub(crate) end: Instant,
}

impl Flow {
    /// Connects `from` with `address` on `to`, with this congestion control at both ends.
    pub(crate) fn connect(
        from: &Namespace,
        to: &Namespace,
        address: IpAddr,
        congestion: &str,
    ) -> Result<Self> {
        let listener = to.enter(|| TcpListener::bind((address, 0)))?;
        let listener = listener.with_context(|| format!("{}: bind {address}", to.name()))?;
        let target = listener.local_addr()?;
        let out = from.enter(|| connect(target, congestion))??;
        Ok(Self {
            out,
            inwards: lab::transfer::accept(&listener)?,
        })
    }

    /// Sends and receives at these times, on threads of the scope; what arrived comes into
    /// `arrivals` in the end.
    pub(crate) fn start<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        times: Times,
        arrivals: &'scope Mutex<Arrivals>,
    ) {
        let Self { out, inwards } = self;
        scope.spawn(move || send(out, times));
        scope.spawn(move || {
            let received = receive(inwards, times);
            if let Ok(mut arrivals) = arrivals.lock() {
                *arrivals = received;
            }
        });
    }
}

fn connect(target: SocketAddr, congestion: &str) -> Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    let chosen = socket.set_tcp_congestion(congestion.as_bytes());
    chosen.with_context(|| format!("the kernel has no congestion control {congestion:?}"))?;
    let connected = socket.connect_timeout(&target.into(), PATIENCE);
    connected.with_context(|| format!("connect to {target}"))?;
    Ok(socket.into())
}

fn is_patient(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn send(mut stream: TcpStream, times: Times) {
    let block = vec![0x5a; BLOCK];
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    thread::sleep(times.begin.saturating_duration_since(Instant::now()));
    while Instant::now() < times.end {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if is_patient(&error) => {}
            // The receiver's count says what got through.
            Err(_) => break,
        }
    }
    // Without waiting for what is in the buffer: the load is over.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn receive(mut stream: TcpStream, times: Times) -> Arrivals {
    let mut arrivals = Arrivals::default();
    let mut buffer = vec![0; BLOCK];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let _ = sys::thread::precise_timers();
    while Instant::now() < times.end {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let at = Instant::now().saturating_duration_since(times.zero);
                arrivals.add(at, length as u64, GRAIN);
            }
            Err(error) if is_patient(&error) => {}
            Err(_) => break,
        }
    }
    arrivals
}
