//! What many peers and many addresses cost: `cargo bench -p ropewalk-sim --bench scale`.
//!
//! A hub and its peers are connected in virtual time. Then the hub's node and that of one peer exchange frames in memory as
//! fast as they can; only the calls of the hub are timed. Figures are medians of wake-ups: the machine may be shared.
#![allow(clippy::print_stdout, reason = "the figures are its purpose")]
#![allow(clippy::disallowed_methods, reason = "the time that it takes is real")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use node::{Arrival, Io, Node, PortIndex, Target};
use sim::{
    Shape, World, ms,
    outbox::{Datagrams, Frames},
    secs,
    topology::{all_connected, star},
};

/// Frames that the hub reads in a wake-up, and as many arrive.
const BURST: usize = 16;
/// Few enough for the other peers, which nobody answers here, to notice nothing.
const WAKES: usize = 1_000;
/// Between two wake-ups of the hub.
const STEP: Duration = Duration::from_micros(100);

fn main() {
    println!("one busy peer of a hub, {BURST} frames of 1400 bytes each way in a wake-up");
    println!("  peers  addresses  ns per frame  ns per wake-up without frames");
    for (peers, addresses) in [(1, 1), (200, 1), (1, 50_000), (200, 50_000)] {
        let mut pair = Exchange::new(peers, addresses);
        let frame = pair.run(WAKES, STEP).as_nanos() / (2 * BURST as u128);
        let empty = pair.wake_up_for_nothing(WAKES).as_nanos();
        println!("{peers:7} {addresses:10} {frame:13} {empty:14}");
    }
    connect();
    handshakes();
}

/// A hub and the node of its first peer.
struct Exchange {
    hub: Node,
    spoke: Node,
    now: Instant,
    hub_addresses: Vec<std::net::SocketAddr>,
    spoke_addresses: Vec<std::net::SocketAddr>,
    addresses: usize,
    next: usize,
    hub_out: Datagrams,
    spoke_out: Datagrams,
    frames: Frames,
}

impl Exchange {
    fn new(peers: usize, addresses: usize) -> Self {
        let mut world = star(1, peers, &[Shape::clean(ms(1)), Shape::clean(ms(2))]);
        (0..=peers).for_each(|host| world.boot(host));
        connected(&mut world);
        world.run(secs(12)); // the others fall idle
        let sockets = |host: usize| {
            world.hosts[host]
                .sockets
                .iter()
                .map(|s| s.address)
                .collect()
        };
        let (hub_addresses, spoke_addresses) = (sockets(0), sockets(1));
        let mut node = |host: usize| world.hosts[host].node.take().expect("it runs");
        let mut exchange = Self {
            hub: node(0),
            spoke: node(1),
            now: world.now,
            hub_addresses,
            spoke_addresses,
            addresses,
            next: 0,
            hub_out: Datagrams::default(),
            spoke_out: Datagrams::default(),
            frames: Frames::default(),
        };
        let all = addresses.div_ceil(BURST).max(500);
        exchange.run(all, Duration::from_micros(5)); // every address is heard
        exchange
    }

    /// Lets both ends exchange frames in this many wake-ups; how long the hub takes for one.
    fn run(&mut self, wakes: usize, step: Duration) -> Duration {
        let mut taken = Vec::with_capacity(wakes);
        for _ in 0..wakes {
            self.now += step / 2;
            let out: Vec<_> = (0..BURST).map(|_| self.frame()).collect();
            let mut io = Io {
                datagrams: &mut self.spoke_out,
                frames: &mut self.frames,
            };
            for (_, back) in &out {
                self.spoke
                    .handle_frame(PortIndex(0), back, self.now, &mut io);
            }
            finish(&mut self.spoke, self.now, &mut io);
            let mut arrived = std::mem::take(&mut self.spoke_out.sent);
            arrived.retain(|(target, _)| self.hub_addresses.contains(&target.remote));
            let mut io = Io {
                datagrams: &mut self.hub_out,
                frames: &mut self.frames,
            };
            let start = Instant::now();
            for (target, datagram) in &mut arrived {
                let arrival = arrival(target, &self.spoke_addresses);
                self.hub
                    .handle_datagram(&arrival, datagram, self.now, 0, &mut io);
            }
            for (frame, _) in &out {
                self.hub
                    .handle_frame(PortIndex(0), frame, self.now, &mut io);
            }
            finish(&mut self.hub, self.now, &mut io);
            taken.push(start.elapsed());
            self.answer(step);
        }
        median(taken)
    }

    /// What the hub sent reaches the peer that is looked at; the others hear nothing.
    fn answer(&mut self, step: Duration) {
        self.now += step / 2;
        let mut io = Io {
            datagrams: &mut self.spoke_out,
            frames: &mut self.frames,
        };
        for (target, mut datagram) in self.hub_out.sent.drain(..) {
            if self.spoke_addresses.contains(&target.remote) {
                let arrival = arrival(&target, &self.hub_addresses);
                self.spoke
                    .handle_datagram(&arrival, &mut datagram, self.now, 0, &mut io);
            }
        }
        finish(&mut self.spoke, self.now, &mut io);
        self.frames.sent.clear();
    }

    /// What a wake-up costs in which there is nothing to do.
    fn wake_up_for_nothing(&mut self, wakes: usize) -> Duration {
        let mut io = Io {
            datagrams: &mut self.hub_out,
            frames: &mut self.frames,
        };
        let mut taken = Vec::with_capacity(wakes);
        for _ in 0..wakes {
            let start = Instant::now();
            finish(&mut self.hub, self.now, &mut io);
            taken.push(start.elapsed());
        }
        median(taken)
    }

    /// A frame for the next station behind the peer, and one from it.
    fn frame(&mut self) -> (Vec<u8>, Vec<u8>) {
        // A step without a common divisor visits all.
        self.next = (self.next + 7_919) % self.addresses;
        let station = self.next as u32;
        let [a, b, c, d] = station.to_be_bytes();
        let (far, near) = ([2, 1, a, b, c, d], [2, 2, 0, 0, 0, 1]);
        let frame = |dst: [u8; 6], src: [u8; 6]| {
            let mut frame = [dst, src].concat();
            frame.extend([8, 0]);
            frame.resize(1414, 0x42);
            frame
        };
        (frame(far, near), frame(near, far))
    }
}

/// The end of a wake-up, as the program's loop does it.
fn finish(node: &mut Node, now: Instant, io: &mut Io<'_>) {
    if node.poll_timeout(now).is_some_and(|due| due <= now) {
        node.handle_timeout(now, 0, io);
    }
    node.flush(now, io);
    black_box(node.poll_timeout(now));
    while let Some(event) = node.poll_event() {
        black_box(event);
    }
}

fn arrival(target: &Target, from: &[std::net::SocketAddr]) -> Arrival {
    Arrival {
        uplink: target.uplink,
        remote: from[usize::from(target.uplink.0)],
        local: Some(target.remote.ip()),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Runs until all are connected over all lines; how long that took in virtual time.
fn connected(world: &mut World) -> Duration {
    let start = world.now;
    while !all_connected(world) && world.now < start + secs(20) {
        world.run(ms(10));
    }
    world.now - start
}

/// Two hundred that dial at once.
fn connect() {
    let mut world = star(1, 200, &[Shape::clean(ms(10)), Shape::clean(ms(25))]);
    let start = Instant::now();
    (0..=200).for_each(|host| world.boot(host));
    let virtually = connected(&mut world);
    let really = start.elapsed();
    println!(
        "200 peers over two lines are connected after {virtually:?}, for which all 201 machines together need {really:?}"
    );
    world.run(secs(20));
    let start = Instant::now();
    world.run(secs(60));
    println!(
        "a minute in which they are idle takes all of them, and the simulation, {:?}",
        start.elapsed()
    );
}

/// One handshake, both ends.
fn handshakes() {
    use rand::SeedableRng as _;
    use tunnel::crypto::{Initiator, PrivateKey, Responder};
    let mut rng = rand::rngs::ChaCha8Rng::seed_from_u64(1);
    let (near, far) = (
        PrivateKey::generate(&mut rng),
        PrivateKey::generate(&mut rng),
    );
    let hello = wire::hello::Hello::default();
    let (mut read, mut respond) = (Duration::MAX, Duration::MAX);
    for index in 0..200 {
        let started = Initiator::start(&near, &far.public(), &hello, index, &mut rng);
        let Ok((_, message)) = started else { return };
        let Some(message) = wire::handshake::Initiation::parse(&message) else {
            return;
        };
        let start = Instant::now();
        let Ok((responder, _)) = Responder::read(&far, &message, &mut rng) else {
            return;
        };
        read = read.min(start.elapsed());
        let start = Instant::now();
        let answer = responder.respond(&Default::default(), &hello, 1);
        respond = respond.min(start.elapsed());
        black_box(answer.is_ok());
    }
    println!("a responder reads an initiation in {read:?}, answers it in {respond:?}");
}
