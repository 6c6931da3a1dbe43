//! Networks in namespaces: topologies, emulated cables and outage meters for the demo, the tests and the bench
//!
//! Everything here is blocking and starts its own threads: do not call it from within a Tokio
//! runtime. What is made goes when its value is dropped. Needs the privilege to make namespaces:
//! root, or [`sys::netns::userns_root`] first.

// Real networks run in real time.
#![allow(clippy::disallowed_methods)]

pub mod cable;
pub mod daemon;
pub mod echo;
pub mod interrupt;
pub mod meter;
pub mod namespace;
mod spawner;
pub mod stall;
pub mod topology;
pub mod transfer;
pub mod undisturbed;

pub use cable::{Cable, CableOptions, Jitter, Loss, Profile, QueueLimit};
pub use daemon::{Daemon, DaemonOptions};
pub use interrupt::Interrupt;
pub use meter::{Meter, MeterEnd, MeterOptions};
pub use namespace::Namespace;
pub use stall::{Stall, StallWatch};
pub use topology::{Plug, Router, Segment, Veth};
pub use undisturbed::timed;

/// One direction of a line between the ends `a` and `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From `a` to `b`.
    AToB,
    /// From `b` to `a`.
    BToA,
}

impl Direction {
    /// Both, in this order.
    pub const BOTH: [Self; 2] = [Self::AToB, Self::BToA];
}

/// Which directions a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From `a` to `b` only.
    AToB,
    /// From `b` to `a` only.
    BToA,
    /// Both directions.
    Both,
}

impl Way {
    /// Whether `direction` is concerned.
    pub fn includes(self, direction: Direction) -> bool {
        match self {
            Self::AToB => direction == Direction::AToB,
            Self::BToA => direction == Direction::BToA,
            Self::Both => true,
        }
    }
}

/// One end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The first end.
    A,
    /// The second end.
    B,
}

/// Whether this process may make networks; when not, says on stderr that `what` is skipped.
pub fn can_run(what: &str) -> bool {
    if sys::privilege::has_cap_sys_admin() && sys::privilege::missing().is_empty() {
        return true;
    }
    let mut missing = sys::privilege::missing();
    if !sys::privilege::has_cap_sys_admin() {
        missing.push("Making network namespaces takes CAP_SYS_ADMIN.".to_owned());
    }
    undisturbed::skipped(what, &missing.join(" "));
    false
}

/// Tests that measure time take turns: they would measure each other.
#[cfg(test)]
pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
