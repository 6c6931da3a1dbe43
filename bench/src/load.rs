//! TCP at full speed, counted by its receiver while it runs.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::{End, Namespace};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::bench::Pin;

/// The congestion control, named: kernels differ in their default.
const CONGESTION: &[u8] = b"cubic";
/// What one write and one read take: larger than a super-frame, so that system calls do not count.
const BLOCK: usize = 256 * 1024;
/// How long a connection may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Streams from A to B, until dropped.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    received: AtomicU64,
    stop: AtomicBool,
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
        let mut load = Self {
            shared: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..streams {
            let out = hosts[0].enter(|| connect(target))??;
            // It is there already: the connection is up.
            let (inwards, _) = listener.accept()?;
            load.spawn(pin, End::B, move |shared| receive(inwards, shared))?;
            load.spawn(pin, End::A, move |shared| send(out, shared))?;
        }
        Ok(load)
    }

    fn spawn(
        &mut self,
        pin: Pin,
        end: End,
        work: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new()
            .name("stream".into())
            .spawn(move || {
                pin.apply(end);
                work(&shared);
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Payload received so far, all streams together, bytes.
    pub(crate) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Its panic has been printed; what it counted until then stands.
            let _ = thread.join();
        }
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

fn send(mut stream: TcpStream, shared: &Shared) {
    let block = vec![0x5a; BLOCK];
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    while !shared.stop.load(Ordering::Relaxed) {
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

fn receive(mut stream: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; BLOCK];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    while !shared.stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                shared.received.fetch_add(length as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}
