//! `scale`: one gateway with many peers and many addresses, beside the same with one peer.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::End;
use lab::daemon::Keys;
use serde_json::{Value, json};
use sys::Tap;
use sys::tap::TapOptions;

use crate::bench::{Bench, Pin};
use crate::contestant::inner;
use crate::load::Load;
use crate::process::Process;
use crate::scene::{Scene, Topology, device};

/// All peers are up this soon after the gateway's start.
const GOAL_CONNECT: Duration = Duration::from_secs(5);
/// An idle peer takes no more memory than this, KiB.
const GOAL_MEMORY: f64 = 256.0;
/// How long all may take, before it is called a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is left alone before memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// The peers probe often for 10 s after a frame, and share a processor with the one that is
/// measured: throughput is measured when they have calmed down.
const CALM: Duration = Duration::from_secs(12);
/// Idle peers have an address each, since handshakes are limited per address. The whole network is
/// one route: hundreds of addresses would keep all peers busy with looking at them.
const NETWORK: &str = "10.80.9.0/24";
/// Frames that teach addresses, in one go, and the pause after it: the TAP queue is short.
const FRAMES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(10);

/// What the user asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Idle peers besides the one with traffic.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u8).range(1..=230))]
    peers: u8,
    /// Addresses behind the gateway; it learns as many as it can hold.
    #[arg(long, default_value_t = 50_000)]
    addresses: u32,
    /// How long throughput is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The processors of the gateway and of its peers, "0,1", or "none".
    #[arg(long, default_value = "0,1")]
    pin: Pin,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was measured of one gateway.
struct Measured {
    /// From its start until all peers were up.
    connect: Duration,
    /// Resident memory with all peers idle, bytes.
    memory: u64,
    /// Addresses that it knew.
    learned: usize,
    /// One TCP stream to one peer, bit/s.
    throughput: f64,
    /// Processor time of the gateway for it, seconds per 10⁹ bytes.
    cost: f64,
}

/// Measures and prints; fails when a goal was missed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if !lab::can_run("the bench") {
        return Ok(ExitCode::FAILURE);
    }
    let bench = Bench::prepare(options.pin, options.seconds, false)?;
    eprintln!("one peer");
    let few = Gateway::start(&bench, 0)?.measure(&bench, 0)?;
    eprintln!("{} peers, {} addresses", options.peers, options.addresses);
    let many = Gateway::start(&bench, options.peers)?.measure(&bench, options.addresses)?;
    let more = many.memory.saturating_sub(few.memory) as f64;
    let per_peer = more / f64::from(options.peers) / 1024.0;
    let met = [many.connect <= GOAL_CONNECT, per_peer <= GOAL_MEMORY];
    let result = json!({
        "peers": options.peers,
        "connect_s": many.connect.as_secs_f64(), "connect_met": met[0],
        "idle_peer_kib": per_peer, "idle_peer_met": met[1],
        "addresses_learned": many.learned,
        "throughput_bps": { "one_peer": few.throughput, "many": many.throughput },
        "throughput_ratio": many.throughput / few.throughput,
        "cpu_s_per_gb": { "one_peer": few.cost, "many": many.cost },
    });
    if options.json {
        println!("{}", serde_json::to_string_pretty(&result)?);
    } else {
        print(options, &few, &many, per_peer, met);
    }
    Ok(match met.contains(&false) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn print(options: &Options, few: &Measured, many: &Measured, per_peer: f64, met: [bool; 2]) {
    let word = |met| if met { "met" } else { "MISSED" };
    let (peers, connect) = (options.peers, many.connect.as_secs_f64());
    let goal = GOAL_CONNECT.as_secs();
    println!(
        "{peers} peers at once: all up in {connect:.2} s (≤ {goal} s: {})",
        word(met[0])
    );
    let verdict = word(met[1]);
    println!("memory of an idle peer: {per_peer:.0} KiB (≤ {GOAL_MEMORY} KiB: {verdict})");
    let rates = [few.throughput / 1e9, many.throughput / 1e9];
    println!(
        "one stream: {:.3} Gbit/s with one peer, {:.3} with all and {} addresses: ratio {:.2}",
        rates[0],
        rates[1],
        many.learned,
        rates[1] / rates[0]
    );
    println!(
        "its cost to the gateway: {:.2} and {:.2} CPU s/GB",
        few.cost, many.cost
    );
}

/// A gateway on A, and its peers on B: one with a TAP device, the others idle. (Processes first.)
struct Gateway {
    hub: Process,
    _spokes: Vec<Process>,
    connect: Duration,
    file: PathBuf,
    scene: Scene,
}

/// A node's name and keys.
struct Node {
    name: String,
    keys: Keys,
}

impl Gateway {
    /// Starts the peers, which call in vain, then the gateway; waits until all are up.
    fn start(bench: &Bench, idle: u8) -> Result<Self> {
        let scene = Scene::build(Topology::Plain)?;
        scene
            .host(End::A)
            .run("ip", &["link", "add", "br0", "type", "bridge"])?;
        let b = scene.host(End::B);
        for host in &scene.hosts {
            // Its multicasts would go to all peers, and keep them awake. Not there where it is off.
            let _ = host.sysctl("ipv6/conf/all/disable_ipv6", "1");
        }
        b.run("ip", &["route", "add", "local", NETWORK, "dev", "lo"])?;
        let gateway = scene.local(End::B, 1);
        scene.host(End::A).add_route(NETWORK, gateway)?;
        let node = |name: String| -> Result<Node> {
            let keys = Keys::generate(&bench.ropewalk)?;
            Ok(Node { name, keys })
        };
        let hub = node("hub".to_owned())?;
        let mut peers = Vec::new();
        let mut spokes = Vec::new();
        for number in 0..=idle {
            bench.interrupt.check()?;
            let peer = node(format!("peer{number}"))?;
            let config = spoke_config(&scene, &hub, number);
            let file = write(bench, &peer, &config)?;
            spokes.push(up(bench, &scene, End::B, &file)?);
            peers.push(peer);
        }
        bench.sleep(SETTLE)?;
        let file = write(bench, &hub, &hub_config(&peers))?;
        let began = Instant::now();
        let mut hub = up(bench, &scene, End::A, &file)?;
        let wanted = peers.len();
        bench.wait("all peers up", PATIENCE, || {
            hub.check()?;
            Ok(peers_up(bench, &scene, &file) == Some(wanted))
        })?;
        let connect = began.elapsed();
        let a = scene.host(End::A);
        a.add_address("br0", &format!("{}/24", inner(End::A)))?;
        a.set_up("br0", true)?;
        Ok(Self {
            hub,
            _spokes: spokes,
            connect,
            file,
            scene,
        })
    }

    fn measure(&mut self, bench: &Bench, addresses: u32) -> Result<Measured> {
        bench.sleep(SETTLE)?;
        let memory = self.hub.resident()?;
        let [a, b] = &self.scene.hosts;
        // First: the bridge may take its address from it, and that should be among those learned.
        let tap = a.enter(|| Tap::open("feed0", TapOptions::default()))??;
        a.run("ip", &["link", "set", "feed0", "master", "br0", "up"])?;
        // From the peer's side: the gateway's own question would go to all peers, and wake them.
        lab::echo::wait_reachable(b, a, inner(End::A), PATIENCE)?;
        self.teach(bench, &tap, addresses)?;
        bench.sleep(CALM)?;
        let load = Load::start(&self.scene.hosts, inner(End::B), 1, bench.pin)?;
        bench.sleep(Duration::from_secs(1))?;
        let (before, began) = (load.received(), Instant::now());
        let used = self.hub.cpu_seconds()?;
        bench.sleep(bench.time)?;
        let bytes = (load.received() - before) as f64;
        let throughput = bytes * 8.0 / began.elapsed().as_secs_f64();
        let cost = (self.hub.cpu_seconds()? - used) / bytes * 1e9;
        drop(load);
        let learned = ask(bench, &self.scene, &self.file, "fdb")?;
        Ok(Measured {
            connect: self.connect,
            memory,
            learned: learned.as_array().map_or(0, Vec::len),
            throughput,
            cost,
        })
    }

    /// Makes the gateway learn addresses, by frames from them to the peer with traffic.
    fn teach(&self, bench: &Bench, tap: &Tap, addresses: u32) -> Result<()> {
        let destination = self.scene.host(End::B).link("rope0")?.mac;
        let mut frame = [0; 64];
        frame[..6].copy_from_slice(&destination.context("rope0 has no address")?);
        // For experiments (IEEE 802): nobody answers.
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        for number in 0..addresses {
            frame[6..8].copy_from_slice(&[2, 0]);
            frame[8..12].copy_from_slice(&number.to_be_bytes());
            tap.write(&frame).context("teach addresses")?;
            if number % FRAMES == 0 {
                bench.interrupt.check()?;
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }
}

fn up(bench: &Bench, scene: &Scene, end: End, file: &Path) -> Result<Process> {
    let program = bench.ropewalk.to_str().context("the program's path")?;
    let file = file.to_str().context("the configuration's path")?;
    Process::start(bench, scene.host(end), end, program, &["up", "-c", file])
}

fn hub_config(peers: &[Node]) -> String {
    let line = device(1);
    let mut text = format!("[[uplink]]\nname = {line:?}\ndevice = {line:?}\n");
    text += "[[port]]\nname = \"rope0\"\nbridge = \"br0\"\n";
    for Node { name, keys } in peers {
        let key = &keys.public;
        text += &format!("[[peer]]\nname = {name:?}\npublic-key = {key:?}\nmode = \"failover\"\n");
    }
    text
}

/// Peer 0 has the traffic and the end's own address, each other one an address of its own.
fn spoke_config(scene: &Scene, hub: &Node, number: u8) -> String {
    let mut local = scene.local(End::B, 1);
    let mut port = format!(
        "[[port]]\nname = \"rope0\"\naddress = [\"{}/24\"]\n",
        inner(End::B)
    );
    if number > 0 {
        local = Ipv4Addr::new(10, 80, 9, number).into();
        port.clear();
    }
    let (key, remote) = (&hub.keys.public, scene.remote(End::B, 1));
    format!(
        "{port}[[peer]]\nname = \"hub\"\npublic-key = {key:?}\nmode = \"failover\"\n\
         endpoints = [\"{remote}\"]\n[node]\nlisten = \"{local}:1830\"\n"
    )
}

/// Puts a node's files into our folder; the configuration ends within `[node]`, or has none.
fn write(bench: &Bench, node: &Node, config: &str) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let file = |suffix: &str| bench.path().join(format!("{}.{suffix}", node.name));
    let (key, socket, toml) = (file("key"), file("sock"), file("toml"));
    fs::write(&key, &node.keys.private)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let head = match config.contains("[node]") {
        true => "",
        false => "[node]\n",
    };
    let name = &node.name;
    let own =
        format!("name = {name:?}\nprivate-key-file = {key:?}\n[control]\nsocket = {socket:?}\n");
    fs::write(&toml, format!("{config}{head}{own}"))?;
    Ok(toml)
}

/// What a client command of the gateway shows as JSON.
fn ask(bench: &Bench, scene: &Scene, file: &Path, what: &str) -> Result<Value> {
    let mut command = Command::new(&bench.ropewalk);
    command.args([what, "--json", "-c"]).arg(file);
    let output = scene.host(End::A).output(command)?;
    ensure!(
        output.status.success(),
        "ropewalk {what}: {}",
        output.status
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// How many peers are up; `None` while the gateway does not answer.
fn peers_up(bench: &Bench, scene: &Scene, file: &Path) -> Option<usize> {
    let status = ask(bench, scene, file, "status").ok()?;
    let peers = status["peers"].as_array()?;
    Some(peers.iter().filter(|peer| peer["state"] == "up").count())
}
