//! One peer as a pure state machine.
//!
//! A [`Peer`] turns Ethernet frames into sealed datagrams over several paths and back. It has no socket, no clock and no
//! randomness of its own: the caller passes `now`, lends buffers through [`DatagramSink`] and seeds the generator, so a
//! whole network of peers runs in one test, in virtual time.
//!
//! The way of a frame out: [`Peer::send`] → `scheduler` → `path` (pieces of one datagram) → sealed into the sink.
//! The way in: [`Peer::receive`] → open → replay check → `assembly` → the caller's closure.

mod acks;
mod assembly;
mod controller;
pub mod crypto;
mod delivery;
mod dial;
mod drops;
mod egress;
mod estimator;
mod event;
mod flows;
mod history;
mod inflight;
mod keyring;
mod link;
mod liveness;
mod minima;
mod mtu;
mod pacer;
pub mod params;
mod partial;
mod path;
mod peer;
mod playout;
pub mod queue;
mod record;
mod scheduler;
mod sink;
mod snapshot;
mod stripes;
mod timing;
mod waiting;

pub use drops::{Drop, Drops};
pub use event::Event;
pub use liveness::State;
pub use peer::{Command, Endpoint, Mode, PathOp, Peer, PeerConfig, UplinkConfig, UplinkState};
pub use record::{Lent, Record};
pub use scheduler::Excluded;
pub use sink::{Arrival, DatagramSink, Target, UplinkId};
pub use snapshot::{OutageSnapshot, PathSnapshot, PathState, PeerSnapshot};
