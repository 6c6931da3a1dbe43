//! What is measured of a run.

use std::time::{Duration, Instant};

use super::Scenario;
use crate::{World, ms};

/// Goodput for the question when it was reached is averaged over this time.
const SMOOTHING: Duration = ms(500);

/// Something measured; the unit is in its name where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Goodput, % of the whole.
    Goodput,
    /// When half a second began in which goodput was 90 % of the whole, ms after measuring began.
    Reached90,
    /// Goodput of the worst half second, % of the whole.
    Lowest,
    /// Longest time without progress of any transfer, ms.
    Stall,
    /// Retransmission timeouts of all transfers.
    Timeouts,
    /// Segments sent again, %.
    Resent,
    /// One-way delay of the frames of transfers beyond the best line's, median, ms.
    FrameMedian,
    /// The same, 99 of 100.
    FrameP99,
    /// Ping beyond the least possible, median, ms.
    PingMedian,
    /// The same, 99 of 100.
    PingP99,
    /// The same, the longest.
    PingMax,
    /// Frames of transfers that arrived after one sent later, %.
    Disordered,
    /// Numbered frames lost, per million.
    Lost,
    /// Numbered frames later than 30 ms beyond the best line's delay, per million.
    Late,
    /// Mean delay of numbered frames beyond the best line's, ms.
    Delay,
    /// The same, 99 of 100.
    DelayP99,
    /// What entered the first line ahead, % of what it carries.
    Offered,
    /// Least share of a transfer among several, % of an equal one.
    Fairness,
    /// Bytes on the last line, both directions, in kB.
    LastLine,
    /// Packets dropped by the lines' queues, or lost otherwise, % of all.
    LineLoss,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All that was measured.
    pub values: Vec<(Metric, f64)>,
    /// Share of each line in all bytes from machine 0, %.
    pub shares: Vec<f64>,
    /// What must never happen and did.
    pub violations: Vec<String>,
}

impl Outcome {
    /// One value; NaN when the scenario has none.
    #[must_use]
    pub fn get(&self, metric: Metric) -> f64 {
        let mut values = self.values.iter();
        values
            .find(|(m, _)| *m == metric)
            .map_or(f64::NAN, |&(_, value)| value)
    }
}

/// The counters when measuring began.
pub(super) struct Measuring {
    from: Instant,
    timeouts: u64,
    resent: u64,
    sent: u64,
    arrived: u64,
    disordered: u64,
    bytes: Vec<[u64; 2]>,
    packets: (u64, u64),
}

fn bytes(world: &World) -> Vec<[u64; 2]> {
    let lines = world.lines.iter();
    lines
        .map(|line| [0, 1].map(|end| line.directions[end].offered_bytes))
        .collect()
}

/// Packets lost by the lines ahead, and all.
fn packets(world: &World) -> (u64, u64) {
    let ahead = world.lines.iter().map(|line| &line.directions[0]);
    ahead.fold((0, 0), |(lost, all), direction| {
        (
            lost + direction.lost,
            all + direction.lost + direction.carried,
        )
    })
}

impl Measuring {
    pub(super) fn begin(world: &mut World) -> Self {
        let now = world.now;
        world.connections.iter_mut().for_each(|c| c.restart(now));
        let sum = |of: fn(&crate::tcp::Connection) -> u64| world.connections.iter().map(of).sum();
        Self {
            from: now,
            timeouts: sum(|c| c.sender.counts.timeouts),
            resent: sum(|c| c.sender.counts.resent),
            sent: sum(|c| c.sender.counts.sent),
            arrived: sum(|c| c.arrived),
            disordered: sum(|c| c.disordered),
            bytes: bytes(world),
            packets: packets(world),
        }
    }

    pub(super) fn finish(&self, world: &mut World, scenario: &Scenario) -> Outcome {
        let mut values = Vec::new();
        let to = world.now;
        let used: Vec<[u64; 2]> = bytes(world)
            .iter()
            .zip(&self.bytes)
            .map(|(after, before)| [after[0] - before[0], after[1] - before[1]])
            .collect();
        let all: u64 = used.iter().map(|line| line[0]).sum();
        let shares = used
            .iter()
            .map(|line| 100.0 * line[0] as f64 / all.max(1) as f64);
        let (lost, packets) = packets(world);
        let (lost, packets) = (lost - self.packets.0, packets - self.packets.1);
        let last = used.last().copied().unwrap_or_default();
        let could = scenario.lines[0].rate as f64 / 8.0 * scenario.lasts.as_secs_f64();
        values.push((Metric::Offered, 100.0 * used[0][0] as f64 / could));
        values.push((Metric::LineLoss, percent(lost, packets)));
        values.push((Metric::LastLine, (last[0] + last[1]) as f64 / 1e3));
        self.transfers(world, scenario, &mut values);
        let delay = scenario.lines.iter().map(|line| line.delay);
        let best = delay.min().unwrap_or_default();
        frame_delays(world, best, &mut values);
        // What is still on its way is neither lost nor late.
        world.run(ms(500));
        self.pings(world, best, to, &mut values);
        self.frames(world, best, to, &mut values);
        Outcome {
            values,
            shares: shares.collect(),
            violations: world.checks.violations().to_vec(),
        }
    }

    fn transfers(&self, world: &World, scenario: &Scenario, values: &mut Vec<(Metric, f64)>) {
        let all = &world.connections;
        if all.is_empty() {
            return;
        }
        let sum = |of: fn(&crate::tcp::Connection) -> u64| all.iter().map(of).sum::<u64>();
        let time = (world.now - self.from).as_secs_f64();
        let each = all.iter().map(|c| c.goodput(self.from, world.now));
        let each: Vec<f64> = each.map(|bytes| bytes as f64 * 8.0 / time).collect();
        let rate: f64 = each.iter().sum();
        let least = each.iter().copied().fold(f64::INFINITY, f64::min);
        let stalls = all
            .iter()
            .map(|c| c.longest_stall.max(world.now - c.last_progress));
        let arrived = sum(|c| c.arrived) - self.arrived;
        let resent = sum(|c| c.sender.counts.resent) - self.resent;
        let sent = sum(|c| c.sender.counts.sent) - self.sent;
        let timeouts = sum(|c| c.sender.counts.timeouts) - self.timeouts;
        let disordered = sum(|c| c.disordered) - self.disordered;
        let (reached, lowest) = self.reached(world, scenario.whole());
        values.extend([
            (Metric::Goodput, 100.0 * rate / scenario.whole()),
            (Metric::Reached90, reached),
            (Metric::Lowest, lowest),
            (Metric::Stall, millis(stalls.max().unwrap_or_default())),
            (Metric::Timeouts, timeouts as f64),
            (Metric::Resent, percent(resent, sent)),
            (Metric::Disordered, percent(disordered, arrived)),
            (Metric::Fairness, 100.0 * least * each.len() as f64 / rate),
        ]);
    }

    /// See [`Metric::Reached90`], infinite when never, and [`Metric::Lowest`].
    fn reached(&self, world: &World, whole: f64) -> (f64, f64) {
        let (mut at, mut reached, mut lowest) = (self.from, f64::INFINITY, f64::INFINITY);
        while at + SMOOTHING <= world.now {
            let each = world.connections.iter();
            let bytes: u64 = each.map(|c| c.goodput(at, at + SMOOTHING)).sum();
            let share = bytes as f64 * 8.0 / SMOOTHING.as_secs_f64() / whole;
            if share >= 0.9 {
                reached = reached.min(millis(at - self.from));
            }
            lowest = lowest.min(100.0 * share);
            at += ms(20);
        }
        (reached, lowest)
    }

    fn pings(&self, world: &World, best: Duration, to: Instant, values: &mut Vec<(Metric, f64)>) {
        let Some(ping) = world.pings.first() else {
            return;
        };
        let (times, lost) = ping.round_trips(self.from, to);
        // One that is not answered took longer than any.
        let at = |share: f64| {
            let index = ((times.len() + lost) as f64 * share) as usize;
            let time = times.get(index.min(times.len() + lost - 1));
            time.map_or(f64::INFINITY, |time| millis(time.saturating_sub(best * 2)))
        };
        values.extend([
            (Metric::PingMedian, at(0.5)),
            (Metric::PingP99, at(0.99)),
            (Metric::PingMax, at(1.0)),
        ]);
    }

    fn frames(&self, world: &World, best: Duration, to: Instant, values: &mut Vec<(Metric, f64)>) {
        let (mut all, mut lost, mut delays) = (0, 0, Vec::new());
        for stream in &world.streams {
            let first = stream.sent.partition_point(|&at| at < self.from);
            let sent = stream.sent[first..].iter();
            for (sent, arrived) in sent.zip(stream.fates(self.from, to)) {
                all += 1;
                let Some(arrived) = arrived else {
                    lost += 1;
                    continue;
                };
                delays.push((arrived - *sent).saturating_sub(best));
            }
        }
        if delays.is_empty() {
            return;
        }
        delays.sort_unstable();
        let late = delays.iter().filter(|&&delay| delay > ms(30)).count() as u64;
        let mean = delays.iter().sum::<Duration>() / delays.len() as u32;
        values.extend([
            (Metric::Lost, percent(lost, all) * 1e4),
            (Metric::Late, percent(late, all) * 1e4),
            (Metric::Delay, millis(mean)),
            (Metric::DelayP99, millis(delays[delays.len() * 99 / 100])),
        ]);
    }
}

fn frame_delays(world: &World, best: Duration, values: &mut Vec<(Metric, f64)>) {
    let transfers = world.connections.iter();
    let mut delays: Vec<u32> = transfers.flat_map(|c| c.delays.iter().copied()).collect();
    if delays.is_empty() {
        return;
    }
    delays.sort_unstable();
    let at = |index: usize| f64::from(delays[index]) / 1e3 - millis(best);
    values.extend([
        (Metric::FrameMedian, at(delays.len() / 2)),
        (Metric::FrameP99, at(delays.len() * 99 / 100)),
    ]);
}

fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
