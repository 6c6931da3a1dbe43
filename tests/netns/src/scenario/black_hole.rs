//! The active line falls silent without a word, and comes back.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::{End, Way};

use super::{Lines, Scenario, way_name};
use crate::pair::{Pair, PairOptions};
use crate::reading::{Goal, Reading, ms};

/// How long estimators learn before anything happens.
const LEARN: Duration = Duration::from_millis(1500);
/// How long the line is silent.
const SILENT: Duration = Duration::from_millis(1000);
/// How long its return is watched.
const WATCHED: Duration = Duration::from_millis(2500);

pub(super) fn run(scenario: &Scenario, way: Way) -> Result<Vec<Reading>> {
    let mut pair = Pair::start(PairOptions::new(
        scenario.mode.name(),
        scenario.lines.specs(),
    ))?;
    let meter = pair.meter_on(1)?;
    sleep(LEARN);
    let mark = meter.mark();
    pair.line(1)?.cut(way)?;
    sleep(SILENT);
    let silence = meter.report_since(mark);
    let direction = way_name(way);
    let goal = match scenario.lines {
        Lines::Equal => 60.0,
        Lines::Unequal => 100.0,
        Lines::Veth => 30.0,
    };
    let row = scenario.row("active line black-holed: gap", direction, Goal::Ms(goal));
    let mut readings = vec![Reading {
        row,
        value: ms(silence.outage()),
    }];
    // The return of a line is the same whichever way it was silent.
    if way == Way::Both {
        let back = meter.mark();
        pair.line(1)?.heal()?;
        let used = pair.wait(WATCHED * 2, "line1 used again", |pair| {
            let active = |end| Ok::<_, anyhow::Error>(pair.path(end, 1)?["active"] == true);
            Ok(active(End::A)? && active(End::B)?)
        });
        let value = used.map_or(f64::INFINITY, ms);
        let row = scenario.row("line comes back: used again", direction, Goal::Ms(2000.0));
        readings.push(Reading { row, value });
        let until = back + WATCHED;
        sleep(until.saturating_duration_since(Instant::now()) + Duration::from_millis(500));
        let report = meter.report_between(back, until);
        for (what, count) in [("lost", report.lost()), ("duplicated", report.duplicated())] {
            let row = scenario.row(
                &format!("line comes back: {what}"),
                direction,
                Goal::Count(0.0),
            );
            readings.push(Reading {
                row,
                value: count as f64,
            });
        }
    }
    Ok(readings)
}
