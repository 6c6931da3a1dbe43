//! The emulated lines alone: what real TCP gets over one of them, and what that costs.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::{Cable, CableOptions, End, Interrupt, Namespace, Plug, Profile, StallWatch};

use crate::probe::Probe;
use crate::record::Arrivals;
use crate::run::parse_ticks;
use crate::statistics::quantile;
use crate::tcp::{Flow, Times};

/// Mbit/s and round trip, milliseconds.
const LINES: [(f64, u64); 4] = [(10.0, 100), (50.0, 20), (100.0, 10), (300.0, 16)];
/// Payload in a full packet with timestamps (RFC 7323).
const PAYLOAD: f64 = 1448.0 / 1500.0;
/// The least share of what fits that is good.
const GOOD: f64 = 99.0;
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const SETTLE: f64 = 3.0;
const SECONDS: f64 = 10.0;

/// Measures and prints; fails when a line brings less than it should.
pub(crate) fn run(interrupt: &Interrupt) -> Result<ExitCode> {
    println!(
        "line | TCP, of what fits | CPU of line and ends | idle ping beyond the line's p50 | p99 \
         | 5000 packets/s, one way p50 | p99"
    );
    let mut good = true;
    for (megabits, rtt) in LINES {
        interrupt.check()?;
        let watch = StallWatch::start();
        let begin = Instant::now();
        let result = one(megabits, rtt)?;
        let stall = watch.since(begin);
        println!(
            "{megabits}/{rtt} | {:.2} % | {:.2} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms",
            result.share,
            result.cpu,
            result.ping[0],
            result.ping[1],
            result.stream[0],
            result.stream[1],
        );
        eprintln!("{}", lab::undisturbed::text(stall));
        good &= result.share >= GOOD;
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a line is like. Delays are milliseconds beyond the line's own: the median, and what 99 of
/// 100 do not exceed.
struct Precision {
    share: f64,
    cpu: f64,
    ping: [f64; 2],
    stream: [f64; 2],
}

fn one(megabits: f64, rtt: u64) -> Result<Precision> {
    let hosts = [Namespace::new("a")?, Namespace::new("b")?];
    let [a, b] = &hosts;
    let options = CableOptions {
        profile: Profile::line(megabits, rtt / 2),
        ..CableOptions::default()
    };
    let cable = Cable::join(Plug::new(a, "line"), Plug::new(b, "line"), options)?;
    cable.address(End::A, "10.0.0.1/24")?;
    cable.address(End::B, "10.0.0.2/24")?;
    lab::echo::wait_reachable(a, b, FAR, Duration::from_secs(5))?;
    let ping = Probe::ping(a, b, FAR, 50.0, 56)?;
    let ping = delays(&ping, rtt as f64);
    // 4 Mbit/s: all lines carry that.
    let stream = Probe::one_way(a, b, FAR, 5000.0, 72)?;
    let stream = delays(&stream, rtt as f64 / 2.0);
    let (share, cpu) = bulk(&hosts, megabits)?;
    Ok(Precision {
        share,
        cpu,
        ping,
        stream,
    })
}

/// Delays of a probe on an idle line, beyond `own`.
fn delays(probe: &Probe, own: f64) -> [f64; 2] {
    let zero = Instant::now();
    let end = zero + Duration::from_secs(3);
    let begin = zero;
    thread::scope(|scope| probe.start(scope, Times { zero, begin, end }));
    let packets = probe.packets(zero);
    let delays: Vec<f64> = packets
        .iter()
        .filter_map(|packet| packet.delay_ms)
        .collect();
    [0.5, 0.99].map(|share| quantile(&delays, share).map_or(f64::NAN, |time| time - own))
}

/// What one flow gets, percent of what fits, and the processors that this takes.
fn bulk([a, b]: &[Namespace; 2], megabits: f64) -> Result<(f64, f64)> {
    let flow = Flow::connect(a, b, FAR, "cubic")?;
    let arrivals = Mutex::new(Arrivals::default());
    let zero = Instant::now();
    let end = zero + Duration::from_secs_f64(SECONDS);
    let before = own_cpu()?;
    let begin = zero;
    thread::scope(|scope| flow.start(scope, Times { zero, begin, end }, &arrivals));
    let cpu = own_cpu()? - before;
    let arrivals = arrivals.into_inner().unwrap_or_default();
    let bits = arrivals.between(SETTLE, SECONDS) as f64 * 8.0;
    let fits = megabits * 1e6 * PAYLOAD * (SECONDS - SETTLE);
    Ok((100.0 * bits / fits, cpu / SECONDS))
}

/// Processor time of this program, seconds.
fn own_cpu() -> Result<f64> {
    let ticks = parse_ticks(&fs::read_to_string("/proc/self/stat")?);
    let ticks = ticks.context("/proc/self/stat is not as expected")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
