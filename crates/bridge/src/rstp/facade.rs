//! The way in: links that come and go, BPDUs, time.

use super::config::{Link, RstpConfig, RstpConfigError, RstpPortConfig};
use super::event::{RstpEvent, RstpSink};
use super::port::Port;
use super::port_state_transition::{self, State};
use super::snapshot::RstpSnapshot;
use super::topology_change;
use super::tree::Tree;
use crate::port::{MAX_PORTS, PortId};
use std::time::{Duration, Instant};
use wire::bpdu::{Bpdu, BpduError};

const TICK: Duration = Duration::from_secs(1);

/// The spanning tree protocol entity of one bridge.
#[derive(Clone, Debug)]
pub struct Rstp {
    tree: Tree,
    /// After so much silence of ours the neighbours forget us: three hellos.
    patience: Duration,
    next_tick: Instant,
}

/// What became of a BPDU.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was taken in.
    Taken,
    /// There is no such port, or it is down or shut.
    NoPort,
    /// BPDU guard has shut the port because of it.
    Guarded,
}

/// Why a port was not added.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddRstpPortError {
    /// The id is not below [`MAX_PORTS`].
    #[error("port {0} is beyond the last a switch may have")]
    OutOfRange(u16),
    /// There is such a port already.
    #[error("there is a port {0} already")]
    Exists(u16),
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] RstpConfigError),
}

impl Rstp {
    /// A bridge without ports. Time is counted in seconds from `now`.
    ///
    /// # Errors
    /// See [`RstpConfig::check`].
    pub fn new(config: &RstpConfig, now: Instant) -> Result<Self, RstpConfigError> {
        config.check()?;
        Ok(Self {
            tree: Tree::new(config),
            patience: TICK * 3 * u32::from(config.hello_time),
            next_tick: now + TICK,
        })
    }

    /// Adds a port, which is down, and discards. Its number in identifiers is one more than `id`.
    ///
    /// # Errors
    /// See [`AddRstpPortError`]; nothing has changed then.
    pub fn add_port(
        &mut self,
        id: PortId,
        config: RstpPortConfig,
        sink: &mut dyn RstpSink,
    ) -> Result<(), AddRstpPortError> {
        config.check()?;
        if id.0 >= MAX_PORTS {
            return Err(AddRstpPortError::OutOfRange(id.0));
        }
        let Err(at) = self.find(id) else {
            return Err(AddRstpPortError::Exists(id.0));
        };
        let tree = &mut self.tree;
        let mut port = Port::begin(id, config, tree.bridge_times, tree.rstp_version);
        port_state_transition::enter(&mut port, State::Discarding, sink);
        topology_change::inactive(&mut port, sink);
        tree.ports.insert(at, port);
        // Its place may be before the root port's.
        tree.root_port = tree.root_port.map(|root| root + usize::from(root >= at));
        tree.settle(sink);
        Ok(())
    }

    /// Removes a port, as if its link had gone down before. Whether there was such a port.
    pub fn remove_port(&mut self, id: PortId, now: Instant, sink: &mut dyn RstpSink) -> bool {
        self.port_down(id, now, sink);
        let Ok(at) = self.find(id) else {
            return false;
        };
        self.tree.ports.remove(at);
        // A port that is down is not the root port.
        self.tree.root_port = self
            .tree
            .root_port
            .map(|root| root - usize::from(root > at));
        self.tree.settle(sink);
        true
    }

    /// The link of a port is up, or up with other properties. Whether there is such a port.
    pub fn port_up(
        &mut self,
        id: PortId,
        link: Link,
        now: Instant,
        sink: &mut dyn RstpSink,
    ) -> bool {
        self.catch_up(now, sink);
        let Ok(at) = self.find(id) else {
            return false;
        };
        if self.tree.ports.iter().all(|port| !port.port_enabled) {
            self.next_tick = now + TICK;
        }
        let port = &mut self.tree.ports[at];
        if port.link != link {
            port.link = link;
            (port.reselect, port.selected) = (true, false);
        }
        port.up = true;
        port.port_enabled = !port.shut;
        self.tree.settle(sink);
        true
    }

    /// The link of a port is down. Whether there is such a port.
    pub fn port_down(&mut self, id: PortId, now: Instant, sink: &mut dyn RstpSink) -> bool {
        self.catch_up(now, sink);
        let Ok(at) = self.find(id) else {
            return false;
        };
        let port = &mut self.tree.ports[at];
        (port.up, port.port_enabled) = (false, false);
        self.tree.settle(sink);
        true
    }

    /// Opens a port that BPDU guard has shut. Whether there is such a port, and it was shut.
    pub fn enable_port(&mut self, id: PortId, now: Instant, sink: &mut dyn RstpSink) -> bool {
        self.catch_up(now, sink);
        let Ok(at) = self.find(id) else {
            return false;
        };
        let port = &mut self.tree.ports[at];
        let was_shut = std::mem::take(&mut port.shut);
        port.port_enabled = port.up;
        self.tree.settle(sink);
        was_shut
    }

    /// Tries again whether the neighbour speaks RSTP (mcheck, clause 17.19.13). Whether there is
    /// such a port.
    pub fn check_migration(&mut self, id: PortId, now: Instant, sink: &mut dyn RstpSink) -> bool {
        self.catch_up(now, sink);
        let Ok(at) = self.find(id) else {
            return false;
        };
        self.tree.ports[at].mcheck = true;
        self.tree.settle(sink);
        true
    }

    /// A frame to the Bridge Group Address has arrived, without tag and FCS.
    ///
    /// # Errors
    /// It is not a BPDU that counts; the port counts it as invalid.
    pub fn handle_frame(
        &mut self,
        id: PortId,
        frame: &[u8],
        now: Instant,
        sink: &mut dyn RstpSink,
    ) -> Result<Received, BpduError> {
        match Bpdu::parse_frame(frame) {
            Ok(bpdu) => Ok(self.handle_bpdu(id, bpdu, now, sink)),
            Err(error) => {
                if let Ok(at) = self.find(id) {
                    self.tree.ports[at].counters.invalid += 1;
                }
                Err(error)
            }
        }
    }

    /// A BPDU has arrived.
    pub fn handle_bpdu(
        &mut self,
        id: PortId,
        bpdu: Bpdu,
        now: Instant,
        sink: &mut dyn RstpSink,
    ) -> Received {
        self.catch_up(now, sink);
        let Ok(at) = self.find(id) else {
            return Received::NoPort;
        };
        let port = &mut self.tree.ports[at];
        if !port.port_enabled {
            return Received::NoPort;
        }
        port.counters.received += 1;
        let guarded = port.config.bpdu_guard;
        if guarded {
            (port.shut, port.port_enabled) = (true, false);
            sink.event(RstpEvent::BpduGuard {
                port: id,
                bridge: bpdu.message().map(|message| message.bridge),
            });
        } else {
            port.rcvd = Some(bpdu);
            port.rcvd_bpdu = true;
        }
        self.tree.settle(sink);
        if guarded {
            Received::Guarded
        } else {
            Received::Taken
        }
    }

    /// Time has passed. Seconds are counted from the beginning, so that a late call does not make
    /// the next ones late.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut dyn RstpSink) {
        self.catch_up(now, sink);
        if self.poll_timeout().is_none() {
            return;
        }
        // As long as `catch_up` has not begun anew, fewer seconds are due than three hellos have.
        while self.next_tick <= now {
            self.next_tick += TICK;
            self.tree.tick(sink);
        }
    }

    /// When [`Rstp::handle_timeout`] is due; `None` while no port is up.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let running = self.tree.ports.iter().any(|port| port.port_enabled);
        running.then_some(self.next_tick)
    }

    /// What there is to see.
    #[must_use]
    pub fn snapshot(&self) -> RstpSnapshot {
        RstpSnapshot::of(&self.tree)
    }

    fn find(&self, id: PortId) -> Result<usize, usize> {
        self.tree.ports.binary_search_by_key(&id, |port| port.id)
    }

    /// When nobody called for three hellos, what we said has aged at the neighbours, and they may
    /// forward where we do: so every port goes through the handshake again.
    fn catch_up(&mut self, now: Instant, sink: &mut dyn RstpSink) {
        let late = now.saturating_duration_since(self.next_tick);
        if self.poll_timeout().is_none() || late < self.patience {
            return;
        }
        self.next_tick = now + TICK;
        sink.event(RstpEvent::Stalled { late });
        for enabled in [false, true] {
            for port in &mut self.tree.ports {
                port.port_enabled = enabled && port.up && !port.shut;
            }
            self.tree.settle(sink);
        }
    }
}
