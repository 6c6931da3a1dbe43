//! Mesh tunnels that switch Ethernet frames themselves, with the ciphers that they choose or, where
//! one has to choose, the fastest that authenticates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lab::End;

use super::{Contestant, Need, Running, output};
use crate::bench::Bench;
use crate::process::Process;
use crate::scene::{Scene, other};

/// VpnCloud, in Rust.
pub(super) const VPNCLOUD: Contestant = Contestant {
    name: "vpncloud",
    rival: true,
    needs: &[Need {
        program: "vpncloud",
        install: "cargo install vpncloud",
    }],
    start: start_vpncloud,
};

/// tinc 1.0, in C.
pub(super) const TINC: Contestant = Contestant {
    name: "tinc",
    rival: true,
    needs: &[Need {
        program: "tincd",
        install: "apt-get install tinc",
    }],
    start: start_tinc,
};

/// fastd, in C.
pub(super) const FASTD: Contestant = Contestant {
    name: "fastd",
    rival: true,
    needs: &[Need {
        program: "fastd",
        install: "apt-get install fastd",
    }],
    start: start_fastd,
};

/// What the largest overhead of fastd's methods, IPv4, UDP and Ethernet headers leave of 1500.
const FASTD_MTU: u32 = 1426;

fn start_vpncloud(bench: &Bench, scene: &Scene) -> Result<Running> {
    let mut running = Running::default();
    for end in [End::A, End::B] {
        let listen = format!("{}:3210", scene.local(end, 1));
        let peer = format!("{}:3210", scene.remote(end, 1));
        let mut arguments = vec!["--type", "tap", "--mode", "switch", "--device", "vpncloud0"];
        arguments.extend(["--listen", &listen, "--peer", &peer, "--password", "bench"]);
        // Without it, it looks for a router to open a port there.
        arguments.extend(["--algorithm", "aes256", "--no-port-forwarding", "--quiet"]);
        // It panics on a host without one: it asks the routing table who it is.
        let host = scene.host(end);
        host.add_route("0.0.0.0/0", scene.remote(end, 1))?;
        let process = Process::start(bench, host, end, "vpncloud", &arguments)?;
        running.processes[end as usize].push(process);
        // It sets the MTU itself.
        running.configure(bench, scene, end, "vpncloud0", None)?;
    }
    Ok(running)
}

fn start_tinc(bench: &Bench, scene: &Scene) -> Result<Running> {
    let root = bench.path().join("tinc");
    let folder = |end: End| root.join(format!("{end:?}"));
    if !root.exists() {
        make_tinc_folders(scene, &folder)?;
    }
    let mut running = Running::default();
    for end in [End::A, End::B] {
        let folder = folder(end);
        let folder = folder.to_str().context("tinc's folder")?;
        let pid = format!("--pidfile={folder}/pid");
        let arguments = ["-D", "-c", folder, &pid];
        let process = Process::start(bench, scene.host(end), end, "tincd", &arguments)?;
        running.processes[end as usize].push(process);
        running.configure(bench, scene, end, "tinc0", None)?;
    }
    Ok(running)
}

/// A folder for each end, with keys, and both hosts' files in both. Scenes have equal addresses.
fn make_tinc_folders(scene: &Scene, folder: &impl Fn(End) -> PathBuf) -> Result<()> {
    for end in [End::A, End::B] {
        let folder = folder(end);
        fs::create_dir_all(folder.join("hosts"))?;
        let config = format!(
            "Name = {end:?}\nMode = switch\nInterface = tinc0\nDevice = /dev/net/tun\n\
             AddressFamily = ipv4\nConnectTo = {:?}\n",
            other(end)
        );
        fs::write(folder.join("tinc.conf"), config)?;
        let address = format!("Address = {}\n", scene.local(end, 1));
        fs::write(folder.join("hosts").join(format!("{end:?}")), address)?;
        // It asks for file names where there is a terminal.
        output(Command::new("tincd").arg("-c").arg(&folder).arg("-K2048"))?;
    }
    for end in [End::A, End::B] {
        let name = format!("hosts/{end:?}");
        fs::copy(folder(end).join(&name), folder(other(end)).join(&name))?;
    }
    Ok(())
}

fn start_fastd(bench: &Bench, scene: &Scene) -> Result<Running> {
    let secrets = [fastd_secret()?, fastd_secret()?];
    let mut running = Running::default();
    for end in [End::A, End::B] {
        let file = bench.path().join(format!("fastd-{end:?}.conf"));
        let public = fastd_public(&secrets[other(end) as usize], &file)?;
        let config = format!(
            "log level warn;\nmode tap;\ninterface \"fastd0\";\nmethod \"aes128-ctr+umac\";\n\
             mtu {FASTD_MTU};\nbind {}:10000;\nsecret \"{}\";\n\
             peer \"far\" {{ remote {}:10000; key \"{public}\"; }}\n",
            scene.local(end, 1),
            secrets[end as usize],
            scene.remote(end, 1),
        );
        fs::write(&file, config)?;
        let file = file.to_str().context("fastd's file")?;
        let arguments = ["--config", file];
        let process = Process::start(bench, scene.host(end), end, "fastd", &arguments)?;
        running.processes[end as usize].push(process);
        running.configure(bench, scene, end, "fastd0", None)?;
    }
    Ok(running)
}

fn fastd_secret() -> Result<String> {
    let mut command = Command::new("fastd");
    let text = output(command.args(["--generate-key", "--machine-readable"]))?;
    Ok(text.trim().to_owned())
}

fn fastd_public(secret: &str, file: &Path) -> Result<String> {
    fs::write(file, format!("secret \"{secret}\";\n"))?;
    let mut command = Command::new("fastd");
    command.arg("--config").arg(file);
    let text = output(command.args(["--show-key", "--machine-readable"]))?;
    Ok(text.trim().to_owned())
}
