//! A line's carrier goes at one end, and comes back.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use lab::End;

use super::black_hole::watch_return;
use super::stage::{Observed, Stage};
use super::{Lines, Scenario};
use crate::reading::{Goal, ms};

/// How long the carrier is away.
const AWAY: Duration = Duration::from_millis(700);

pub(super) fn run(scenario: &Scenario, end: End) -> Result<Observed> {
    let mut stage = Stage::set(scenario, "carrier lost at one end")?;
    let lost = stage.mark(&format!("carrier of line1 lost at {end:?}"));
    stage.pair.line(1)?.set_carrier(end, false)?;
    sleep(AWAY);
    let report = stage.meter.report_since(lost);
    let (from, towards) = match end {
        End::A => (report.a_to_b, report.b_to_a),
        End::B => (report.b_to_a, report.a_to_b),
    };
    let round_trip = match scenario.lines {
        Lines::Veth => 0.0,
        Lines::Unequal => 60.0,
        _ => 20.0,
    };
    let goal = Goal::Ms(round_trip / 2.0 + 10.0);
    stage.read(
        "carrier lost: gap from the end that sees it",
        goal,
        ms(from.longest_gap),
    );
    let goal = Goal::Ms(round_trip + 10.0);
    stage.read(
        "carrier lost: gap towards it",
        goal,
        ms(towards.longest_gap),
    );
    watch_return(&mut stage, |stage| {
        stage.pair.line(1)?.set_carrier(end, true)
    })?;
    Ok(stage.finish())
}
