//! Random networks of 2 to 8 bridges, from seeds.

use crate::network::{End, Network};
use bridge::PortId;
use bridge::rstp::{ForceVersion, Link, PortRole, RstpConfig, RstpPortConfig};
use std::time::Duration;
use wire::ethernet::Mac;

/// What kind of network a seed makes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSTP on cables; one of them is cut or mended at a time.
    Single,
    /// RSTP on cables; several things happen, also within one handshake.
    Rapid,
    /// The same, and cables lose a tenth of the BPDUs while things happen.
    Lossy,
    /// Some bridges know only STP.
    Mixed,
    /// Cables and hubs.
    Shared,
}

impl Kind {
    /// For how long ports may forward in a circle.
    ///
    /// When bridges lose their root and are joined in a circle, old news of it go round until they
    /// reach Max Age, and the standard's handshake is then no full proof against loops. On cables
    /// without loss what remains ends with the next BPDU's arrival. Where BPDUs are lost, or LANs
    /// have no handshake, the standard leaves it to time.
    #[must_use]
    pub const fn longest_loop(self) -> Duration {
        match self {
            Self::Single | Self::Rapid => Duration::from_millis(5),
            Self::Lossy | Self::Mixed | Self::Shared => Duration::from_secs(20),
        }
    }
}

/// How long, after the last change, until everything must have come to rest: old information dies
/// when its age reaches Max Age, and STP takes two forward delays more.
const REST_RAPID: Duration = Duration::from_secs(60);
const REST_MIXED: Duration = Duration::from_secs(150);

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// From the last fault to the last change of any role or state.
    pub slowest: Duration,
    /// The most rounds of a settling loop.
    pub rounds: usize,
    /// BPDUs sent.
    pub sent: u64,
    /// How long each loop lasted.
    pub loops: Vec<Duration>,
    /// After the loss of a root port where an alternate one was ready: time to the last change.
    pub takeovers: Vec<Duration>,
}

/// Builds a network, does things to it, and checks it at rest.
///
/// # Errors
/// What was wrong.
pub fn run(seed: u64, kind: Kind, verbose: bool) -> Result<Outcome, String> {
    let mut network = build(seed, kind);
    network.verbose = verbose;
    let mut outcome = Outcome::default();
    boot(&mut network);
    rest(&mut network, kind, &mut outcome)?;
    for round in 0..3 {
        let told = |error| format!("round {round}: {error}");
        if kind == Kind::Single {
            single(&mut network, &mut outcome).map_err(told)?;
            continue;
        }
        set_loss(&mut network, if kind == Kind::Lossy { 0.1 } else { 0.0 });
        for _ in 0..=network.below(4) {
            fault(&mut network);
            // Close together and apart: within one handshake, within a hello, beyond it.
            let pause = [1_500, 40_000, 2_500_000][network.below(3) as usize];
            let pause = Duration::from_micros(network.below(pause));
            let until = network.now() + pause;
            network.run_until(until);
        }
        set_loss(&mut network, 0.0);
        rest(&mut network, kind, &mut outcome).map_err(told)?;
    }
    outcome.rounds = rounds(&network);
    outcome.sent = network.nodes.iter().map(|node| node.sent).sum();
    Ok(outcome)
}

/// Cuts or mends one cable.
fn single(network: &mut Network, outcome: &mut Outcome) -> Result<(), String> {
    let at = network.below(network.lans.len() as u64) as usize;
    let up = network.lans[at].up;
    let ready = up
        && network.lans[at]
            .ends
            .iter()
            .any(|&end| has_alternate(network, end));
    let from = network.now();
    network.set_lan(at, !up);
    rest(network, Kind::Single, outcome)?;
    if ready {
        outcome.takeovers.push(network.changed.saturating_sub(from));
    }
    Ok(())
}

/// Whether this is a root port, and another one of its bridge is ready to be it.
fn has_alternate(network: &Network, (node, port): End) -> bool {
    let snapshot = network.nodes[node].rstp.snapshot();
    let mut ports = snapshot.ports.iter();
    snapshot.root_port == Some(port) && ports.any(|port| port.role == PortRole::Alternate)
}

fn rounds(network: &Network) -> usize {
    let rounds = network.nodes.iter().map(|node| node.rstp.snapshot().rounds);
    rounds.max().unwrap_or_default()
}

fn build(seed: u64, kind: Kind) -> Network {
    let mut network = Network::new(seed);
    let count = 2 + network.below(7) as usize;
    for at in 0..count {
        let deaf = kind == Kind::Mixed && network.below(3) == 0;
        let config = RstpConfig {
            priority: 4096 * network.below(4) as u16,
            version: if deaf {
                ForceVersion::Stp
            } else {
                ForceVersion::Rstp
            },
            ..RstpConfig::new(Mac([2, 0, 0, 0, network.below(256) as u8, at as u8]))
        };
        network.add_bridge(&format!("b{at}"), config, deaf);
    }
    let mut ports = vec![0; count];
    for at in 1..count {
        let other = network.below(at as u64) as usize;
        lan(&mut network, kind, &mut ports, &[at, other]);
    }
    for _ in 0..network.below(count as u64 + 3) {
        let mut ends = vec![0; 2];
        if kind == Kind::Shared && network.below(2) == 0 {
            ends.push(0);
        }
        for end in &mut ends {
            *end = network.below(count as u64) as usize;
        }
        // Two ports of one bridge on a cable are a circle that RSTP knows as well: a backup port.
        lan(&mut network, kind, &mut ports, &ends);
    }
    network
}

fn lan(network: &mut Network, kind: Kind, ports: &mut [u16], bridges: &[usize]) {
    let shared = bridges.len() > 2 || kind == Kind::Shared && network.below(3) == 0;
    let link = Link {
        speed: [None, Some(100_000_000), Some(10_000_000_000)][network.below(3) as usize],
        full_duplex: !shared,
    };
    let mut ends: Vec<End> = Vec::new();
    for &bridge in bridges {
        let end = (bridge, PortId(ports[bridge]));
        ports[bridge] += 1;
        let config = RstpPortConfig {
            priority: 16 * network.below(16) as u8,
            path_cost: (network.below(4) == 0).then_some(1000),
            ..RstpPortConfig::default()
        };
        network.add_port(end, config);
        ends.push(end);
    }
    let delay = Duration::from_micros(50 + network.below(2_000));
    let name = format!("l{}", network.lans.len());
    network.add_lan(&name, &ends, link, delay);
}

fn boot(network: &mut Network) {
    for lan in 0..network.lans.len() {
        let pause = [0, 3_000, 500_000][network.below(3) as usize];
        let until = network.now() + Duration::from_micros(network.below(pause + 1));
        network.run_until(until);
        network.set_lan(lan, true);
    }
}

fn fault(network: &mut Network) {
    let lans = network.lans.len() as u64;
    let at = network.below(lans) as usize;
    if network.below(6) == 0 {
        // A whole bridge goes, or comes back.
        let node = network.lans[at].ends[0].0;
        let up = !network.lans[at].up;
        for lan in 0..network.lans.len() {
            if network.lans[lan].ends.iter().any(|end| end.0 == node) {
                network.set_lan(lan, up);
            }
        }
    } else {
        let up = network.lans[at].up;
        network.set_lan(at, !up);
    }
}

fn set_loss(network: &mut Network, loss: f64) {
    network.lans.iter_mut().for_each(|lan| lan.loss = loss);
}

fn rest(network: &mut Network, kind: Kind, outcome: &mut Outcome) -> Result<(), String> {
    let from = network.now();
    let time = if kind == Kind::Mixed {
        REST_MIXED
    } else {
        REST_RAPID
    };
    network.run_until(from + time);
    outcome.slowest = outcome.slowest.max(network.changed.saturating_sub(from));
    for (from, until, lan) in network.loops.drain(..) {
        let lasted = until - from;
        outcome.loops.push(lasted);
        if lasted > kind.longest_loop() {
            return Err(format!("a loop by {lan} at {from:?}, for {lasted:?}"));
        }
    }
    let complaints = network.wiring().complaints();
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("; "))
    }
}
