//! The active line falls silent without a word, and comes back.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::Way;

use super::stage::{Observed, Stage};
use super::{Lines, Scenario, way_name};
use crate::reading::{Goal, ms};

/// How long the line is silent.
const SILENT: Duration = Duration::from_millis(800);
/// How long its return is watched.
const WATCHED: Duration = Duration::from_millis(2000);

pub(super) fn run(scenario: &Scenario, way: Way) -> Result<Observed> {
    let mut stage = Stage::set(scenario, way_name(way))?;
    let cut = stage.mark("line1 cut");
    stage.pair.line(1)?.cut(way)?;
    sleep(SILENT);
    let silence = stage.meter.report_since(cut);
    let goal = match scenario.lines {
        Lines::Veth => 30.0,
        Lines::Unequal => 100.0,
        _ => 60.0,
    };
    let gap = ms(silence.outage());
    stage.read("active line black-holed: gap", Goal::Ms(goal), gap);
    // The return of a line is the same whichever way it was silent.
    if way == Way::Both {
        watch_return(&mut stage, |stage| stage.pair.line(1)?.heal())?;
    }
    Ok(stage.finish())
}

/// Puts line 1 in order with `heal`, and reads how that goes.
pub(super) fn watch_return(
    stage: &mut Stage<'_>,
    heal: impl FnOnce(&Stage<'_>) -> Result<()>,
) -> Result<()> {
    let back = stage.mark("line1 back");
    heal(stage)?;
    let used = stage.wait_used(1, WATCHED * 3);
    stage.read_time("line comes back: used again", 2000.0, &used);
    sleep((back + WATCHED).saturating_duration_since(Instant::now()));
    let until = stage.meter.mark();
    sleep(Duration::from_millis(300));
    stage.read_counts("line comes back", back, until - Duration::from_millis(200));
    Ok(())
}
