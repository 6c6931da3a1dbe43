//! What happens in the demo, in order.

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use lab::echo::{self, EchoOptions};
use lab::transfer::{self, TcpOptions, TcpReport};
use lab::{End, Interrupt, Meter, MeterOptions, Namespace, Stall, StallWatch, Way};

use super::event::Goal;
use super::progress::Progress;
use super::rates::Rates;
use super::report::{Figures, Report};
use super::scene::{Line, Scene, View, segment_address};

mod stretch;

use stretch::Mark;

/// How often we look at signals and daemons, and renew the live line.
const STEP: Duration = Duration::from_millis(50);
/// How long anything may take that takes a second: to come up, to move to the other line.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long things are watched after an event has been dealt with.
const AFTER: Duration = Duration::from_millis(1500);
/// How long one TCP connection sends, each way.
const TRANSFER: Duration = Duration::from_secs(2);
/// An order reaches the other end within this time; well below the 0.2 s after which traffic
/// moves back.
const ORDER_ARRIVES: Duration = Duration::from_millis(60);
/// How often we try what a busy machine can spoil.
const ATTEMPTS: usize = 3;
/// A machine that stands still for longer than this at a time is not calm.
const CALM: Duration = Duration::from_millis(20);
/// What may be spent on playing parts again that the machine spoilt: the demo takes about 20 s, and
/// shall end within 60 s.
const SPARE: Duration = Duration::from_secs(30);
const NOT_DRAINED: &str = "line 1 is not drained";
/// Whatever is under way arrives within this time, or never.
const GRACE: Duration = Duration::from_millis(500);

/// What nobody has measured on the old set-up.
const UNKNOWN: &str = "-";
/// What it did with both tunnels up and balance-alb.
const NOTHING: &str = "nothing passes";
/// What it did when a line died.
const RESTART: &str = "20 s to never";

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
        watch: StallWatch::start(),
        spare: SPARE,
        meter: None,
        marks: Vec::new(),
        rates: Rates::default(),
        figures: Figures::default(),
    };
    let gave_up = match script.play_all(start) {
        Ok(()) => None,
        Err(error) => Some(script.excuse(error)?),
    };
    let events = script.events()?;
    progress.clear();
    Ok(Report {
        figures: script.figures,
        events,
        gave_up,
        stall: script.watch.since(start),
        elapsed: start.elapsed(),
    })
}

struct Script<'a> {
    scene: &'a mut Scene,
    progress: &'a Progress,
    interrupt: &'a Interrupt,
    /// Tells what ropewalk does from what this machine does.
    watch: StallWatch,
    /// What is left of [`SPARE`].
    spare: Duration,
    meter: Option<Meter>,
    marks: Vec<Mark>,
    rates: Rates,
    figures: Figures,
}

impl Script<'_> {
    fn play_all(&mut self, start: Instant) -> Result<()> {
        self.come_up(start)?;
        self.ping()?;
        for (from, to) in [(End::A, End::B), (End::B, End::A)] {
            self.figures.tcp_megabits[from as usize] = Some(self.transfer(from, to)?);
        }
        self.start_meter()?;
        self.play_part(|script| {
            script.line_one_dies()?;
            script.line_one_returns()
        })?;
        self.play_part(|script| {
            script.line_one_is_drained()?;
            script.line_two_dies()?;
            script.line_two_returns()
        })?;
        self.play_part(Self::a_moves)
    }

    /// The text of an error that this machine may be the reason of; any other error as it is.
    fn excuse(&self, error: anyhow::Error) -> Result<String> {
        let stall = self.watch.since(Instant::now() - 2 * PATIENCE);
        match !self.interrupt.asked() && stall.explains(Stall::NEVER) {
            true => Ok(format!("{error:#}")),
            false => Err(error),
        }
    }

    fn come_up(&mut self, start: Instant) -> Result<()> {
        self.wait("the daemons do not find each other", View::up)?;
        let up_after = start.elapsed();
        self.figures.up_after = Some(up_after);
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
        Ok(())
    }

    fn ping(&mut self) -> Result<()> {
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
        self.figures.round_trip = Some(report.p50);
        Ok(())
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
            let stood = self.watch.since(start).longest;
            if attempt == ATTEMPTS || stood <= CALM {
                break;
            }
            self.progress.say(&format!(
                "this machine stood still for {} ms; waiting for it to calm down",
                stood.as_millis()
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
        let address = self.scene.move_a()?;
        let ready = self.wait("line 1 does not follow A's new address", |view| {
            view.moved_to(address)
        })?;
        // And is not left for good.
        self.wait("line 1 carries no more", |view| {
            view.carries_alone(Line::One)
        })?;
        self.rest(AFTER)?;
        self.told(Some(ready))
    }

    /// Waits until both daemons see it so; how long that took. While this machine stands still
    /// nobody can be expected to do anything.
    fn wait(&mut self, otherwise: &str, wanted: impl Fn(&View) -> bool) -> Result<Duration> {
        let start = Instant::now();
        loop {
            self.interrupt.check()?;
            // At the very start the sockets are not there yet.
            let view = self.scene.view();
            let patience = PATIENCE + self.watch.since(start).total.min(PATIENCE);
            match &view {
                Ok(view) if wanted(view) => return Ok(start.elapsed()),
                _ if start.elapsed() < patience => {}
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
