//! A port's variables (clause 17.19), timers (17.17) and parameters derived from them (17.20).

use super::config::{
    DEFAULT_PATH_COST, Link, MIGRATE_TIME, PointToPoint, RstpPortConfig, path_cost,
};
use super::vector::PriorityVector;
use super::{
    bridge_detection, port_information, port_protocol_migration, port_receive,
    port_role_transitions, port_state_transition, port_transmit, topology_change,
};
use crate::port::PortId;
use std::fmt;
use wire::bpdu::{Bpdu, PortIdentifier, TICKS_PER_SECOND, Times};

/// What a port is to the spanning tree (clause 17.7).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum PortRole {
    /// Not in operation.
    #[default]
    Disabled,
    /// The way to the root.
    Root,
    /// The LAN's way to the root.
    Designated,
    /// Another way to the root, by another bridge.
    Alternate,
    /// Another way to a LAN for which this bridge has a designated port.
    Backup,
}

impl PortRole {
    /// In lower case, as in a status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Root => "root",
            Self::Designated => "designated",
            Self::Alternate => "alternate",
            Self::Backup => "backup",
        }
    }
}

impl fmt::Display for PortRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a port's information comes from (infoIs, clause 17.19.10).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum InfoIs {
    Received,
    Mine,
    Aged,
    Disabled,
}

/// Seconds that are left (clause 17.17).
#[derive(Copy, Clone, Debug)]
pub(super) struct Timers {
    pub(super) edge_delay_while: u16,
    pub(super) fd_while: u16,
    pub(super) hello_when: u16,
    pub(super) mdelay_while: u16,
    pub(super) rb_while: u16,
    pub(super) rcvd_info_while: u16,
    pub(super) rr_while: u16,
    pub(super) tc_while: u16,
}

/// In which state each machine is.
#[derive(Copy, Clone, Debug)]
pub(super) struct Machines {
    pub(super) receive: port_receive::State,
    pub(super) migration: port_protocol_migration::State,
    pub(super) detection: bridge_detection::State,
    pub(super) transmit: port_transmit::State,
    pub(super) information: port_information::State,
    pub(super) role: port_role_transitions::State,
    pub(super) state: port_state_transition::State,
    pub(super) topology: topology_change::State,
}

impl Timers {
    const fn begin(times: &Times) -> Self {
        Self {
            edge_delay_while: MIGRATE_TIME,
            fd_while: seconds(times.max_age),
            hello_when: 0,
            mdelay_while: MIGRATE_TIME,
            rb_while: 0,
            rcvd_info_while: 0,
            rr_while: seconds(times.forward_delay),
            tc_while: 0,
        }
    }
}

impl Machines {
    const fn begin(admin_edge: bool) -> Self {
        Self {
            receive: port_receive::State::Discard,
            migration: port_protocol_migration::State::CheckingRstp,
            detection: if admin_edge {
                bridge_detection::State::Edge
            } else {
                bridge_detection::State::NotEdge
            },
            transmit: port_transmit::State::TransmitInit,
            information: port_information::State::Disabled,
            role: port_role_transitions::State::InitPort,
            state: port_state_transition::State::Discarding,
            topology: topology_change::State::Inactive,
        }
    }
}

/// What is counted at a port.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) received: u64,
    pub(super) invalid: u64,
    pub(super) sent: u64,
}

/// A port. Variables have the standard's names; fdbFlush (17.19.7) is missing because a flush takes
/// effect at once, ageingTime (17.19.1) because there is no other way to forget.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) id: PortId,
    pub(super) config: RstpPortConfig,
    pub(super) link: Link,
    /// The link is up.
    pub(super) up: bool,
    /// BPDU guard has shut the port.
    pub(super) shut: bool,
    /// The port hears its own BPDUs.
    pub(super) self_looped: bool,
    /// A bridge was heard since the port was enabled.
    pub(super) heard: bool,
    /// Root guard keeps it from being root.
    pub(super) root_guarded: bool,
    /// The role that was last told.
    pub(super) told_role: PortRole,
    pub(super) counters: Counters,
    pub(super) machines: Machines,
    pub(super) timers: Timers,
    /// The BPDU that is being handled.
    pub(super) rcvd: Option<Bpdu>,

    pub(super) agree: bool,
    pub(super) agreed: bool,
    pub(super) designated_priority: PriorityVector,
    pub(super) designated_times: Times,
    pub(super) disputed: bool,
    pub(super) forward: bool,
    pub(super) forwarding: bool,
    pub(super) info_is: InfoIs,
    pub(super) learn: bool,
    pub(super) learning: bool,
    pub(super) mcheck: bool,
    pub(super) msg_priority: PriorityVector,
    pub(super) msg_times: Times,
    pub(super) new_info: bool,
    pub(super) oper_edge: bool,
    pub(super) port_enabled: bool,
    pub(super) port_id: PortIdentifier,
    pub(super) port_priority: PriorityVector,
    pub(super) port_times: Times,
    pub(super) proposed: bool,
    pub(super) proposing: bool,
    pub(super) rcvd_bpdu: bool,
    pub(super) rcvd_msg: bool,
    pub(super) rcvd_rstp: bool,
    pub(super) rcvd_stp: bool,
    pub(super) rcvd_tc: bool,
    pub(super) rcvd_tc_ack: bool,
    pub(super) rcvd_tcn: bool,
    pub(super) re_root: bool,
    pub(super) reselect: bool,
    pub(super) role: PortRole,
    pub(super) selected: bool,
    pub(super) selected_role: PortRole,
    pub(super) send_rstp: bool,
    pub(super) sync: bool,
    pub(super) synced: bool,
    pub(super) tc_ack: bool,
    pub(super) tc_prop: bool,
    pub(super) tx_count: u8,
    pub(super) updt_info: bool,
}

impl Port {
    /// A port with all machines in the state that BEGIN puts them in.
    pub(super) fn begin(id: PortId, config: RstpPortConfig, times: Times, rstp: bool) -> Self {
        Self {
            id,
            config,
            link: Link::default(),
            up: false,
            shut: false,
            self_looped: false,
            heard: false,
            root_guarded: false,
            told_role: PortRole::Disabled,
            counters: Counters::default(),
            machines: Machines::begin(config.admin_edge),
            timers: Timers::begin(&times),
            rcvd: None,
            agree: false,
            agreed: false,
            designated_priority: PriorityVector::default(),
            designated_times: times,
            disputed: false,
            forward: false,
            forwarding: false,
            info_is: InfoIs::Disabled,
            learn: false,
            learning: false,
            mcheck: false,
            msg_priority: PriorityVector::default(),
            msg_times: times,
            new_info: false,
            oper_edge: config.admin_edge,
            port_enabled: false,
            // A bridge's port numbers begin at 1 (clause 9.2.7), ours at 0.
            port_id: PortIdentifier::new(config.priority, id.0 + 1),
            port_priority: PriorityVector::default(),
            port_times: times,
            proposed: false,
            proposing: false,
            rcvd_bpdu: false,
            rcvd_msg: false,
            rcvd_rstp: false,
            rcvd_stp: false,
            rcvd_tc: false,
            rcvd_tc_ack: false,
            rcvd_tcn: false,
            re_root: true,
            reselect: true,
            role: PortRole::Disabled,
            selected: false,
            selected_role: PortRole::Disabled,
            send_rstp: rstp,
            sync: true,
            synced: false,
            tc_ack: false,
            tc_prop: false,
            tx_count: 0,
            updt_info: false,
        }
    }

    /// PortPathCost (clause 17.19.20).
    pub(super) fn path_cost(&self) -> u32 {
        let by_speed = || self.link.speed.map_or(DEFAULT_PATH_COST, path_cost);
        self.config.path_cost.unwrap_or_else(by_speed)
    }

    /// operPointToPointMAC (clause 6.4.3).
    pub(super) const fn oper_point_to_point(&self) -> bool {
        match self.config.point_to_point {
            PointToPoint::ForceTrue => true,
            PointToPoint::ForceFalse => false,
            PointToPoint::Auto => self.link.full_duplex,
        }
    }

    /// EdgeDelay (clause 17.20.4).
    pub(super) const fn edge_delay(&self) -> u16 {
        if self.oper_point_to_point() {
            MIGRATE_TIME
        } else {
            self.max_age()
        }
    }

    /// forwardDelay (clause 17.20.5).
    pub(super) const fn forward_delay(&self) -> u16 {
        if self.send_rstp {
            self.hello_time()
        } else {
            self.fwd_delay()
        }
    }

    /// FwdDelay (clause 17.20.6).
    pub(super) const fn fwd_delay(&self) -> u16 {
        seconds(self.designated_times.forward_delay)
    }

    /// HelloTime (clause 17.20.7).
    pub(super) const fn hello_time(&self) -> u16 {
        seconds(self.designated_times.hello_time)
    }

    /// MaxAge (clause 17.20.8).
    pub(super) const fn max_age(&self) -> u16 {
        seconds(self.designated_times.max_age)
    }

    /// Whether the role is one that takes part in forwarding.
    pub(super) const fn is_active(&self) -> bool {
        matches!(self.role, PortRole::Root | PortRole::Designated)
    }
}

/// Whole seconds of a time in 1/256 s, rounded up: a timer that runs too long is safe.
pub(super) const fn seconds(time: u16) -> u16 {
    time.div_ceil(TICKS_PER_SECOND)
}
