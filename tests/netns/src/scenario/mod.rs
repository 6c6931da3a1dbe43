//! What can happen to a pair, and what its users feel: the rows of the table of goals.

use std::time::Duration;

use anyhow::Result;
use lab::undisturbed::{self, Verdict};
use lab::{End, Stall, Way};

use crate::line::{Kind, LineSpec};
use crate::reading::{Goal, Reading, Row};

mod address;
mod black_hole;
mod carrier;
mod cycles;
mod drain;
mod redundant;
mod restart;
mod stage;

pub use stage::Observed;

/// One thing that happens, under one set of conditions.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What happens.
    pub event: Event,
    /// Between which lines.
    pub lines: Lines,
    /// The mode of both peers.
    pub mode: Mode,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The active line falls silent, and (if both ways) comes back.
    BlackHole(Way),
    /// The active line's carrier goes at one end, and comes back.
    CarrierLoss,
    /// The active line is drained.
    Drain,
    /// Lines die in turn, nothing may be lost.
    Death,
    /// The daemon of this end is killed and started again.
    Restart(End),
    /// The active line's address changes at one end.
    Address,
    /// A hundred faults.
    Cycles,
    /// Started while a line is dead.
    BootDead,
}

/// The modes that have goals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The best path.
    Failover,
    /// A flow keeps its path.
    Balance,
    /// Every record on two paths.
    Redundant,
}

impl Mode {
    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Balance => "balance",
            Self::Redundant => "redundant",
        }
    }

    /// Whether a flow takes one path at a time.
    fn is_single_path(self) -> bool {
        self != Self::Redundant
    }

    /// Whether all flows take one path at a time.
    fn is_single_path_only(self) -> bool {
        self == Self::Failover
    }
}

/// The lines that have goals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// 2 × 50 Mbit/s, 20 ms.
    Equal,
    /// 50 Mbit/s and 20 ms, 20 Mbit/s and 60 ms.
    Unequal,
    /// Two veth lines, with a router in each so that they can fall silent.
    Veth,
    /// Three of them: equal, and one slower.
    Three,
    /// Only 50 Mbit/s, 20 ms.
    Single,
}

impl Lines {
    /// Those that the goals for failures name.
    pub const PAIRS: [Self; 3] = [Self::Equal, Self::Unequal, Self::Veth];

    fn specs(self) -> Vec<LineSpec> {
        let fast = || LineSpec::cable(50.0, 20);
        let slow = || LineSpec::cable(20.0, 60);
        let veth = || LineSpec::new(Kind::Router);
        match self {
            Self::Equal => vec![fast(), fast()],
            Self::Unequal => vec![fast(), slow()],
            Self::Veth => vec![veth(), veth()],
            Self::Three => vec![fast(), fast(), slow()],
            Self::Single => vec![fast()],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Equal => "2 × 50 Mbit/20 ms",
            Self::Unequal => "50/20 + 20/60",
            Self::Veth => "2 × veth",
            Self::Three => "2 × 50/20 + 20/60",
            Self::Single => "1 × 50 Mbit/20 ms",
        }
    }
}

impl Scenario {
    /// A name to choose it by: "black-hole-a-to-b/equal/failover".
    pub fn name(&self) -> String {
        let lines = format!("{:?}", self.lines).to_lowercase();
        format!("{}/{lines}/{}", self.event.name(), self.mode.name())
    }

    /// Lets it happen once. Where one end is concerned, odd runs (from 1) take A and even ones B.
    pub fn run(&self, run: usize) -> Result<Observed> {
        let end = if run % 2 == 1 { End::A } else { End::B };
        match self.event {
            Event::BlackHole(way) => black_hole::run(self, way),
            Event::CarrierLoss => carrier::run(self, end),
            Event::Drain => drain::run(self, end),
            Event::Death => redundant::run(self),
            Event::Restart(end) => restart::run(self, end),
            Event::Address => address::run(self, end),
            Event::Cycles => cycles::run(self, run as u64),
            Event::BootDead => cycles::boot(self, Way::Both),
        }
    }

    /// As [`Scenario::run`], and again while it misses `factor` goals and the machine itself stood
    /// still meanwhile. Says also how it did so during the last try.
    pub fn run_undisturbed(&self, run: usize, factor: f64) -> (Result<Observed>, Verdict, Stall) {
        let judge = |observed: &Result<Observed>, stall: Stall| match late(observed, factor) {
            None => Verdict::Good,
            Some(late) if stall.explains(late) => Verdict::Disturbed,
            Some(_) => Verdict::Missed,
        };
        undisturbed::measure(&self.name(), |_| self.run(run), judge)
    }

    /// What to report of a run that did not get as far as measuring.
    pub fn failed(&self) -> Vec<Reading> {
        let row = self.row(
            &format!("{}: runs", self.event.name()),
            "",
            Goal::Count(0.0),
        );
        vec![Reading {
            row,
            value: f64::INFINITY,
        }]
    }

    /// Whether its time is spent waiting, so that several may run at once.
    pub fn is_patient(&self) -> bool {
        self.event == Event::Cycles
    }

    fn specs(&self) -> Vec<LineSpec> {
        let specs = self.lines.specs();
        match self.event {
            Event::CarrierLoss | Event::Cycles => {
                specs.into_iter().map(LineSpec::switched).collect()
            }
            _ => specs,
        }
    }

    fn row(&self, event: &str, direction: &str, goal: Goal) -> Row {
        Row {
            event: event.to_owned(),
            lines: self.lines.name().to_owned(),
            mode: self.mode.name().to_owned(),
            direction: direction.to_owned(),
            goal,
        }
    }
}

impl Event {
    fn name(self) -> String {
        match self {
            Self::BlackHole(way) => format!("black-hole-{}", way_name(way)),
            Self::CarrierLoss => "carrier-loss".to_owned(),
            Self::Drain => "drain".to_owned(),
            Self::Death => "death".to_owned(),
            Self::Restart(end) => format!("restart-{end:?}").to_lowercase(),
            Self::Address => "address".to_owned(),
            Self::Cycles => "cycles".to_owned(),
            Self::BootDead => "boot-dead".to_owned(),
        }
    }
}

/// How late the worst reading beyond `factor` goals is, if any is.
fn late(observed: &Result<Observed>, factor: f64) -> Option<Duration> {
    let Ok(observed) = observed else {
        return Some(Stall::NEVER);
    };
    let missed = |reading: &&Reading| !reading.within(factor);
    let missed = observed.readings.iter().filter(missed);
    missed.map(Reading::late).max()
}

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Both => "both",
        Way::AToB => "a-to-b",
        Way::BToA => "b-to-a",
    }
}

/// All rows of the table of goals.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut add = |event, lines, mode| all.push(Scenario { event, lines, mode });
    let modes = [Mode::Failover, Mode::Balance];
    for lines in Lines::PAIRS {
        for mode in modes {
            for way in [Way::Both, Way::AToB, Way::BToA] {
                add(Event::BlackHole(way), lines, mode);
            }
            add(Event::CarrierLoss, lines, mode);
            add(Event::Drain, lines, mode);
        }
        add(Event::Death, lines, Mode::Redundant);
    }
    for mode in modes {
        add(Event::Restart(End::A), Lines::Equal, mode);
        add(Event::Restart(End::B), Lines::Equal, mode);
        add(Event::Address, Lines::Equal, mode);
        add(Event::BootDead, Lines::Three, mode);
        add(Event::Cycles, Lines::Equal, mode);
        add(Event::Cycles, Lines::Three, mode);
    }
    add(Event::Address, Lines::Single, Mode::Failover);
    all
}
