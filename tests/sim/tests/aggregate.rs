//! What aggregation must reach in every scenario: `cargo test --release -p ropewalk-sim --test aggregate -- --nocapture`
//! prints the table. `ROPEWALK_SIM_ROWS=AGG-A,LOSS` plays some rows, `ROPEWALK_SIM_SEEDS` sets how many seeds each.
#![allow(clippy::print_stderr, reason = "the table is worth reading")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sim::aggregate::{
    Metric::{self, *},
    Outcome, Scenario, rows, run, traps,
};

/// What a value must keep to.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Least(f64),
    Most(f64),
}

/// Whether a claim is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Demanded,
    /// Printed only: the goal is not reached in the model yet.
    Pending,
}

struct Claim(Metric, Bound, Now);

struct Row {
    scenario: fn() -> Scenario,
    claims: &'static [Claim],
}

const fn least(metric: Metric, value: f64) -> Claim {
    Claim(metric, Bound::Least(value), Now::Demanded)
}

const fn most(metric: Metric, value: f64) -> Claim {
    Claim(metric, Bound::Most(value), Now::Demanded)
}

impl Claim {
    const fn pending(self) -> Self {
        Self(self.0, self.1, Now::Pending)
    }
}

const fn row(scenario: fn() -> Scenario, claims: &'static [Claim]) -> Row {
    Row { scenario, claims }
}

/// What is asked for on real lines, less five points of goodput for what the model leaves out.
const ROWS: &[Row] = &[
    row(
        rows::agg_a_cubic,
        &[
            least(Goodput, 90.0),
            most(PingP99, 10.0),
            most(Timeouts, 0.0),
        ],
    ),
    row(rows::agg_a_bbr, &[least(Goodput, 88.0).pending()]),
    row(rows::agg_a_reno, &[least(Goodput, 85.0)]),
    row(rows::agg_a_paced, &[least(Goodput, 90.0)]),
    row(rows::agg_a_quic, &[least(Goodput, 85.0)]),
    row(
        rows::agg_a_many,
        &[
            least(Goodput, 90.0),
            least(Fairness, 60.0).pending(),
            most(PingP99, 10.0),
        ],
    ),
    // Both directions together.
    row(rows::agg_a_both, &[least(Goodput, 170.0)]),
    // The fast line alone is 100 of 110; the flow has not asked for more by then.
    row(rows::agg_b, &[least(Goodput, 90.0)]),
    row(rows::agg_c, &[least(Goodput, 90.0).pending()]),
    row(rows::agg_fib, &[least(Goodput, 86.0)]),
    row(rows::agg_sym, &[least(Goodput, 91.0)]),
    // The fast line alone is 50 of 70: never worse than that.
    row(rows::wide, &[least(Goodput, 68.0)]),
    row(
        rows::loss,
        &[least(Goodput, 60.0), least(Goodput, 85.0).pending()],
    ),
    row(rows::loss_bbr, &[least(Goodput, 80.0)]),
    row(rows::jit_uniform, &[least(Goodput, 80.0)]),
    row(rows::jit_exponential, &[least(Goodput, 65.0)]),
    row(
        rows::bloat,
        &[
            most(PingMedian, 3.5),
            most(PingMedian, 2.0).pending(),
            most(PingP99, 10.0),
        ],
    ),
    row(rows::updown_ping, &[most(PingMax, 80.0)]),
    row(rows::updown, &[least(Goodput, 90.0)]),
    row(rows::start, &[most(Reached90, 2000.0).pending()]),
    row(rows::fo_a, &[most(Stall, 150.0), most(Timeouts, 0.0)]),
    row(
        rows::back,
        &[least(Goodput, 85.0), least(Goodput, 90.0).pending()],
    ),
    // The slow line alone is 20 of 70.
    row(rows::back_dip, &[least(Lowest, 25.5)]),
    row(rows::flap, &[least(Goodput, 85.0)]),
    row(rows::redund, &[most(Lost, 600.0), most(Delay, 1.0)]),
    row(
        rows::voice,
        &[most(Late, 0.0), most(Lost, 0.0), least(Goodput, 85.0)],
    ),
    row(rows::meter, &[most(LastLine, 50.0)]),
    // The model itself: one line, with and without aggregation.
    row(
        rows::one_plain,
        &[least(Goodput, 95.0), most(Timeouts, 0.0)],
    ),
    row(rows::one, &[least(Goodput, 95.0), most(Timeouts, 0.0)]),
    // The one in a hundred that was lost and sent again counts, too.
    row(traps::reorder, &[most(DelayP99, 16.0)]),
    // One line: nothing is paced, and the flow itself overshoots.
    row(traps::policer, &[most(Offered, 110.0).pending()]),
    row(
        traps::idle,
        &[most(Reached90, 2000.0), most(Reached90, 1000.0).pending()],
    ),
    row(
        traps::join,
        &[least(Goodput, 68.0), least(Goodput, 75.0).pending()],
    ),
    // The fast line alone is 50 of 70.
    row(
        traps::step,
        &[least(Lowest, 55.0), least(Lowest, 67.9).pending()],
    ),
];

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Whether a row is to be played.
fn wanted(name: &str) -> bool {
    std::env::var("ROPEWALK_SIM_ROWS")
        .ok()
        .is_none_or(|list| list.split(',').any(|one| one == name))
}

fn outcomes(row: &Row) -> Vec<Outcome> {
    let scenario = (row.scenario)();
    // An hour, or 100,000 frames, are enough once.
    let dear = scenario.lasts.as_secs() >= 10;
    let seeds = number("ROPEWALK_SIM_SEEDS", if dear { 1 } else { 2 });
    (1..=seeds)
        .map(|seed| run(&scenario, seed, |_| {}))
        .collect()
}

/// The line of a row in the table, and what it demands in vain.
fn judge(row: &Row, outcomes: &[Outcome]) -> (String, Vec<String>) {
    let name = (row.scenario)().name;
    let mut line = format!("{name:<13}");
    let mut failures = Vec::new();
    for Claim(metric, bound, now) in row.claims {
        let values: Vec<f64> = outcomes.iter().map(|o| o.get(*metric)).collect();
        let (sign, limit, kept) = match *bound {
            Bound::Least(least) => (">=", least, values.iter().all(|&v| v >= least)),
            Bound::Most(most) => ("<=", most, values.iter().all(|&v| v <= most)),
        };
        let verdict = match (kept, now) {
            (true, Now::Demanded) => "ok",
            (true, Now::Pending) => "pending, kept",
            (false, Now::Demanded) => "FAILED",
            (false, Now::Pending) => "pending",
        };
        let _ = write!(line, " {metric:?} {values:.1?} {sign} {limit} {verdict};");
        if !kept && *now == Now::Demanded {
            failures.push(format!(
                "{name}: {metric:?} {values:.1?}, {sign} {limit} wanted"
            ));
        }
    }
    if let Some(shares) = outcomes.first().map(|o| &o.shares) {
        let _ = write!(line, " lines {shares:.0?} %");
    }
    let violations = outcomes.iter().flat_map(|o| &o.violations);
    failures.extend(violations.map(|violation| format!("{name}: violated {violation}")));
    (line, failures)
}

#[test]
fn aggregation_reaches_what_is_demanded() {
    let chosen: Vec<&Row> = ROWS
        .iter()
        .filter(|row| wanted((row.scenario)().name))
        .collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = chosen.get(at) else { break };
                    let judged = judge(row, &outcomes(row));
                    results.lock().unwrap().insert(at, judged);
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let mut failures = Vec::new();
    for (line, failed) in results.into_values() {
        eprintln!("{line}");
        failures.extend(failed);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
