//! Readings of several runs as one table.

use serde::Serialize;

use crate::reading::{Reading, Row};

/// A row with what was measured of it in all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What was measured.
    #[serde(flatten)]
    pub row: Row,
    /// The middle of all runs.
    pub median: f64,
    /// The worst.
    pub worst: f64,
    /// All, in the order of the runs.
    pub values: Vec<f64>,
    /// Whether the median is within the goal.
    pub ok: bool,
}

/// Puts the readings of equal rows together, in the order in which rows came first.
pub fn summarise(readings: &[Reading]) -> Vec<Summary> {
    let mut rows: Vec<(&Row, Vec<f64>)> = Vec::new();
    for reading in readings {
        match rows.iter_mut().find(|(row, _)| **row == reading.row) {
            Some((_, values)) => values.push(reading.value),
            None => rows.push((&reading.row, vec![reading.value])),
        }
    }
    rows.into_iter()
        .map(|(row, values)| {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            // Of an even number the worse of both in the middle.
            let median = sorted
                .get(sorted.len() / 2)
                .copied()
                .unwrap_or(f64::INFINITY);
            let worst = sorted.last().copied().unwrap_or(f64::INFINITY);
            Summary {
                row: row.clone(),
                median,
                worst,
                values,
                ok: median <= row.goal.value(),
            }
        })
        .collect()
}

/// The table as text, columns aligned.
pub fn render(summaries: &[Summary]) -> String {
    let head = [
        "event",
        "lines",
        "mode",
        "direction",
        "goal",
        "median",
        "worst",
        "ok",
    ];
    let mut table = vec![head.map(str::to_owned)];
    for summary in summaries {
        let Row {
            event,
            lines,
            mode,
            direction,
            goal,
        } = &summary.row;
        table.push([
            event.clone(),
            lines.clone(),
            mode.clone(),
            direction.clone(),
            format!("≤ {}", goal.show(goal.value())),
            goal.show(summary.median),
            goal.show(summary.worst),
            if summary.ok { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    let mut widths = [0; 8];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &table {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join(" | ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Goal;

    fn reading(event: &str, value: f64) -> Reading {
        let row = Row {
            event: event.to_owned(),
            lines: "2".to_owned(),
            mode: "failover".to_owned(),
            direction: "both".to_owned(),
            goal: Goal::Ms(60.0),
        };
        Reading { row, value }
    }

    #[test]
    fn the_median_counts_and_the_worst_shows() {
        let readings = [
            reading("cut", 30.0),
            reading("back", 10.0),
            reading("cut", f64::INFINITY),
            reading("cut", 40.0),
        ];
        let summaries = summarise(&readings);
        assert_eq!(summaries.len(), 2);
        assert_eq!((summaries[0].median, summaries[0].ok), (40.0, true));
        let text = render(&summaries);
        let cut = text.lines().find(|line| line.starts_with("cut")).unwrap();
        assert!(cut.contains("≤ 60.0 ms | 40.0 ms | failed"), "{cut}");
    }

    #[test]
    fn a_median_beyond_the_goal_is_not_ok() {
        let summaries = summarise(&[reading("cut", 61.0)]);
        assert!(!summaries[0].ok);
        assert!(render(&summaries).contains("NO"));
    }
}
