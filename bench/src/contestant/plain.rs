//! The bounds: no tunnel at all, and the simplest one.

use anyhow::{Context, Result};
use lab::End;

use super::{Contestant, Running, inner};
use crate::bench::Bench;
use crate::forwarder;
use crate::process::Process;
use crate::scene::{Scene, device};

/// No tunnel: what the applications and the kernel can do.
pub(super) const VETH: Contestant = Contestant {
    name: "veth",
    rival: false,
    needs: &[],
    start: start_veth,
};

/// One frame per read, one datagram per frame (see [`forwarder`]).
pub(super) const BASELINE: Contestant = Contestant {
    name: "baseline",
    rival: false,
    needs: &[],
    start: start_baseline,
};

fn start_veth(_: &Bench, scene: &Scene) -> Result<Running> {
    for end in [End::A, End::B] {
        let cidr = format!("{}/24", inner(end));
        scene.host(end).add_address(&device(1), &cidr)?;
    }
    Ok(Running::default())
}

fn start_baseline(bench: &Bench, scene: &Scene) -> Result<Running> {
    /// What Ethernet, IPv4 and UDP headers leave of a line's 1500 bytes.
    const MTU: u32 = 1500 - 14 - 28 - forwarder::OVERHEAD;
    let itself = std::env::current_exe().context("find our own program")?;
    let itself = itself.to_str().context("our own program's path")?;
    let mut running = Running::default();
    for end in [End::A, End::B] {
        let local = format!("{}:1999", scene.local(end, 1));
        let remote = format!("{}:1999", scene.remote(end, 1));
        let arguments = ["forward", "tap0", &local, &remote];
        let process = Process::start(bench, scene.host(end), end, itself, &arguments)?;
        running.processes[end as usize].push(process);
        running.configure(bench, scene, end, "tap0", Some(MTU))?;
    }
    Ok(running)
}
