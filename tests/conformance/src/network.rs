//! Bridges joined by LANs, in virtual time.

use crate::graph::{Unions, Wiring};
use bridge::rstp::{Link, Rstp, RstpConfig, RstpEvent, RstpPortConfig, RstpSink};
use bridge::{PortId, PortState};
use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::bpdu::{Bpdu, BpduError};

/// A bridge's port, by the bridge's place in the network.
pub type End = (usize, PortId);

/// A bridge in the network.
pub struct Node {
    /// Its name in messages.
    pub name: String,
    /// What is tested.
    pub rstp: Rstp,
    /// Its priority and address.
    pub config: RstpConfig,
    /// It knows only STP, so that RST BPDUs are nothing to it.
    pub deaf_to_rst: bool,
    /// It is stopped: it neither forwards nor hears nor acts.
    pub frozen: bool,
    /// What the switch was told of each port.
    pub states: BTreeMap<PortId, PortState>,
    /// How often each port was flushed.
    pub flushes: BTreeMap<PortId, u64>,
    /// What was told, and when.
    pub events: Vec<(Duration, RstpEvent)>,
    /// BPDUs sent.
    pub sent: u64,
}

/// A LAN: two ends for a cable, more for a hub.
pub struct Lan {
    /// Its name in messages.
    pub name: String,
    /// The ports it joins.
    pub ends: Vec<End>,
    /// Whether anything passes.
    pub up: bool,
    /// How long a frame takes.
    pub delay: Duration,
    /// The share of BPDUs that is lost.
    pub loss: f64,
    /// An end whose BPDUs are all lost, while the LAN stays up.
    pub mute: Option<End>,
    /// What the ports are told of it.
    pub link: Link,
    /// Frames come back to their sender as well.
    pub reflects: bool,
    generation: u32,
}

struct Delivery {
    lan: usize,
    generation: u32,
    to: End,
    frame: Vec<u8>,
}

/// What a bridge puts out in one call.
#[derive(Default)]
struct Outputs(Vec<Output>);

enum Output {
    Send(PortId, Vec<u8>),
    State(PortId, PortState),
    Flush(PortId),
    Event(RstpEvent),
}

impl RstpSink for Outputs {
    fn send(&mut self, port: PortId, frame: &[u8]) {
        self.0.push(Output::Send(port, frame.to_vec()));
    }

    fn set_state(&mut self, port: PortId, state: PortState) {
        self.0.push(Output::State(port, state));
    }

    fn flush(&mut self, port: PortId) {
        self.0.push(Output::Flush(port));
    }

    fn event(&mut self, event: RstpEvent) {
        self.0.push(Output::Event(event));
    }
}

/// The whole.
pub struct Network {
    /// The bridges.
    pub nodes: Vec<Node>,
    /// The LANs.
    pub lans: Vec<Lan>,
    /// When a role or a state last changed anywhere.
    pub changed: Duration,
    /// When frames could have gone round: from, until, and a LAN by which they did.
    pub loops: Vec<(Duration, Duration, String)>,
    looping: bool,
    /// Print what happens.
    pub verbose: bool,
    start: Instant,
    now: Duration,
    random: ChaCha8Rng,
    in_flight: BTreeMap<(Duration, u64), Delivery>,
    sequence: u64,
}

impl Network {
    /// No bridge yet; `seed` decides which BPDUs are lost.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a point to count from")]
        let start = Instant::now();
        Self {
            nodes: Vec::new(),
            lans: Vec::new(),
            changed: Duration::ZERO,
            loops: Vec::new(),
            looping: false,
            verbose: false,
            start,
            now: Duration::ZERO,
            random: ChaCha8Rng::seed_from_u64(seed),
            in_flight: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// Time since the beginning.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Adds a bridge; returns its place.
    ///
    /// # Panics
    /// When the configuration is not valid.
    pub fn add_bridge(&mut self, name: &str, config: RstpConfig, deaf_to_rst: bool) -> usize {
        let rstp = Rstp::new(&config, self.instant());
        self.nodes.push(Node {
            name: name.to_owned(),
            rstp: rstp.unwrap_or_else(|error| panic!("{name}: {error}")),
            config,
            deaf_to_rst,
            frozen: false,
            states: BTreeMap::new(),
            flushes: BTreeMap::new(),
            events: Vec::new(),
            sent: 0,
        });
        self.nodes.len() - 1
    }

    /// Adds a port, which is down.
    ///
    /// # Panics
    /// When the configuration is not valid or the port is there already.
    pub fn add_port(&mut self, (node, port): End, config: RstpPortConfig) {
        self.call(node, |rstp, _, out| {
            rstp.add_port(port, config, out).expect("a valid new port");
        });
    }

    /// Adds a LAN, which is down.
    pub fn add_lan(&mut self, name: &str, ends: &[End], link: Link, delay: Duration) -> usize {
        self.lans.push(Lan {
            name: name.to_owned(),
            ends: ends.to_vec(),
            up: false,
            delay,
            loss: 0.0,
            mute: None,
            link,
            reflects: false,
            generation: 0,
        });
        self.lans.len() - 1
    }

    /// Brings a LAN up or down; all ends see it at once.
    pub fn set_lan(&mut self, lan: usize, up: bool) {
        if self.lans[lan].up == up {
            return;
        }
        self.lans[lan].up = up;
        self.lans[lan].generation += 1;
        for (node, port) in self.lans[lan].ends.clone() {
            let link = self.lans[lan].link;
            self.call(node, |rstp, now, out| {
                assert!(if up {
                    rstp.port_up(port, link, now, out)
                } else {
                    rstp.port_down(port, now, out)
                });
            });
        }
    }

    /// Stops a bridge, as SIGSTOP does, or lets it go on. What was sent to it meanwhile is lost.
    pub fn freeze(&mut self, node: usize, frozen: bool) {
        self.nodes[node].frozen = frozen;
        if !frozen {
            self.call(node, |rstp, now, out| rstp.handle_timeout(now, out));
        }
    }

    /// Runs something of one bridge, and does what it puts out.
    pub fn call(&mut self, node: usize, work: impl FnOnce(&mut Rstp, Instant, &mut dyn RstpSink)) {
        if self.nodes[node].frozen {
            return;
        }
        let mut outputs = Outputs::default();
        let now = self.instant();
        work(&mut self.nodes[node].rstp, now, &mut outputs);
        for output in outputs.0 {
            self.take(node, output);
        }
        self.check_loops();
    }

    fn take(&mut self, node: usize, output: Output) {
        let (now, verbose) = (self.now, self.verbose);
        let owner = &mut self.nodes[node];
        match output {
            Output::Send(port, frame) => {
                owner.sent += 1;
                if verbose {
                    eprint_line(
                        now,
                        &owner.name,
                        &format!("{port:?} sends {:?}", Bpdu::parse_frame(&frame)),
                    );
                }
                self.transmit((node, port), &frame);
            }
            Output::State(port, state) => {
                if verbose {
                    eprint_line(now, &owner.name, &format!("{port:?} is {state:?}"));
                }
                owner.states.insert(port, state);
                self.changed = now;
            }
            Output::Flush(port) => *owner.flushes.entry(port).or_default() += 1,
            Output::Event(event) => {
                if verbose {
                    eprint_line(now, &owner.name, &event.to_string());
                }
                if matches!(event, RstpEvent::Role { .. } | RstpEvent::Root { .. }) {
                    self.changed = now;
                }
                assert_ne!(event, RstpEvent::Unsettled, "{}", owner.name);
                owner.events.push((now, event));
            }
        }
    }

    fn transmit(&mut self, from: End, frame: &[u8]) {
        for (at, lan) in self.lans.iter().enumerate() {
            if !lan.up || !lan.ends.contains(&from) || lan.mute == Some(from) {
                continue;
            }
            for &to in lan.ends.iter().filter(|&&to| to != from || lan.reflects) {
                if lan.loss > 0.0 && self.random.random_bool(lan.loss) {
                    continue;
                }
                self.sequence += 1;
                let delivery = Delivery {
                    lan: at,
                    generation: lan.generation,
                    to,
                    frame: frame.to_vec(),
                };
                self.in_flight
                    .insert((self.now + lan.delay, self.sequence), delivery);
            }
        }
    }

    /// Lets time pass until `end`, everything due then included.
    pub fn run_until(&mut self, end: Duration) {
        while let Some(next) = self.next_event().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.run_due();
        }
        self.now = self.now.max(end);
    }

    fn next_event(&self) -> Option<Duration> {
        let arrival = self.in_flight.first_key_value().map(|((at, _), _)| *at);
        let awake = self.nodes.iter().filter(|node| !node.frozen);
        let timers = awake.filter_map(|node| node.rstp.poll_timeout());
        let timer = timers
            .min()
            .map(|at| at.saturating_duration_since(self.start));
        arrival.into_iter().chain(timer).min()
    }

    fn run_due(&mut self) {
        while let Some(entry) = self.in_flight.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let delivery = entry.remove();
            self.deliver(&delivery);
        }
        for node in 0..self.nodes.len() {
            let due = self.nodes[node].rstp.poll_timeout();
            if due.is_some_and(|due| due <= self.instant()) {
                self.call(node, |rstp, now, out| rstp.handle_timeout(now, out));
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery) {
        let lan = &self.lans[delivery.lan];
        let (node, port) = delivery.to;
        let is_rst = matches!(Bpdu::parse_frame(&delivery.frame), Ok(Bpdu::Rst(_)));
        let deaf = is_rst && self.nodes[node].deaf_to_rst;
        if lan.generation == delivery.generation && !deaf {
            let frame = &delivery.frame;
            self.call(node, |rstp, now, out| {
                let taken = rstp.handle_frame(port, frame, now, out);
                // Information that goes in circles grows old (clause 17.6), the rest is our own.
                assert!(matches!(taken, Ok(_) | Err(BpduError::Expired)));
            });
        }
    }

    /// Whether a port forwards frames now.
    #[must_use]
    pub fn forwards(&self, (node, port): End) -> bool {
        let owner = &self.nodes[node];
        !owner.frozen && owner.states.get(&port) == Some(&PortState::Forwarding)
    }

    fn check_loops(&mut self) {
        let (closed, now) = (self.closed_by(), self.now);
        if let Some((_, until, _)) = self.loops.last_mut().filter(|_| self.looping) {
            *until = now;
        } else if let Some(lan) = &closed {
            let name = self.lans[*lan].name.clone();
            self.loops.push((now, now, name));
        }
        self.looping = closed.is_some();
    }

    /// A LAN that closes a loop of ports that forward.
    fn closed_by(&self) -> Option<usize> {
        let mut unions = Unions::new(self.nodes.len() + self.lans.len());
        for (at, lan) in self.lans.iter().enumerate().filter(|(_, lan)| lan.up) {
            let forwarding = lan.ends.iter().filter(|&&end| self.forwards(end));
            for &(node, _) in forwarding {
                // A port whose frames come back is a circle of its own.
                if lan.reflects || !unions.join(node, self.nodes.len() + at) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// What is wired, for checks.
    #[must_use]
    pub fn wiring(&self) -> Wiring<'_> {
        Wiring { network: self }
    }

    /// A random number below `end`, from the seed.
    pub fn below(&mut self, end: u64) -> u64 {
        self.random.next_u64() % end
    }
}

#[allow(clippy::print_stderr, reason = "asked for")]
fn eprint_line(now: Duration, name: &str, text: &str) {
    eprintln!("{:>10.4} {name}: {text}", now.as_secs_f64());
}
