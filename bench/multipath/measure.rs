//! All runs of one scenario.

use std::path::PathBuf;

use anyhow::Result;
use lab::{Interrupt, Stall};

use crate::record::Record;
use crate::report::{Outcome, RunReport};
use crate::run::Conditions;
use crate::scenario::{Mode, Scenario};
use crate::{judge, picture, run};

/// How often a run is tried on a machine that stands still.
const TRIES: usize = 3;
/// A machine that stood still for so long at a time has disturbed a run: goals are as fine as this.
const LONGEST: f64 = 0.04;
/// Or for this share of the time.
const SHARE: f64 = 0.02;

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The scenario, as long as it shall last.
    pub(crate) scenario: Scenario,
    /// The mode of the peers.
    pub(crate) mode: Mode,
    /// The daemons have real-time priority.
    pub(crate) preferred: bool,
    /// How many runs.
    pub(crate) runs: usize,
    /// Where pictures go.
    pub(crate) pictures: Option<PathBuf>,
}

/// Whether a run on a machine that stood still like this says little.
fn is_disturbed(stall: Stall, seconds: f64) -> bool {
    stall.longest.as_secs_f64() >= LONGEST || stall.total.as_secs_f64() >= SHARE * seconds
}

impl Plan {
    /// Plays all runs; what failed is in the outcome. An error only when it is interrupted.
    pub(crate) fn measure(&self, interrupt: &Interrupt) -> Result<Outcome> {
        let mut outcome = Outcome::new(&self.scenario, self.mode);
        for number in 1..=self.runs {
            let result = self.one(number, interrupt);
            interrupt.check()?;
            match result {
                Ok((values, report)) => outcome.add(&values, report),
                Err(error) => {
                    eprintln!("{}: FAILED: {error:#}", self.title(number));
                    outcome.add_failure(format!("{error:#}"));
                }
            }
        }
        outcome.judge();
        Ok(outcome)
    }

    fn title(&self, number: usize) -> String {
        let (name, mode) = (&self.scenario.name, self.mode.name());
        format!("{name} ({mode}) {number}/{}", self.runs)
    }

    /// One run that the machine did not disturb, or the last try.
    fn one(&self, number: usize, interrupt: &Interrupt) -> Result<(Vec<f64>, RunReport)> {
        let conditions = Conditions {
            mode: self.mode,
            seed: 1000 * number as u64,
            preferred: self.preferred,
        };
        let record = self.undisturbed(&self.scenario, conditions, number, interrupt)?;
        let reference = match &self.scenario.reference {
            Some(reference) => {
                let scenario = self.scenario.as_reference(reference);
                let mode = reference.mode.unwrap_or(self.mode);
                let conditions = Conditions { mode, ..conditions };
                Some(self.undisturbed(&scenario, conditions, number, interrupt)?)
            }
            None => None,
        };
        let values: Vec<f64> = self
            .scenario
            .goals
            .iter()
            .map(|goal| judge::value(goal, &record, reference.as_ref()).unwrap_or(f64::NAN))
            .collect();
        self.tell(number, &values);
        let all = [Some(&record), reference.as_ref()].into_iter().flatten();
        let disturbed = all
            .clone()
            .any(|record| is_disturbed(record.stall, record.scenario.seconds));
        for record in all {
            self.draw(record, number)?;
        }
        Ok((
            values,
            RunReport::new(&record, reference.as_ref(), disturbed),
        ))
    }

    fn undisturbed(
        &self,
        scenario: &Scenario,
        conditions: Conditions,
        number: usize,
        interrupt: &Interrupt,
    ) -> Result<Record> {
        let mut attempt = 1;
        loop {
            let record = run::play(scenario, conditions, interrupt)?;
            if !is_disturbed(record.stall, scenario.seconds) {
                return Ok(record);
            }
            let why = lab::undisturbed::text(record.stall);
            if attempt == TRIES {
                eprintln!(
                    "{}: DISTURBED: {why}; taken all the same",
                    self.title(number)
                );
                return Ok(record);
            }
            attempt += 1;
            eprintln!("{}: {why}; try {attempt} of {TRIES}", self.title(number));
        }
    }

    fn tell(&self, number: usize, values: &[f64]) {
        let mut parts = Vec::new();
        for (goal, value) in self.scenario.goals.iter().zip(values) {
            let missed = goal.met(*value) == Some(false);
            let sign = if missed { " MISSED" } else { "" };
            let (what, value) = (goal.describe(), goal.what.show(*value));
            parts.push(format!("{what} {value}{sign}"));
        }
        eprintln!("{}: {}", self.title(number), parts.join(", "));
    }

    fn draw(&self, record: &Record, number: usize) -> Result<()> {
        let Some(folder) = &self.pictures else {
            return Ok(());
        };
        let (name, mode) = (&record.scenario.name, record.mode.name());
        let file = folder.join(format!("{name}-{mode}-{number}.svg"));
        std::fs::write(&file, picture::draw(record))?;
        eprintln!("{}: {}", self.title(number), file.display());
        Ok(())
    }
}
