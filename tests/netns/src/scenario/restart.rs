//! A daemon is killed and started again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::End;

use super::Scenario;
use super::stage::{Observed, Stage};

pub(super) fn run(scenario: &Scenario, end: End) -> Result<Observed> {
    let mut stage = Stage::set(scenario, &format!("{end:?}"))?;
    stage.mark("killed");
    stage.pair.daemon(end).kill()?;
    sleep(Duration::from_millis(700));
    stage.mark("started");
    let start = Instant::now();
    stage.pair.daemon(end).restart()?;
    let flowing = stage.meter.wait_flowing(Duration::from_secs(5));
    let time = flowing.map(|()| start.elapsed());
    stage.read_time(
        "killed (-9) and started: carries again after",
        1000.0,
        &time,
    );
    Ok(stage.finish())
}
