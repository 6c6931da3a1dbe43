//! What happens in the demo, in order.

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use lab::echo::{self, EchoOptions};
use lab::meter::MeterReport;
use lab::transfer::{self, TcpOptions, TcpReport};
use lab::{End, Meter, MeterOptions, Namespace, Way};

use super::interrupt::Interrupt;
use super::progress::Progress;
use super::rates::Rates;
use super::report::{BUSY, Event, Goal, Report};
use super::scene::{Line, Scene, View, segment_address};

/// How often we look at signals and daemons, and renew the live line.
const STEP: Duration = Duration::from_millis(50);
/// How long anything may take that takes a second: to come up, to move to the other line.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long things are watched after an event has been dealt with.
const AFTER: Duration = Duration::from_millis(1500);
/// An event's stretch of time begins this long before it: what it loses was sent before.
const LEAD: Duration = Duration::from_millis(300);
/// How long one TCP connection sends, each way.
const TRANSFER: Duration = Duration::from_secs(2);
/// An order reaches the other end within this time; well below the 0.2 s after which traffic
/// moves back.
const ORDER_ARRIVES: Duration = Duration::from_millis(60);
/// How often we try what a busy machine can spoil.
const ATTEMPTS: usize = 3;
const NOT_DRAINED: &str = "line 1 is not drained";
/// Whatever is under way arrives within this time, or never.
const GRACE: Duration = Duration::from_millis(500);

/// What nobody has measured on the old set-up.
const UNKNOWN: &str = "-";
/// What it did with both tunnels up and balance-alb.
const NOTHING: &str = "nothing passes";
/// What it did when a line died.
const RESTART: &str = "20 s to never";

/// An event whose stretch of time has begun.
struct Mark {
    what: &'static str,
    goal: Goal,
    before: &'static str,
    from: Instant,
    ready: Option<Duration>,
}

/// Plays everything and reports it.
pub(super) fn play(
    scene: &mut Scene,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let start = Instant::now();
    let mut script = Script {
        scene,
        progress,
        interrupt,
        meter: None,
        marks: Vec::new(),
        rates: Rates::default(),
    };
    let up_after = script.come_up(start)?;
    let round_trip = script.ping()?;
    let tcp_megabits = [
        script.transfer(End::A, End::B)?,
        script.transfer(End::B, End::A)?,
    ];
    script.start_meter()?;
    script.line_one_dies()?;
    script.line_one_returns()?;
    script.line_one_is_drained()?;
    script.line_two_dies()?;
    script.line_two_returns()?;
    script.a_moves()?;
    let events = script.events()?;
    progress.clear();
    Ok(Report {
        up_after,
        round_trip,
        tcp_megabits,
        events,
        elapsed: start.elapsed(),
    })
}

struct Script<'a> {
    scene: &'a mut Scene,
    progress: &'a Progress,
    interrupt: &'a Interrupt,
    meter: Option<Meter>,
    marks: Vec<Mark>,
    rates: Rates,
}

impl Script<'_> {
    fn come_up(&mut self, start: Instant) -> Result<Duration> {
        self.wait("the daemons do not find each other", View::up)?;
        let up_after = start.elapsed();
        self.wait("the lines do not both come up", |view| {
            view.usable(Line::One) && view.usable(Line::Two)
        })?;
        self.progress.say(&format!(
            "A and B are connected after {:.0} ms, over both lines after {:.0} ms",
            up_after.as_secs_f64() * 1e3,
            start.elapsed().as_secs_f64() * 1e3
        ))?;
        self.wait("line 1, the better one, carries nothing", |view| {
            view.carries_alone(Line::One)
        })?;
        Ok(up_after)
    }

    fn ping(&mut self) -> Result<Duration> {
        let (a, b) = self.hosts();
        let address = segment_address(End::B);
        echo::wait_reachable(&a, &b, address, PATIENCE)?;
        let options = EchoOptions {
            count: 20,
            interval: Duration::from_millis(10),
            ..EchoOptions::default()
        };
        let report = echo::ping(&a, &b, address, options)?;
        self.progress.say(&format!(
            "ping A to B: {} of {} answered, median {:.1} ms (line 1 alone: {} ms)",
            report.received,
            report.sent,
            report.p50.as_secs_f64() * 1e3,
            Line::One.round_trip_ms()
        ))?;
        Ok(report.p50)
    }

    fn hosts(&self) -> (Namespace, Namespace) {
        let host = |end| self.scene.host(end).clone();
        (host(End::A), host(End::B))
    }

    /// One TCP connection; Mbit/s.
    fn transfer(&mut self, from: End, to: End) -> Result<f64> {
        let (source, target) = (self.scene.host(from).clone(), self.scene.host(to).clone());
        let address: IpAddr = segment_address(to);
        let options = TcpOptions {
            duration: TRANSFER,
            ..TcpOptions::default()
        };
        let work = move || transfer::tcp(&source, &target, address, &options);
        let worker = thread::Builder::new().name("tcp".into()).spawn(work)?;
        while !worker.is_finished() {
            // Not interrupted: the worker ends by itself, soon.
            thread::sleep(STEP);
            self.show();
        }
        let report: TcpReport = worker
            .join()
            .map_err(|_| anyhow!("the transfer panicked"))??;
        self.interrupt.check()?;
        let megabits = report.goodput_bps / 1e6;
        self.progress.say(&format!(
            "TCP {from:?} to {to:?}, one connection: {megabits:.1} Mbit/s (line 1 has {})",
            Line::One.megabits()
        ))?;
        if report.bytes == 0 {
            bail!("TCP from {from:?} to {to:?} carried nothing");
        }
        Ok(megabits)
    }

    fn start_meter(&mut self) -> Result<()> {
        let options = MeterOptions {
            grace: GRACE,
            ..MeterOptions::default()
        };
        let ends = [End::A, End::B].map(|end| self.scene.meter_end(end));
        let [a, b] = &ends;
        let meter = Meter::start(a, b, options)?;
        meter.wait_flowing(PATIENCE)?;
        self.meter = Some(meter);
        self.progress
            .say("from here on 1000 packets a second each way; gaps A to B / B to A:")?;
        // The transfers' queues drain first.
        self.rest(Duration::from_millis(1000))?;
        for attempt in 1..=ATTEMPTS {
            self.marks.clear();
            let start = Instant::now();
            self.mark("nothing, for 2 s", lossless(), NOTHING);
            self.rest(Duration::from_secs(2))?;
            let gap = self
                .meter
                .as_ref()
                .map(|meter| meter.report_since(start).outage());
            if attempt == ATTEMPTS || gap.is_none_or(|gap| gap <= BUSY) {
                break;
            }
            self.progress.say(&format!(
                "this machine holds packets up by {} ms; waiting for it to calm down",
                gap.unwrap_or_default().as_millis()
            ))?;
        }
        self.told(None)
    }

    fn line_one_dies(&mut self) -> Result<()> {
        self.mark("line 1, in use, dies silently", gap_of(100), RESTART);
        self.scene.cable(Line::One).cut(Way::Both);
        self.wait("line 2 does not take over", |view| {
            view.carries_alone(Line::Two)
        })?;
        self.rest(AFTER)?;
        self.told(None)
    }

    fn line_one_returns(&mut self) -> Result<()> {
        self.mark("line 1 returns, is used after", back(), UNKNOWN);
        self.scene.cable(Line::One).heal();
        let ready = self.wait("line 1 is not used again", |view| {
            view.carries_alone(Line::One)
        })?;
        self.rest(AFTER)?;
        self.told(Some(ready))
    }

    fn line_one_is_drained(&mut self) -> Result<()> {
        self.mark("line 1 is drained by command", lossless(), UNKNOWN);
        self.scene.path_command(Line::One, "drain")?;
        self.wait(NOT_DRAINED, |view| view.carries_alone(Line::Two))?;
        self.rest(AFTER)?;
        self.told(None)
    }

    /// Line 1 may be used again, and before traffic has moved back to it, line 2 dies.
    fn line_two_dies(&mut self) -> Result<()> {
        self.mark("line 2, in use, dies silently", gap_of(100), RESTART);
        for attempt in 1..=ATTEMPTS {
            self.scene.path_command(Line::One, "up")?;
            thread::sleep(ORDER_ARRIVES);
            let view = self.scene.view()?;
            let is_the_moment = view.usable(Line::One) && view.carries_alone(Line::Two);
            if is_the_moment || attempt == ATTEMPTS {
                break;
            }
            // A machine as busy as this missed it.
            self.scene.path_command(Line::One, "drain")?;
            self.wait(NOT_DRAINED, |view| view.carries_alone(Line::Two))?;
        }
        self.scene.cable(Line::Two).cut(Way::Both);
        self.wait("line 1 does not take over", |view| {
            view.carries_alone(Line::One) && !view.usable(Line::Two)
        })?;
        self.rest(AFTER)?;
        self.told(None)
    }

    fn line_two_returns(&mut self) -> Result<()> {
        self.mark("line 2 returns, ready after", back(), UNKNOWN);
        self.scene.cable(Line::Two).heal();
        let ready = self.wait("line 2 does not come back", |view| view.usable(Line::Two))?;
        self.rest(AFTER)?;
        self.told(Some(ready))
    }

    fn a_moves(&mut self) -> Result<()> {
        let goal = Goal {
            gap: Some(Duration::from_secs(1)),
            ready: Some(Duration::from_secs(1)),
            lossless: false,
        };
        self.mark("A moves, line 1 follows after", goal, RESTART);
        self.scene.move_a()?;
        let ready = self.wait("line 1 does not follow A's new address", View::moved)?;
        // And is not left for good.
        self.wait("line 1 carries no more", |view| {
            view.carries_alone(Line::One)
        })?;
        self.rest(AFTER)?;
        self.told(Some(ready))
    }

    fn mark(&mut self, what: &'static str, goal: Goal, before: &'static str) {
        self.marks.push(Mark {
            what,
            goal,
            before,
            from: Instant::now() - LEAD,
            ready: None,
        });
    }

    /// Says what the last event was like.
    fn told(&mut self, ready: Option<Duration>) -> Result<()> {
        let (Some(mark), Some(meter)) = (self.marks.last_mut(), &self.meter) else {
            return Ok(());
        };
        mark.ready = ready;
        let felt = meter.report_since(mark.from);
        let after = ready.map_or(String::new(), |ready| {
            format!(" {:.1} s", ready.as_secs_f64())
        });
        self.progress
            .say(&format!("{}{after}: {}", mark.what, felt_text(&felt)))
    }

    /// The stretches of time between the marks, after the last packets have arrived.
    fn events(&mut self) -> Result<Vec<Event>> {
        let end = Instant::now();
        self.rest(GRACE + LEAD)?;
        let Some(meter) = &self.meter else {
            return Ok(Vec::new());
        };
        let ends = self.marks.iter().skip(1).map(|mark| mark.from).chain([end]);
        let event = |(mark, to): (&Mark, Instant)| Event {
            what: mark.what,
            goal: mark.goal,
            felt: meter.report_between(mark.from, to),
            ready: mark.ready,
            before: mark.before,
        };
        Ok(self.marks.iter().zip(ends).map(event).collect())
    }

    /// Waits until both daemons see it so; how long that took.
    fn wait(&mut self, otherwise: &str, wanted: impl Fn(&View) -> bool) -> Result<Duration> {
        let start = Instant::now();
        loop {
            self.interrupt.check()?;
            // At the very start the sockets are not there yet.
            let view = self.scene.view();
            match &view {
                Ok(view) if wanted(view) => return Ok(start.elapsed()),
                _ if start.elapsed() < PATIENCE => {}
                Ok(view) => bail!("{otherwise} within {PATIENCE:?}:{}", view.describe()),
                Err(error) => bail!("{otherwise} within {PATIENCE:?}: {error:#}"),
            }
            thread::sleep(STEP);
            self.show();
        }
    }

    /// Lets time pass.
    fn rest(&mut self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.interrupt.check()?;
            thread::sleep(STEP.min(end.saturating_duration_since(Instant::now())));
            self.show();
        }
        Ok(())
    }

    /// Renews the live line.
    fn show(&mut self) {
        let Self {
            scene,
            meter,
            rates,
            marks,
            ..
        } = self;
        self.progress.live(|| {
            let [a, b] = rates.renew(scene);
            let rates = format!("line 1 {a:.1} Mbit/s, line 2 {b:.1} Mbit/s");
            let (Some(meter), Some(mark)) = (meter, marks.last()) else {
                return rates;
            };
            let gap = meter.report_since(mark.from).outage();
            format!("{rates}, longest gap {} ms: {}", gap.as_millis(), mark.what)
        });
    }
}

fn felt_text(felt: &MeterReport) -> String {
    format!(
        "longest gap {:.0} / {:.0} ms, {} lost, {} twice",
        felt.a_to_b.gap_ms(),
        felt.b_to_a.gap_ms(),
        felt.lost(),
        felt.duplicated()
    )
}

fn lossless() -> Goal {
    Goal {
        lossless: true,
        ..Goal::default()
    }
}

fn gap_of(ms: u64) -> Goal {
    Goal {
        gap: Some(Duration::from_millis(ms)),
        ..Goal::default()
    }
}

fn back() -> Goal {
    Goal {
        lossless: true,
        ready: Some(Duration::from_secs(2)),
        ..Goal::default()
    }
}
