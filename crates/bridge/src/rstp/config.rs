//! What is set by management (clauses 17.13 and 17.14), and its ranges.

use wire::bpdu::{TICKS_PER_SECOND, Times};
use wire::ethernet::Mac;

/// Migrate Time (table 17-1), in seconds; it is fixed.
pub(super) const MIGRATE_TIME: u16 = 3;

/// The cost of a link that does not say how fast it is, such as a TAP: that of 1 Gbit/s.
pub const DEFAULT_PATH_COST: u32 = 20_000;

/// Port Path Cost by speed in bit/s (table 17-3): 20,000 for 1 Gbit/s, and in inverse proportion.
#[must_use]
pub const fn path_cost(bits_per_second: u64) -> u32 {
    const LIMIT: u64 = 200_000_000;
    // 0 bit/s is no speed; it gets the cost of the slowest.
    match 20_000_000_000_000u64.checked_div(bits_per_second) {
        Some(0) => 1,
        Some(cost) if cost < LIMIT => cost as u32,
        _ => LIMIT as u32,
    }
}

/// Which protocol is spoken (Force Protocol Version, clause 17.13.4).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ForceVersion {
    /// STP only.
    Stp,
    /// RSTP, and STP where a neighbour knows nothing else.
    #[default]
    Rstp,
}

/// The bridge's settings. Times are in seconds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RstpConfig {
    /// Bridge Priority: 0 to 61440, a multiple of 4096.
    pub priority: u16,
    /// The bridge's address: an individual one, not zero.
    pub address: Mac,
    /// Bridge Hello Time: 1 to 10 as in the edition of 1998; that of 2004 keeps to 1 and 2.
    pub hello_time: u16,
    /// Bridge Max Age: 6 to 40.
    pub max_age: u16,
    /// Bridge Forward Delay: 4 to 30.
    pub forward_delay: u16,
    /// Transmit Hold Count: 1 to 10 BPDUs in a row, then one per second.
    pub tx_hold_count: u8,
    /// The protocol.
    pub version: ForceVersion,
}

/// What is wrong with a configuration.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RstpConfigError {
    /// Clause 17.14.
    #[error("the bridge priority {0} is not a multiple of 4096 up to 61440")]
    Priority(u16),
    /// Clause 9.2.5.
    #[error("{0} cannot be a bridge's address; choose an individual one")]
    Address(Mac),
    /// Table 17-1.
    #[error("a hello time of {0} s is not within 1 to 10")]
    HelloTime(u16),
    /// Table 17-1.
    #[error("a max age of {0} s is not within 6 to 40")]
    MaxAge(u16),
    /// Table 17-1.
    #[error("a forward delay of {0} s is not within 4 to 30")]
    ForwardDelay(u16),
    /// Table 17-1.
    #[error("a transmit hold count of {0} is not within 1 to 10")]
    TxHoldCount(u8),
    /// Clause 17.14, first relation.
    #[error("2 x (forward delay - 1) is less than max age; raise the one or lower the other")]
    ForwardDelayForMaxAge,
    /// Clause 17.14, second relation.
    #[error("max age is less than 2 x (hello time + 1); raise the one or lower the other")]
    MaxAgeForHelloTime,
    /// Clause 17.14.
    #[error("the port priority {0} is not a multiple of 16 up to 240")]
    PortPriority(u8),
    /// Clause 17.14.
    #[error("a path cost of {0} is not within 1 to 200000000")]
    PathCost(u32),
}

impl RstpConfig {
    /// The standard's defaults.
    #[must_use]
    pub const fn new(address: Mac) -> Self {
        Self {
            priority: 32_768,
            address,
            hello_time: 2,
            max_age: 20,
            forward_delay: 15,
            tx_hold_count: 6,
            version: ForceVersion::Rstp,
        }
    }

    /// Checks ranges and relations.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), RstpConfigError> {
        use RstpConfigError as Error;
        let within = |holds, error| if holds { Ok(()) } else { Err(error) };
        let (hello, age, delay) = (self.hello_time, self.max_age, self.forward_delay);
        within(
            self.priority.is_multiple_of(4096),
            Error::Priority(self.priority),
        )?;
        let individual = !self.address.is_multicast() && self.address != Mac::default();
        within(individual, Error::Address(self.address))?;
        within((1..=10).contains(&hello), Error::HelloTime(hello))?;
        within((6..=40).contains(&age), Error::MaxAge(age))?;
        within((4..=30).contains(&delay), Error::ForwardDelay(delay))?;
        let count = self.tx_hold_count;
        within((1..=10).contains(&count), Error::TxHoldCount(count))?;
        within(2 * (delay - 1) >= age, Error::ForwardDelayForMaxAge)?;
        within(age >= 2 * (hello + 1), Error::MaxAgeForHelloTime)
    }

    /// BridgeTimes (clause 17.18.4).
    pub(super) const fn times(&self) -> Times {
        Times {
            message_age: 0,
            max_age: self.max_age * TICKS_PER_SECOND,
            hello_time: self.hello_time * TICKS_PER_SECOND,
            forward_delay: self.forward_delay * TICKS_PER_SECOND,
        }
    }
}

/// Whether a LAN has exactly one bridge at its other end (adminPointToPointMAC, clause 6.4.3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum PointToPoint {
    /// It has.
    ForceTrue,
    /// It may have more.
    ForceFalse,
    /// As the link is full duplex or not.
    #[default]
    Auto,
}

/// The settings of a port.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RstpPortConfig {
    /// Port Path Cost, 1 to 200,000,000; without it, by the link's speed.
    pub path_cost: Option<u32>,
    /// Port priority, 0 to 240 in steps of 16.
    pub priority: u8,
    /// AdminEdge: no bridge is behind this port, so it forwards at once.
    pub admin_edge: bool,
    /// AutoEdge: so it does when no bridge was heard for 3 s.
    pub auto_edge: bool,
    /// What kind of LAN this is.
    pub point_to_point: PointToPoint,
    /// Shut the port when it hears any BPDU, until it is enabled again.
    pub bpdu_guard: bool,
    /// The root is not behind this port: while a BPDU says so, it discards (restrictedRole).
    pub root_guard: bool,
}

impl Default for RstpPortConfig {
    fn default() -> Self {
        Self {
            path_cost: None,
            priority: 128,
            admin_edge: false,
            auto_edge: true,
            point_to_point: PointToPoint::Auto,
            bpdu_guard: false,
            root_guard: false,
        }
    }
}

impl RstpPortConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// The first value outside of its range.
    pub fn check(&self) -> Result<(), RstpConfigError> {
        if !self.priority.is_multiple_of(16) {
            return Err(RstpConfigError::PortPriority(self.priority));
        }
        match self.path_cost {
            Some(cost) if !(1..=200_000_000).contains(&cost) => {
                Err(RstpConfigError::PathCost(cost))
            }
            _ => Ok(()),
        }
    }
}

/// What is known of a link that came up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bit/s; `None`: unknown.
    pub speed: Option<u64>,
    /// Whether both ends may send at once, so that there are but two.
    pub full_duplex: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            speed: None,
            full_duplex: true,
        }
    }
}
