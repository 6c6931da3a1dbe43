//! What a seed's network and traffic are like when nothing is broken.

use std::time::Duration;

use node::{Mode, PortVlans, Role, RoleCode, VlanId};
use rand::{RngExt as _, rngs::ChaCha8Rng, seq::IndexedRandom as _};

use crate::{
    line::Shape,
    nat::{Nat, NatKind},
    topology::{PairSpec, pair},
    traffic::{Sizes, StreamSpec},
    world::World,
};

/// Everything about a run that does not break.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Machines and lines.
    pub pair: PairSpec,
    /// Boxes before all uplinks of each machine.
    pub nats: [Option<NatKind>; 2],
    /// The machine that may change its addresses, if one may: the other must be able to hear of it.
    pub mover: Option<usize>,
    /// Conversations, from either end.
    pub streams: Vec<StreamSpec>,
    /// How late each machine wakes up.
    pub latency: [Duration; 2],
}

impl Plan {
    /// Draws one.
    pub fn sample(rng: &mut ChaCha8Rng) -> Self {
        let modes = [
            Mode::Failover,
            Mode::Balance,
            Mode::Redundant,
            Mode::Aggregate,
        ];
        let count = *[1, 2, 2, 2, 3, 3].choose(rng).unwrap_or(&2);
        let lines: Vec<Shape> = (0..count).map(|_| line(rng)).collect();
        let mut pair = PairSpec::new(*modes.choose(rng).unwrap_or(&Mode::Failover), &lines);
        pair.roles = [roles(count, rng), roles(count, rng)];
        pair.v6 = (0..count).map(|_| rng.random_bool(0.3)).collect();
        pair.port_mtu = *[1500, 1500, 1500, 9000].choose(rng).unwrap_or(&1500);
        pair.dial_all = rng.random_bool(0.2);
        if rng.random_bool(0.3) {
            pair.ports
                .push(PortVlans::Access(VlanId::new(10).unwrap_or_default()));
        }
        let dialler: usize = rng.random_range(0..2);
        let one_sided = rng.random_bool(0.3);
        if one_sided {
            pair.dials[1 - dialler] = false;
        }
        let nats = boxes(one_sided, dialler, rng);
        let fixed = nats == [Some(NatKind::Firewall); 2];
        let mover = (!fixed && rng.random_bool(0.6)).then_some(dialler);
        let streams = (0..rng.random_range(1..4))
            .map(|_| stream(&pair, rng))
            .collect();
        let latency = [0; 2].map(|_: u64| Duration::from_micros(rng.random_range(0..1500)));
        Self {
            pair,
            nats,
            mover,
            streams,
            latency,
        }
    }

    /// Sets it up, switched off.
    pub fn build(&self, seed: u64, rng: &mut ChaCha8Rng) -> World {
        let mut world = pair(seed, &self.pair);
        for (host, kind) in self.nats.iter().enumerate() {
            let expiry = Duration::from_secs(rng.random_range(20..120));
            for (uplink, socket) in world.hosts[host].sockets.iter_mut().enumerate() {
                let public = match socket.address.is_ipv4() {
                    true => std::net::Ipv4Addr::new(100, 64, uplink as u8, host as u8 + 1).into(),
                    false => std::net::Ipv6Addr::new(
                        0xfd64,
                        uplink as u16,
                        0,
                        0,
                        0,
                        0,
                        0,
                        host as u16 + 1,
                    )
                    .into(),
                };
                socket.nat = kind.map(|kind| Nat::new(kind, public, expiry));
            }
            world.hosts[host].latency = self.latency[host];
        }
        for spec in &self.streams {
            world.add_conversation(spec);
        }
        world
    }

    /// The slowest round trip over any line.
    pub fn slowest(&self) -> Duration {
        self.pair
            .lines
            .iter()
            .map(|line| 2 * (line.delay + line.jitter))
            .max()
            .unwrap_or_default()
    }
}

/// A line without faults: whatever its delay, it loses nothing.
fn line(rng: &mut ChaCha8Rng) -> Shape {
    let delay = match rng.random_range(0..4) {
        0 => rng.random_range(50..1000),
        1 => rng.random_range(40_000..150_000),
        _ => rng.random_range(3_000..40_000),
    };
    let shape = Shape::clean(Duration::from_micros(delay));
    let jitter = if rng.random_bool(0.4) {
        rng.random_range(0..8_000)
    } else {
        0
    };
    let shape = if rng.random_bool(0.6) {
        shape.with_rate(rng.random_range(6..50) * 1_000_000)
    } else {
        shape
    };
    let mtu = if rng.random_bool(0.4) {
        rng.random_range(1280..=1500)
    } else {
        1500
    };
    Shape {
        jitter: Duration::from_micros(jitter),
        overtaking: rng.random_bool(0.5),
        mtu,
        ..shape
    }
}

fn roles(count: usize, rng: &mut ChaCha8Rng) -> Vec<RoleCode> {
    let role = |rng: &mut ChaCha8Rng| match rng.random_range(0..10) {
        0 => Role::Backup,
        1 => Role::Metered,
        _ => Role::Primary,
    };
    (0..count)
        .map(|_| RoleCode {
            role: role(rng),
            ..RoleCode::default()
        })
        .collect()
}

fn boxes(one_sided: bool, dialler: usize, rng: &mut ChaCha8Rng) -> [Option<NatKind>; 2] {
    let mut nats = [None, None];
    if one_sided {
        let kinds = [
            None,
            Some(NatKind::Firewall),
            Some(NatKind::PortRestricted),
            Some(NatKind::Symmetric),
        ];
        nats[dialler] = *kinds.choose(rng).unwrap_or(&None);
    } else if rng.random_bool(0.15) {
        nats = [Some(NatKind::Firewall); 2];
    } else if rng.random_bool(0.3) {
        nats[dialler] = Some(NatKind::PortRestricted);
    }
    nats
}

fn stream(pair: &PairSpec, rng: &mut ChaCha8Rng) -> StreamSpec {
    let from = rng.random_range(0..2);
    let access = pair.ports.len() > 1 && rng.random_bool(0.3);
    let vlan = if access {
        10
    } else {
        *[0, 0, 10, 77, 4094].choose(rng).unwrap_or(&0)
    };
    let inner = *[None, None, None, Some((0x88a8, 30)), Some((0x8100, 40))]
        .choose(rng)
        .unwrap_or(&None);
    // A C-VLAN tag inside nothing is the outer one; an access port takes no tags.
    let inner = inner.filter(|&(tpid, _)| !access && (tpid == 0x88a8) == (vlan == 0));
    let big = pair.port_mtu > 1500 && rng.random_bool(0.5);
    let sizes = match rng.random_range(0..3) {
        0 => Sizes::Fixed(rng.random_range(46..1500)),
        _ => Sizes::Mixed(usize::from(if big { pair.port_mtu } else { 1500 })),
    };
    let offload = matches!(sizes, Sizes::Fixed(_)) && rng.random_bool(0.5);
    let burst = match (big, offload) {
        (true, _) => 1,
        (_, true) => rng.random_range(2..12),
        (_, false) => rng.random_range(1..4),
    };
    let per_second = if big {
        rng.random_range(5..20)
    } else {
        rng.random_range(10..60)
    };
    let every = Duration::from_micros(1_000_000 * u64::from(burst) / per_second);
    StreamSpec {
        from: (from, u16::from(access)),
        to: (1 - from, 0),
        vlan,
        inner,
        sizes,
        every,
        burst,
        offload,
    }
}
