//! What measures real time is judged only where the machine did not stand still meanwhile: it is
//! tried again, and in the end not judged, loudly. One miss without such an excuse is tried again
//! too, since the watch does not see everything; the second one counts.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::{Stall, StallWatch};

/// How often something is tried on a machine that stands still.
pub const TRIES: usize = 3;

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Good,
    /// Not as it should, and the machine is no excuse.
    Missed,
    /// Not as it should, and the machine may be the reason.
    Disturbed,
}

/// Misses without an excuse that count.
pub const MISSES: usize = 2;

/// Tries until the verdict is [`Verdict::Good`], at most [`TRIES`] times, or [`MISSES`] are missed.
/// `attempt` gets the number of the try, from 1; `judge` also how the machine stood still during
/// it. Returns what the last try brought.
pub fn measure<T>(
    name: &str,
    mut attempt: impl FnMut(usize) -> T,
    judge: impl Fn(&T, Stall) -> Verdict,
) -> (T, Verdict, Stall) {
    let watch = StallWatch::start();
    let (mut number, mut missed) = (1, 0);
    loop {
        let begin = Instant::now();
        let value = attempt(number);
        let stall = watch.since(begin);
        let verdict = judge(&value, stall);
        missed += usize::from(verdict == Verdict::Missed);
        if verdict == Verdict::Good || missed == MISSES || number == TRIES {
            return (value, verdict, stall);
        }
        number += 1;
        let why = match verdict {
            Verdict::Missed => "missed".to_owned(),
            _ => text(stall),
        };
        say(&format!("{name}: {why}; try {number} of {TRIES}"));
    }
}

/// Runs a test that makes networks ([`crate::can_run`]) and measures real time. When it panics while
/// the machine stood still for `spoils` or longer, it is tried again, and in the end skipped.
///
/// # Panics
/// As `attempt` does on a machine that did not stand still.
pub fn timed(name: &str, spoils: Duration, mut attempt: impl FnMut()) {
    if !crate::can_run(name) {
        return;
    }
    let once = |_| catch_unwind(AssertUnwindSafe(&mut attempt));
    let (result, verdict, stall) = measure(name, once, |result, stall| match result {
        Ok(()) => Verdict::Good,
        Err(_) if stall.longest >= spoils => Verdict::Disturbed,
        Err(_) => Verdict::Missed,
    });
    match (verdict, result) {
        (Verdict::Disturbed, _) => skipped(name, &text(stall)),
        (Verdict::Missed, Err(panic)) => resume_unwind(panic),
        _ => {}
    }
}

/// Says on stderr that `what` is skipped, and why.
pub fn skipped(what: &str, why: &str) {
    say(&format!("SKIPPED: {what}: {why}"));
}

/// For people: how the machine stood still.
pub fn text(stall: Stall) -> String {
    format!(
        "this machine stood still for {} ms at a time, {} ms in all",
        stall.longest.as_millis(),
        stall.total.as_millis()
    )
}

fn say(text: &str) {
    // Not `eprintln!`: the test harness would swallow it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disturbed_tries_are_repeated_and_one_miss() {
        for (verdicts, tries) in [
            (&[Verdict::Good][..], 1),
            (&[Verdict::Missed, Verdict::Missed], 2),
            (&[Verdict::Missed, Verdict::Good], 2),
            (&[Verdict::Disturbed, Verdict::Missed, Verdict::Missed], 3),
            (&[Verdict::Disturbed, Verdict::Good], 2),
            (&[Verdict::Disturbed; TRIES], TRIES),
        ] {
            let mut made = 0;
            let attempt = |number| {
                made += 1;
                verdicts[number - 1]
            };
            let (last, verdict, _) =
                measure("only a test of trying again", attempt, |verdict, _| {
                    *verdict
                });
            assert_eq!((made, Some(&last)), (tries, verdicts.last()));
            assert_eq!(last, verdict);
        }
    }

    #[test]
    fn a_miss_that_the_machine_does_not_explain_panics() {
        if !crate::can_run("a_miss_that_the_machine_does_not_explain_panics") {
            return;
        }
        let mut tries = 0;
        let missed = catch_unwind(AssertUnwindSafe(|| {
            timed("a miss", Duration::MAX, || {
                tries += 1;
                panic!("missed");
            });
        }));
        assert_eq!((missed.is_err(), tries), (true, MISSES));
    }
}
