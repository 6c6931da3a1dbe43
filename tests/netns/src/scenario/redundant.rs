//! Every record on two lines: one dies, and nobody notices.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use lab::{End, Way};

use super::Scenario;
use super::stage::{Observed, Stage};

/// Which lines die how, one after the other; in between they come back.
const DEATHS: [(usize, Option<Way>); 3] = [(1, Some(Way::Both)), (2, Some(Way::AToB)), (1, None)];

pub(super) fn run(scenario: &Scenario) -> Result<Observed> {
    let mut stage = Stage::set(scenario, "each line, each way")?;
    let begin = stage.mark("begin");
    for (number, way) in DEATHS {
        stage.mark(&format!("line{number} dies: {way:?} (none: carrier)"));
        let line = stage.pair.line(number)?;
        match way {
            Some(way) => line.cut(way)?,
            None => line.set_carrier(End::A, false)?,
        }
        sleep(Duration::from_millis(400));
        stage.mark("and lives");
        let line = stage.pair.line(number)?;
        match way {
            Some(_) => line.heal()?,
            None => line.set_carrier(End::A, true)?,
        }
        // The next one may die only when this one carries again.
        stage.wait_used(number, Duration::from_secs(5))?;
        sleep(Duration::from_millis(200));
    }
    let until = stage.meter.mark();
    sleep(Duration::from_millis(300));
    stage.read_counts(
        "a line dies in redundant",
        begin,
        until - Duration::from_millis(200),
    );
    Ok(stage.finish())
}
