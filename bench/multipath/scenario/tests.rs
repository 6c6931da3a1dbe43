use std::time::Duration;

use lab::{Jitter, Loss};

use super::*;

const HEAD: &str = "description = \"x\"\n";
const LINE: &str = "[[line]]\nrate = 50\nrtt = 20\n";
const REST: &str = "[[tcp]]\n[[goal]]\nwhat = \"goodput\"\nat-least = 95\n";

fn parse(text: &str) -> Result<Scenario> {
    Scenario::parse("X", text)
}

fn error(text: &str) -> String {
    format!("{:#}", parse(text).unwrap_err())
}

#[test]
fn a_short_file_has_sensible_defaults() {
    let scenario = parse(&format!("{HEAD}{LINE}{REST}")).unwrap();
    assert_eq!((scenario.seconds, scenario.settle), (12.0, 3.0));
    assert_eq!(scenario.goals[0].window(&scenario), (3.0, 12.0));
    let tcp = &scenario.tcp[0];
    assert_eq!((tcp.flows, tcp.congestion.as_str()), (1, "cubic"));
    let profile = scenario.lines[0].profile();
    assert_eq!(profile.rate, Some(50_000_000));
    assert_eq!(profile.delay, Duration::from_millis(10));
    assert_eq!((profile.loss, profile.jitter), (Loss::None, Jitter::None));
    assert!((scenario.ideal(0.0) - 46.5e6).abs() < 1.0);
}

#[test]
fn unknown_keys_are_named() {
    for (text, key) in [
        (format!("{HEAD}colour = 1\n{LINE}{REST}"), "colour"),
        (format!("{HEAD}{LINE}delay = 5\n{REST}"), "delay"),
        (format!("{HEAD}{LINE}{REST}atleast = 5\n"), "atleast"),
        (format!("{HEAD}{LINE}[[tcp]]\nflow = 1\n{REST}"), "flow"),
        (format!("{HEAD}{LINE}{REST}[[stream]]\nsize = 1\n"), "size"),
        (
            format!("{HEAD}{LINE}{REST}[[event]]\nat = 1\nline = 1\ndo = \"cut\"\nfor = 1\n"),
            "for",
        ),
        (format!("{HEAD}{LINE}{REST}[reference]\nline = 1\n"), "line"),
    ] {
        let error = error(&text);
        assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let good = format!("{HEAD}{LINE}{REST}");
    let less = |what| good.replace("goodput", what).replace("least", "most");
    let event = |text: &str| format!("{good}[[event]]\n{text}\n");
    for (text, says) in [
        (format!("{HEAD}{REST}"), "line"),
        (good.replace("rate = 50", "rate = 0"), "line 1: rate"),
        (
            good.replace("rtt = 20", "rtt = 20\nloss = 100"),
            "line 1: loss",
        ),
        (
            good.replace(
                "rtt = 20",
                "rtt = 20\njitter-uniform = 1\njitter-exponential = 1",
            ),
            "one of them",
        ),
        (good.replace("at-least", "at-most"), "goal 1: at-least"),
        (less("late"), "goal 1: stream"),
        (less("recovery"), "level"),
        (good.replace("goodput", "of-reference"), "no [reference]"),
        (format!("{good}until = 13\n"), "goal 1: from, until"),
        (format!("{good}direction = \"b-to-a\"\n"), "no TCP"),
        (event("at = 13\nline = 1\ndo = \"cut\""), "event 1: at"),
        (event("at = 1\nline = 2\ndo = \"cut\""), "event 1: line"),
        (event("at = 1\nline = 1\ndo = \"change\""), "event 1: rate"),
        (
            event("at = 1\nline = 1\ndo = \"cut\"\nrate = 1"),
            "event 1: rate",
        ),
        (
            event("at = 1\nline = 1\ndo = \"change\"\nrate = 0"),
            "event 1: rate",
        ),
        (event("at = 1\nline = 1\ndo = \"flap\""), "event 1: every"),
        (
            format!("{good}[reference]\nlines = [2]\n"),
            "reference: lines",
        ),
    ] {
        let error = error(&text);
        assert!(error.contains(says), "{says:?} is not in {error:?}");
    }
}

#[test]
fn flaps_are_cuts_and_heals_in_turn_and_end_healed() {
    let flap = "[[event]]\nat = 2\nline = 1\ndo = \"flap\"\nevery = 0.5\nuntil = 4.2\n\
        [[event]]\nat = 1\nline = 1\ndo = \"change\"\nrate = 5\n";
    let scenario = parse(&format!("{HEAD}{LINE}{REST}{flap}")).unwrap();
    let seen: Vec<(f64, Action)> = scenario
        .events
        .iter()
        .map(|event| (event.at, event.action))
        .collect();
    let wanted = [
        (1.0, Action::Change),
        (2.0, Action::Cut),
        (2.5, Action::Heal),
        (3.0, Action::Cut),
        (3.5, Action::Heal),
        (4.0, Action::Cut),
        (4.2, Action::Heal),
    ];
    assert_eq!(seen, wanted);
    assert_eq!(scenario.ideal(2.1), 0.0);
    assert!((scenario.ideal(2.6) - 0.93 * 5e6).abs() < 1.0);
}

#[test]
fn the_reference_takes_the_best_line_or_the_named_ones() {
    let lines = "[[line]]\nrate = 20\nrtt = 10\n[[line]]\nrate = 50\nrtt = 60\nloss = 2\n";
    let events = "[[event]]\nat = 2\nline = 1\ndo = \"cut\"\n";
    let text = format!("{HEAD}{lines}{REST}{events}[reference]\nmode = \"failover\"\n");
    let scenario = parse(&text).unwrap();
    let reference = scenario.as_reference(scenario.reference.as_ref().unwrap());
    assert_eq!(reference.lines, scenario.lines[1..]);
    assert!(reference.events.is_empty());
    let named = text.replace("mode = \"failover\"", "lines = [1]");
    let scenario = parse(&named).unwrap();
    let reference = scenario.as_reference(scenario.reference.as_ref().unwrap());
    assert_eq!(reference.lines, scenario.lines[..1]);
}

#[test]
fn only_scenarios_without_times_of_their_own_get_another_length() {
    let good = format!("{HEAD}{LINE}{REST}");
    let scenario = parse(&good).unwrap();
    assert_eq!(scenario.lasting(Some(20.0)).unwrap().seconds, 20.0);
    assert_eq!(scenario.lasting(None).unwrap().seconds, 12.0);
    assert!(
        scenario.lasting(Some(2.0)).is_err(),
        "shorter than settling"
    );
    let timed = parse(&format!("{good}from = 5\n")).unwrap();
    assert_eq!(timed.lasting(Some(20.0)).unwrap().seconds, 12.0);
}
