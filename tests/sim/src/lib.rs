//! Seeded networks of whole nodes in virtual time.
//!
//! A [`World`] holds machines that run a real [`node::Node`], the lines and translators between them, an attacker on the
//! wire and Ethernet traffic. Everything happens in one queue of events, ordered by time, and every random choice comes
//! from one seed, so a run that failed fails again in the same way. What must always hold ([`checks`]) is looked at all
//! the time; what must hold when all faults are over is looked at by [`scenario`] and the tests.
#![allow(
    clippy::disallowed_methods,
    reason = "the one base instant of a world is taken here; only differences to it count"
)]
#![allow(clippy::print_stderr, reason = "a replayed seed prints what happens")]

pub mod aggregate;
pub mod attack;
pub mod checks;
pub mod expect;
pub mod fault;
pub mod frame;
pub mod host;
pub mod line;
pub mod log;
pub mod nat;
pub mod outbox;
pub mod ping;
pub mod scenario;
pub mod superframe;
pub mod tcp;
pub mod topology;
pub mod traffic;
pub mod world;

pub use checks::Checks;
pub use fault::Fault;
pub use host::Host;
pub use line::{Burst, Line, Shape};
pub use nat::{Nat, NatKind};
pub use topology::{PairSpec, pair};
pub use traffic::{Sizes, Stream, StreamSpec};
pub use world::World;

/// Milliseconds, since tests are full of them.
#[must_use]
pub const fn ms(n: u64) -> std::time::Duration {
    std::time::Duration::from_millis(n)
}

/// Seconds.
#[must_use]
pub const fn secs(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n)
}
