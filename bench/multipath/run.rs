//! Plays a scenario once: fresh hosts, fresh lines, fresh daemons.

use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{End, Interrupt, Namespace, StallWatch, Way};
use netns::line::{Kind, LineSpec};
use netns::{Line, Pair, PairOptions};

use crate::probe::Probe;
use crate::record::{Arrivals, FlowRecord, Record, StreamRecord, seconds_since};
use crate::scenario::{Action, Direction, Event, Mode, Scenario};
use crate::tcp::{Flow, Times};
use crate::watch;

/// How long until all paths are up and measured.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long pings go through idle lines before the load.
const IDLE: Duration = Duration::from_millis(2000);
/// Pings per second, and their payload: as small as those of `ping`.
const PINGS: (f64, usize) = (50.0, 56);
/// Enough for lines of 300 Mbit/s and 250 ms.
const BUFFERS: &str = "4096 131072 33554432";

/// What sends during a run.
struct Traffic<'a> {
    flows: Vec<(Flow, Direction, f64)>,
    arrivals: Vec<Mutex<Arrivals>>,
    streams: Vec<(Probe, &'a crate::scenario::Stream)>,
    ping: Probe,
}

/// Under which circumstances a scenario is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// The mode of the peers.
    pub(crate) mode: Mode,
    /// Decides what is lost by chance.
    pub(crate) seed: u64,
    /// The daemons have real-time priority.
    pub(crate) preferred: bool,
}

/// Plays it once.
pub(crate) fn play(
    scenario: &Scenario,
    conditions: Conditions,
    interrupt: &Interrupt,
) -> Result<Record> {
    let pair = start(scenario, conditions)?;
    let traffic = Traffic::prepare(scenario, &pair)?;
    let watch = StallWatch::start();
    let zero = Instant::now() + IDLE + Duration::from_millis(100);
    let end = zero + Duration::from_secs_f64(scenario.seconds);
    let mut record = observe(
        scenario,
        conditions.mode,
        &pair,
        traffic,
        (zero, end),
        interrupt,
    )?;
    record.stall = watch.between(zero, end);
    Ok(record)
}

fn start(scenario: &Scenario, conditions: Conditions) -> Result<Pair> {
    let spec = |line: &crate::scenario::Line| LineSpec {
        seed: conditions.seed,
        ..LineSpec::new(Kind::Cable(line.profile()))
    };
    let lines = scenario.lines.iter().map(spec).collect();
    let options = PairOptions::new(conditions.mode.name(), lines);
    let mut pair = Pair::start_unready(options, |_| Ok(()))?;
    for host in &pair.hosts {
        host.sysctl("ipv4/tcp_wmem", BUFFERS)?;
        host.sysctl("ipv4/tcp_rmem", BUFFERS)?;
    }
    if conditions.preferred {
        for end in [End::A, End::B] {
            prefer(pair.pid(end))?;
        }
    }
    pair.wait_all_up(PATIENCE)?;
    Ok(pair)
}

/// Puts all threads of a program before ordinary ones, beside the emulated lines: what other
/// programs do to this machine is not what is measured.
fn prefer(pid: u32) -> Result<()> {
    let mut command = Command::new("chrt");
    command.args(["-a", "-f", "-p", "1", &pid.to_string()]);
    let status = command.status().context("run chrt (util-linux)")?;
    ensure!(
        status.success(),
        "no real-time priority for the daemons: try --ordinary"
    );
    Ok(())
}

/// Sender, receiver and the receiver's address.
fn ends(pair: &Pair, direction: Direction) -> (&Namespace, &Namespace, IpAddr) {
    let (from, to) = match direction {
        Direction::AToB => (End::A, End::B),
        Direction::BToA => (End::B, End::A),
    };
    (pair.host(from), pair.host(to), pair.address(to))
}

impl<'a> Traffic<'a> {
    fn prepare(scenario: &'a Scenario, pair: &Pair) -> Result<Self> {
        let mut flows = Vec::new();
        for tcp in &scenario.tcp {
            let (from, to, address) = ends(pair, tcp.direction);
            for _ in 0..tcp.flows {
                let flow = Flow::connect(from, to, address, &tcp.congestion)?;
                flows.push((flow, tcp.direction, tcp.at));
            }
        }
        let mut streams = Vec::new();
        for stream in &scenario.streams {
            let (from, to, address) = ends(pair, stream.direction);
            let probe = Probe::one_way(from, to, address, stream.rate, stream.payload)?;
            streams.push((probe, stream));
        }
        let (from, to, address) = ends(pair, Direction::AToB);
        Ok(Self {
            arrivals: flows.iter().map(|_| Mutex::default()).collect(),
            flows,
            streams,
            ping: Probe::ping(from, to, address, PINGS.0, PINGS.1)?,
        })
    }
}

/// Lets everything run and writes down what happened.
fn observe(
    scenario: &Scenario,
    mode: Mode,
    pair: &Pair,
    mut traffic: Traffic<'_>,
    (zero, end): (Instant, Instant),
    interrupt: &Interrupt,
) -> Result<Record> {
    let times = |begin: Instant| Times { zero, begin, end };
    let flows = std::mem::take(&mut traffic.flows);
    let directions: Vec<Direction> = flows.iter().map(|flow| flow.1).collect();
    let at_end = thread::scope(|scope| {
        traffic.ping.start(scope, times(zero - IDLE));
        for (probe, _) in &traffic.streams {
            probe.start(scope, times(zero));
        }
        for ((flow, _, at), arrivals) in flows.into_iter().zip(&traffic.arrivals) {
            let begin = zero + Duration::from_secs_f64(at);
            flow.start(scope, times(begin), arrivals);
        }
        let samples = scope.spawn(move || watch::samples(&pair.lines, &pair.hosts, times(zero)));
        wait_until(zero, interrupt)?;
        let before = daemons_cpu(pair)?;
        let events = play_events(scenario, &pair.lines, zero, interrupt)?;
        wait_until(end, interrupt)?;
        let cpu = daemons_cpu(pair)? - before;
        let status = [pair.status(End::A)?, pair.status(End::B)?];
        let samples = samples.join().map_err(|_| anyhow::anyhow!("a watcher"))??;
        anyhow::Ok((events, cpu, status, samples))
    });
    let (events, daemon_cpu, status, samples) = at_end?;
    let arrivals = traffic.arrivals.into_iter().map(|arrivals| {
        arrivals
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    });
    let flow = |(direction, arrivals)| FlowRecord {
        direction,
        arrivals,
    };
    let stream = |(probe, stream): &(Probe, &crate::scenario::Stream)| StreamRecord {
        name: stream.name.clone(),
        direction: stream.direction,
        packets: probe.packets(zero),
    };
    Ok(Record {
        scenario: scenario.clone(),
        mode,
        flows: directions.into_iter().zip(arrivals).map(flow).collect(),
        streams: traffic.streams.iter().map(stream).collect(),
        pings: traffic.ping.packets(zero),
        samples,
        events,
        stall: lab::Stall::default(),
        daemon_cpu,
        status,
    })
}

fn wait_until(at: Instant, interrupt: &Interrupt) -> Result<()> {
    loop {
        interrupt.check()?;
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(100)));
    }
}

fn play_events(
    scenario: &Scenario,
    lines: &[Line],
    zero: Instant,
    interrupt: &Interrupt,
) -> Result<Vec<(f64, String)>> {
    let mut played = Vec::new();
    for event in &scenario.events {
        wait_until(zero + Duration::from_secs_f64(event.at), interrupt)?;
        let line = event.line.checked_sub(1).and_then(|line| lines.get(line));
        happen(event, line.context("no such line")?)?;
        played.push((seconds_since(zero, Instant::now()), event.describe()));
    }
    Ok(played)
}

fn happen(event: &Event, line: &Line) -> Result<()> {
    match event.action {
        Action::Cut => line.cut(Way::Both)?,
        Action::Heal => line.heal()?,
        Action::Change => {
            let cable = line.cable().context("the line is no cable")?;
            cable.update(Way::Both, |profile| event.change_profile(profile));
        }
        // Taken apart when the scenario was read.
        Action::Flap => {}
    }
    Ok(())
}

/// Processor time both daemons have used so far, seconds.
fn daemons_cpu(pair: &Pair) -> Result<f64> {
    let mut ticks = 0;
    for end in [End::A, End::B] {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pair.pid(end)))?;
        ticks += parse_ticks(&stat).context("/proc/PID/stat is not as expected")?;
    }
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system time of all threads in clock ticks (proc(5): fields 14 and 15).
pub(crate) fn parse_ticks(stat: &str) -> Option<u64> {
    // The name, in parentheses, may have blanks and parentheses itself.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}
