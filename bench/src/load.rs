//! TCP at full speed, counted by its receiver while it runs.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::{End, Namespace};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::bench::Pin;
use crate::workers::Workers;

/// The congestion control, named: kernels differ in their default.
const CONGESTION: &[u8] = b"cubic";
/// What one write and one read take: larger than a super-frame, so that system calls do not count.
const BLOCK: usize = 256 * 1024;
/// How long a connection may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Streams from A to B, until dropped.
#[derive(Debug, Default)]
pub(crate) struct Load {
    received: Arc<AtomicU64>,
    workers: Workers,
}

impl Load {
    /// Connects and starts to send.
    pub(crate) fn start(
        hosts: &[Namespace; 2],
        address: IpAddr,
        streams: usize,
        pin: Pin,
    ) -> Result<Self> {
        let listener = hosts[1].enter(|| TcpListener::bind((address, 0)))?;
        let listener = listener.with_context(|| format!("bind {address}"))?;
        let target = listener.local_addr()?;
        let mut load = Self::default();
        for _ in 0..streams {
            let out = hosts[0].enter(|| connect(target))??;
            // It is there already: the connection is up.
            let (inwards, _) = listener.accept()?;
            let count = load.received.clone();
            load.workers.spawn(move |stop| {
                pin.apply(End::B);
                receive(inwards, &count, stop);
            });
            load.workers.spawn(move |stop| {
                pin.apply(End::A);
                send(out, stop);
            });
        }
        Ok(load)
    }

    /// Payload received so far, all streams together, bytes.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

fn connect(target: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    let chosen = socket.set_tcp_congestion(CONGESTION);
    chosen.context("the kernel has no congestion control \"cubic\"")?;
    let connected = socket.connect_timeout(&target.into(), PATIENCE);
    connected.with_context(|| format!("connect to {target}"))?;
    Ok(socket.into())
}

fn send(mut stream: TcpStream, stop: &AtomicBool) {
    let block = vec![0x5a; BLOCK];
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    while !stop.load(Ordering::Relaxed) {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The receiver's count says what got through.
            Err(_) => break,
        }
    }
    // Without waiting for what is in the buffer: the measurement is over.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn receive(mut stream: TcpStream, count: &AtomicU64, stop: &AtomicBool) {
    let mut buffer = vec![0; BLOCK];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}
