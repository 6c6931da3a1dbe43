//! The stretches of time that belong to events: what was felt in them, how this machine stood still
//! meanwhile, and whether that calls for another try.

use std::time::{Duration, Instant};

use anyhow::Result;
use lab::meter::{FlowReport, MeterReport};
use lab::undisturbed;

use super::super::event::{Event, Goal, Stalls, Verdict};
use super::{ATTEMPTS, GRACE, Script};

/// An event's stretch of time begins this long before it: what it loses was sent before.
const LEAD: Duration = Duration::from_millis(300);
/// What the daemons have measured within this time decides how patient they are.
const REMEMBERED: Duration = Duration::from_secs(1);
/// A line that this machine made fall silent within this time is waited for longer when it returns.
const FLAPS_REMEMBERED: Duration = Duration::from_secs(60);

/// An event whose stretch of time has begun.
pub(super) struct Mark {
    pub(super) what: &'static str,
    goal: Goal,
    before: &'static str,
    pub(super) from: Instant,
    to: Option<Instant>,
    ready: Option<Duration>,
}

impl Script<'_> {
    /// Plays a part that ends as it began. It is played again while this machine spoils it and
    /// there is time, and not too often: lines that die again and again are trusted ever later.
    pub(super) fn play_part(&mut self, part: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        let first = self.marks.len();
        for attempt in 1..=ATTEMPTS {
            let begin = Instant::now();
            part(self)?;
            let (end, took) = (Instant::now(), begin.elapsed());
            self.close(end);
            let events = self.events_from(first, end);
            let worst = events.iter().max_by_key(|event| event.verdict());
            let spoilt = worst.filter(|event| event.verdict() == Verdict::Disturbed);
            let again = attempt < ATTEMPTS && took <= self.spare;
            let Some(event) = spoilt.filter(|_| again) else {
                break;
            };
            self.spare -= took;
            self.marks.truncate(first);
            self.progress.say(&format!(
                "{} meanwhile ({}); once more:",
                undisturbed::text(event.stalls.all),
                event.what
            ))?;
        }
        Ok(())
    }

    pub(super) fn mark(&mut self, what: &'static str, goal: Goal, before: &'static str) {
        let from = Instant::now() - LEAD;
        self.close(from);
        self.marks.push(Mark {
            what,
            goal,
            before,
            from,
            to: None,
            ready: None,
        });
    }

    /// Ends the last stretch of time, if it has not ended yet.
    fn close(&mut self, at: Instant) {
        if let Some(last) = self.marks.last_mut() {
            last.to.get_or_insert(at);
        }
    }

    /// Says what the last event was like.
    pub(super) fn told(&mut self, ready: Option<Duration>) -> Result<()> {
        let (Some(mark), Some(meter)) = (self.marks.last_mut(), &self.meter) else {
            return Ok(());
        };
        mark.ready = ready;
        let felt = meter.report_since(mark.from);
        let after = ready.map_or(String::new(), |ready| {
            format!(" {:.1} s", ready.as_secs_f64())
        });
        self.progress
            .say(&format!("{}{after}: {}", mark.what, felt_text(&felt)))
    }

    /// All events, after the last packets have arrived.
    pub(super) fn events(&mut self) -> Result<Vec<Event>> {
        let end = Instant::now();
        self.close(end);
        self.rest(GRACE + LEAD)?;
        Ok(self.events_from(0, end))
    }

    /// The events from this one on; one that has not ended counts up to `end`.
    fn events_from(&self, first: usize, end: Instant) -> Vec<Event> {
        let Some(meter) = &self.meter else {
            return Vec::new();
        };
        let event = |mark: &Mark| {
            let to = mark.to.unwrap_or(end);
            let felt = meter.report_between(mark.from, to);
            let stalls = self.stalls(mark.from, to, meter.started(), &felt);
            Event {
                what: mark.what,
                goal: mark.goal,
                felt,
                stalls,
                ready: mark.ready,
                before: mark.before,
            }
        };
        self.marks.iter().skip(first).map(event).collect()
    }

    fn stalls(&self, from: Instant, to: Instant, meter: Instant, felt: &MeterReport) -> Stalls {
        let around = |flow: &FlowReport| {
            let began = meter + flow.gap_at;
            self.watch
                .between(began - REMEMBERED, began + flow.longest_gap)
        };
        Stalls {
            gaps: [around(&felt.a_to_b), around(&felt.b_to_a)],
            ready: self.watch.between(to - FLAPS_REMEMBERED, to),
            all: self.watch.between(from - REMEMBERED, to),
        }
    }
}

fn felt_text(felt: &MeterReport) -> String {
    format!(
        "longest gap {:.0} / {:.0} ms, {} lost, {} twice",
        felt.a_to_b.gap_ms(),
        felt.b_to_a.gap_ms(),
        felt.lost(),
        felt.duplicated()
    )
}
