//! What is measured of a contestant at work, one after the other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::End;
use lab::echo::{self, EchoOptions, EchoReport};

use crate::bench::{Bench, Pin};
use crate::contestant::{Running, inner};
use crate::figures::{Figures, Metric};
use crate::load::Load;
use crate::others::Mark;
use crate::packets::Flood;
use crate::process::Process;
use crate::scene::Scene;

/// How long a stream runs before it counts: it looks for its rate.
const WARM_UP: Duration = Duration::from_secs(1);
/// Round trips in a row, and the time between two.
const PINGS: usize = 1000;
const PING_EVERY: Duration = Duration::from_millis(1);

/// Measures everything.
pub(crate) fn all(bench: &Bench, scene: &Scene, running: &mut Running) -> Result<Figures> {
    let mut figures = Figures::new();
    let idle = round_trips(bench, scene)?;
    figures.insert(Metric::IdleRtt, idle.p50.as_secs_f64());
    figures.insert(Metric::IdleRttP99, idle.p99.as_secs_f64());
    figures.extend(one_stream(bench, scene, running)?);
    let load = start(bench, scene, 4)?;
    let rate = rate(bench, || load.received())?;
    figures.insert(Metric::FourStreams, rate * 8.0);
    drop(load);
    let load = start(bench, scene, 1)?;
    let loaded = round_trips(bench, scene)?;
    figures.insert(Metric::LoadRtt, loaded.p50.as_secs_f64());
    figures.insert(Metric::LoadRttP99, loaded.p99.as_secs_f64());
    drop(load);
    figures.extend(packets(bench, scene)?);
    running.check()?;
    figures.extend(memory(running)?);
    Ok(figures)
}

/// One stream over a line that loses datagrams, and what that made TCP send again.
pub(crate) fn loss(bench: &Bench, scene: &Scene, running: &Running) -> Result<Figures> {
    let before = [scene.resent()?, scene.lost()?];
    let mut figures = one_stream(bench, scene, running)?;
    let [resent, lost] = [scene.resent()? - before[0], scene.lost()? - before[1]];
    ensure!(lost > 0, "no datagram was lost");
    figures.insert(Metric::Resent, resent as f64 / lost as f64);
    Ok(figures)
}

fn start(bench: &Bench, scene: &Scene, streams: usize) -> Result<Load> {
    let load = Load::start(&scene.hosts, inner(End::B), streams, bench.pin)?;
    bench.sleep(WARM_UP)?;
    Ok(load)
}

/// How much a counter grows in a second.
fn rate(bench: &Bench, count: impl Fn() -> u64) -> Result<f64> {
    let (began, before) = (Instant::now(), count());
    bench.sleep(bench.time)?;
    let (more, time) = (count() - before, began.elapsed());
    ensure!(more > 0, "nothing arrived");
    Ok(more as f64 / time.as_secs_f64())
}

/// One stream, and what its bytes cost each end.
fn one_stream(bench: &Bench, scene: &Scene, running: &Running) -> Result<Figures> {
    let load = start(bench, scene, 1)?;
    let mark = Mark::now(running)?;
    let before = [cpu(running, End::A)?, cpu(running, End::B)?];
    let counted = load.received();
    let rate = rate(bench, || load.received())?;
    let bytes = (load.received() - counted) as f64;
    let mut figures = Figures::from([(Metric::OneStream, rate * 8.0)]);
    figures.insert(Metric::Others, mark.others(running)?);
    for (end, metric) in [(End::A, Metric::SenderCpu), (End::B, Metric::ReceiverCpu)] {
        if !running.processes[end as usize].is_empty() {
            let seconds = cpu(running, end)? - before[end as usize];
            figures.insert(metric, seconds / bytes * 1e9);
        }
    }
    Ok(figures)
}

/// Processor time that an end's processes have used so far, seconds.
fn cpu(running: &Running, end: End) -> Result<f64> {
    let processes = running.processes[end as usize].iter();
    processes.map(Process::cpu_seconds).sum()
}

fn round_trips(bench: &Bench, scene: &Scene) -> Result<EchoReport> {
    let options = EchoOptions {
        count: PINGS,
        interval: PING_EVERY,
        pin: match bench.pin {
            Pin::Cpus(cpus) => Some(cpus),
            Pin::Free => None,
        },
        ..EchoOptions::default()
    };
    bench.interrupt.check()?;
    let report = echo::ping(
        scene.host(End::A),
        scene.host(End::B),
        inner(End::B),
        options,
    )?;
    ensure!(
        report.received * 2 > report.sent,
        "most pings had no answer"
    );
    Ok(report)
}

fn packets(bench: &Bench, scene: &Scene) -> Result<Figures> {
    let flood = Flood::start(&scene.hosts, inner(End::B), bench.pin)?;
    bench.sleep(WARM_UP)?;
    let (began, before) = (Instant::now(), flood.sent());
    let received = rate(bench, || flood.received())?;
    let sent = (flood.sent() - before) as f64 / began.elapsed().as_secs_f64();
    Ok(Figures::from([
        (Metric::Packets, received),
        (Metric::Offered, sent),
    ]))
}

/// The most memory of either end; nothing where there is no process.
fn memory(running: &Running) -> Result<Option<(Metric, f64)>> {
    let mut most = None;
    for processes in &running.processes {
        let bytes: Result<Vec<u64>> = processes.iter().map(Process::memory).collect();
        let bytes: u64 = bytes?.iter().sum();
        most = most.max((bytes > 0).then_some(bytes));
    }
    Ok(most.map(|bytes| (Metric::Memory, bytes as f64)))
}
