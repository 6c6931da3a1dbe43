//! Tests of the election: parts alone, whole networks under faults, and every schedule of a small
//! model.

#![allow(
    clippy::print_stdout,
    reason = "they tell what they measured, and the seed that fails"
)]

mod faults;
mod invariants;
mod lease_model;
mod mishaps;
mod parts;
mod seeds;
mod setting;
mod world;
