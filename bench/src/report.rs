//! The table and the goals as text.

use crate::figures::{Figures, Metric, Row, Table};
use crate::goals::Verdict;
use crate::scene::Topology;

/// A column: its head, what it shows, and the unit's size.
struct Column {
    head: &'static str,
    metric: Metric,
    unit: f64,
    decimals: usize,
}

const fn column(head: &'static str, metric: Metric, unit: f64, decimals: usize) -> Column {
    Column {
        head,
        metric,
        unit,
        decimals,
    }
}

const COLUMNS: &[Column] = &[
    column("1 stream Gbit/s", Metric::OneStream, 1e9, 3),
    column("4 streams Gbit/s", Metric::FourStreams, 1e9, 3),
    column("CPU s/GB sender", Metric::SenderCpu, 1.0, 2),
    column("receiver", Metric::ReceiverCpu, 1.0, 2),
    column("64 B kpkt/s", Metric::Packets, 1e3, 1),
    column("of offered", Metric::Offered, 1e3, 1),
    column("RTT idle µs", Metric::IdleRtt, 1e-6, 0),
    column("p99", Metric::IdleRttP99, 1e-6, 0),
    column("loaded ms", Metric::LoadRtt, 1e-3, 2),
    column("p99", Metric::LoadRttP99, 1e-3, 2),
    column("resent/lost", Metric::Resent, 1.0, 2),
    column("MB", Metric::Memory, 1e6, 1),
    column("others %", Metric::Others, 0.01, 0),
];

/// The table, columns aligned, and what is to be said about its rows.
pub(crate) fn table(table: &Table) -> String {
    let mut lines = vec![vec!["contestant".to_owned()]];
    lines[0].extend(COLUMNS.iter().map(|column| column.head.to_owned()));
    let mut remarks = Vec::new();
    for row in &table.rows {
        if let Some(remark) = remark(row) {
            remarks.push(format!("{}: {remark}\n", title(row)));
        }
        if !row.failed() {
            let cells = COLUMNS.iter().map(|column| cell(row, column));
            lines.push([title(row)].into_iter().chain(cells).collect());
        }
    }
    align(&lines) + &remarks.concat()
}

/// The goals beside what was measured.
pub(crate) fn goals(verdicts: &[Verdict]) -> String {
    let head = ["goal", "measured", "wanted", "stretch", ""];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for verdict in verdicts {
        let value = verdict.value.map(|value| format!("{value:.2}"));
        let word = match (verdict.met, verdict.stretched) {
            (Some(true), Some(true)) => "met, stretch too",
            (Some(true), _) => "met",
            (Some(false), _) => "MISSED",
            (None, _) => "not measured",
        };
        lines.push(vec![
            verdict.what.clone(),
            value.unwrap_or_else(|| "-".to_owned()),
            verdict.goal.clone(),
            verdict.stretch.clone(),
            word.to_owned(),
        ]);
    }
    align(&lines)
}

/// The row's name.
pub(crate) fn title(row: &Row) -> String {
    match row.topology {
        Topology::Plain => row.name.clone(),
        Topology::Nic => format!("{} (nic)", row.name),
        Topology::Loss => format!("{} (loss)", row.name),
    }
}

/// One run in one line.
pub(crate) fn line(figures: &Figures) -> String {
    let shown = COLUMNS.iter().filter_map(|column| {
        let value = figures.get(&column.metric)? / column.unit;
        Some(format!("{} {value:.*}", column.head, column.decimals))
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn remark(row: &Row) -> Option<String> {
    if let Some(missing) = &row.missing {
        return Some(format!("missing: {missing}"));
    }
    let last = row.failures.last()?;
    let count = row.failures.len();
    Some(format!("{count} run(s) FAILED, the last: {last}"))
}

fn cell(row: &Row, column: &Column) -> String {
    let Some(median) = row.median(column.metric) else {
        return "-".to_owned();
    };
    let text = format!("{:.*}", column.decimals, median / column.unit);
    match row.spread(column.metric) {
        Some(spread) if row.values[&column.metric].len() > 1 => {
            format!("{text} ±{:.0}%", spread * 100.0)
        }
        _ => text,
    }
}

/// The first column to the left, all others to the right.
fn align(lines: &[Vec<String>]) -> String {
    let mut widths = vec![0; lines.first().map_or(0, Vec::len)];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut cells = line.iter().zip(&widths);
        if let Some((first, width)) = cells.next() {
            text += &format!("{first:<width$}");
        }
        for (cell, width) in cells {
            text += &format!("  {cell:>width$}");
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::row;

    #[test]
    fn cells_show_median_and_spread_and_failed_rows_say_why() {
        let mut missing = row("absent", true, Metric::Packets, &[]);
        missing.values.clear();
        missing.missing = Some("apt-get install absent".to_owned());
        let measured = row("x", true, Metric::OneStream, &[0.9e9, 1e9, 1.2e9]);
        let text = super::table(&Table {
            rows: vec![measured, missing],
        });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("x"), "{text}");
        assert!(lines[1].contains(" 1.000 ±15% "), "{text}");
        assert_eq!(lines[2], "absent: missing: apt-get install absent");
    }

    #[test]
    fn verdicts_are_words() {
        let verdict = Verdict {
            what: "speed".to_owned(),
            value: Some(1.0),
            goal: "≥ 2".to_owned(),
            stretch: "≥ 3".to_owned(),
            met: Some(false),
            stretched: Some(false),
        };
        let text = goals(&[verdict]);
        assert!(text.lines().nth(1).unwrap().ends_with("MISSED"), "{text}");
    }
}
