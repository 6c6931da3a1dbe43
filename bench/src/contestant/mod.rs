//! What is measured: each a way to join two hosts, started at both ends of a scene.

mod mesh;
mod openvpn;
mod plain;
mod ropewalk;
mod wireguard;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::End;

use crate::bench::Bench;
use crate::process::Process;
use crate::scene::Scene;

/// How long a contestant may take until packets pass.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is left alone then: to find the MTU, to choose between lines.
const SETTLE: Duration = Duration::from_millis(1500);

/// A way to join two hosts.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// Its name in the table, and for `--only`.
    pub(crate) name: &'static str,
    /// It joins Ethernet segments and encrypts: a rival.
    pub(crate) rival: bool,
    /// The programs that it takes.
    needs: &'static [Need],
    start: fn(&Bench, &Scene) -> Result<Running>,
}

/// A program and how to install it.
#[derive(Debug)]
struct Need {
    program: &'static str,
    install: &'static str,
}

/// A contestant at work. (The processes go before the rest.)
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// The processes of the ends A and B.
    pub(crate) processes: [Vec<Process>; 2],
    /// What processes that are killed leave behind.
    sockets: Vec<wireguard::Socket>,
}

/// The address of one end inside the tunnel.
pub(crate) fn inner(end: End) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, end as u8 + 1).into()
}

/// The contestant that takes a build of its own.
pub(crate) const NULL_CIPHER: &str = ropewalk::NULL_CIPHER.name;

/// All, in the order of the table.
pub(crate) static ALL: &[Contestant] = &[
    plain::VETH,
    ropewalk::NULL_CIPHER,
    ropewalk::FAILOVER,
    ropewalk::REDUNDANT,
    plain::BASELINE,
    openvpn::STATIC_KEY,
    openvpn::TLS,
    mesh::VPNCLOUD,
    wireguard::BORINGTUN,
    wireguard::WIREGUARD_GO,
    mesh::TINC,
    mesh::FASTD,
];

impl Contestant {
    /// How to install what is not there.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing = self.needs.iter().filter(|need| !is_program(need.program));
        let texts: Vec<&str> = missing.map(|need| need.install).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// Starts both ends and waits until packets pass and everything is at rest.
    pub(crate) fn start(&self, bench: &Bench, scene: &Scene) -> Result<Running> {
        let mut running = (self.start)(bench, scene)?;
        let began = std::time::Instant::now();
        let [a, b] = &scene.hosts;
        loop {
            running.check()?;
            bench.interrupt.check()?;
            let wait = Duration::from_secs(1);
            if lab::echo::wait_reachable(a, b, inner(End::B), wait).is_ok() {
                break;
            }
            let words = running.last_words();
            ensure!(began.elapsed() < PATIENCE, "no packet passes: {words}");
        }
        bench.sleep(SETTLE)?;
        running.check()?;
        Ok(running)
    }
}

impl Running {
    /// An error when one of the processes has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let mut all = self.processes.iter_mut().flatten();
        all.try_for_each(Process::check)
    }

    /// The last lines of what the processes wrote.
    fn last_words(&self) -> String {
        let all = self.processes.iter().flatten();
        let words: Vec<String> = all.map(Process::last_words).collect();
        words.join(" // ")
    }

    /// Waits for the device that the process at one end makes, and configures it.
    fn configure(
        &mut self,
        bench: &Bench,
        scene: &Scene,
        end: End,
        device: &str,
        mtu: Option<u32>,
    ) -> Result<()> {
        let host = scene.host(end);
        bench.wait(&format!("a device {device}"), PATIENCE, || {
            self.check()?;
            Ok(host.link(device).is_ok())
        })?;
        if let Some(mtu) = mtu {
            host.set_mtu(device, mtu)?;
        }
        host.add_address(device, &format!("{}/24", inner(end)))?;
        host.set_up(device, true)
    }
}

/// Runs a helper to its end and returns what it wrote.
fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null());
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {}: {error}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a program is on the search path.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's users do not have it.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .into_iter()
        .any(|folder| folder.join(name).is_file())
}
