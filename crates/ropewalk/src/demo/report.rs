//! What users felt, beside the goals: as a table for people and as JSON.

use std::fmt::Write;
use std::time::Duration;

use anstyle::AnsiColor;
use lab::meter::{FlowReport, MeterReport};
use serde_json::{Value, json};

use super::scene::Line;
use super::table::{paint, table};
use crate::status::Style;

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
    /// Beyond it.
    Missed,
}

impl Verdict {
    fn of(value: Duration, goal: Duration) -> Self {
        match value {
            value if value <= goal => Self::Met,
            value if value <= goal * ALLOWANCE => Self::Allowed,
            _ => Self::Missed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Allowed => "in 2x",
            Self::Missed => "MISSED",
        }
    }

    pub(super) fn colour(self) -> AnsiColor {
        match self {
            Self::Met => AnsiColor::Green,
            Self::Allowed => AnsiColor::Yellow,
            Self::Missed => AnsiColor::Red,
        }
    }
}

/// Something that happened, and what the meter saw meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// For people; ends so that [`Event::ready`] can follow.
    pub(super) what: &'static str,
    pub(super) goal: Goal,
    pub(super) felt: MeterReport,
    /// When the line was in use again, where that is asked.
    pub(super) ready: Option<Duration>,
    /// What the set-up that this replaces did.
    pub(super) before: &'static str,
}

impl Event {
    pub(super) fn verdict(&self) -> Verdict {
        let missed_if = |missed| match missed {
            true => Verdict::Missed,
            false => Verdict::Met,
        };
        let gap = self
            .goal
            .gap
            .map(|goal| Verdict::of(self.felt.outage(), goal));
        let ready = self.goal.ready.map(|goal| {
            self.ready
                .map_or(Verdict::Missed, |ready| Verdict::of(ready, goal))
        });
        [
            gap,
            ready,
            Some(missed_if(self.goal.lossless && self.felt.lost() > 0)),
            Some(missed_if(self.felt.duplicated() > 0)),
        ]
        .into_iter()
        .flatten()
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

    fn json(&self) -> Value {
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
                Verdict::Missed => "missed",
            },
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

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

/// Everything that was measured.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// From the start of the daemons until each said that the other is up.
    pub(super) up_after: Duration,
    /// The median round trip through the tunnel.
    pub(super) round_trip: Duration,
    /// What one TCP connection got through, Mbit/s, A to B and B to A.
    pub(super) tcp_megabits: [f64; 2],
    /// In the order of time; the first is the quiet before.
    pub(super) events: Vec<Event>,
    /// Of the whole demo.
    pub(super) elapsed: Duration,
}

impl Report {
    /// Whether all stayed within the allowance.
    pub(super) fn passed(&self) -> bool {
        self.missed().is_empty()
    }

    fn missed(&self) -> Vec<&'static str> {
        let missed = self
            .events
            .iter()
            .filter(|event| event.verdict() == Verdict::Missed);
        missed.map(|event| event.what).collect()
    }

    /// The table, the comparison and the verdict.
    pub(super) fn text(&self, style: Style) -> String {
        let mut out = String::from(
            "\nWhat users felt: longest gap in 1000 packets a second each way, ms; packets lost, \
             and delivered twice\n\n",
        );
        table(&mut out, &self.events, style);
        out += "\nOpenVPN TAP + bond + monit, the set-up this replaces, rebuilt and measured:\n  \
                balance-alb carried nothing while both tunnels were up; balance-rr lost every\n  \
                second frame while a line was dead; until something noticed and restarted the\n  \
                tunnel it took minutes (20 s to never).\n\n";
        out += &self.verdict_text(style);
        out
    }

    fn verdict_text(&self, style: Style) -> String {
        let mut out = String::new();
        let missed = self.missed();
        let took = self.elapsed.as_secs_f64();
        if missed.is_empty() {
            let passed = paint("PASSED", AnsiColor::Green, style);
            let _ = writeln!(
                out,
                "{passed}: all within {ALLOWANCE} x the goals, in {took:.0} s."
            );
            return out;
        }
        let failed = paint("FAILED", AnsiColor::Red, style);
        let _ = writeln!(
            out,
            "{failed}: beyond {ALLOWANCE} x the goal: {}.",
            missed.join("; ")
        );
        if let Some(quiet) = self.events.first()
            && quiet.felt.outage() > BUSY
        {
            let _ = writeln!(
                out,
                "This machine is busy: packets were held up by {:.0} ms while nothing happened.",
                milliseconds(quiet.felt.outage())
            );
        }
        out += "To look around in it: ropewalk demo pair --keep\n";
        out
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let line = |line: Line| {
            json!({
                "name": line.name(),
                "rate_bps": u64::from(line.megabits()) * 1_000_000,
                "rtt_ms": line.round_trip_ms(),
            })
        };
        let [a_to_b, b_to_a] = self.tcp_megabits.map(|megabits| (megabits * 1e6) as u64);
        json!({
            "scene": "pair",
            "mode": "failover",
            "lines": Line::BOTH.map(line),
            "up_after_ms": milliseconds(self.up_after),
            "rtt_ms": milliseconds(self.round_trip),
            "tcp_bps": { "a_to_b": a_to_b, "b_to_a": b_to_a },
            "allowance": ALLOWANCE,
            "events": self.events.iter().map(Event::json).collect::<Vec<_>>(),
            "passed": self.passed(),
            "missed": self.missed(),
            "elapsed_s": milliseconds(self.elapsed) / 1e3,
        })
    }
}

/// A machine that holds packets up for longer than this while nothing happens is too busy.
pub(super) const BUSY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn event(gap: Duration, lost: u64, ready: Option<Duration>, goal: Goal) -> Event {
        let mut felt = MeterReport::default();
        felt.b_to_a.longest_gap = gap;
        felt.a_to_b.lost = lost;
        Event {
            what: "something happens",
            goal,
            felt,
            ready,
            before: "20 s to never",
        }
    }

    fn report(events: Vec<Event>) -> Report {
        Report {
            up_after: 40 * MS,
            round_trip: 20 * MS,
            tcp_megabits: [45.0, 44.0],
            events,
            elapsed: Duration::from_secs(30),
        }
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
    fn one_miss_fails_all_and_is_named() {
        let lossless = Goal {
            lossless: true,
            ..Goal::default()
        };
        let good = report(vec![event(MS, 0, None, lossless)]);
        assert!(good.passed());
        assert!(good.text(Style::Plain).contains("PASSED"));
        let bad = report(vec![
            event(MS, 0, None, lossless),
            event(MS, 3, None, lossless),
        ]);
        assert!(!bad.passed());
        let text = bad.text(Style::Plain);
        assert!(
            text.contains("FAILED") && text.contains("something happens"),
            "{text}"
        );
        assert!(!text.contains("is busy"), "{text}");
        assert_eq!(bad.json()["passed"], false);
        assert_eq!(bad.json()["missed"][0], "something happens");
    }

    #[test]
    pub(super) fn colours_only_when_asked_and_columns_aligned() {
        let goal = Goal {
            gap: Some(100 * MS),
            ..Goal::default()
        };
        let report = report(vec![event(43 * MS, 2, None, goal)]);
        let plain = report.text(Style::Plain);
        assert!(
            plain.chars().all(|c| c == '\n' || !c.is_control()),
            "{plain}"
        );
        assert!(report.text(Style::Coloured).contains('\x1b'));
        let lines: Vec<&str> = plain
            .lines()
            .filter(|line| line.starts_with(['e', 's']))
            .collect();
        let [header, row] = lines[..] else {
            panic!("{plain}")
        };
        assert_eq!(header.find("goal"), row.find("<= 100"), "{plain}");
        assert_eq!(header.find("OpenVPN"), row.find("20 s"), "{plain}");
    }
}
