//! An uplink's address changes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::End;

use super::Scenario;
use super::stage::{Observed, Stage};
use crate::pair::other;
use crate::reading::{Goal, ms};

pub(super) fn run(scenario: &Scenario, end: End) -> Result<Observed> {
    let mut stage = Stage::set(scenario, "at one end")?;
    let before = stage.pair.path(other(end), 1)?["remote"].clone();
    let changed = stage.mark(&format!("address of line1 changed at {end:?}"));
    stage.pair.line(1)?.readdress(end)?;
    let followed = stage
        .pair
        .wait(Duration::from_secs(5), "the path follows", |pair| {
            let path = pair.path(other(end), 1)?;
            Ok(path["state"] == "up" && path["remote"] != before)
        });
    stage.read_time("address changes: path follows", 1000.0, &followed);
    sleep((changed + Duration::from_millis(1500)).saturating_duration_since(Instant::now()));
    let gap = ms(stage.meter.report_since(changed).outage());
    stage.read("address changes: gap", Goal::Ms(1000.0), gap);
    Ok(stage.finish())
}
