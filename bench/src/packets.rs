//! Small UDP packets, offered as fast as the sender can, counted by their receiver.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::{End, Namespace};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use sys::poll::{Events, Interest, Poller};
use sys::udp::{BATCH_SIZE, BindOptions, Meta, RECV_BUFFER_SIZE};

use crate::bench::Pin;
use crate::workers::Workers;

/// UDP payload of each packet, bytes.
pub(crate) const PAYLOAD: usize = 64;
/// Packets handed to the kernel in one call.
const BATCH: usize = 64;
/// The receiver should not be what loses packets.
const RECV_BUFFER: usize = 8 << 20;

/// Packets from A to B, until dropped.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    workers: Workers,
}

impl Flood {
    /// Starts to send to `address` of B.
    pub(crate) fn start(hosts: &[Namespace; 2], address: IpAddr, pin: Pin) -> Result<Self> {
        let options = BindOptions {
            addr: SocketAddr::new(address, 0),
            recv_buffer: Some(RECV_BUFFER),
            ..BindOptions::default()
        };
        let receiver = hosts[1].enter(|| sys::UdpSocket::open(&options))??;
        let target = receiver.local_addr()?;
        let sender = hosts[0].enter(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(target)?;
            std::io::Result::Ok(socket)
        })??;
        let mut flood = Self::default();
        let count = flood.received.clone();
        flood.workers.spawn(move |stop| {
            pin.apply(End::B);
            // Only the set-up can fail, and then nothing is counted: the row says so.
            let _ = receive(&receiver, &count, stop);
        });
        let count = flood.sent.clone();
        flood.workers.spawn(move |stop| {
            pin.apply(End::A);
            send(&sender, &count, stop);
        });
        Ok(flood)
    }

    /// Packets that the sender's kernel has taken so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Packets received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

fn send(socket: &UdpSocket, count: &AtomicU64, stop: &AtomicBool) {
    let packet = [0x5a; PAYLOAD];
    let slices = [IoSlice::new(&packet)];
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = Vec::new();
    controls.resize_with(BATCH, SendAncillaryBuffer::default);
    let mut messages: Vec<MMsgHdr<'_>> = controls
        .iter_mut()
        .map(|control| MMsgHdr::new(&slices, control))
        .collect();
    while !stop.load(Ordering::Relaxed) {
        // What the kernel has no room for is lost, as offered packets may be.
        let taken = sendmmsg(socket, &mut messages, SendFlags::empty()).unwrap_or(0);
        count.fetch_add(taken as u64, Ordering::Relaxed);
    }
}

fn receive(socket: &sys::UdpSocket, count: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let poller = Poller::new()?;
    poller.add(socket, 0, Interest::Read)?;
    let mut events = Events::with_capacity(1);
    let mut memory = vec![0; BATCH_SIZE * RECV_BUFFER_SIZE];
    let mut buffers: Vec<IoSliceMut<'_>> = memory
        .chunks_mut(RECV_BUFFER_SIZE)
        .map(IoSliceMut::new)
        .collect();
    let mut metas = vec![Meta::default(); BATCH_SIZE];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffers, &mut metas) {
            Ok(filled) => {
                let packets = metas[..filled].iter().map(|meta| meta.len / PAYLOAD);
                count.fetch_add(packets.sum::<usize>() as u64, Ordering::Relaxed);
            }
            Err(_) => {
                let waited = poller.wait(&mut events, Some(Duration::from_millis(50)));
                waited.context("wait for packets")?;
            }
        }
    }
    Ok(())
}
