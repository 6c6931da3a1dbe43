//! A picture of a run: rates and delays over time, with what happened.

use crate::record::{Packet, Record};
use crate::scenario::Direction;

mod svg;

use svg::{Chart, Svg};

/// Colours that also colour-blind people tell apart (Okabe and Ito).
const LINES: [&str; 6] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
];
const DELIVERED: &str = "#000000";
const IDEAL: &str = "#999999";
const PING: &str = "#d55e00";

/// Pixels.
const WIDTH: f64 = 1000.0;
const RATE_HEIGHT: f64 = 260.0;
const DELAY_HEIGHT: f64 = 200.0;
/// Delivered rates are means over this long, seconds.
const GRAIN: f64 = 0.1;

type Points = Vec<(f64, f64)>;

/// The picture, as SVG 1.1.
pub(crate) fn draw(record: &Record) -> String {
    let directions: Vec<Direction> = Direction::BOTH
        .into_iter()
        .filter(|direction| uses(record, *direction))
        .collect();
    let height = 60.0 + directions.len() as f64 * RATE_HEIGHT + DELAY_HEIGHT;
    let mut svg = Svg::new(WIDTH, height);
    let lines: Vec<String> = record
        .scenario
        .lines
        .iter()
        .map(|line| line.describe())
        .collect();
    let (name, mode, lines) = (&record.scenario.name, record.mode.name(), lines.join(" + "));
    svg.text((12.0, 24.0), 18, "start", &format!("{name}, {mode}"));
    svg.text(
        (12.0, 44.0),
        12,
        "start",
        &format!("lines, Mbit/s / RTT ms: {lines}"),
    );
    let mut top = 60.0;
    for direction in directions {
        rates(record, direction, &mut svg, top);
        top += RATE_HEIGHT;
    }
    delays(record, &mut svg, top);
    svg.finish()
}

/// Whether there is something to see this way.
fn uses(record: &Record, direction: Direction) -> bool {
    let flows = record.flows.iter().any(|flow| flow.direction == direction);
    let mut streams = record.streams.iter();
    flows || streams.any(|stream| stream.direction == direction)
}

fn rates(record: &Record, direction: Direction, svg: &mut Svg, top: f64) {
    let seconds = record.scenario.seconds;
    let mut curves: Vec<(String, &str, Points)> = Vec::new();
    for (number, colour) in (0..record.scenario.lines.len()).zip(LINES.iter().cycle()) {
        let points = line_rate(record, number, direction);
        curves.push((format!("line {}", number + 1), colour, points));
    }
    curves.push((
        "TCP delivered".to_owned(),
        DELIVERED,
        delivered(record, direction),
    ));
    let ideal = ideal(record);
    let highest = curves
        .iter()
        .map(|(.., points)| points)
        .chain([&ideal])
        .flatten()
        .map(|point| point.1)
        .fold(1.0, f64::max);
    let arrow = match direction {
        Direction::AToB => "A → B",
        Direction::BToA => "B → A",
    };
    let mut chart = Chart::new(
        svg,
        (top, RATE_HEIGHT),
        (0.0, seconds),
        (0.0, highest * 1.05),
        &format!("Mbit/s, {arrow}"),
    );
    chart.curve("100 %", IDEAL, true, &ideal);
    for (name, colour, points) in &curves {
        chart.curve(name, colour, false, points);
    }
    events(record, &mut chart);
}

fn delays(record: &Record, svg: &mut Svg, top: f64) {
    let loaded = |packets: &[Packet]| -> Points {
        let inside = packets.iter().filter(|packet| packet.at >= 0.0);
        inside
            .filter_map(|packet| Some((packet.at, packet.delay_ms?)))
            .collect()
    };
    let mut clouds = vec![("ping, round trip".to_owned(), PING, loaded(&record.pings))];
    for (stream, colour) in record
        .streams
        .iter()
        .zip(LINES.iter().rev().skip(1).cycle())
    {
        let name = format!("{}, one way", stream.name);
        clouds.push((name, colour, loaded(&stream.packets)));
    }
    let points = clouds.iter().flat_map(|(.., points)| points);
    let highest = points.map(|point| point.1).fold(1.0, f64::max);
    let mut chart = Chart::new(
        svg,
        (top, DELAY_HEIGHT),
        (0.0, record.scenario.seconds),
        (0.0, highest * 1.05),
        "delay, ms",
    );
    for (name, colour, points) in &clouds {
        chart.cloud(name, colour, points);
    }
    events(record, &mut chart);
}

fn events(record: &Record, chart: &mut Chart<'_>) {
    // More than these would cover the picture; their lines do not.
    let labelled = record.events.len() <= 8;
    for (at, text) in &record.events {
        chart.mark(*at, if labelled { text } else { "" });
    }
}

/// What a line delivered, Mbit/s of IP.
fn line_rate(record: &Record, line: usize, direction: Direction) -> Points {
    let way = direction as usize;
    let point = |pair: &[crate::record::Sample]| {
        let bytes = |index: usize| pair[index].delivered.get(line).map(|both| both[way]);
        let grown = bytes(1)?.saturating_sub(bytes(0)?);
        let took = pair[1].at - pair[0].at;
        (took > 0.0).then(|| (pair[1].at, grown as f64 * 8.0 / 1e6 / took))
    };
    record.samples.windows(2).filter_map(point).collect()
}

fn delivered(record: &Record, direction: Direction) -> Points {
    let count = (record.scenario.seconds / GRAIN) as usize;
    let point = |number: usize| {
        let (from, to) = (number as f64 * GRAIN, (number + 1) as f64 * GRAIN);
        let bits = record.delivered(direction, from, to) as f64 * 8.0;
        (to, bits / 1e6 / GRAIN)
    };
    (0..count).map(point).collect()
}

/// What counts as 100 %, with its steps.
fn ideal(record: &Record) -> Points {
    let scenario = &record.scenario;
    let mut points = vec![(0.0, scenario.ideal(0.0) / 1e6)];
    for event in &scenario.events {
        let before = points.last().map_or(0.0, |point| point.1);
        points.push((event.at, before));
        points.push((event.at, scenario.ideal(event.at) / 1e6));
    }
    let last = points.last().map_or(0.0, |point| point.1);
    points.push((scenario.seconds, last));
    points
}

#[cfg(test)]
mod tests;
