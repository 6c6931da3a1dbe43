//! What breaks, and how it is mended.

use std::{net::IpAddr, time::Duration};

use node::{NodeCommand, PathOp, UplinkId};

use crate::{host::TRUE_TIME, line::Shape, topology, world::World};

/// Something that happens to the world at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A line takes nothing any more in a direction (0, 1 or, with 2, both), or does again. Nobody is told.
    Cut {
        /// Which line.
        line: usize,
        /// Which direction; 2: both.
        direction: usize,
        /// Cut, or mended.
        cut: bool,
    },
    /// A direction of a line (2: both) behaves differently from now on.
    Reshape {
        /// Which line.
        line: usize,
        /// Which direction; 2: both.
        direction: usize,
        /// How it behaves now.
        shape: Shape,
    },
    /// An uplink loses its carrier, or gets it back; its node is told.
    Carrier {
        /// Which machine.
        host: usize,
        /// Which uplink.
        uplink: u8,
        /// With carrier.
        present: bool,
    },
    /// An uplink gets another address; its node is told.
    Readdress {
        /// Which machine.
        host: usize,
        /// Which uplink.
        uplink: u8,
    },
    /// The box before an uplink forgets its mappings.
    Rebind {
        /// Which machine.
        host: usize,
        /// Which uplink.
        uplink: u8,
    },
    /// A node ends without a word.
    Crash(usize),
    /// A node starts, with a clock that is off by this many seconds, or at 1970 (`None`).
    Boot(usize, Option<i64>),
    /// A machine falls asleep.
    Sleep(usize),
    /// A node is stopped; what arrives waits.
    Freeze(usize),
    /// A machine wakes, or its node goes on.
    Wake(usize),
    /// A machine's wall clock jumps by this many seconds.
    ClockJump(usize, i64),
    /// An operator's order.
    Order(usize, u8, PathOp),
    /// The attacker works for this long from now.
    Attack(Duration),
    /// Streams and transfers pause, or go on.
    Pause(bool),
}

impl World {
    /// Lets it happen now.
    pub fn apply(&mut self, fault: Fault) {
        self.trace(|| format!("{fault:?}"));
        match fault {
            Fault::Cut {
                line,
                direction,
                cut,
            } => self.each_direction(line, direction, |shape| shape.cut = cut),
            Fault::Reshape {
                line,
                direction,
                shape,
            } => {
                self.each_direction(line, direction, |old| {
                    *old = Shape {
                        cut: old.cut,
                        ..shape
                    }
                });
            }
            Fault::Carrier {
                host,
                uplink,
                present,
            } => {
                self.hosts[host].sockets[usize::from(uplink)].present = present;
                self.tell_uplink(host, uplink, false);
            }
            Fault::Readdress { host, uplink } => self.readdress(host, uplink),
            Fault::Rebind { host, uplink } => {
                if let Some(nat) = &mut self.hosts[host].sockets[usize::from(uplink)].nat {
                    nat.rebind();
                }
            }
            Fault::Crash(host) => self.crash(host),
            Fault::Boot(host, clock) => {
                self.hosts[host].wall.at_base = wall_clock(clock, self.elapsed());
                self.boot(host);
            }
            Fault::Sleep(host) => self.hosts[host].asleep = true,
            Fault::Freeze(host) if self.hosts[host].node.is_some() => {
                self.hosts[host].frozen.get_or_insert_default();
            }
            Fault::Freeze(_) => {}
            Fault::Wake(host) => self.wake(host),
            Fault::ClockJump(host, seconds) => {
                let wall = &mut self.hosts[host].wall.at_base;
                *wall = wall.saturating_add(seconds * 1_000_000_000);
            }
            Fault::Order(host, uplink, op) => {
                self.command(host, NodeCommand::Path(0, UplinkId(uplink), None, op));
            }
            Fault::Attack(time) => self.begin_attack(time),
            Fault::Pause(paused) => {
                let streams = self.streams.iter_mut();
                streams.for_each(|stream| stream.paused = paused);
                self.pause_connections(paused);
            }
        }
    }

    fn each_direction(&mut self, line: usize, direction: usize, change: impl Fn(&mut Shape)) {
        let now = self.now;
        for (at, each) in self.lines[line].directions.iter_mut().enumerate() {
            if direction == 2 || direction == at {
                each.reshape(&change, now);
            }
        }
    }

    fn tell_uplink(&mut self, host: usize, uplink: u8, readdressed: bool) {
        let command = self.hosts[host].uplink_command(uplink, readdressed);
        self.command(host, command);
    }

    fn readdress(&mut self, host: usize, uplink: u8) {
        let socket = &mut self.hosts[host].sockets[usize::from(uplink)];
        socket.generation = socket.generation.wrapping_add(1);
        let v6 = matches!(socket.address.ip(), IpAddr::V6(_));
        socket.address = topology::address(host, uplink, socket.generation, v6);
        self.tell_uplink(host, uplink, true);
    }
}

/// The wall clock at the beginning of the run, as a machine with this error would have had it.
fn wall_clock(error: Option<i64>, elapsed: Duration) -> i64 {
    match error {
        Some(seconds) => TRUE_TIME.saturating_add(seconds * 1_000_000_000),
        // It counts from 1970 since it started.
        None => -(elapsed.as_nanos() as i64),
    }
}
