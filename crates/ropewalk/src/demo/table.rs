//! The table of what users felt: aligned, and in colour where there are colours.

use std::fmt::Write;

use anstyle::{AnsiColor, Reset};
use lab::meter::FlowReport;

use super::event::{Event, Verdict};
use crate::status::Style;

/// One line of the table: texts to the left, numbers to the right.
struct Row {
    cells: [String; 8],
    verdict: Option<Verdict>,
}

/// The columns with numbers.
const NUMBERS: std::ops::RangeInclusive<usize> = 1..=4;
/// The column with the verdict.
const VERDICT: usize = 6;

impl Row {
    fn header() -> Self {
        let cells = [
            "event",
            "A to B",
            "B to A",
            "lost",
            "twice",
            "goal",
            "",
            "OpenVPN + bond",
        ];
        Self {
            cells: cells.map(str::to_owned),
            verdict: None,
        }
    }

    fn of(event: &Event) -> Self {
        let verdict = event.verdict();
        let gap = |flow: &FlowReport| format!("{:.0}", flow.gap_ms());
        let mut what = event.what.to_owned();
        if let Some(ready) = event.ready {
            let _ = write!(what, " {:.1} s", ready.as_secs_f64());
        }
        Self {
            cells: [
                what,
                gap(&event.felt.a_to_b),
                gap(&event.felt.b_to_a),
                event.felt.lost().to_string(),
                event.felt.duplicated().to_string(),
                event.goal_text(),
                verdict.word().to_owned(),
                event.before.to_owned(),
            ],
            verdict: Some(verdict),
        }
    }
}

/// Appends the table of these events to `out`.
pub(super) fn table(out: &mut String, events: &[Event], style: Style) {
    let mut rows = vec![Row::header()];
    rows.extend(events.iter().map(Row::of));
    let width = |column: usize| {
        let widths = rows.iter().filter_map(|row| row.cells.get(column));
        widths.map(String::len).max().unwrap_or(0)
    };
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.cells.iter().enumerate() {
            let width = width(column);
            let text = match NUMBERS.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            };
            match row.verdict {
                Some(verdict) if column == VERDICT => {
                    line += &paint(&text, verdict.colour(), style);
                }
                _ => line += &text,
            }
            line += "  ";
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// Text in a colour, if there are colours.
pub(super) fn paint(text: &str, colour: AnsiColor, style: Style) -> String {
    match style {
        Style::Plain => text.to_owned(),
        Style::Coloured => format!("{}{text}{Reset}", colour.render_fg()),
    }
}
