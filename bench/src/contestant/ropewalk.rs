//! The program under test, with everything on: two lines, liveness, MTU discovery.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::daemon::Keys;
use lab::{End, Namespace};
use serde_json::Value;

use super::{Contestant, Running, inner};
use crate::bench::Bench;
use crate::process::Process;
use crate::scene::{Scene, device, other};

/// How long until all paths are up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Its cipher replaced by a copy: what encryption costs.
pub(super) const NULL_CIPHER: Contestant = Contestant {
    name: "ropewalk-null",
    rival: false,
    needs: &[],
    start: |bench, scene| {
        let binary = bench.null_cipher.as_deref();
        start(
            bench,
            binary.context("it was not built")?,
            scene,
            "failover",
        )
    },
};

/// One line carries, the other stands by.
pub(super) const FAILOVER: Contestant = Contestant {
    name: "ropewalk",
    rival: false,
    needs: &[],
    start: |bench, scene| start(bench, &bench.ropewalk, scene, "failover"),
};

/// Both lines carry everything.
pub(super) const REDUNDANT: Contestant = Contestant {
    name: "ropewalk-redundant",
    rival: false,
    needs: &[],
    start: |bench, scene| start(bench, &bench.ropewalk, scene, "redundant"),
};

fn start(bench: &Bench, binary: &Path, scene: &Scene, mode: &str) -> Result<Running> {
    let keys = [Keys::generate(binary)?, Keys::generate(binary)?];
    let program = binary.to_str().context("the program's path")?;
    let mut running = Running::default();
    let files = [End::A, End::B].map(|end| bench.path().join(format!("rope-{end:?}.toml")));
    for end in [End::A, End::B] {
        let at = end as usize;
        let key = bench.path().join(format!("rope-{end:?}.key"));
        fs::write(&key, &keys[at].private)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        let public = &keys[other(end) as usize].public;
        fs::write(&files[at], config(end, scene, mode, &key, public))?;
        let file = files[at].to_str().context("the configuration's path")?;
        let arguments = ["up", "-c", file];
        let process = Process::start(bench, scene.host(end), end, program, &arguments)?;
        running.processes[at].push(process);
    }
    let paths = scene.lines().count();
    bench.wait("all paths up", PATIENCE, || {
        running.check()?;
        let mut ends = scene.hosts.iter().zip(&files);
        Ok(ends.all(|(host, file)| paths_up(host, binary, file) == Some(paths)))
    })?;
    Ok(running)
}

fn config(end: End, scene: &Scene, mode: &str, key: &Path, public: &str) -> String {
    let socket = key.with_extension("sock");
    let mut text = format!(
        "[node]\nname = \"{end:?}\"\nprivate-key-file = {key:?}\n[control]\nsocket = {socket:?}\n"
    );
    let mut endpoints = Vec::new();
    for line in scene.lines() {
        let device = device(line);
        text += &format!("[[uplink]]\nname = {device:?}\ndevice = {device:?}\n");
        let remote = scene.remote(end, line);
        endpoints.push(format!("{{ address = \"{remote}\", uplink = {device:?} }}"));
    }
    let peer = other(end);
    text += &format!(
        "[[peer]]\nname = \"{peer:?}\"\npublic-key = {public:?}\nmode = {mode:?}\nendpoints = [{}]\n",
        endpoints.join(", ")
    );
    text + &format!(
        "[[port]]\nname = \"rope0\"\naddress = [\"{}/24\"]\n",
        inner(end)
    )
}

/// How many paths its status shows up; `None` while it does not answer.
fn paths_up(host: &Namespace, binary: &Path, file: &Path) -> Option<usize> {
    let mut command = Command::new(binary);
    command.args(["status", "--json", "-c"]).arg(file);
    let output = host.output(command).ok()?;
    let status: Value = serde_json::from_slice(&output.stdout).ok()?;
    let paths = status["peers"][0]["paths"].as_array()?;
    Some(paths.iter().filter(|path| path["state"] == "up").count())
}
