//! WireGuard in user space, which carries IP only: a VXLAN device of the kernel on top makes it
//! Ethernet, as one would set it up by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lab::End;

use super::{Contestant, Need, PATIENCE, Running, output};
use crate::bench::Bench;
use crate::process::Process;
use crate::scene::{Scene, other};

const WG: Need = Need {
    program: "wg",
    install: "apt-get install wireguard-tools",
};
const IP: Need = Need {
    program: "ip",
    install: "apt-get install iproute2",
};

/// Cloudflare's, in Rust.
pub(super) const BORINGTUN: Contestant = Contestant {
    name: "boringtun+vxlan",
    rival: true,
    needs: &[
        Need {
            program: "boringtun-cli",
            install: "cargo install boringtun-cli",
        },
        WG,
        IP,
    ],
    start: |bench, scene| {
        // One thread where it has one processor: its four would only take turns.
        let threads = match bench.pin.of(End::A) {
            Some(_) => "1",
            None => "4",
        };
        let fixed = [
            "--foreground",
            "--disable-drop-privileges",
            "--threads",
            threads,
        ];
        start(bench, scene, "boringtun-cli", &fixed)
    },
};

/// The reference implementation, in Go.
pub(super) const WIREGUARD_GO: Contestant = Contestant {
    name: "wireguard-go+vxlan",
    rival: true,
    needs: &[
        Need {
            program: "wireguard-go",
            install: "apt-get install wireguard-go",
        },
        WG,
        IP,
    ],
    start: |bench, scene| start(bench, scene, "wireguard-go", &["--foreground"]),
};

/// What WireGuard leaves of 1500 bytes, whether the line has IPv4 or IPv6.
const MTU: u32 = 1420;
/// What VXLAN leaves of that: IPv4, UDP, VXLAN and Ethernet headers.
const VXLAN_MTU: u32 = MTU - 50;
const VXLAN: &str = "vxlan0";

fn start(bench: &Bench, scene: &Scene, program: &str, fixed: &[&str]) -> Result<Running> {
    let keys = [private_key(bench, End::A)?, private_key(bench, End::B)?];
    let mut running = Running::default();
    for end in [End::A, End::B] {
        let device = Socket::new(end);
        let host = scene.host(end);
        let arguments: Vec<&str> = fixed
            .iter()
            .copied()
            .chain([device.name.as_str()])
            .collect();
        let process = Process::start(bench, host, end, program, &arguments)?;
        running.processes[end as usize].push(process);
        bench.wait("the control socket", PATIENCE, || {
            running.check()?;
            Ok(device.path().exists() && host.link(&device.name).is_ok())
        })?;
        let far = other(end);
        let public = public_key(&keys[far as usize])?;
        let endpoint = format!("{}:51820", scene.remote(end, 1));
        let allowed = format!("{}/32", outer(far));
        let key = keys[end as usize].to_str().context("the key's path")?;
        let mut set = vec![
            "set",
            &device.name,
            "private-key",
            key,
            "listen-port",
            "51820",
        ];
        set.extend([
            "peer",
            &public,
            "endpoint",
            &endpoint,
            "allowed-ips",
            &allowed,
        ]);
        host.run("wg", &set)?;
        host.add_address(&device.name, &format!("{}/24", outer(end)))?;
        host.set_mtu(&device.name, MTU)?;
        host.set_up(&device.name, true)?;
        let (local, remote) = (outer(end), outer(far));
        let mut link = vec![
            "link", "add", VXLAN, "type", "vxlan", "id", "1", "dstport", "4789",
        ];
        link.extend(["local", &local, "remote", &remote, "dev", &device.name]);
        host.run("ip", &link)?;
        running.configure(bench, scene, end, VXLAN, Some(VXLAN_MTU))?;
        running.sockets.push(device);
    }
    Ok(running)
}

/// The address of an end between WireGuard and VXLAN.
fn outer(end: End) -> String {
    format!("10.78.0.{}", end as u8 + 1)
}

/// A device, whose name the whole machine sees: its control socket is in a common folder. The
/// program is killed, so the socket is ours to remove.
#[derive(Debug)]
pub(super) struct Socket {
    name: String,
}

impl Socket {
    fn new(end: End) -> Self {
        let number = std::process::id() % 1_000_000;
        Self {
            name: format!("rwb{end:?}{number}"),
        }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/var/run/wireguard/{}.sock", self.name))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

fn private_key(bench: &Bench, end: End) -> Result<PathBuf> {
    let path = bench.path().join(format!("wg-{end:?}.key"));
    if !path.exists() {
        fs::write(&path, output(Command::new("wg").arg("genkey"))?)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(path)
}

fn public_key(private: &Path) -> Result<String> {
    let mut command = Command::new("sh");
    command.args(["-c", "wg pubkey < \"$0\""]).arg(private);
    Ok(output(&mut command)?.trim().to_owned())
}
