//! Something that happens in the demo, and how it compares with its goal.

use std::time::Duration;

use anstyle::AnsiColor;
use lab::Stall;
use lab::meter::{FlowReport, MeterReport};
use serde_json::{Value, json};

/// Goals are medians of the bench; one run on a busy machine may take this many times as long.
pub(super) const ALLOWANCE: u32 = 2;

/// What an event may cost. That nothing arrives twice goes without saying.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Goal {
    /// The longest gap, either way.
    pub(super) gap: Option<Duration>,
    /// Nothing may be lost.
    pub(super) lossless: bool,
    /// The time until the line is in use again.
    pub(super) ready: Option<Duration>,
}

/// How an event compares with its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Within the goal.
    Met,
    /// Within the allowance.
    Allowed,
    /// Beyond it, and this machine may be the reason.
    Disturbed,
    /// Beyond it.
    Missed,
}

impl Verdict {
    fn of(value: Duration, goal: Duration, stall: Stall) -> Self {
        match value {
            value if value <= goal => Self::Met,
            value if value <= goal * ALLOWANCE => Self::Allowed,
            _ => Self::beyond(value - goal, stall),
        }
    }

    fn beyond(late: Duration, stall: Stall) -> Self {
        match stall.explains(late) {
            true => Self::Disturbed,
            false => Self::Missed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Allowed => "in 2x",
            Self::Disturbed => "DISTURBED",
            Self::Missed => "MISSED",
        }
    }

    pub(super) fn colour(self) -> AnsiColor {
        match self {
            Self::Met => AnsiColor::Green,
            Self::Allowed => AnsiColor::Yellow,
            Self::Disturbed => AnsiColor::Magenta,
            Self::Missed => AnsiColor::Red,
        }
    }
}

/// How this machine stood still around an event.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stalls {
    /// Shortly before and during the longest gap, A to B and B to A.
    pub(super) gaps: [Stall; 2],
    /// In all the time in which it could make daemons distrust a line.
    pub(super) ready: Stall,
    /// Shortly before and during all of it.
    pub(super) all: Stall,
}

/// Something that happened, and what the meter saw meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// For people; ends so that [`Event::ready`] can follow.
    pub(super) what: &'static str,
    pub(super) goal: Goal,
    pub(super) felt: MeterReport,
    pub(super) stalls: Stalls,
    /// When the line was in use again, where that is asked.
    pub(super) ready: Option<Duration>,
    /// What the set-up that this replaces did.
    pub(super) before: &'static str,
}

impl Event {
    pub(super) fn verdict(&self) -> Verdict {
        let Stalls {
            gaps,
            ready: before_ready,
            all,
        } = self.stalls;
        let flows = [&self.felt.a_to_b, &self.felt.b_to_a];
        let gap = |(flow, stall): (&FlowReport, Stall)| {
            let goal = self.goal.gap?;
            Some(Verdict::of(flow.longest_gap, goal, stall))
        };
        let gaps = flows.into_iter().zip(gaps).filter_map(gap);
        let ready = self.goal.ready.map(|goal| match self.ready {
            Some(ready) => Verdict::of(ready, goal, before_ready),
            None => Verdict::beyond(Stall::NEVER, before_ready),
        });
        let loses = self.goal.lossless && self.felt.lost() > 0;
        let lost = loses.then(|| Verdict::beyond(Stall::LOSS, all));
        // No machine is so slow that this may happen.
        let twice = (self.felt.duplicated() > 0).then_some(Verdict::Missed);
        gaps.chain([ready, lost, twice].into_iter().flatten())
            .max()
            .unwrap_or(Verdict::Met)
    }

    pub(super) fn goal_text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(gap) = self.goal.gap {
            parts.push(format!("<= {} ms", gap.as_millis()));
        }
        if self.goal.lossless {
            parts.push("0 lost".to_owned());
        }
        if let Some(ready) = self.goal.ready {
            parts.push(format!("<= {} s", ready.as_secs_f64()));
        }
        parts.join(", ")
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "event": self.what,
            "a_to_b": flow_json(&self.felt.a_to_b),
            "b_to_a": flow_json(&self.felt.b_to_a),
            "back_ms": self.ready.map(milliseconds),
            "goal": {
                "gap_ms": self.goal.gap.map(milliseconds),
                "lost": self.goal.lossless.then_some(0),
                "duplicated": 0,
                "back_ms": self.goal.ready.map(milliseconds),
            },
            "verdict": match self.verdict() {
                Verdict::Met => "met",
                Verdict::Allowed => "allowed",
                Verdict::Disturbed => "disturbed",
                Verdict::Missed => "missed",
            },
            "machine": stall_json(self.stalls.all),
            "before": self.before,
        })
    }
}

fn flow_json(flow: &FlowReport) -> Value {
    json!({
        "longest_gap_ms": milliseconds(flow.longest_gap),
        "sent": flow.sent,
        "lost": flow.lost,
        "duplicated": flow.duplicated,
        "reordered": flow.late,
    })
}

pub(super) fn stall_json(stall: Stall) -> Value {
    json!({
        "longest_stall_ms": milliseconds(stall.longest),
        "stalls_ms": milliseconds(stall.total),
    })
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const MS: Duration = Duration::from_millis(1);

    pub(in super::super) fn event(
        gap: Duration,
        lost: u64,
        ready: Option<Duration>,
        goal: Goal,
    ) -> Event {
        let mut felt = MeterReport::default();
        felt.b_to_a.longest_gap = gap;
        felt.a_to_b.lost = lost;
        Event {
            what: "something happens",
            goal,
            felt,
            stalls: Stalls::default(),
            ready,
            before: "20 s to never",
        }
    }

    /// The same on a machine that stood still for so long all the time.
    pub(in super::super) fn disturbed(mut event: Event, ms: u32) -> Event {
        let stall = Stall {
            longest: ms * MS,
            total: ms * MS,
        };
        event.stalls = Stalls {
            gaps: [stall; 2],
            ready: stall,
            all: stall,
        };
        event
    }

    #[test]
    fn verdicts() {
        let gap = Goal {
            gap: Some(100 * MS),
            ..Goal::default()
        };
        for (ms, verdict) in [
            (100, Verdict::Met),
            (101, Verdict::Allowed),
            (200, Verdict::Allowed),
            (201, Verdict::Missed),
        ] {
            assert_eq!(event(ms * MS, 9, None, gap).verdict(), verdict, "{ms}");
        }
        let back = Goal {
            lossless: true,
            ready: Some(2000 * MS),
            ..Goal::default()
        };
        assert_eq!(
            event(900 * MS, 0, Some(1999 * MS), back).verdict(),
            Verdict::Met
        );
        assert_eq!(
            event(MS, 0, Some(3999 * MS), back).verdict(),
            Verdict::Allowed
        );
        assert_eq!(event(MS, 1, Some(MS), back).verdict(), Verdict::Missed);
        assert_eq!(event(MS, 0, None, back).verdict(), Verdict::Missed);
        let mut twice = event(MS, 0, Some(MS), back);
        twice.felt.b_to_a.duplicated = 1;
        assert_eq!(twice.verdict(), Verdict::Missed);
    }

    #[test]
    fn only_a_machine_that_stood_still_for_long_enough_is_an_excuse() {
        let gap = Goal {
            gap: Some(100 * MS),
            ..Goal::default()
        };
        let back = Goal {
            lossless: true,
            ready: Some(2000 * MS),
            ..Goal::default()
        };
        let late = event(300 * MS, 0, None, gap);
        for (event, ms, verdict) in [
            (late.clone(), 99, Verdict::Missed),
            (late.clone(), 100, Verdict::Disturbed),
            (event(99 * MS, 0, None, gap), 500, Verdict::Met),
            (event(MS, 1, Some(MS), back), 49, Verdict::Missed),
            (event(MS, 1, Some(MS), back), 50, Verdict::Disturbed),
            (event(MS, 0, None, back), 999, Verdict::Missed),
            (event(MS, 0, None, back), 1000, Verdict::Disturbed),
        ] {
            assert_eq!(
                disturbed(event.clone(), ms).verdict(),
                verdict,
                "{event:?} {ms}"
            );
        }
        // Both directions count, each with what happened around its own gap.
        let mut both = disturbed(late.clone(), 300);
        both.felt.a_to_b.longest_gap = 300 * MS;
        assert_eq!(both.verdict(), Verdict::Disturbed);
        both.stalls.gaps[0] = Stall::default();
        assert_eq!(both.verdict(), Verdict::Missed);
        let mut twice = disturbed(late, 5000);
        twice.felt.a_to_b.duplicated = 1;
        assert_eq!(twice.verdict(), Verdict::Missed);
    }
}
