//! The spanning tree of `bridge::rstp` held against IEEE 802.1D-2004, in networks of bridges in
//! virtual time: scenarios as files (`scenarios/*.toml`, see [`scenario`]), and random
//! networks from seeds ([`random`]).
//!
//! After each step [`network`] looks whether frames could go round in circles: never in a scenario,
//! and in random networks not for longer than [`random::Kind::longest_loop`] allows.

pub mod graph;
pub mod network;
pub mod random;
pub mod scenario;
