//! Lines go down and up a hundred times at random, or are dead from the beginning.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use lab::{End, MeterOptions, Way};
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use super::Scenario;
use super::stage::{Observed, wall_time};
use crate::pair::{Pair, PairOptions};
use crate::reading::{Goal, Reading, ms};

/// How many times a line goes down and up.
const CYCLES: usize = 100;
/// The longest hold-down, and two seconds.
const CARRIES_AGAIN_MS: f64 = 32_000.0;

/// How a line is down.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Silent(Way),
    Carrier(End),
}

impl Fault {
    fn random(rng: &mut ChaCha12Rng) -> Self {
        match rng.random_range(0..5) {
            0 => Self::Silent(Way::AToB),
            1 => Self::Silent(Way::BToA),
            2 => Self::Silent(Way::Both),
            3 => Self::Carrier(End::A),
            _ => Self::Carrier(End::B),
        }
    }

    fn set(self, pair: &Pair, line: usize, broken: bool) -> Result<()> {
        let line = pair.line(line)?;
        match self {
            Self::Silent(way) if broken => line.cut(way),
            Self::Silent(_) => line.heal(),
            Self::Carrier(end) => line.set_carrier(end, !broken),
        }
    }
}

/// `seed` decides what happens.
pub(super) fn run(scenario: &Scenario, seed: u64) -> Result<Observed> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut pair = Pair::start(PairOptions::new(scenario.mode.name(), scenario.specs()))?;
    let meter = pair.meter_with(MeterOptions {
        rate: 100,
        grace: Duration::from_millis(300),
        ..MeterOptions::default()
    })?;
    for _ in 0..CYCLES {
        let line = rng.random_range(1..=pair.lines.len());
        let fault = Fault::random(&mut rng);
        fault.set(&pair, line, true)?;
        // Every fourth time a second one is down at the same time.
        let second = (1..=pair.lines.len()).find(|other| *other != line && rng.random_ratio(1, 4));
        if let Some(second) = second {
            Fault::Silent(Way::Both).set(&pair, second, true)?;
        }
        sleep(Duration::from_millis(rng.random_range(20..300)));
        fault.set(&pair, line, false)?;
        if let Some(second) = second {
            Fault::Silent(Way::Both).set(&pair, second, false)?;
        }
        sleep(Duration::from_millis(rng.random_range(20..200)));
    }
    let mut notes = format!("{} the last cycle ended\n", wall_time());
    let up = pair.wait_all_up(Duration::from_secs(10));
    let limit = Duration::from_millis(CARRIES_AGAIN_MS as u64 + 5000);
    let carrying = pair.wait(limit, "the lines carry again", |pair| {
        all_carry(scenario, pair)
    });
    let mark = meter.mark();
    sleep(Duration::from_millis(1000));
    let after = meter.report_since(mark);
    notes += &format!("up {up:?}, carrying {carrying:?}, after {after:?}\n");
    let total = match (&up, &carrying) {
        (Ok(up), Ok(carrying)) => ms(*up + *carrying),
        _ => f64::INFINITY,
    };
    let up = up.map_or(f64::INFINITY, ms);
    let reading = |event: &str, goal, value| Reading {
        row: scenario.row(event, "random", goal),
        value,
    };
    let readings = vec![
        reading(
            "100 down/up cycles: all paths up after",
            Goal::Ms(2000.0),
            up,
        ),
        reading(
            "100 down/up cycles: all carry after",
            Goal::Ms(CARRIES_AGAIN_MS),
            total,
        ),
        reading(
            "100 down/up cycles: lost in the second after",
            Goal::Count(0.0),
            after.lost() as f64,
        ),
    ];
    let story = format!("seed {seed}\n{notes}{}", pair.describe());
    Ok(Observed { readings, story })
}

/// Whether all lines carry, or stand by only because the mode wants fewer.
fn all_carry(scenario: &Scenario, pair: &Pair) -> Result<bool> {
    for end in [End::A, End::B] {
        let mut active = 0;
        for line in 1..=pair.lines.len() {
            let path = pair.path(end, line)?;
            active += usize::from(path["active"] == true);
            let reason = &path["excluded_reason"];
            let may = path["active"] == true || reason == "standby";
            if path["state"] != "up" || !may {
                return Ok(false);
            }
        }
        if active
            < if scenario.mode.is_single_path_only() {
                1
            } else {
                pair.lines.len()
            }
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The daemons start while line 1 is dead; then it lives.
pub(super) fn boot(scenario: &Scenario, way: Way) -> Result<Observed> {
    let options = PairOptions::new(scenario.mode.name(), scenario.specs());
    let mut pair = Pair::start_unready(options, |lines| {
        lines.first().map_or(Ok(()), |line| line.cut(way))
    })?;
    let others: Vec<usize> = (2..=pair.lines.len()).collect();
    pair.wait_up(&others, Duration::from_secs(10))?;
    sleep(Duration::from_millis(1500));
    let mut notes = format!("{} line1 lives\n", wall_time());
    pair.line(1)?.heal()?;
    let up = pair.wait_all_up(Duration::from_secs(10));
    notes += &format!("{} up {up:?}\n", wall_time());
    let row = scenario.row(
        "boot with a line dead: all up after it lives",
        "both",
        Goal::Ms(2000.0),
    );
    let value = up.map_or(f64::INFINITY, ms);
    let story = format!("{notes}{}", pair.describe());
    Ok(Observed {
        readings: vec![Reading { row, value }],
        story,
    })
}
