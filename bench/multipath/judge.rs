//! Values of goals, from what was recorded.

use crate::record::{Packet, Record, StreamRecord};
use crate::scenario::{Direction, Goal, What};
use crate::statistics::{fairness, quantile};

/// A rate is looked at over this long, seconds: half a second.
const LOOK: f64 = 0.5;
/// The time between two looks, seconds.
const STEP: f64 = 0.01;
/// A packet of a stream that comes this much later than over the best line is late, milliseconds.
const LATE: f64 = 30.0;

/// The value of a goal; `None` when it could not be measured.
pub(crate) fn value(goal: &Goal, record: &Record, reference: Option<&Record>) -> Option<f64> {
    let (from, until) = goal.window(&record.scenario);
    let direction = goal.direction;
    match goal.what {
        What::Goodput => share_of_ideal(record, direction, from, until),
        What::OfReference => {
            let ours = record.delivered(direction, from, until) as f64;
            let theirs = reference?.delivered(direction, from, until) as f64;
            (theirs > 0.0).then(|| 100.0 * ours / theirs)
        }
        What::Stall => {
            let flows = record.flows.iter();
            let flows = flows.filter(|flow| flow.direction == direction);
            let stalls = flows.map(|flow| flow.arrivals.longest_stall(from, until) * 1e3);
            stalls.reduce(f64::max)
        }
        What::Timeouts => {
            let sender = direction as usize;
            Some(record.grown(from, until, |sample| sample.timeouts[sender]) as f64)
        }
        What::PingP50 => added_ping(record, from, until, 0.5),
        What::PingP99 => added_ping(record, from, until, 0.99),
        What::PingMax => added_ping(record, from, until, 1.0),
        What::PingLost => {
            let lost = within(&record.pings, from, until).filter(|ping| ping.delay_ms.is_none());
            Some(lost.count() as f64)
        }
        What::Late | What::LostShare | What::DelayP50 | What::DelayP99 => {
            let name = goal.stream.as_deref()?;
            let stream = record.streams.iter().find(|stream| stream.name == name)?;
            of_stream(goal.what, stream, record, (from, until))
        }
        What::Recovery => Some(recovery(
            record,
            direction,
            (from, until),
            goal.level.unwrap_or(100.0),
        )),
        What::Dip => dip(record, direction, from, until),
        What::Fairness => {
            let flows = record.flows.iter();
            let flows = flows.filter(|flow| flow.direction == direction);
            let shares: Vec<f64> = flows
                .map(|flow| flow.arrivals.between(from, until) as f64)
                .collect();
            fairness(&shares)
        }
    }
}

/// Percent of what counts as 100 %, over a stretch in which lines may change.
fn share_of_ideal(record: &Record, direction: Direction, from: f64, until: f64) -> Option<f64> {
    let mut times = vec![from];
    let events = record.scenario.events.iter().map(|event| event.at);
    times.extend(events.filter(|at| from < *at && *at < until));
    times.push(until);
    let bits = |pair: &[f64]| record.scenario.ideal(pair[0]) * (pair[1] - pair[0]);
    let ideal: f64 = times.windows(2).map(bits).sum();
    let delivered = record.delivered(direction, from, until) as f64 * 8.0;
    (ideal > 0.0).then(|| 100.0 * delivered / ideal)
}

fn within(packets: &[Packet], from: f64, until: f64) -> impl Iterator<Item = &Packet> {
    packets
        .iter()
        .filter(move |packet| from <= packet.at && packet.at < until)
}

/// Round trips beyond the median of those without load.
fn added_ping(record: &Record, from: f64, until: f64, share: f64) -> Option<f64> {
    let times = |from, until| -> Vec<f64> {
        within(&record.pings, from, until)
            .filter_map(|ping| ping.delay_ms)
            .collect()
    };
    let idle = quantile(&times(f64::NEG_INFINITY, 0.0), 0.5)?;
    Some(quantile(&times(from, until), share)? - idle)
}

fn of_stream(
    what: What,
    stream: &StreamRecord,
    record: &Record,
    (from, until): (f64, f64),
) -> Option<f64> {
    let best = record.scenario.best_delay();
    let packets: Vec<&Packet> = within(&stream.packets, from, until).collect();
    let delays: Vec<f64> = packets
        .iter()
        .filter_map(|packet| packet.delay_ms)
        .collect();
    if packets.is_empty() {
        return None;
    }
    let lost = packets.len() - delays.len();
    match what {
        What::Late => {
            let late = delays.iter().filter(|delay| **delay - best > LATE).count();
            Some((late + lost) as f64)
        }
        What::LostShare => Some(lost as f64 / packets.len() as f64),
        What::DelayP50 => Some(quantile(&delays, 0.5)? - best),
        _ => Some(quantile(&delays, 0.99)? - best),
    }
}

/// Looks that fit between two times: when each begins and ends.
fn looks(from: f64, until: f64) -> impl Iterator<Item = (f64, f64)> {
    let count = ((until - from - LOOK) / STEP + 1.0).max(0.0) as usize;
    (0..count).map(move |number| {
        let begin = from + number as f64 * STEP;
        (begin, begin + LOOK)
    })
}

/// Seconds from `from` to the end of the first look that reaches `level` percent; infinite when
/// none does.
fn recovery(record: &Record, direction: Direction, (from, until): (f64, f64), level: f64) -> f64 {
    let reached = |(begin, end): &(f64, f64)| {
        share_of_ideal(record, direction, *begin, *end).is_some_and(|share| share >= level)
    };
    let first = looks(from, until).find(reached);
    first.map_or(f64::INFINITY, |(_, end)| end - from)
}

/// How much less than in the second before the worst look brings, percent of that.
fn dip(record: &Record, direction: Direction, from: f64, until: f64) -> Option<f64> {
    let rate =
        |from: f64, until: f64| record.delivered(direction, from, until) as f64 / (until - from);
    let before = rate(from - 1.0, from);
    let worst = looks(from, until).map(|(begin, end)| rate(begin, end));
    let worst = worst.reduce(f64::min)?;
    (before > 0.0).then(|| (100.0 * (1.0 - worst / before)).max(0.0))
}

#[cfg(test)]
mod tests;
