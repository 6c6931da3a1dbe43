//! Over which paths bulk is spread: the best one, and as many more as the demand asks for and as are worth their delay.
//!
//! Spreading makes every bulk frame as late as the slowest path of the set, so the set is no larger than it must be. A path
//! joins when those in the set are not enough, and leaves when they are again without it.

use std::time::{Duration, Instant};

use crate::params::{MAX_PATHS, STRIPE_JOIN, STRIPE_LEAVE, STRIPE_WINDOW};

/// The share of a window in which frames waited for the set, of 100, that calls for another path…
const BLOCKED: u64 = 40;
/// …or this share of its capacity in use: some senders never let a queue stand (BBR).
const BUSY: u64 = 85;
/// The set is larger than it must be when what is left without its last path would be in use by less than this.
const SLACK: u64 = 70;
/// A path must carry this share of what the set carries, of 1000, for each 10 ms by which it delays all…
const WORTH: u64 = 5;
/// …and this at least, however quick it is.
const WORTH_ANYWAY: u64 = 20;

/// What is known of a path that could carry bulk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// Index of the path.
    pub path: usize,
    /// Bytes per second; 0: not measured yet.
    pub bandwidth: u64,
    /// Relative one-way delay, microseconds: differences between paths mean something.
    pub delay_us: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stripes {
    members: Vec<usize>,
    /// Left out because they would not help.
    useless: u32,
    /// Since when what is counted below is.
    window: Instant,
    blocked: Duration,
    blocked_since: Option<Instant>,
    bytes: u64,
    /// Windows in a row that called for more, or for fewer paths.
    pressure: u32,
    slack: u32,
}

impl Stripes {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            members: Vec::with_capacity(MAX_PATHS),
            useless: 0,
            window: now,
            blocked: Duration::ZERO,
            blocked_since: None,
            bytes: 0,
            pressure: 0,
            slack: 0,
        }
    }

    /// The paths that carry bulk, best first.
    pub(crate) fn members(&self) -> &[usize] {
        &self.members
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

    /// Whether frames wait, and no path of the set can take one.
    pub(crate) fn set_blocked(&mut self, blocked: bool, now: Instant) {
        match (blocked, self.blocked_since) {
            (true, None) => self.blocked_since = Some(now),
            (false, Some(since)) => {
                self.blocked += now.saturating_duration_since(since);
                self.blocked_since = None;
            }
            _ => {}
        }
    }

    /// Takes the paths in that may carry, best first. Whether the set changed.
    pub(crate) fn update(&mut self, lines: &[Line], now: Instant) -> bool {
        let before = self.members.len();
        self.members
            .retain(|&path| lines.iter().any(|line| line.path == path));
        let mut changed = self.members.len() != before;
        if let Some(best) = lines.first()
            && !self.members.contains(&best.path)
        {
            self.members.insert(0, best.path);
            changed = true;
        }
        if !self.is_due(now) {
            return changed;
        }
        self.judge(lines, now);
        if self.pressure >= STRIPE_JOIN {
            self.pressure = 0;
            return self.join(lines) || changed;
        }
        if self.slack >= STRIPE_LEAVE && self.members.len() > 1 {
            self.slack = 0;
            self.members.pop();
            return true;
        }
        changed
    }

    /// Ends a window.
    fn judge(&mut self, lines: &[Line], now: Instant) {
        if let Some(since) = self.blocked_since {
            self.blocked += now.saturating_duration_since(since);
            self.blocked_since = Some(now);
        }
        let length = now
            .saturating_duration_since(self.window)
            .as_micros()
            .max(1) as u64;
        let rate = (u128::from(self.bytes) * 1_000_000 / u128::from(length)) as u64;
        let blocked = self.blocked.as_micros() as u64 * 100 / length;
        let capacity = self.capacity(lines, self.members.len());
        let without = self.capacity(lines, self.members.len().saturating_sub(1));
        let presses = blocked >= BLOCKED || capacity > 0 && rate >= capacity / 100 * BUSY;
        let slackens = blocked < BLOCKED / 4 && rate < without / 100 * SLACK;
        self.pressure = if presses { self.pressure + 1 } else { 0 };
        self.slack = if slackens { self.slack + 1 } else { 0 };
        self.window = now;
        self.blocked = Duration::ZERO;
        self.bytes = 0;
    }

    /// Adds the best path that is worth it.
    fn join(&mut self, lines: &[Line]) -> bool {
        self.useless = 0;
        for line in lines {
            if self.members.contains(&line.path) {
                continue;
            }
            if self.is_worth(line, lines) {
                self.members.push(line.path);
                return true;
            }
            self.useless |= 1 << line.path;
        }
        false
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
        let capacity: u64 = members().map(|line| line.bandwidth).sum();
        if line.bandwidth == 0 || capacity == 0 {
            return true;
        }
        let later = (delay - slowest).max(0) as u64;
        let gain = line.bandwidth.saturating_mul(1000) / capacity;
        gain >= (later * WORTH / 10_000).max(WORTH_ANYWAY)
    }

    fn capacity(&self, lines: &[Line], members: usize) -> u64 {
        let members = &self.members[..members];
        lines
            .iter()
            .filter(|line| members.contains(&line.path))
            .map(|line| line.bandwidth)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn line(path: usize, megabits: u64, delay_ms: i64) -> Line {
        Line {
            path,
            bandwidth: megabits * 125_000,
            delay_us: Some(delay_ms * 1000 - 77_000),
        }
    }

    /// A second with this demand, in megabits per second, and this share of time blocked, of 100.
    fn second(
        stripes: &mut Stripes,
        lines: &[Line],
        megabits: usize,
        blocked: u32,
        start: Instant,
    ) {
        for n in 0..100 {
            let now = start + 10 * MS * n;
            stripes.on_sent(megabits * 1250);
            stripes.set_blocked(true, now);
            stripes.set_blocked(false, now + MS / 10 * blocked);
            stripes.update(lines, now + 10 * MS);
        }
    }

    #[test]
    fn the_best_alone_carries_what_it_can_and_more_join_on_demand() {
        let now = epoch();
        let lines = [line(2, 50, 10), line(0, 20, 30)];
        let mut stripes = Stripes::new(now);
        second(&mut stripes, &lines, 20, 5, now);
        assert_eq!(stripes.members(), [2]);
        second(&mut stripes, &lines, 45, 60, now + 1000 * MS);
        assert_eq!(stripes.members(), [2, 0]);
        second(&mut stripes, &lines, 20, 0, now + 2000 * MS);
        second(&mut stripes, &lines, 20, 0, now + 3000 * MS);
        second(&mut stripes, &lines, 20, 0, now + 4000 * MS);
        assert_eq!(stripes.members(), [2]);
    }

    #[test]
    fn a_sender_that_never_queues_is_given_another_path_too() {
        let now = epoch();
        let lines = [line(0, 50, 10), line(1, 20, 30)];
        let mut stripes = Stripes::new(now);
        second(&mut stripes, &lines, 47, 0, now);
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
            90,
            now,
        );
        assert_eq!(stripes.members(), [0, 1], "a tenth more for 45 ms");
        let mut stripes = Stripes::new(now);
        second(
            &mut stripes,
            &[line(0, 100, 5), line(1, 2, 100)],
            100,
            90,
            now,
        );
        assert_eq!((stripes.members(), stripes.is_useless(1)), (&[0][..], true));
    }

    #[test]
    fn a_path_that_is_gone_leaves_at_once_and_the_best_is_always_in() {
        let now = epoch();
        let lines = [line(0, 50, 10), line(1, 20, 30)];
        let mut stripes = Stripes::new(now);
        second(&mut stripes, &lines, 60, 90, now);
        assert!(stripes.update(&lines[1..], now + 1000 * MS));
        assert_eq!(stripes.members(), [1]);
        assert!(stripes.update(&lines, now + 1001 * MS));
        assert_eq!(stripes.members(), [0, 1]);
    }
}
