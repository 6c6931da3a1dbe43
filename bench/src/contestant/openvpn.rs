//! OpenVPN with a TAP device, as it comes, in its two kinds of keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lab::End;

use super::{Contestant, Need, Running, output};
use crate::bench::Bench;
use crate::process::Process;
use crate::scene::Scene;

const OPENVPN: Need = Need {
    program: "openvpn",
    install: "apt-get install openvpn",
};
const OPENSSL: Need = Need {
    program: "openssl",
    install: "apt-get install openssl",
};

/// A static key: AES-256-CBC with HMAC.
pub(super) const STATIC_KEY: Contestant = Contestant {
    name: "openvpn-static",
    rival: true,
    needs: &[OPENVPN],
    start: |bench, scene| {
        let key = bench.path().join("openvpn.key");
        if !key.exists() {
            output(
                Command::new("openvpn")
                    .args(["--genkey", "secret"])
                    .arg(&key),
            )?;
        }
        let key = text(&key)?.to_owned();
        start(bench, scene, |_| {
            let keys = [
                "--cipher",
                "AES-256-CBC",
                "--auth",
                "SHA256",
                "--secret",
                &key,
            ];
            keys.map(str::to_owned).to_vec()
        })
    },
};

/// TLS: AES-256-GCM.
pub(super) const TLS: Contestant = Contestant {
    name: "openvpn-tls",
    rival: true,
    needs: &[OPENVPN, OPENSSL],
    start: |bench, scene| {
        let authority = bench.path().join("ca.crt");
        if !authority.exists() {
            certify(bench.path())?;
        }
        let authority = text(&authority)?.to_owned();
        let folder = text(bench.path())?.to_owned();
        start(bench, scene, |end| {
            let role = match end {
                End::A => vec!["--tls-client"],
                End::B => vec!["--tls-server", "--dh", "none"],
            };
            let (certificate, key) = (
                format!("{folder}/{end:?}.crt"),
                format!("{folder}/{end:?}.key"),
            );
            let keys = ["--ca", &authority, "--cert", &certificate, "--key", &key];
            let cipher = ["--data-ciphers", "AES-256-GCM"];
            let all = role.into_iter().chain(keys).chain(cipher);
            all.map(str::to_owned).collect()
        })
    },
};

fn start(bench: &Bench, scene: &Scene, keys: impl Fn(End) -> Vec<String>) -> Result<Running> {
    let mut running = Running::default();
    for end in [End::A, End::B] {
        let (local, remote) = (
            scene.local(end, 1).to_string(),
            scene.remote(end, 1).to_string(),
        );
        let mut arguments = vec!["--dev", "tap0", "--dev-type", "tap", "--proto", "udp"];
        arguments.extend([
            "--local", &local, "--remote", &remote, "--port", "1194", "--verb", "1",
        ]);
        let keys = keys(end);
        arguments.extend(keys.iter().map(String::as_str));
        let process = Process::start(bench, scene.host(end), end, "openvpn", &arguments)?;
        running.processes[end as usize].push(process);
        running.configure(bench, scene, end, "tap0", None)?;
    }
    Ok(running)
}

/// A throw-away authority and a certificate for each end.
fn certify(folder: &Path) -> Result<()> {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let request = |name: &str| {
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"])
            .arg(format!("/CN=bench-{name}"))
            .arg("-keyout")
            .arg(file(&format!("{name}.key")))
            .arg("-out")
            .arg(file(&format!("{name}.crt")));
        command
    };
    for end in [End::A, End::B] {
        // It comes first where it is missing.
        if !file("ca.key").exists() {
            output(&mut request("ca"))?;
        }
        let mut signed = request(&format!("{end:?}"));
        signed.arg("-CA").arg(file("ca.crt"));
        output(signed.arg("-CAkey").arg(file("ca.key")))?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the path of our folder")
}
