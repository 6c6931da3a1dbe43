//! A box before an uplink: a stateful firewall, or one that also translates addresses and ports.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// What the box does with addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// Nothing: it only lets in what answers.
    Firewall,
    /// One outside port for one inside port, whoever is spoken to; lets in only those spoken to.
    PortRestricted,
    /// An outside port for each pair of inside and remote address (a "symmetric" NAT).
    Symmetric,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    inside: SocketAddr,
    remote: SocketAddr,
    outside: SocketAddr,
    used: Instant,
}

/// The box.
#[derive(Clone, Debug)]
pub struct Nat {
    kind: NatKind,
    public: IpAddr,
    /// A mapping without a packet for this long is gone.
    pub expiry: Duration,
    mappings: Vec<Mapping>,
    next_port: u16,
}

/// Mappings the box remembers; the oldest go first.
const MAX_MAPPINGS: usize = 64;

impl Nat {
    /// A box whose outside address is `public` (ignored by a firewall).
    #[must_use]
    pub const fn new(kind: NatKind, public: IpAddr, expiry: Duration) -> Self {
        Self {
            kind,
            public,
            expiry,
            mappings: Vec::new(),
            next_port: 20_000,
        }
    }

    /// The address that packets to `inside` must carry outside.
    #[must_use]
    pub fn address_of(&self, inside: IpAddr) -> IpAddr {
        if self.kind == NatKind::Firewall {
            inside
        } else {
            self.public
        }
    }

    /// A packet goes out: returns its source as seen outside.
    pub fn outbound(&mut self, inside: SocketAddr, remote: SocketAddr, now: Instant) -> SocketAddr {
        self.forget(now);
        let known = self
            .mappings
            .iter_mut()
            .find(|m| m.inside == inside && m.remote == remote);
        if let Some(mapping) = known {
            mapping.used = now;
            return mapping.outside;
        }
        let same = self
            .mappings
            .iter()
            .find(|m| m.inside == inside)
            .map(|m| m.outside);
        let outside = match (self.kind, same) {
            (NatKind::Firewall, _) => inside,
            (NatKind::PortRestricted, Some(outside)) => outside,
            _ => SocketAddr::new(self.public, self.take_port()),
        };
        if self.mappings.len() >= MAX_MAPPINGS {
            self.mappings.remove(0);
        }
        self.mappings.push(Mapping {
            inside,
            remote,
            outside,
            used: now,
        });
        outside
    }

    /// A packet comes in: returns where to inside, `None` when it is not let in.
    pub fn inbound(
        &mut self,
        remote: SocketAddr,
        outside: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        self.forget(now);
        let mapping = self
            .mappings
            .iter_mut()
            .find(|m| m.remote == remote && m.outside == outside)?;
        mapping.used = now;
        Some(mapping.inside)
    }

    /// Forgets all mappings, as when the box restarts: the next packets get new ports.
    pub fn rebind(&mut self) {
        self.mappings.clear();
    }

    fn forget(&mut self, now: Instant) {
        let expiry = self.expiry;
        self.mappings
            .retain(|m| now.duration_since(m.used) < expiry);
    }

    fn take_port(&mut self) -> u16 {
        self.next_port = if self.next_port >= 60_000 {
            20_000
        } else {
            self.next_port + 1
        };
        self.next_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_in_only_those_spoken_to_until_it_expires() {
        let now = Instant::now();
        let inside: SocketAddr = "10.0.0.1:1830".parse().unwrap();
        let (one, two) = (
            "192.0.2.1:1830".parse().unwrap(),
            "192.0.2.2:1830".parse().unwrap(),
        );
        let public = "100.64.0.1".parse().unwrap();
        let mut nat = Nat::new(NatKind::PortRestricted, public, Duration::from_secs(30));
        let outside = nat.outbound(inside, one, now);
        assert_eq!(outside.ip(), public);
        assert_eq!(nat.inbound(one, outside, now), Some(inside));
        assert_eq!(nat.inbound(two, outside, now), None);
        assert_eq!(nat.outbound(inside, two, now), outside);
        assert_eq!(
            nat.inbound(one, outside, now + Duration::from_secs(31)),
            None
        );
        nat.rebind();
        assert_ne!(nat.outbound(inside, one, now), outside);
    }
}
