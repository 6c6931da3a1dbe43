//! Measures the tunnel beside its rivals, in namespaces of its own, and prints one table.
//!
//! A row of the table is a [`contestant`] on a [`scene`]: [`measure`] says what is measured of it,
//! [`goals`] what it should come to, [`throughput`] in which order everything happens.

// A program for a terminal, and it measures real time.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)]

mod bench;
mod contestant;
mod figures;
mod forwarder;
mod goals;
mod load;
mod measure;
mod others;
mod packets;
mod process;
mod programs;
mod relay;
mod report;
mod scale;
mod scene;
mod throughput;
mod workers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures ropewalk beside other tunnels, in network namespaces of its own.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Throughput, packet rate, round trips, processor time and memory, of all contestants in turn.
    Throughput(throughput::Options),
    /// Many peers and many addresses: time to connect, memory, throughput beside a single peer.
    Scale(scale::Options),
    /// The baseline: one frame per read, one datagram per frame. Started by the bench itself.
    #[command(hide = true)]
    Forward(forwarder::Options),
}

fn main() -> Result<ExitCode> {
    match Options::parse().command {
        Command::Throughput(options) => throughput::run(&options),
        Command::Scale(options) => scale::run(&options),
        Command::Forward(options) => forwarder::run(&options),
    }
}
