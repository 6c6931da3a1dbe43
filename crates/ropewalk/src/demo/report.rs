//! What users felt, beside the goals: as a table for people and as JSON.

use std::fmt::Write;
use std::time::Duration;

use anstyle::AnsiColor;
use lab::Stall;
use serde_json::{Value, json};

use super::event::{ALLOWANCE, Event, Verdict, milliseconds, stall_json};
use super::scene::Line;
use super::table::{paint, table};
use crate::status::Style;

/// What was measured before anything happened, as far as it was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// From the start of the daemons until each said that the other is up.
    pub(super) up_after: Option<Duration>,
    /// The median round trip through the tunnel.
    pub(super) round_trip: Option<Duration>,
    /// What one TCP connection got through, Mbit/s, A to B and B to A.
    pub(super) tcp_megabits: [Option<f64>; 2],
}

/// Everything that was measured.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) figures: Figures,
    /// In the order of time; the first is the quiet before.
    pub(super) events: Vec<Event>,
    /// What did not happen in time while this machine stood still: nothing was tried after it.
    pub(super) gave_up: Option<String>,
    /// How this machine stood still, in all the time.
    pub(super) stall: Stall,
    /// Of the whole demo.
    pub(super) elapsed: Duration,
}

impl Report {
    /// Whether everything happened and stayed within the allowance.
    pub(super) fn passed(&self) -> bool {
        self.gave_up.is_none() && self.beyond(Verdict::Disturbed).is_empty()
    }

    /// Whether it says anything about ropewalk: it passed, or missed something while this machine
    /// did not stand still.
    fn judged(&self) -> bool {
        self.passed() || !self.beyond(Verdict::Missed).is_empty()
    }

    /// Events with this verdict or a worse one.
    fn beyond(&self, verdict: Verdict) -> Vec<&Event> {
        let worse = |event: &&Event| event.verdict() >= verdict;
        self.events.iter().filter(worse).collect()
    }

    fn disturbed(&self) -> Vec<&Event> {
        let disturbed = |event: &&Event| event.verdict() == Verdict::Disturbed;
        self.events.iter().filter(disturbed).collect()
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
        let took = self.elapsed.as_secs_f64();
        if self.passed() {
            let passed = paint("PASSED", AnsiColor::Green, style);
            let _ = writeln!(
                out,
                "{passed}: all within {ALLOWANCE} x the goals, in {took:.0} s."
            );
            return out;
        }
        if !self.judged() {
            return self.not_judged_text(style);
        }
        let failed = paint("FAILED", AnsiColor::Red, style);
        let missed = names(&self.beyond(Verdict::Missed));
        let _ = writeln!(out, "{failed}: beyond {ALLOWANCE} x the goal: {missed}.");
        let disturbed = self.disturbed();
        if !disturbed.is_empty() {
            let disturbed = names(&disturbed);
            let _ = writeln!(out, "Not judged, as this machine stood still: {disturbed}.");
        }
        out += "To look around in it: ropewalk demo pair --keep\n";
        out
    }

    fn not_judged_text(&self, style: Style) -> String {
        let word = paint("NOT JUDGED", AnsiColor::Magenta, style);
        let disturbed = self.disturbed();
        let worst = disturbed.iter().map(|event| event.stalls.all);
        let worst = worst.max_by_key(|stall| stall.total);
        let (stall, during) = match &self.gave_up {
            Some(reason) => (None, format!("all of it, and {reason}")),
            None => (worst, names(&disturbed)),
        };
        let Stall { longest, total } = stall.unwrap_or(self.stall);
        let (longest, total) = (longest.as_millis(), total.as_millis());
        format!(
            "{word}: this machine stood still for {longest} ms at a time, {total} ms in all, during \
             {during}.\nThat says nothing about ropewalk: try again when this machine is calmer.\n"
        )
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
        let Figures {
            up_after,
            round_trip,
            tcp_megabits,
        } = self.figures;
        let [a_to_b, b_to_a] =
            tcp_megabits.map(|megabits| megabits.map(|megabits| (megabits * 1e6) as u64));
        let names = |events: Vec<&Event>| -> Vec<&str> {
            events.into_iter().map(|event| event.what).collect()
        };
        json!({
            "scene": "pair",
            "mode": "failover",
            "lines": Line::BOTH.map(line),
            "up_after_ms": up_after.map(milliseconds),
            "rtt_ms": round_trip.map(milliseconds),
            "tcp_bps": { "a_to_b": a_to_b, "b_to_a": b_to_a },
            "allowance": ALLOWANCE,
            "events": self.events.iter().map(Event::json).collect::<Vec<_>>(),
            "passed": self.passed(),
            "missed": names(self.beyond(Verdict::Disturbed)),
            "judged": self.judged(),
            "disturbed": names(self.disturbed()),
            "gave_up": self.gave_up,
            "machine": stall_json(self.stall),
            "elapsed_s": milliseconds(self.elapsed) / 1e3,
        })
    }
}

fn names(events: &[&Event]) -> String {
    let names: Vec<&str> = events.iter().map(|event| event.what).collect();
    names.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::event::Goal;
    use super::super::event::tests::{MS, disturbed, event};
    use super::*;

    fn report(events: Vec<Event>) -> Report {
        Report {
            figures: Figures::default(),
            events,
            gave_up: None,
            stall: Stall::default(),
            elapsed: Duration::from_secs(30),
        }
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
        let json = bad.json();
        assert_eq!(
            (&json["passed"], &json["judged"]),
            (&false.into(), &true.into())
        );
        assert_eq!(json["missed"][0], "something happens");
    }

    #[test]
    fn a_machine_that_stands_still_is_a_verdict_of_its_own() {
        let lossless = Goal {
            lossless: true,
            ..Goal::default()
        };
        let miss = event(MS, 3, None, lossless);
        let spoilt = report(vec![disturbed(miss.clone(), 400)]);
        let text = spoilt.text(Style::Plain);
        assert!(text.contains("DISTURBED"), "{text}");
        assert!(
            text.contains("\nNOT JUDGED: this machine stood still for 400 ms"),
            "{text}"
        );
        assert!(
            !text.contains("FAILED") && !text.contains("PASSED"),
            "{text}"
        );
        let json = spoilt.json();
        assert_eq!(
            (&json["passed"], &json["judged"]),
            (&false.into(), &false.into())
        );
        assert_eq!(json["events"][0]["verdict"], "disturbed");
        // One miss that is ropewalk's own is enough.
        let both = report(vec![disturbed(miss.clone(), 400), miss]);
        let text = both.text(Style::Plain);
        assert!(
            text.contains("\nFAILED") && !text.contains("NOT JUDGED"),
            "{text}"
        );
        assert_eq!(both.json()["judged"], true);
        let mut stuck = report(Vec::new());
        stuck.gave_up = Some("line 1 is not used again".to_owned());
        let text = stuck.text(Style::Plain);
        assert!(!stuck.passed() && text.contains("NOT JUDGED"), "{text}");
        assert!(text.contains("line 1 is not used again"), "{text}");
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
