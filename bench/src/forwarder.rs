//! The baseline: what a tunnel achieves that reads one frame at a time, encrypts it, and sends it
//! as one datagram. No handshake, no replay check, no paths: only what every tunnel must do.

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;

use anyhow::{Context, Result};
use sys::Tap;
use sys::poll::{Events, Interest, Poller};
use sys::tap::TapOptions;
use tunnel::crypto::{Cipher, OpeningKey, SealingKey, aead::TAG_LEN};

/// Bytes that it adds to a frame: packet number and tag.
pub(crate) const OVERHEAD: u32 = HEADER as u32 + TAG_LEN as u32;

const HEADER: usize = 8;
/// Frames or datagrams taken in a row before the other side's turn comes.
const BURST: usize = 128;
const BUFFER: usize = 2048;

/// Forwards between a TAP device and one UDP address.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The TAP device to make.
    device: String,
    /// Our address.
    local: SocketAddr,
    /// The other end's.
    remote: SocketAddr,
}

/// Runs until it is killed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let tap = Tap::open(&options.device, TapOptions::default())?;
    let socket = UdpSocket::bind(options.local).context("bind")?;
    socket.connect(options.remote).context("connect")?;
    socket.set_nonblocking(true)?;
    let poller = Poller::new()?;
    poller.add(&tap, 0, Interest::Read)?;
    poller.add(&socket, 1, Interest::Read)?;
    let mut events = Events::with_capacity(2);
    // Each direction has its own key, so that packet numbers can start at 0 in both.
    let [out, inwards] = match options.local < options.remote {
        true => [[1; 32], [2; 32]],
        false => [[2; 32], [1; 32]],
    };
    let mut sealer = Sealer {
        key: SealingKey::new(Cipher::Aes256Gcm, &out),
        number: 0,
    };
    let opening = OpeningKey::new(Cipher::Aes256Gcm, &inwards);
    loop {
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            match event.token {
                0 => sealer.forward(&tap, &socket),
                _ => open(&opening, &socket, &tap),
            }
        }
    }
}

struct Sealer {
    key: SealingKey,
    number: u64,
}

impl Sealer {
    fn forward(&mut self, tap: &Tap, socket: &UdpSocket) {
        let mut buffer = [0; BUFFER];
        for _ in 0..BURST {
            let Ok(length) = tap.read(&mut buffer[HEADER..BUFFER - TAG_LEN]) else {
                return;
            };
            let (header, rest) = buffer.split_at_mut(HEADER);
            header.copy_from_slice(&self.number.to_be_bytes());
            let tag = self
                .key
                .seal(nonce(self.number), header, &mut rest[..length]);
            rest[length..length + TAG_LEN].copy_from_slice(&tag);
            self.number += 1;
            // What the kernel has no room for is lost, as on the way.
            let _ = socket.send(&buffer[..HEADER + length + TAG_LEN]);
        }
    }
}

fn open(key: &OpeningKey, socket: &UdpSocket, tap: &Tap) {
    let mut buffer = [0; BUFFER];
    for _ in 0..BURST {
        let Ok(length) = socket.recv(&mut buffer) else {
            return;
        };
        let Some((header, sealed)) = buffer[..length].split_first_chunk_mut::<HEADER>() else {
            continue;
        };
        let number = u64::from_be_bytes(*header);
        if let Ok(frame) = key.open(nonce(number), header, sealed) {
            let _ = tap.write(frame);
        }
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}
