//! The way of a datagram from one machine's socket to another's.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
};

use node::Target;

use super::{Happening, Packet, World, stepping::Input};

/// Datagrams that wait for a stopped node.
const SOCKET_BUFFER: usize = 200;

/// Bytes of IP and UDP headers.
fn headers(address: IpAddr) -> usize {
    if address.is_ipv4() { 28 } else { 48 }
}

impl World {
    /// The address at which others see an uplink.
    #[must_use]
    pub fn public_ip(&self, host: usize, uplink: u8) -> IpAddr {
        let socket = &self.hosts[host].sockets[usize::from(uplink)];
        let inside = socket.address.ip();
        socket
            .nat
            .as_ref()
            .map_or(inside, |nat| nat.address_of(inside))
    }

    /// A node sends: through the box before its uplink, into the line that leads to the address.
    pub(super) fn send(&mut self, host: usize, target: &Target, bytes: Vec<u8>) {
        let uplink = target.uplink.0;
        let name = &self.hosts[host].recipe.name;
        self.checks.sealed(name, &bytes, self.now);
        let mut hasher = DefaultHasher::new();
        // The tag at the end stands for all that is sealed.
        let tag = &bytes[bytes.len().saturating_sub(16)..];
        (self.digest, self.elapsed(), uplink, target.remote).hash(&mut hasher);
        (bytes.len(), tag).hash(&mut hasher);
        self.digest = hasher.finish();
        self.hosts[host].sent_bytes[usize::from(uplink)] += bytes.len() as u64;
        let socket = &mut self.hosts[host].sockets[usize::from(uplink)];
        let stale = target
            .local
            .is_some_and(|local| local != socket.address.ip());
        let size = bytes.len() + headers(target.remote.ip());
        if !socket.present || stale || size > usize::from(socket.mtu) {
            return;
        }
        let src = match &mut socket.nat {
            Some(nat) => nat.outbound(socket.address, target.remote, self.now),
            None => socket.address,
        };
        self.carry(
            host,
            uplink,
            Packet {
                src,
                dst: target.remote,
                bytes,
            },
        );
    }

    /// Puts a packet into the line of this uplink that leads to its destination, if there is one.
    pub(crate) fn carry(&mut self, host: usize, uplink: u8, packet: Packet) {
        let found = (0..self.lines.len()).find_map(|line| {
            let end = self.lines[line]
                .ends
                .iter()
                .position(|&end| end == (host, uplink))?;
            let other = self.lines[line].ends[1 - end];
            (self.public_ip(other.0, other.1) == packet.dst.ip()).then_some((line, end))
        });
        let Some((line, end)) = found else { return };
        self.attacker.overhear(line, end, &packet, &mut self.rng);
        self.inject(line, end, packet);
    }

    /// A packet enters a line at end `end`.
    pub fn inject(&mut self, line: usize, end: usize, packet: Packet) {
        let size = packet.bytes.len() + headers(packet.dst.ip());
        let (host, uplink) = self.lines[line].ends[1 - end];
        let arrivals = self.lines[line].directions[end].transmit(size, self.now, &mut self.rng);
        for at in arrivals.into_iter().flatten() {
            self.schedule(at, Happening::Arrive(host, uplink, packet.clone()));
        }
    }

    pub(super) fn arrive(&mut self, host: usize, uplink: u8, mut packet: Packet) {
        let now = self.now;
        let socket = &mut self.hosts[host].sockets[usize::from(uplink)];
        if !socket.present {
            return;
        }
        if let Some(nat) = &mut socket.nat {
            let Some(inside) = nat.inbound(packet.src, packet.dst, now) else {
                return;
            };
            packet.dst = inside;
        }
        if packet.dst != socket.address {
            return;
        }
        match &mut self.hosts[host].frozen {
            Some(waiting) if waiting.len() < SOCKET_BUFFER => waiting.push((uplink, packet)),
            Some(_) => {}
            None => self.step(host, Input::Datagrams(vec![(uplink, packet)])),
        }
    }
}
