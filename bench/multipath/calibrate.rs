//! The emulated lines alone: what real TCP gets over one of them, and what that costs.

use std::fs;
use std::net::IpAddr;
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
const SETTLE: f64 = 3.0;
const SECONDS: f64 = 10.0;

/// Measures and prints; fails when a line brings less than it should.
pub(crate) fn run(interrupt: &Interrupt) -> Result<ExitCode> {
    println!(
        "line | TCP, of what fits | ping beyond the line's, idle p50 | p99 | CPU of lines and ends"
    );
    let mut good = true;
    for (megabits, rtt) in LINES {
        interrupt.check()?;
        let watch = StallWatch::start();
        let begin = Instant::now();
        let result = one(megabits, rtt)?;
        let stall = watch.since(begin);
        println!(
            "{megabits}/{rtt} | {:.2} % | {:.2} ms | {:.2} ms | {:.2}",
            result.share, result.p50, result.p99, result.cpu
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

struct Precision {
    share: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
}

fn one(megabits: f64, rtt: u64) -> Result<Precision> {
    let (a, b) = (Namespace::new("a")?, Namespace::new("b")?);
    let options = CableOptions {
        profile: Profile::line(megabits, rtt / 2),
        ..CableOptions::default()
    };
    let cable = Cable::join(Plug::new(&a, "line"), Plug::new(&b, "line"), options)?;
    cable.address(End::A, "10.0.0.1/24")?;
    cable.address(End::B, "10.0.0.2/24")?;
    let address = IpAddr::from([10, 0, 0, 2]);
    lab::echo::wait_reachable(&a, &b, address, Duration::from_secs(5))?;
    let flow = Flow::connect(&a, &b, address, "cubic")?;
    let ping = Probe::ping(&a, &b, address, 50.0, 56)?;
    let arrivals = Mutex::new(Arrivals::default());
    let zero = Instant::now() + Duration::from_secs(2);
    let end = zero + Duration::from_secs_f64(SECONDS);
    let times = |begin| Times { zero, begin, end };
    let cpu = thread::scope(|scope| {
        ping.start(scope, times(zero - Duration::from_secs(2)));
        flow.start(scope, times(zero), &arrivals);
        thread::sleep(zero.saturating_duration_since(Instant::now()));
        let before = own_cpu()?;
        thread::sleep(end.saturating_duration_since(Instant::now()));
        anyhow::Ok(own_cpu()? - before)
    })?;
    let arrivals = arrivals.into_inner().unwrap_or_default();
    let bits = arrivals.between(SETTLE, SECONDS) as f64 * 8.0;
    let fits = megabits * 1e6 * PAYLOAD * (SECONDS - SETTLE);
    let idle = ping.packets(zero).into_iter().filter(|ping| ping.at < 0.0);
    let idle: Vec<f64> = idle.filter_map(|ping| ping.delay_ms).collect();
    let beyond = |share| quantile(&idle, share).map_or(f64::NAN, |time| time - rtt as f64);
    Ok(Precision {
        share: 100.0 * bits / fits,
        p50: beyond(0.5),
        p99: beyond(0.99),
        cpu: cpu / SECONDS,
    })
}

/// Processor time of this program, seconds.
fn own_cpu() -> Result<f64> {
    let ticks = parse_ticks(&fs::read_to_string("/proc/self/stat")?);
    let ticks = ticks.context("/proc/self/stat is not as expected")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
