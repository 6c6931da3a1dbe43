//! What can happen to a pair, and what its users feel: the rows of the table of goals.

use anyhow::Result;
use lab::Way;

use crate::line::{Kind, LineSpec};
use crate::reading::{Goal, Reading, Row};

mod black_hole;

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
    /// The active line falls silent, and comes back.
    BlackHole(Way),
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
}

impl Lines {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Equal, Self::Unequal, Self::Veth];

    fn specs(self) -> Vec<LineSpec> {
        match self {
            Self::Equal => vec![LineSpec::cable(50.0, 20), LineSpec::cable(50.0, 20)],
            Self::Unequal => vec![LineSpec::cable(50.0, 20), LineSpec::cable(20.0, 60)],
            Self::Veth => vec![LineSpec::new(Kind::Router), LineSpec::new(Kind::Router)],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Equal => "2 × 50 Mbit/20 ms",
            Self::Unequal => "50/20 + 20/60",
            Self::Veth => "2 × veth",
        }
    }
}

impl Scenario {
    /// A name to choose it by: "black-hole/equal/failover/a-to-b".
    pub fn name(&self) -> String {
        let lines = format!("{:?}", self.lines).to_lowercase();
        format!("{}/{lines}/{}", self.event.name(), self.mode.name())
    }

    /// Lets it happen once.
    pub fn run(&self) -> Result<Vec<Reading>> {
        match self.event {
            Event::BlackHole(way) => black_hole::run(self, way),
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
        }
    }
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
    for lines in Lines::ALL {
        for mode in [Mode::Failover, Mode::Balance] {
            for way in [Way::Both, Way::AToB, Way::BToA] {
                all.push(Scenario {
                    event: Event::BlackHole(way),
                    lines,
                    mode,
                });
            }
        }
    }
    all
}
