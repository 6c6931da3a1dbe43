//! Everything there is, and the queue of what happens next.

mod routing;
mod stepping;
mod traffic;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use node::{NodeCommand, NodeSnapshot, PublicKey};
use rand::{Rng as _, SeedableRng as _, rngs::ChaCha8Rng};

use crate::{
    attack::Attacker,
    checks::Checks,
    fault::Fault,
    host::Host,
    line::Line,
    ping::Ping,
    tcp::Connection,
    traffic::{Stream, StreamSpec},
};

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Source address as seen where it is.
    pub src: SocketAddr,
    /// Destination address as seen where it is.
    pub dst: SocketAddr,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// What may happen.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A packet comes out of a line, at an uplink of a machine.
    Arrive(usize, u8, Packet),
    /// A machine's timer may be due.
    Alarm(usize),
    /// A stream's next burst.
    Burst(u16),
    /// Something breaks, or is mended.
    Fault(Fault),
    /// The attacker does something.
    Attack,
    /// A transfer may have something to do.
    Transfer(usize),
    /// The next echo request of these.
    Ping(usize),
    /// An echo request (number) of these is answered.
    Echo(usize, u32),
}

struct Scheduled {
    at: Instant,
    seq: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

/// See the module.
pub struct World {
    /// The beginning of the run.
    pub base: Instant,
    /// The present.
    pub now: Instant,
    /// The source of all randomness.
    pub rng: ChaCha8Rng,
    /// Machines.
    pub hosts: Vec<Host>,
    /// Lines.
    pub lines: Vec<Line>,
    /// Traffic.
    pub streams: Vec<Stream>,
    /// Bulk transfers.
    pub connections: Vec<Connection>,
    /// Echo requests.
    pub pings: Vec<Ping>,
    /// What must hold.
    pub checks: Checks,
    /// Someone on the wire.
    pub attacker: Attacker,
    /// Print what happens.
    pub verbose: bool,
    /// What the nodes reported: when, which machine, what.
    pub events: Vec<(Instant, usize, node::Event)>,
    /// A digest of all datagrams sent: two runs of one seed must agree.
    pub digest: u64,
    public_keys: Vec<PublicKey>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    seq: u64,
    scratch: Vec<u8>,
}

impl World {
    /// An empty one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Far from the start of the machine, so that subtracting a while from an instant is safe.
        let base = Instant::now() + Duration::from_secs(1_000_000);
        Self {
            base,
            now: base,
            rng: ChaCha8Rng::seed_from_u64(seed),
            hosts: Vec::new(),
            lines: Vec::new(),
            streams: Vec::new(),
            connections: Vec::new(),
            pings: Vec::new(),
            checks: Checks::new(base),
            attacker: Attacker::default(),
            verbose: std::env::var_os("ROPEWALK_SIM_VERBOSE").is_some(),
            events: Vec::new(),
            digest: 0,
            public_keys: Vec::new(),
            queue: BinaryHeap::new(),
            seq: 0,
            scratch: Vec::new(),
        }
    }

    /// Adds a machine, switched off; returns its number.
    pub fn add_host(&mut self, host: Host) -> usize {
        self.public_keys.push(host.recipe.private_key.public());
        self.hosts.push(host);
        self.hosts.len() - 1
    }

    /// The public keys of all machines.
    #[must_use]
    pub fn public_keys(&self) -> &[PublicKey] {
        &self.public_keys
    }

    /// Adds a stream that starts now; returns its number.
    pub fn add_stream(&mut self, spec: StreamSpec) -> u16 {
        self.add_stream_of(spec, None)
    }

    /// Adds two streams that answer each other; returns their numbers.
    pub fn add_conversation(&mut self, spec: &StreamSpec) -> [u16; 2] {
        let back = spec.back();
        let there = self.add_stream_of(spec.clone(), None);
        [there, self.add_stream_of(back, Some(there))]
    }

    fn add_stream_of(&mut self, spec: StreamSpec, reverse: Option<u16>) -> u16 {
        let id = self.streams.len() as u16;
        let phase = spec
            .every
            .mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
        self.streams.push(Stream::new(id, reverse, spec));
        self.schedule(self.now + phase, Happening::Burst(id));
        id
    }

    /// Lets `what` happen at `at`.
    pub fn schedule(&mut self, at: Instant, what: Happening) {
        self.seq += 1;
        self.queue.push(Reverse(Scheduled {
            at: at.max(self.now),
            seq: self.seq,
            what,
        }));
    }

    /// Lets a fault happen in `after` from now.
    pub fn schedule_fault(&mut self, after: Duration, fault: Fault) {
        self.schedule(self.now + after, Happening::Fault(fault));
    }

    /// Time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.base
    }

    /// Runs for `time`, or until something is violated.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end || !self.checks.violations().is_empty() {
                break;
            }
            let Some(Reverse(next)) = self.queue.pop() else {
                break;
            };
            self.now = next.at;
            self.happen(next.what);
        }
        self.now = end;
    }

    /// Runs until `done` holds, looking every millisecond; `None` when it does not within `limit`, else how long it took.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while !done(self) {
            if self.now - start >= limit || !self.checks.violations().is_empty() {
                return None;
            }
            self.run(Duration::from_millis(1));
        }
        Some(self.now - start)
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrive(host, uplink, packet) => self.arrive(host, uplink, packet),
            Happening::Alarm(host) => self.on_alarm(host),
            Happening::Burst(stream) => self.on_burst(stream),
            Happening::Fault(fault) => self.apply(fault),
            Happening::Attack => self.on_attack(),
            Happening::Transfer(id) => self.on_connection(id),
            Happening::Ping(id) => self.on_ping(id),
            Happening::Echo(id, number) => self.on_echo(id, number),
        }
    }

    /// What `status` would show of a machine; `None`: it does not run.
    #[must_use]
    pub fn snapshot(&self, host: usize) -> Option<NodeSnapshot> {
        Some(self.hosts[host].node.as_ref()?.snapshot(self.now))
    }

    /// Tells a machine's node something; one that stands still hears of it later.
    pub fn command(&mut self, host: usize, command: NodeCommand) {
        let machine = &mut self.hosts[host];
        if machine.node.is_some() && !machine.runs() {
            return machine.untold.push(command);
        }
        self.step(host, stepping::Input::Command(command));
    }

    /// Says what happens, when someone listens.
    pub fn trace(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:9.4} {}", self.elapsed().as_secs_f64(), what());
        }
    }

    /// Ends a test: nothing may have been violated.
    ///
    /// # Panics
    /// When something was.
    pub fn assert_clean(&self) {
        assert!(
            self.checks.violations().is_empty(),
            "violated:\n{}",
            self.checks.violations().join("\n")
        );
    }
}
