//! Tests of the election: parts alone, whole networks under faults, and every schedule of a small
//! model.

mod faults;
mod lease_model;
mod parts;
mod seeds;
mod world;
