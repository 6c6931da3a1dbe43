//! What the figures should come to.

use serde::Serialize;

use crate::figures::{Metric, Table};
use crate::scene::Topology::{self, Loss, Nic, Plain};

/// Which side of a goal is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

struct Goal {
    what: &'static str,
    better: Better,
    goal: f64,
    stretch: f64,
    value: fn(&Table) -> Option<f64>,
}

/// A goal and what was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    /// What is compared.
    pub(crate) what: String,
    /// What was measured; `None` when a row that it takes was not.
    pub(crate) value: Option<f64>,
    /// The goal, with its direction: "≥ 12".
    pub(crate) goal: String,
    /// What would be better still.
    pub(crate) stretch: String,
    /// Whether the goal is met.
    pub(crate) met: Option<bool>,
    /// Whether the stretch goal is.
    pub(crate) stretched: Option<bool>,
}

/// The medians' ratio of two contestants on one topology.
fn ratio(table: &Table, names: [&str; 2], topology: Topology, metric: Metric) -> Option<f64> {
    let [of, to] = names.map(|name| table.median(name, topology, metric));
    divide(of?, to?)
}

fn divide(of: f64, to: f64) -> Option<f64> {
    (to > 0.0).then_some(of / to)
}

/// Ours beside OpenVPN with TLS.
fn to_openvpn(table: &Table, topology: Topology, metric: Metric) -> Option<f64> {
    ratio(table, ["ropewalk", "openvpn-tls"], topology, metric)
}

fn four_to_one(table: &Table) -> Option<f64> {
    let of = |metric| table.median("ropewalk", Plain, metric);
    divide(of(Metric::FourStreams)?, of(Metric::OneStream)?)
}

fn dearer_end(table: &Table) -> Option<f64> {
    let of = |metric| table.median("ropewalk", Plain, metric);
    Some(of(Metric::SenderCpu)?.max(of(Metric::ReceiverCpu)?))
}

fn to_best_rival(table: &Table) -> Option<f64> {
    let own = table.median("ropewalk", Plain, Metric::OneStream)?;
    divide(own, table.best_rival(Metric::OneStream)?.1)
}

const GOALS: &[Goal] = &[
    Goal {
        what: "1 stream: ropewalk / openvpn-tls",
        better: Better::Higher,
        goal: 12.0,
        stretch: 16.0,
        value: |table| to_openvpn(table, Plain, Metric::OneStream),
    },
    Goal {
        what: "1 stream: ropewalk / ropewalk-null",
        better: Better::Higher,
        goal: 0.65,
        stretch: 0.75,
        value: |table| {
            ratio(
                table,
                ["ropewalk", "ropewalk-null"],
                Plain,
                Metric::OneStream,
            )
        },
    },
    Goal {
        what: "ropewalk: 4 streams / 1 stream",
        better: Better::Higher,
        goal: 0.9,
        stretch: 1.1,
        value: four_to_one,
    },
    Goal {
        what: "ropewalk: CPU s/GB at the dearer end",
        better: Better::Lower,
        goal: 0.65,
        stretch: 0.5,
        value: dearer_end,
    },
    Goal {
        what: "1 stream, nic: ropewalk / openvpn-tls",
        better: Better::Higher,
        goal: 8.0,
        stretch: 10.0,
        value: |table| to_openvpn(table, Nic, Metric::OneStream),
    },
    Goal {
        what: "64-byte packets: ropewalk / baseline",
        better: Better::Higher,
        goal: 2.0,
        stretch: 3.0,
        value: |table| ratio(table, ["ropewalk", "baseline"], Plain, Metric::Packets),
    },
    Goal {
        what: "RTT idle, median: ropewalk / openvpn-tls",
        better: Better::Lower,
        goal: 1.0,
        stretch: 0.6,
        value: |table| to_openvpn(table, Plain, Metric::IdleRtt),
    },
    Goal {
        what: "1 stream: ropewalk / best rival",
        better: Better::Higher,
        goal: 7.0,
        stretch: 9.0,
        value: to_best_rival,
    },
    Goal {
        what: "loss: ropewalk: segments resent / datagram lost",
        better: Better::Lower,
        goal: 3.0,
        stretch: 2.0,
        value: |table| table.median("ropewalk", Loss, Metric::Resent),
    },
    Goal {
        what: "RTT under load, p99: ropewalk / openvpn-tls",
        better: Better::Lower,
        goal: 1.0,
        stretch: 0.5,
        value: |table| to_openvpn(table, Plain, Metric::LoadRttP99),
    },
    Goal {
        what: "1 stream: ropewalk-redundant / ropewalk",
        better: Better::Higher,
        goal: 0.5,
        stretch: 0.6,
        value: |table| {
            ratio(
                table,
                ["ropewalk-redundant", "ropewalk"],
                Plain,
                Metric::OneStream,
            )
        },
    },
    Goal {
        what: "ropewalk: RTT under load, p99, ms",
        better: Better::Lower,
        goal: 5.0,
        stretch: 5.0,
        value: |table| Some(table.median("ropewalk", Plain, Metric::LoadRttP99)? * 1e3),
    },
];

/// Holds the table against all goals.
pub(crate) fn judge(table: &Table) -> Vec<Verdict> {
    GOALS.iter().map(|goal| goal.judge(table)).collect()
}

impl Goal {
    fn judge(&self, table: &Table) -> Verdict {
        let value = (self.value)(table);
        let within = |limit: f64| {
            value.map(|value| match self.better {
                Better::Higher => value >= limit,
                Better::Lower => value <= limit,
            })
        };
        let sign = match self.better {
            Better::Higher => "≥",
            Better::Lower => "≤",
        };
        Verdict {
            what: self.what.to_owned(),
            value,
            goal: format!("{sign} {}", self.goal),
            stretch: format!("{sign} {}", self.stretch),
            met: within(self.goal),
            stretched: within(self.stretch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::row;

    fn verdict(table: &Table, what: &str) -> Verdict {
        let mut all = judge(table).into_iter();
        all.find(|verdict| verdict.what == what).unwrap()
    }

    #[test]
    fn ratios_are_of_medians_and_have_a_direction() {
        let throughput = |own: &[f64]| Table {
            rows: vec![
                row("ropewalk", false, Metric::OneStream, own),
                row("openvpn-tls", true, Metric::OneStream, &[1.0, 0.5, 0.1]),
            ],
        };
        let what = "1 stream: ropewalk / openvpn-tls";
        let good = verdict(&throughput(&[1.0, 7.0, 6.5]), what);
        assert_eq!(
            (good.value, good.met, good.stretched),
            (Some(13.0), Some(true), Some(false))
        );
        let bad = verdict(&throughput(&[5.9]), what);
        assert_eq!(bad.met, Some(false));
    }

    #[test]
    fn less_is_better_for_times_and_what_was_not_measured_is_not_judged() {
        let rows = vec![row("ropewalk", false, Metric::LoadRttP99, &[0.006])];
        let table = Table { rows };
        let slow = verdict(&table, "ropewalk: RTT under load, p99, ms");
        assert_eq!((slow.value, slow.met), (Some(6.0), Some(false)));
        let unknown = verdict(&table, "RTT under load, p99: ropewalk / openvpn-tls");
        assert_eq!((unknown.value, unknown.met), (None, None));
    }
}
