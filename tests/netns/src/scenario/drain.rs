//! The operator takes a line out of service, without losing anything.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use lab::End;

use super::Scenario;
use super::stage::{Observed, Stage};
use crate::pair::Pair;

pub(super) fn run(scenario: &Scenario, end: End) -> Result<Observed> {
    let mut stage = Stage::set(scenario, "ordered at one end")?;
    let ordered = stage.mark(&format!("drain of line1 ordered at {end:?}"));
    let peer = Pair::peer_of(end);
    let output = stage
        .pair
        .daemon(end)
        .client(&["path", "drain", peer, "line1"])?;
    ensure!(
        output.status.success(),
        "path drain: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    sleep(Duration::from_millis(800));
    let until = stage.meter.mark();
    sleep(Duration::from_millis(300));
    stage.read_counts("path drain", ordered, until);
    let moved = stage.pair.busiest(Duration::from_millis(100))?;
    ensure!(moved == [2, 2], "drained, and still used: {moved:?}");
    Ok(stage.finish())
}
