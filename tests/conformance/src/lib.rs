//! The spanning tree of `bridge::rstp` held against IEEE 802.1D-2004, in networks of bridges in
//! virtual time: scenarios as files (`scenarios/*.toml`, told apart in [`scenario`]), and random
//! networks from seeds ([`random`]).
//!
//! At every instant of every run no frame could go round in circles: [`network`] checks it after
//! each step.

pub mod graph;
pub mod network;
pub mod random;
pub mod scenario;
