//! Two spanning trees of ropewalk in a ring with a kernel bridge that speaks STP, on real devices:
//!
//! ```text
//! first ---cable--- second        the cable is in this process,
//!     \             /             the kernel's ports are TAP devices
//!      kernel bridge
//! ```
//!
//! The first is root; the kernel's way there is shorter than the second's, so the second's port
//! towards the kernel is the alternate one.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // real time; what was measured is shown

use bridge::rstp::{Link, PortRole, Rstp, RstpConfig, RstpEvent, RstpPortConfig, RstpSink};
use bridge::{PortId, PortState};
use lab::Namespace;
use netns::turn;
use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};
use sys::tap::{Tap, TapOptions};
use wire::ethernet::{Frame, Mac};

/// Towards the kernel.
const TAP: PortId = PortId(0);
/// Towards each other.
const CABLE: PortId = PortId(1);
const PORTS: [PortId; 2] = [TAP, CABLE];
/// For experiments (IEEE 802).
const ETHERTYPE: u16 = 0x88b5;
const SOURCE: Mac = Mac([2, 0, 0, 0, 9, 9]);

#[derive(Default)]
struct Outputs {
    frames: Vec<(PortId, Vec<u8>)>,
    states: Vec<(PortId, PortState)>,
    told: Vec<String>,
}

impl RstpSink for Outputs {
    fn send(&mut self, port: PortId, frame: &[u8]) {
        self.frames.push((port, frame.to_vec()));
    }

    fn set_state(&mut self, port: PortId, state: PortState) {
        self.states.push((port, state));
    }

    fn flush(&mut self, _: PortId) {}

    fn event(&mut self, event: RstpEvent) {
        self.told.push(event.to_string());
    }
}

/// A switch that floods.
struct Switch {
    name: &'static str,
    rstp: Rstp,
    tap: Tap,
    states: [PortState; 2],
}

struct World {
    kernel: Namespace,
    switches: [Switch; 2],
    /// By whom it was sent, and the frame.
    cable: VecDeque<(usize, Vec<u8>)>,
    cable_up: bool,
    start: Instant,
    /// Numbered broadcasts of the first switch: how many left, and how often each arrived at the
    /// second.
    sent: u64,
    arrived: Vec<u32>,
    last_arrival: Instant,
    longest_gap: Duration,
    /// Broadcasts that came back to where they came from.
    returned: u64,
}

impl World {
    fn new() -> Self {
        let kernel = Namespace::new("rw-rstp-kernel").unwrap();
        kernel
            .netlink(async |netlink| netlink.create_bridge("br0").await)
            .unwrap();
        // Centiseconds. The root's times rule; these are for the time before it is heard.
        let set =
            "link set br0 type bridge stp_state 1 forward_delay 400 hello_time 100 max_age 600";
        let words: Vec<&str> = set.split(' ').collect();
        kernel.run("ip", &words).unwrap();
        let now = Instant::now();
        let switches = [("first", 4096), ("second", 8192)]
            .map(|(name, priority)| Switch::new(name, priority, &kernel, now));
        Self {
            kernel,
            switches,
            cable: VecDeque::new(),
            cable_up: false,
            start: now,
            sent: 0,
            arrived: Vec::new(),
            last_arrival: now,
            longest_gap: Duration::ZERO,
            returned: 0,
        }
    }

    /// Runs one call of a switch's spanning tree, and does what it puts out.
    fn call(&mut self, at: usize, work: impl FnOnce(&mut Rstp, Instant, &mut Outputs)) {
        let mut out = Outputs::default();
        let now = Instant::now();
        let switch = &mut self.switches[at];
        work(&mut switch.rstp, now, &mut out);
        for (port, state) in out.states {
            switch.states[usize::from(port.0)] = state;
        }
        for text in out.told {
            let time = now - self.start;
            println!("{:8.3} {}: {text}", time.as_secs_f64(), switch.name);
        }
        for (port, frame) in out.frames {
            self.send(at, port, &frame);
        }
    }

    fn send(&mut self, at: usize, port: PortId, frame: &[u8]) {
        if port == TAP {
            // The kernel's queue is never full here, and a device that is down loses frames.
            let _ = self.switches[at].tap.write(frame);
        } else if self.cable_up {
            self.cable.push_back((at, frame.to_vec()));
        }
    }

    fn receive(&mut self, at: usize, port: PortId, bytes: &[u8]) {
        let Some(frame) = Frame::parse(bytes) else {
            return;
        };
        if frame.dst().is_reserved_link_local() {
            self.call(at, |rstp, now, out| {
                let _ = rstp.handle_frame(port, bytes, now, out);
            });
        } else if frame.ethertype() == ETHERTYPE && self.switches[at].forwards(port) {
            self.count(at, bytes);
            let other = PORTS[usize::from(1 - port.0)];
            if self.switches[at].forwards(other) {
                self.send(at, other, bytes);
            }
        }
    }

    fn count(&mut self, at: usize, bytes: &[u8]) {
        if at == 0 {
            self.returned += 1;
            return;
        }
        let number = bytes.get(14..22).and_then(|bytes| bytes.try_into().ok());
        let number = u64::from_be_bytes(number.expect("our own frame")) as usize;
        self.arrived.resize(self.arrived.len().max(number + 1), 0);
        self.arrived[number] += 1;
        let now = Instant::now();
        self.longest_gap = self.longest_gap.max(now - self.last_arrival);
        self.last_arrival = now;
    }

    /// A numbered broadcast of the first switch.
    fn broadcast(&mut self) {
        let mut frame = vec![0xff; 6];
        frame.extend(SOURCE.0);
        frame.extend(ETHERTYPE.to_be_bytes());
        frame.extend(self.sent.to_be_bytes());
        frame.resize(60, 0);
        self.sent += 1;
        for port in PORTS {
            if self.switches[0].forwards(port) {
                self.send(0, port, &frame);
            }
        }
    }

    /// Lets everything run for this long; one broadcast per millisecond.
    fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut buffer = vec![0; 2048];
        while Instant::now() < end {
            for at in 0..2 {
                while let Ok(len) = self.switches[at].tap.read(&mut buffer) {
                    self.receive(at, TAP, &buffer[..len]);
                }
            }
            while let Some((from, frame)) = self.cable.pop_front() {
                self.receive(1 - from, CABLE, &frame);
            }
            for at in 0..2 {
                let due = self.switches[at].rstp.poll_timeout();
                if due.is_some_and(|due| due <= Instant::now()) {
                    self.call(at, |rstp, now, out| rstp.handle_timeout(now, out));
                }
            }
            self.broadcast();
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn set_cable(&mut self, up: bool) {
        self.cable_up = up;
        self.cable.clear();
        for at in 0..2 {
            self.call(at, |rstp, now, out| {
                if up {
                    rstp.port_up(CABLE, fast(), now, out);
                } else {
                    rstp.port_down(CABLE, now, out);
                }
            });
        }
    }

    /// From here on count gaps and copies.
    fn begin(&mut self) {
        self.longest_gap = Duration::ZERO;
        self.last_arrival = Instant::now();
        self.arrived.iter_mut().for_each(|count| *count = 0);
        self.returned = 0;
    }

    /// How many broadcasts arrived more than once, and how often the most frequent did.
    fn copies(&self) -> (usize, u32) {
        let copies = self.arrived.iter().filter(|count| **count > 1).count();
        (copies, self.arrived.iter().copied().max().unwrap_or(0))
    }

    fn role(&self, at: usize, port: PortId) -> (PortRole, PortState) {
        let snapshot = self.switches[at].rstp.snapshot();
        assert_eq!(snapshot.unsettled, 0);
        let port = snapshot.port(port).expect("there is such a port");
        (port.role, port.state)
    }

    /// The state of the kernel's port towards a switch.
    fn kernel_state(&self, at: usize) -> String {
        let device = self.switches[at].tap.name();
        let shown = self.kernel.run("bridge", &["link", "show", "dev", device]);
        let shown = shown.unwrap();
        let words = shown.split_once(" state ").map(|(_, rest)| rest);
        let state = words.and_then(|rest| rest.split_whitespace().next());
        state.unwrap_or(&shown).to_owned()
    }
}

fn fast() -> Link {
    Link {
        speed: Some(1_000_000_000),
        full_duplex: true,
    }
}

impl Switch {
    fn new(name: &'static str, priority: u16, kernel: &Namespace, now: Instant) -> Self {
        let tap = kernel.enter(|| Tap::open(name, TapOptions::default()));
        let tap = tap.unwrap().unwrap();
        kernel
            .netlink(async |netlink| netlink.set_master(name, Some("br0")).await)
            .unwrap();
        let config = RstpConfig {
            priority,
            hello_time: 1,
            max_age: 6,
            forward_delay: 4,
            ..RstpConfig::new(Mac([2, 0, 0, 0, 0, (priority >> 12) as u8]))
        };
        Self {
            name,
            rstp: Rstp::new(&config, now).unwrap(),
            tap,
            states: [PortState::Discarding; 2],
        }
    }

    fn forwards(&self, port: PortId) -> bool {
        self.states[usize::from(port.0)] == PortState::Forwarding
    }
}

#[test]
fn a_ring_with_a_kernel_bridge_converges_and_heals() {
    let _turn = turn::take().unwrap();
    let name = "a_ring_with_a_kernel_bridge_converges_and_heals";
    lab::timed(name, Duration::from_millis(50), ring);
}

fn ring() {
    let mut world = World::new();
    for at in 0..2 {
        let device = world.switches[at].tap.name().to_owned();
        world.kernel.set_up(&device, true).unwrap();
        world.call(at, |rstp, now, out| {
            for port in PORTS {
                rstp.add_port(port, RstpPortConfig::default(), out).unwrap();
            }
            rstp.port_up(TAP, fast(), now, out);
        });
    }
    world.set_cable(true);
    // Max Age and Forward Delay at our ports, twice Forward Delay at the kernel's.
    world.run(Duration::from_secs(16));
    let forwarding = |role| (role, PortState::Forwarding);
    assert_eq!(world.role(0, TAP), forwarding(PortRole::Designated));
    assert_eq!(world.role(0, CABLE), forwarding(PortRole::Designated));
    assert_eq!(world.role(1, CABLE), forwarding(PortRole::Root));
    let blocked = (PortRole::Alternate, PortState::Discarding);
    assert_eq!(world.role(1, TAP), blocked);
    assert!(world.switches[1].rstp.snapshot().ports[0].stp);
    for at in 0..2 {
        assert_eq!(world.kernel_state(at), "forwarding");
    }

    world.begin();
    world.run(Duration::from_secs(1));
    assert_eq!((world.copies(), world.returned), ((0, 1), 0));

    println!("the cable breaks");
    world.begin();
    world.set_cable(false);
    world.run(Duration::from_secs(2));
    println!("gap {:?}, copies {:?}", world.longest_gap, world.copies());
    assert_eq!(world.role(1, TAP), forwarding(PortRole::Root));
    // The goal is 100 ms; tests allow twice as much.
    assert!(world.longest_gap <= Duration::from_millis(200));
    assert_eq!((world.copies(), world.returned), ((0, 1), 0));

    println!("the cable is mended");
    world.begin();
    world.set_cable(true);
    world.run(Duration::from_secs(3));
    println!("gap {:?}, copies {:?}", world.longest_gap, world.copies());
    assert_eq!(world.role(1, CABLE), forwarding(PortRole::Root));
    assert_eq!(world.role(1, TAP), blocked);
    assert_eq!((world.copies(), world.returned), ((0, 1), 0));

    println!("the first loses its TAP");
    world.begin();
    world.switches[0].tap.set_carrier(false).unwrap();
    world.call(0, |rstp, now, out| _ = rstp.port_down(TAP, now, out));
    world.run(Duration::from_secs(12));
    // Now the kernel's way to the root is by the second.
    assert_eq!(world.role(1, TAP), forwarding(PortRole::Designated));
    assert_eq!(world.kernel_state(1), "forwarding");
    assert_eq!((world.copies(), world.returned), ((0, 1), 0));
}
