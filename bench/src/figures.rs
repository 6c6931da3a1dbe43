//! What was measured, of one row in all rounds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::scene::Topology;

/// What is measured. Each in plain units: bits per second, seconds, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Payload of one TCP stream, bit/s at the receiver.
    OneStream,
    /// Payload of four, bit/s.
    FourStreams,
    /// Processor time of the sender's tunnel, seconds per 10⁹ bytes of payload of one stream.
    SenderCpu,
    /// The receiver's.
    ReceiverCpu,
    /// Packets of 64 bytes of UDP payload that arrive, per second.
    Packets,
    /// Packets that were offered at the same time, per second.
    Offered,
    /// Round trip with nothing else going on, seconds: the median.
    IdleRtt,
    /// Ninety-nine of a hundred are not longer.
    IdleRttP99,
    /// Round trip beside one TCP stream, seconds: the median.
    LoadRtt,
    /// Ninety-nine of a hundred are not longer.
    LoadRttP99,
    /// TCP segments sent again for each datagram that was lost.
    Resent,
    /// Which share of the machine others used while one stream was measured, 0 to 1.
    Others,
    /// The most memory of either end's tunnel, bytes.
    Memory,
}

/// The figures of one run.
pub(crate) type Figures = BTreeMap<Metric, f64>;

/// A row of the table: a contestant on a topology.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The contestant.
    pub(crate) name: String,
    /// It counts as a rival.
    pub(crate) rival: bool,
    /// What the hosts were joined by.
    pub(crate) topology: Topology,
    /// How to install what it lacks.
    pub(crate) missing: Option<String>,
    /// Why runs failed.
    pub(crate) failures: Vec<String>,
    /// What was measured, in the order of the rounds.
    pub(crate) values: BTreeMap<Metric, Vec<f64>>,
}

impl Row {
    /// Takes the figures of one more run.
    pub(crate) fn add(&mut self, figures: Figures) {
        for (metric, value) in figures {
            self.values.entry(metric).or_default().push(value);
        }
    }

    /// It could not be measured at all.
    pub(crate) fn failed(&self) -> bool {
        self.values.is_empty()
    }

    /// The middle of all runs.
    pub(crate) fn median(&self, metric: Metric) -> Option<f64> {
        median(self.values.get(&metric)?)
    }

    /// Half the distance between the best and the worst run, as a share of the median.
    pub(crate) fn spread(&self, metric: Metric) -> Option<f64> {
        let values = self.values.get(&metric)?;
        let middle = median(values).filter(|middle| *middle > 0.0)?;
        let max = values.iter().copied().fold(f64::MIN, f64::max);
        let min = values.iter().copied().fold(f64::MAX, f64::min);
        Some((max - min) / 2.0 / middle)
    }
}

/// The middle; the mean of both in the middle of an even number.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// All rows.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Table {
    /// In the order in which they are measured.
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// The median of a contestant's metric; `None` when it was not measured.
    pub(crate) fn median(&self, name: &str, topology: Topology, metric: Metric) -> Option<f64> {
        let mut rows = self.rows.iter();
        let row = rows.find(|row| row.name == name && row.topology == topology)?;
        row.median(metric)
    }

    /// The rival with the highest median of a metric.
    pub(crate) fn best_rival(&self, metric: Metric) -> Option<(&str, f64)> {
        let rivals = self
            .rows
            .iter()
            .filter(|row| row.rival && row.topology == Topology::Plain);
        rivals
            .filter_map(|row| Some((row.name.as_str(), row.median(metric)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row with these values of one metric.
    pub(crate) fn row(name: &str, rival: bool, metric: Metric, values: &[f64]) -> Row {
        Row {
            name: name.to_owned(),
            rival,
            topology: Topology::Plain,
            missing: None,
            failures: Vec::new(),
            values: BTreeMap::from([(metric, values.to_vec())]),
        }
    }

    #[test]
    fn the_median_is_the_middle_and_the_spread_is_around_it() {
        let odd = row("x", false, Metric::OneStream, &[90.0, 10.0, 20.0]);
        assert_eq!(odd.median(Metric::OneStream), Some(20.0));
        assert_eq!(odd.spread(Metric::OneStream), Some(2.0));
        let even = row("x", false, Metric::OneStream, &[4.0, 1.0, 2.0, 3.0]);
        assert_eq!(even.median(Metric::OneStream), Some(2.5));
        assert_eq!(even.median(Metric::Packets), None);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_best_rival_is_a_rival() {
        let table = Table {
            rows: vec![
                row("veth", false, Metric::OneStream, &[9.0]),
                row("slow", true, Metric::OneStream, &[1.0]),
                row("fast", true, Metric::OneStream, &[2.0]),
            ],
        };
        assert_eq!(table.best_rival(Metric::OneStream), Some(("fast", 2.0)));
        assert_eq!(table.best_rival(Metric::Packets), None);
    }
}
