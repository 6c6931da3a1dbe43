//! Over which paths bulk is spread: the best one, and as many more as the demand asks for and as are worth their delay.
//!
//! Spreading makes every bulk frame as late as the slowest path of the set, so the set is no larger than it must be. A path
//! joins when what waits for the others would not arrive later by it; then the wait here becomes a wait at the receiver, and
//! a TCP notices nothing but that there is more room. It leaves when the others have been more than enough for a while.
//!
//! Before anything is trusted to a path that joins, it carries copies: until its rate is known, and then until one has
//! arrived, since the receiver must know how late that path is before it can put its records in order.

use std::time::Instant;

use crate::params::{
    MAX_PATHS, STRIPE_BUSY, STRIPE_JOIN, STRIPE_JOIN_OVERFLOW, STRIPE_LEAVE, STRIPE_WINDOW,
};

/// Another path is called for, too, by so much of the capacity in use, of 100, while what waits does not grow: some senders
/// never let a queue stand (BBR). They have twice in flight what the path holds, so a delay that doubles does no harm.
const BUSY: u64 = 80;
/// What waits grows if it is more by one part in this many, and by this.
const GROWTH: u64 = 8;
const GROWTH_LEAST: u64 = 6_000;
/// The set is larger than it must be when what is left without its last path would be in use by less than this.
const SLACK: u64 = 50;
/// A path must carry this share of what the set carries, of 1000, for each 10 ms by which it delays all…
const WORTH: u64 = 5;
/// …and this at least, however quick it is.
const WORTH_ANYWAY: u64 = 20;

/// What is known of a path that could carry bulk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// Index of the path.
    pub path: usize,
    /// Bytes per second.
    pub bandwidth: u64,
    /// That is what it carries, as far as is known; else a guess that may be far too low.
    pub settled: bool,
    /// Round trip, µs.
    pub round_trip_us: u64,
    /// To be used only while the others do not suffice.
    pub overflow: bool,
    /// Relative one-way delay, microseconds: differences between paths mean something.
    pub delay_us: Option<i64>,
}

/// A path that is about to join.
#[derive(Clone, Copy, Debug)]
struct Joining {
    path: usize,
    since: Instant,
    /// When the first copy went by which the receiver measures.
    copied: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stripes {
    members: Vec<usize>,
    joining: Option<Joining>,
    /// Left out because they would not help.
    useless: u32,
    /// Since when what is counted below is.
    window: Instant,
    /// The least that waited, bytes.
    backlog: u64,
    bytes: u64,
    /// The most that waited in this and in the last [`STRIPE_BUSY`] windows.
    most: u64,
    most_before: u64,
    /// Percents of the capacity used, summed over so many windows.
    used: u64,
    windows: u32,
    /// How many of the last periods of [`STRIPE_BUSY`] windows were busy, up to three.
    busy: u32,
    /// Windows in a row in which a queue stood, or less was in use than the others have.
    standing: u32,
    slack: u32,
}

impl Stripes {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            members: Vec::with_capacity(MAX_PATHS),
            joining: None,
            useless: 0,
            window: now,
            backlog: 0,
            bytes: 0,
            most: 0,
            most_before: 0,
            used: 0,
            windows: 0,
            busy: 0,
            standing: 0,
            slack: 0,
        }
    }

    /// The paths that carry bulk, best first.
    pub(crate) fn members(&self) -> &[usize] {
        &self.members
    }

    /// The path that is to carry copies of what the members carry, and since when.
    pub(crate) fn joining(&self) -> Option<(usize, Instant)> {
        self.joining.map(|joining| (joining.path, joining.since))
    }

    /// A copy by which the receiver measures went by the path that is about to join.
    pub(crate) fn on_copied(&mut self, now: Instant) {
        if let Some(joining) = &mut self.joining {
            joining.copied.get_or_insert(now);
        }
    }

    /// What was sent on `path` at `sent` has arrived: if that may have been a copy, the path is a member now.
    pub(crate) fn on_arrived(&mut self, path: usize, sent: Instant) {
        let arrived = |joining: Joining| {
            joining.path == path && joining.copied.is_some_and(|copied| copied <= sent)
        };
        if self.joining.is_some_and(arrived) {
            self.members.push(path);
            self.joining = None;
        }
    }

    /// Whether `path` carries none because it would slow the others down more than it carries.
    pub(crate) fn is_useless(&self, path: usize) -> bool {
        self.useless & 1 << path != 0
    }

    /// Whether it is time to [`Self::update`] though no path changed.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.window) >= STRIPE_WINDOW
    }

    /// Bulk was sent.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// So many bytes wait for the set.
    pub(crate) fn on_backlog(&mut self, bytes: u64) {
        self.backlog = self.backlog.min(bytes);
        self.most = self.most.max(bytes);
    }

    /// Takes the paths in that may carry, best first. Whether the set changed.
    pub(crate) fn update(&mut self, lines: &[Line], now: Instant) -> bool {
        let before = self.members.len();
        self.members
            .retain(|&path| lines.iter().any(|line| line.path == path));
        self.joining = self
            .joining
            .filter(|joining| lines.iter().any(|line| line.path == joining.path));
        let mut changed = self.members.len() != before;
        if let Some(best) = lines.first()
            && !self.members.contains(&best.path)
        {
            self.joining = self.joining.filter(|joining| joining.path != best.path);
            self.members.insert(0, best.path);
            changed = true;
        }
        if !self.is_due(now) {
            return changed;
        }
        self.judge(lines, now);
        let patience = match self.next(lines) {
            Some(next) if next.overflow => STRIPE_JOIN_OVERFLOW,
            _ => STRIPE_JOIN,
        };
        if self.standing >= patience || self.is_busy_and_flat(lines) {
            (self.standing, self.busy) = (0, 0);
            self.join(lines, now);
            return changed;
        }
        if self.slack >= STRIPE_LEAVE && self.members.len() > 1 {
            self.slack = 0;
            self.members.pop();
            return true;
        }
        changed
    }

    /// By how much the next path that could join is later than the set, µs; `None`: there is none, or its delay is not known.
    pub(crate) fn next_is_later(&self, lines: &[Line]) -> Option<u64> {
        let next = self.next(lines)?;
        let slowest = self.of(lines).filter_map(|line| line.delay_us).max()?;
        Some((next.delay_us? - slowest).max(0) as u64)
    }

    /// The next path that could join.
    fn next<'a>(&self, lines: &'a [Line]) -> Option<&'a Line> {
        let outside = |line: &&Line| !self.members.contains(&line.path);
        let mut lines = lines.iter().filter(outside);
        lines.find(|line| !self.is_useless(line.path))
    }

    /// Ends a window.
    fn judge(&mut self, lines: &[Line], now: Instant) {
        let length = now
            .saturating_duration_since(self.window)
            .as_micros()
            .max(1);
        let rate = (u128::from(self.bytes) * 1_000_000 / length) as u64;
        let capacity: u64 = self.of(lines).map(|line| line.bandwidth).sum();
        let last = self.members.last();
        let last = lines.iter().find(|line| Some(&line.path) == last);
        let without = capacity - last.map_or(0, |line| line.bandwidth);
        let wait_us = u128::from(self.backlog) * 1_000_000 / u128::from(capacity.max(1));
        let later = self.next_is_later(lines).unwrap_or(0);
        let count = |holds: bool, windows: u32| if holds { windows + 1 } else { 0 };
        // Before its rate is known anything stands in front of a path.
        let known = self.of(lines).all(|line| line.settled);
        let stands = known && self.backlog > 0 && wait_us >= u128::from(later);
        self.standing = count(stands, self.standing);
        self.used += if known {
            rate * 100 / capacity.max(1)
        } else {
            0
        };
        self.slack = count(
            self.backlog == 0 && rate < without / 100 * SLACK,
            self.slack,
        );
        self.window = now;
        self.backlog = u64::MAX;
        self.bytes = 0;
    }

    /// Whether most of the capacity has been in use for three of these periods, and what waits does not grow. One period in
    /// which less was in use is forgiven: such senders pause to measure.
    fn is_busy_and_flat(&mut self, lines: &[Line]) -> bool {
        self.windows += 1;
        if self.windows < STRIPE_BUSY {
            return false;
        }
        let busy = std::mem::take(&mut self.used) / u64::from(self.windows) >= BUSY;
        self.windows = 0;
        let before = std::mem::replace(&mut self.most_before, std::mem::take(&mut self.most));
        let grows = self.most_before > before + (before / GROWTH).max(GROWTH_LEAST);
        self.busy = match busy {
            true => (self.busy + 1).min(3),
            false => self.busy.saturating_sub(1),
        };
        let round_trip = self.of(lines).map(|line| line.round_trip_us).max();
        let bearable = self.next_is_later(lines).zip(round_trip);
        self.busy == 3
            && busy
            && !grows
            && bearable.is_some_and(|(later, round_trip)| later <= round_trip + round_trip / 8)
    }

    /// Lets the best path that is worth it join.
    fn join(&mut self, lines: &[Line], now: Instant) {
        if self.joining.is_some() {
            return;
        }
        self.useless = 0;
        for line in lines {
            if self.members.contains(&line.path) {
                continue;
            }
            if self.is_worth(line, lines) {
                self.joining = Some(Joining {
                    path: line.path,
                    since: now,
                    copied: None,
                });
                return;
            }
            self.useless |= 1 << line.path;
        }
    }

    fn is_worth(&self, line: &Line, lines: &[Line]) -> bool {
        let members = || {
            lines
                .iter()
                .filter(|line| self.members.contains(&line.path))
        };
        let slowest = members().filter_map(|line| line.delay_us).max();
        let (Some(slowest), Some(delay)) = (slowest, line.delay_us) else {
            return true;
        };
        let capacity: u64 = self.of(lines).map(|line| line.bandwidth).sum();
        if line.bandwidth == 0 || capacity == 0 {
            return true;
        }
        let later = (delay - slowest).max(0) as u64;
        let gain = line.bandwidth.saturating_mul(1000) / capacity;
        gain >= (later * WORTH / 10_000).max(WORTH_ANYWAY)
    }

    fn of<'a>(&'a self, lines: &'a [Line]) -> impl Iterator<Item = &'a Line> {
        let members = |line: &&Line| self.members.contains(&line.path);
        lines.iter().filter(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: std::time::Duration = std::time::Duration::from_millis(1);

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn line(path: usize, megabits: u64, delay_ms: i64) -> Line {
        Line {
            path,
            bandwidth: megabits * 125_000,
            settled: true,
            round_trip_us: delay_ms as u64 * 2000,
            overflow: false,
            delay_us: Some(delay_ms * 1000 - 77_000),
        }
    }

    /// A second with this demand, in megabits per second, while so many bytes wait.
    fn second(stripes: &mut Stripes, lines: &[Line], megabits: usize, wait: u64, start: Instant) {
        for n in 0..100 {
            stripes.on_sent(megabits * 1250);
            stripes.on_backlog(wait);
            let now = start + 10 * MS * (n + 1);
            stripes.update(lines, now);
            if let Some((path, _)) = stripes.joining() {
                assert!(!stripes.members().contains(&path));
                stripes.on_arrived(path, now);
                stripes.on_copied(now);
            }
        }
    }

    #[test]
    fn the_best_alone_carries_what_it_can_and_more_join_on_demand() {
        let now = epoch();
        let lines = [line(2, 50, 10), line(0, 20, 30)];
        let mut stripes = Stripes::new(now);
        second(&mut stripes, &lines, 40, 100_000, now);
        assert_eq!(stripes.members(), [2]);
        second(&mut stripes, &lines, 40, 130_000, now + 1000 * MS);
        assert_eq!(stripes.members(), [2, 0], "20 ms wait, 20 ms later");
        for n in 2..7 {
            second(&mut stripes, &lines, 20, 0, now + 1000 * MS * n);
        }
        assert_eq!(stripes.members(), [2]);
    }

    #[test]
    fn a_sender_that_never_queues_is_given_another_path_too() {
        let now = epoch();
        let lines = [line(0, 50, 10), line(1, 20, 30)];
        let mut stripes = Stripes::new(now);
        for n in 0..3 {
            second(&mut stripes, &lines, 47, 0, now + 1000 * MS * n);
        }
        assert_eq!(stripes.members(), [0, 1]);
    }

    #[test]
    fn a_path_that_is_slow_and_late_is_left_out() {
        let now = epoch();
        let mut stripes = Stripes::new(now);
        second(
            &mut stripes,
            &[line(0, 100, 5), line(1, 10, 50)],
            100,
            2 << 20,
            now,
        );
        assert_eq!(stripes.members(), [0, 1], "a tenth more for 45 ms");
        let mut stripes = Stripes::new(now);
        second(
            &mut stripes,
            &[line(0, 100, 5), line(1, 2, 100)],
            100,
            2 << 20,
            now,
        );
        assert_eq!((stripes.members(), stripes.is_useless(1)), (&[0][..], true));
    }

    #[test]
    fn a_path_that_is_gone_leaves_at_once_and_the_best_is_always_in() {
        let now = epoch();
        let lines = [line(0, 50, 10), line(1, 20, 30)];
        let mut stripes = Stripes::new(now);
        second(&mut stripes, &lines, 60, 1 << 20, now);
        assert!(stripes.update(&lines[1..], now + 1000 * MS));
        assert_eq!(stripes.members(), [1]);
        assert!(stripes.update(&lines, now + 1001 * MS));
        assert_eq!(stripes.members(), [0, 1]);
    }
}
