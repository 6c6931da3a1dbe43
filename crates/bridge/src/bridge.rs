//! The switch itself: from a frame and the port it came in by to the ports it leaves by.

use crate::drop::DropReason;
use crate::fdb::{Fdb, FdbConfig, FdbEntry, Learned};
use crate::form::Form;
use crate::port::{MAX_PORTS, PortId, PortKind, PortSet, PortState};
use crate::storm::{Flood, FloodSize, StormGuard, StormLimits};
use std::time::{Duration, Instant};
use wire::ethernet::{Frame, Mac};
use wire::vlan::VlanId;

/// How the switch behaves as a whole.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// An address not heard for longer than this is forgotten; IEEE 802.1Q recommends 300 s.
    pub ageing: Duration,
    /// At most this many addresses are known.
    pub fdb_limit: usize,
    /// At most this many addresses are known behind one port, so that no port takes all. The default leaves room for a data
    /// centre behind one peer.
    pub fdb_limit_per_port: usize,
    /// Frames pass from one peer to another (a hub). Else never, so that peers that all know each
    /// other make no loop.
    pub relay: bool,
    /// Random: keeps others from choosing addresses that collide in the table.
    pub hash_seed: u64,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            ageing: Duration::from_secs(300),
            fdb_limit: 65_536,
            fdb_limit_per_port: 57_344,
            relay: false,
            hash_seed: 0,
        }
    }
}

/// What [`Bridge::ingress`] found out about a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The VLAN the frame is in.
    pub vlan: VlanId,
    /// It has an outer C-VLAN tag, be it only for its priority.
    pub tagged: bool,
    /// Where to.
    pub dst: Mac,
    /// What became of its source address.
    pub learned: Learned,
}

/// Why a port could not be added.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddPortError {
    /// The id is not below [`MAX_PORTS`].
    #[error("port id {0} is not below {MAX_PORTS}")]
    Id(u16),
    /// There is a port with this id.
    #[error("port id {0} is in use")]
    InUse(u16),
}

#[derive(Clone, Debug)]
struct Port {
    kind: PortKind,
    state: PortState,
    storm: StormGuard,
}

/// A VLAN-aware learning switch.
///
/// Frames to the reserved addresses 01:80:c2:00:00:00 to 0f (IEEE 802.1Q table 8-1) end at a VLAN
/// bridge, and so at this one's access and trunk ports. Transparent ports however are to look like
/// two ends of a wire: between them, also across peers, such frames (spanning tree, LACP, LLDP,
/// 802.1X) pass, except for PAUSE, which means one link only and would stop the wrong one.
#[derive(Clone, Debug)]
pub struct Bridge {
    relay: bool,
    /// Indexed by port id.
    ports: Vec<Option<Port>>,
    fdb: Fdb,
}

impl Bridge {
    /// A switch without ports.
    #[must_use]
    pub fn new(config: BridgeConfig) -> Self {
        let fdb = Fdb::new(FdbConfig {
            ageing: config.ageing,
            limit: config.fdb_limit,
            limit_per_port: config.fdb_limit_per_port,
            hash_seed: config.hash_seed,
        });
        Self {
            relay: config.relay,
            ports: Vec::new(),
            fdb,
        }
    }

    /// Adds a port. It forwards at once.
    ///
    /// # Errors
    /// When `id` is too large or in use.
    pub fn add_port(&mut self, id: PortId, kind: PortKind) -> Result<(), AddPortError> {
        if id.0 >= MAX_PORTS {
            return Err(AddPortError::Id(id.0));
        }
        let at = usize::from(id.0);
        if self.ports.len() <= at {
            self.ports.resize_with(at + 1, || None);
        }
        if self.ports[at].is_some() {
            return Err(AddPortError::InUse(id.0));
        }
        self.ports[at] = Some(Port {
            kind,
            state: PortState::default(),
            storm: StormGuard::default(),
        });
        Ok(())
    }

    /// Removes a port and what was learned there; whether there was such a port.
    pub fn remove_port(&mut self, id: PortId) -> bool {
        let removed = self
            .ports
            .get_mut(usize::from(id.0))
            .and_then(Option::take)
            .is_some();
        if removed {
            self.fdb.flush_port(id);
        }
        removed
    }

    /// Gives a port other VLANs, as when a peer's list changed; forgets what was learned there.
    /// Whether there is such a port.
    pub fn set_port_kind(&mut self, id: PortId, kind: PortKind) -> bool {
        let Some(port) = self.port_mut(id) else {
            return false;
        };
        if port.kind != kind {
            port.kind = kind;
            self.fdb.flush_port(id);
        }
        true
    }

    /// Sets what a port does with frames. What was learned there is forgotten when it stops
    /// forwarding. Whether there is such a port.
    pub fn set_port_state(&mut self, id: PortId, state: PortState) -> bool {
        let Some(port) = self.port_mut(id) else {
            return false;
        };
        let stops = port.state == PortState::Forwarding && state != PortState::Forwarding;
        port.state = state;
        if stops {
            self.fdb.flush_port(id);
        }
        true
    }

    /// What a port does with frames; `None`: no such port.
    #[must_use]
    pub fn port_state(&self, id: PortId) -> Option<PortState> {
        Some(self.port(id)?.state)
    }

    /// What a port is; `None`: no such port.
    #[must_use]
    pub fn port_kind(&self, id: PortId) -> Option<&PortKind> {
        Some(&self.port(id)?.kind)
    }

    /// The ids of all ports, ascending.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + '_ {
        (0..)
            .map(PortId)
            .zip(&self.ports)
            .filter_map(|(id, port)| port.as_ref().map(|_| id))
    }

    /// Takes in a frame that arrived at `from` (without FCS and virtio-net header): says which VLAN
    /// it is in and learns its source address.
    ///
    /// # Errors
    /// Why the frame must be dropped.
    pub fn ingress(
        &mut self,
        from: PortId,
        frame: &[u8],
        now: Instant,
    ) -> Result<Ingress, DropReason> {
        let port = self.port(from).ok_or(DropReason::UnknownPort)?;
        if port.state == PortState::Discarding {
            return Err(DropReason::PortDiscarding);
        }
        let frame = Frame::parse(frame).ok_or(DropReason::Runt)?;
        let (dst, tag) = (frame.dst(), frame.tag());
        check_link_local(port, dst)?;
        let vlan = port.kind.classify(tag)?;
        let learning = port.state == PortState::Learning;
        let learned = self.fdb.learn(vlan, frame.src(), from, now);
        if learning {
            return Err(DropReason::PortLearning);
        }
        Ok(Ingress {
            vlan,
            tagged: tag.is_some(),
            dst,
            learned,
        })
    }

    /// Whether a frame that [`ingress`](Self::ingress) took in may go to many ports, if that is where it
    /// goes: to be asked once, before [`egress`](Self::egress).
    ///
    /// # Errors
    /// Which limit of its port it exceeds.
    pub fn admit(
        &mut self,
        from: PortId,
        ingress: &Ingress,
        size: FloodSize,
        now: Instant,
    ) -> Result<(), DropReason> {
        let (kind, reason) = match ingress.dst {
            Mac::BROADCAST => (Flood::Broadcast, DropReason::StormBroadcast),
            dst if dst.is_multicast() => (Flood::Multicast, DropReason::StormMulticast),
            _ => (Flood::Unknown, DropReason::StormUnknown),
        };
        let limited = |port: &Port| port.storm.limits(kind);
        if !self.port(from).is_some_and(limited) {
            return Ok(());
        }
        let known = self.known_port(ingress.vlan, ingress.dst, now).is_some();
        let port = self.port_mut(from).ok_or(DropReason::UnknownPort)?;
        if known || port.storm.takes(kind, size, now) {
            Ok(())
        } else {
            Err(reason)
        }
    }

    /// Fills `out` with the ports by which a frame in `vlan` to `dst`, which came in by `from`,
    /// leaves: the one behind which `dst` is, else every other port that carries the VLAN.
    ///
    /// # Errors
    /// Why it leaves by none; `out` is empty then.
    pub fn egress(
        &self,
        from: PortId,
        vlan: VlanId,
        dst: Mac,
        now: Instant,
        out: &mut PortSet,
    ) -> Result<(), DropReason> {
        out.clear();
        let source = self.port(from).ok_or(DropReason::UnknownPort)?;
        check_link_local(source, dst)?;
        if let Some(known) = self.known_port(vlan, dst, now) {
            self.may_pass(from, source, known, vlan, dst)?;
            out.push(known);
            return Ok(());
        }
        for to in self.ports() {
            if self.may_pass(from, source, to, vlan, dst).is_ok() {
                out.push(to);
            }
        }
        if out.is_empty() {
            Err(DropReason::NoEgressPort)
        } else {
            Ok(())
        }
    }

    /// How a frame in `vlan` leaves by `port`.
    #[must_use]
    pub fn egress_form(&self, port: PortId, vlan: VlanId) -> Form {
        self.port(port)
            .map_or(Form::AsIs, |port| port.kind.form(vlan))
    }

    /// Sets how many frames that go to many ports one may bring in. Whether there is such a port.
    pub fn set_storm_limits(&mut self, id: PortId, limits: StormLimits) -> bool {
        let Some(port) = self.port_mut(id) else {
            return false;
        };
        port.storm = StormGuard::new(limits);
        true
    }

    /// Frames that a port brought in beyond its limits.
    #[must_use]
    pub fn storm_drops(&self, id: PortId) -> u64 {
        self.port(id).map_or(0, |port| port.storm.dropped)
    }

    /// Forgets what was learned at a port, as on a topology change.
    pub fn flush_port(&mut self, port: PortId) {
        self.fdb.flush_port(port);
    }

    /// The addresses that are known, sorted by VLAN and address.
    #[must_use]
    pub fn entries(&self, now: Instant) -> Vec<FdbEntry> {
        self.fdb.entries(now)
    }

    /// The port behind which an address is known to be.
    #[must_use]
    pub fn known_port(&self, vlan: VlanId, mac: Mac, now: Instant) -> Option<PortId> {
        if mac.is_multicast() {
            None
        } else {
            self.fdb.lookup(vlan, mac, now)
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.fdb.poll_timeout()
    }

    /// Does what is due: a bounded step of sweeping out addresses that have aged.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.fdb.handle_timeout(now);
    }

    /// Whether a frame of `vlan` to `dst` that came in by `from` may leave by `to`.
    fn may_pass(
        &self,
        from: PortId,
        source: &Port,
        to: PortId,
        vlan: VlanId,
        dst: Mac,
    ) -> Result<(), DropReason> {
        let target = self.port(to).ok_or(DropReason::NoEgressPort)?;
        if to == from {
            return Err(DropReason::SamePort);
        }
        if source.kind.is_peer() && target.kind.is_peer() && !self.relay {
            return Err(DropReason::SplitHorizon);
        }
        if target.state != PortState::Forwarding || !target.kind.carries(vlan) {
            return Err(DropReason::NoEgressPort);
        }
        check_link_local(target, dst)
    }

    fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(usize::from(id.0))?.as_ref()
    }

    fn port_mut(&mut self, id: PortId) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(id.0))?.as_mut()
    }
}

/// Whether frames to `dst` may pass `port` at all; see [`Bridge`].
fn check_link_local(port: &Port, dst: Mac) -> Result<(), DropReason> {
    if !dst.is_reserved_link_local() {
        Ok(())
    } else if dst == Mac::PAUSE {
        Err(DropReason::Pause)
    } else if port.kind.passes_link_local() {
        Ok(())
    } else {
        Err(DropReason::LinkLocal)
    }
}

#[cfg(test)]
mod tests;
