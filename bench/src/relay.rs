//! A line that loses datagrams: two sockets between the hosts, in user space.
//!
//! Datagrams come in as the batches that the sender made and go on as such, less those that are
//! lost: an ordinary queue would drop whole batches, which no network does.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::Namespace;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use sys::UdpSocket;
use sys::poll::{Events, Interest, Poller};
use sys::udp::{BATCH_SIZE, BindOptions, Meta, RECV_BUFFER_SIZE, SendFailure};

use crate::workers::Workers;

/// Of so many datagrams one is lost.
const ONE_IN: f64 = 1000.0;
/// The same ones in every run.
const SEED: u64 = 1;
/// Large enough that nothing is lost but what should be.
const SOCKET_BUFFER: usize = 16 << 20;

/// One side of the relay: where it is reached, and who is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    /// Our address.
    pub(crate) local: IpAddr,
    /// The host's.
    pub(crate) host: IpAddr,
}

/// A running relay, until dropped.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    dropped: Arc<AtomicU64>,
    workers: Workers,
}

impl Relay {
    /// Starts it on `host` for these ports, which are the same at both sides.
    pub(crate) fn start(host: &Namespace, sides: [Side; 2], ports: &[u16]) -> Result<Self> {
        let mut relay = Self::default();
        for port in ports {
            let open = |side: Side| {
                let options = BindOptions {
                    addr: SocketAddr::new(side.local, *port),
                    recv_buffer: Some(SOCKET_BUFFER),
                    send_buffer: Some(SOCKET_BUFFER),
                    ..BindOptions::default()
                };
                host.enter(|| UdpSocket::open(&options))?
                    .with_context(|| format!("open {}", options.addr))
            };
            let [a, b] = [Arc::new(open(sides[0])?), Arc::new(open(sides[1])?)];
            let to = sides.map(|side| SocketAddr::new(side.host, *port));
            // Answers that are lost make no segment be sent again: only the other way counts.
            let ways = [
                (a.clone(), b.clone(), to[1], relay.dropped.clone()),
                (b, a, to[0], Arc::default()),
            ];
            for (from, by, to, dropped) in ways {
                relay.workers.spawn(move |stop| {
                    let lottery = ChaCha8Rng::seed_from_u64(SEED);
                    // It ends only when it cannot wait: then nothing passes, and the row says so.
                    let _ = forward(&from, &by, to, stop, &dropped, lottery);
                });
            }
        }
        Ok(relay)
    }

    /// Datagrams lost on the way from A to B so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn forward(
    from: &UdpSocket,
    by: &UdpSocket,
    to: SocketAddr,
    stop: &AtomicBool,
    dropped: &AtomicU64,
    mut lottery: ChaCha8Rng,
) -> Result<()> {
    let poller = Poller::new()?;
    poller.add(from, 0, Interest::Read)?;
    let mut events = Events::with_capacity(1);
    let mut memory = vec![0; BATCH_SIZE * RECV_BUFFER_SIZE];
    let mut metas = vec![Meta::default(); BATCH_SIZE];
    while !stop.load(Ordering::Relaxed) {
        let mut buffers: Vec<IoSliceMut<'_>> = memory
            .chunks_mut(RECV_BUFFER_SIZE)
            .map(IoSliceMut::new)
            .collect();
        let Ok(filled) = from.recv(&mut buffers, &mut metas) else {
            poller.wait(&mut events, Some(Duration::from_millis(50)))?;
            continue;
        };
        for (buffer, meta) in memory.chunks_mut(RECV_BUFFER_SIZE).zip(&metas[..filled]) {
            let lose = || lottery.random_bool(1.0 / ONE_IN);
            let (kept, lost) = thin(&mut buffer[..meta.len], meta.stride, lose);
            dropped.fetch_add(lost, Ordering::Relaxed);
            pass_on(by, to, kept, meta.stride);
        }
    }
    Ok(())
}

/// Moves the datagrams that are not lost together; returns them, and how many were lost.
fn thin(batch: &mut [u8], stride: usize, mut lose: impl FnMut() -> bool) -> (&[u8], u64) {
    let (mut kept, mut lost) = (0, 0);
    for start in (0..batch.len()).step_by(stride.max(1)) {
        let end = batch.len().min(start + stride);
        if lose() {
            lost += 1;
        } else {
            batch.copy_within(start..end, kept);
            kept += end - start;
        }
    }
    (&batch[..kept], lost)
}

fn pass_on(by: &UdpSocket, to: SocketAddr, batch: &[u8], stride: usize) {
    let full = |error: &io::Error| SendFailure::of(error) == SendFailure::WouldBlock;
    while !batch.is_empty()
        && by
            .send(to, None, batch, Some(stride))
            .is_err_and(|e| full(&e))
    {
        thread::sleep(Duration::from_micros(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_whole_datagrams() {
        let mut batch = *b"aabbccd";
        let mut turn = 0;
        let second = || {
            turn += 1;
            turn == 2
        };
        assert_eq!(thin(&mut batch, 2, second), (&b"aaccd"[..], 1));
        let mut batch = *b"aab";
        assert_eq!(thin(&mut batch, 2, || true), (&b""[..], 2));
    }
}
