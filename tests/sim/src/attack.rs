//! Someone on the wire who hears everything and sends what he likes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::{Rng as _, RngExt as _, rngs::ChaCha8Rng};

use crate::world::{Happening, Packet, World};

/// Packets he remembers.
const MEMORY: usize = 64;

/// The attacker and what he has heard.
#[derive(Debug, Default)]
pub struct Attacker {
    heard: Vec<(usize, usize, Packet)>,
    until: Option<Instant>,
    every: Duration,
    count: u64,
}

impl Attacker {
    /// Hears a packet that enters line `line` at end `end`; remembers a fair sample, handshakes above all.
    pub fn overhear(&mut self, line: usize, end: usize, packet: &Packet, rng: &mut ChaCha8Rng) {
        self.count += 1;
        let item = || (line, end, packet.clone());
        let is_handshake = packet.bytes.first().is_some_and(|&kind| kind < 4);
        if self.heard.len() < MEMORY {
            self.heard.push(item());
        } else if is_handshake || self.count.is_multiple_of(16) {
            let at = rng.random_range(0..MEMORY);
            self.heard[at] = item();
        }
    }
}

impl World {
    /// He begins to work, for this long.
    pub fn begin_attack(&mut self, time: Duration) {
        self.attacker.until = Some(self.now + time);
        self.attacker.every = Duration::from_millis(self.rng.random_range(5..50));
        self.schedule(self.now, Happening::Attack);
    }

    /// He goes away.
    pub fn end_attack(&mut self) {
        self.attacker.until = None;
    }

    pub(crate) fn on_attack(&mut self) {
        if self.attacker.until.is_none_or(|until| until <= self.now)
            || self.attacker.heard.is_empty()
        {
            return;
        }
        let at = self.rng.random_range(0..self.attacker.heard.len());
        let (line, end, mut packet) = self.attacker.heard[at].clone();
        let (line, end) = if self.rng.random_bool(0.1) {
            (self.any_line(), 1 - end)
        } else {
            (line, end)
        };
        self.tamper(&mut packet);
        self.inject(line, end, packet);
        self.schedule(self.now + self.attacker.every, Happening::Attack);
    }

    fn any_line(&mut self) -> usize {
        self.rng.random_range(0..self.lines.len())
    }

    fn tamper(&mut self, packet: &mut Packet) {
        let len = packet.bytes.len();
        match self.rng.random_range(0..6) {
            0 => {
                let at = self.rng.random_range(0..len);
                packet.bytes[at] ^= 1 << self.rng.random_range(0..8);
            }
            1 => packet.bytes.truncate(self.rng.random_range(0..len)),
            2 => {
                let kind = packet.bytes[0];
                self.rng.fill_bytes(&mut packet.bytes);
                packet.bytes[0] = kind;
            }
            3 => {
                packet.src =
                    SocketAddr::from(([203, 0, 113, 7], self.rng.random_range(1..u16::MAX)))
            }
            _ => {} // as it was: a replay
        }
    }
}
