//! Fuzz targets as plain functions, so that two things can drive them: libFuzzer
//! (`cargo +nightly fuzz run wire_payload`), guided by coverage, and the seeded runner
//! (`cargo run --release --no-default-features --bin smoke -- 60`), with the stable toolchain.
//!
//! A target gets any bytes and panics when something does not hold that must hold for all of them.
//! Besides it lists a few well-formed inputs to start from.
// Not one of the pure crates: it may read the clock.
#![allow(clippy::disallowed_methods)]

pub mod mutate;
pub mod targets;

/// A target: its name, what checks one input, and well-formed inputs to begin with.
#[derive(Copy, Clone)]
pub struct Target {
    /// As in `fuzz_targets/`.
    pub name: &'static str,
    /// Checks one input; panics on a finding.
    pub run: fn(&[u8]),
    /// Well-formed inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: [Target; 12] = [
    Target {
        name: "wire_payload",
        run: targets::wire_payload::run,
        seeds: targets::wire_payload::seeds,
    },
    Target {
        name: "wire_control",
        run: targets::wire_control::run,
        seeds: targets::wire_control::seeds,
    },
    Target {
        name: "wire_beacon",
        run: targets::wire_beacon::run,
        seeds: targets::wire_beacon::seeds,
    },
    Target {
        name: "wire_site",
        run: targets::wire_site::run,
        seeds: targets::wire_site::seeds,
    },
    Target {
        name: "wire_hello",
        run: targets::wire_hello::run,
        seeds: targets::wire_hello::seeds,
    },
    Target {
        name: "wire_handshake",
        run: targets::wire_handshake::run,
        seeds: targets::wire_handshake::seeds,
    },
    Target {
        name: "ethernet_flow",
        run: targets::ethernet_flow::run,
        seeds: targets::ethernet_flow::seeds,
    },
    Target {
        name: "bridge_frame",
        run: targets::bridge_frame::run,
        seeds: targets::bridge_frame::seeds,
    },
    Target {
        name: "wire_vnet",
        run: targets::wire_vnet::run,
        seeds: targets::wire_vnet::seeds,
    },
    Target {
        name: "wire_coalesce",
        run: targets::wire_coalesce::run,
        seeds: targets::wire_coalesce::seeds,
    },
    Target {
        name: "wire_bpdu",
        run: targets::wire_bpdu::run,
        seeds: targets::wire_bpdu::seeds,
    },
    Target {
        name: "bridge_rstp",
        run: targets::bridge_rstp::run,
        seeds: targets::bridge_rstp::seeds,
    },
];
