//! Which paths carry a frame: by role, then quality, then the order of the configuration.

use std::time::{Duration, Instant};

use wire::control::Role;

use crate::{
    params::{FLOW_BUCKETS, FLOW_IDLE, MAX_PATHS, REVERT_AFTER, SWITCH_AFTER},
    peer::Mode,
};

/// What the scheduler knows of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Index of the path.
    pub path: usize,
    /// May carry data at all.
    pub usable: bool,
    /// Came back lately: carries only when nothing else does.
    pub held: bool,
    pub role: Role,
    /// Also takes load that better roles cannot carry.
    pub overflow: bool,
    /// Smaller is better: microseconds of delay, with a penalty for loss.
    pub cost: u64,
    /// Place in the configuration.
    pub order: u32,
    pub local_uplink: u8,
    pub remote_uplink: u8,
}

/// Why a path that is up carries nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excluded {
    /// Its hold-down runs.
    HoldDown,
    /// A path of a better role is up.
    Role,
    /// It shares an uplink, at one end, with a path that carries.
    SharesUplink,
    /// So much worse than the best that flows on it would suffer.
    Quality,
    /// It carries so little, or so late, that bulk on the others would suffer from it.
    NoGain,
    /// The mode uses fewer paths.
    Standby,
}

impl Excluded {
    /// The word that `status` shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HoldDown => "hold-down",
            Self::Role => "role",
            Self::SharesUplink => "shares-uplink",
            Self::Quality => "quality",
            Self::NoGain => "no-gain",
            Self::Standby => "standby",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Index of the path plus one; 0: none.
    path: u8,
    used: Option<Instant>,
}

/// The choice of paths, renewed by [`Scheduler::rank`], asked by [`Scheduler::choose`] for every frame.
#[derive(Debug)]
pub(crate) struct Scheduler {
    mode: Mode,
    /// Paths that may carry now, disjoint at both ends, best first.
    set: Vec<usize>,
    /// Paths of worse roles that may help those out, best first.
    overflow: Vec<usize>,
    excluded: [Option<Excluded>; MAX_PATHS],
    active: Option<usize>,
    challenger: Option<(usize, Instant)>,
    /// Paths left out of `balance` for their quality.
    poor: [bool; MAX_PATHS],
    flows: Vec<Bucket>,
    load: [u64; MAX_PATHS],
}

impl Scheduler {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            set: Vec::with_capacity(MAX_PATHS),
            overflow: Vec::new(),
            excluded: [None; MAX_PATHS],
            active: None,
            challenger: None,
            poor: [false; MAX_PATHS],
            flows: Vec::new(),
            load: [0; MAX_PATHS],
        }
    }

    /// Takes the state of all paths in. Call whenever one changed, and every [`crate::params::RANK_EVERY`] while frames flow.
    pub(crate) fn rank(&mut self, candidates: &[Candidate], now: Instant) {
        let held_too = !candidates.iter().any(|c| c.usable && !c.held);
        let eligible = |c: &&Candidate| c.usable && (held_too || !c.held);
        let role = candidates.iter().filter(eligible).map(|c| c.role).min();
        let mut tier: Vec<&Candidate> = candidates
            .iter()
            .filter(eligible)
            .filter(|c| Some(c.role) == role)
            .collect();
        tier.sort_by_key(|c| (c.cost, c.order));
        self.settle_active(&mut tier, now);
        self.set.clear();
        self.excluded = [None; MAX_PATHS];
        for candidate in candidates {
            self.excluded[candidate.path] = match candidate {
                c if !c.usable => None,
                c if c.held && !held_too => Some(Excluded::HoldDown),
                c if Some(c.role) != role => Some(Excluded::Role),
                _ => None,
            };
        }
        if matches!(self.mode, Mode::Balance | Mode::Aggregate) {
            self.leave_out_poor(&mut tier);
        }
        self.take_disjoint(&tier);
        self.take_overflow(candidates, eligible, role);
        for load in &mut self.load {
            *load -= *load / 8;
        }
    }

    /// The paths for one frame of `flow`: usually one, two in `redundant`; none when nothing is usable.
    pub(crate) fn choose(&mut self, flow: u32, size: usize, now: Instant) -> [Option<usize>; 2] {
        match self.mode {
            Mode::Failover => [self.set.first().copied(), None],
            Mode::Redundant => [self.set.first().copied(), self.set.get(1).copied()],
            Mode::Balance | Mode::Aggregate => [self.balance(flow, size, now), None],
        }
    }

    /// Whether data may go on `path` now.
    pub(crate) fn carries(&self, path: usize) -> bool {
        let used = match self.mode {
            Mode::Failover => 1,
            Mode::Redundant => 2,
            Mode::Balance | Mode::Aggregate => MAX_PATHS,
        };
        self.set.iter().take(used).any(|&p| p == path)
    }

    /// Why `path` carries nothing though it is usable.
    pub(crate) fn excluded(&self, path: usize) -> Option<Excluded> {
        if self.carries(path) {
            return None;
        }
        self.excluded[path].or(self.set.contains(&path).then_some(Excluded::Standby))
    }

    /// The best path for what must arrive, other than `except`.
    pub(crate) fn best_except(&self, except: Option<usize>) -> Option<usize> {
        self.set.iter().copied().find(|&path| Some(path) != except)
    }

    /// The paths that may carry, best first.
    pub(crate) fn set(&self) -> &[usize] {
        &self.set
    }

    /// Paths of worse roles that may help those out, best first.
    pub(crate) fn overflow(&self) -> &[usize] {
        &self.overflow
    }

    /// Whether anything can carry.
    pub(crate) fn has_path(&self) -> bool {
        !self.set.is_empty()
    }

    /// Puts the path to stay with in front: better by a margin and for a while, or as good and earlier in the configuration.
    fn settle_active(&mut self, tier: &mut [&Candidate], now: Instant) {
        let Some(present) = self
            .active
            .and_then(|a| tier.iter().find(|c| c.path == a).copied())
        else {
            self.active = preferred(tier);
            self.challenger = None;
            return self.bring_to_front(tier);
        };
        // Never both better and alike: traffic would go there for the one reason and back for the other.
        let better = |c: &&Candidate| c.cost < present.cost * 4 / 5 && !alike(present.cost, c.cost);
        // A preferred path that came back need not prove for long that it is better, too.
        let patience = |c: &Candidate| {
            if c.order < present.order {
                REVERT_AFTER
            } else {
                SWITCH_AFTER
            }
        };
        // Two good ones may take turns at being the best: a challenger stays it while it is better than the present path.
        let standing = self
            .challenger
            .and_then(|(path, _)| tier.iter().copied().find(|c| c.path == path));
        let wins = standing
            .filter(better)
            .or_else(|| tier.iter().copied().find(better));
        let wins = wins.map(|c| (c.path, patience(c)));
        let reverts = tier
            .iter()
            .copied()
            .filter(|c| c.order < present.order && alike(c.cost, present.cost))
            .min_by_key(|c| c.order)
            .map(|c| (c.path, REVERT_AFTER));
        match (wins.or(reverts), self.challenger) {
            (None, _) => self.challenger = None,
            (Some((path, patience)), Some((same, since))) if same == path => {
                if now.saturating_duration_since(since) >= patience {
                    self.active = Some(path);
                    self.challenger = None;
                }
            }
            (Some((path, _)), _) => self.challenger = Some((path, now)),
        }
        self.bring_to_front(tier);
    }

    fn bring_to_front(&self, tier: &mut [&Candidate]) {
        if let Some(at) = tier.iter().position(|c| Some(c.path) == self.active) {
            tier[..=at].rotate_right(1);
        }
    }

    /// A flow cannot choose its path, so `balance` offers none on which it would fare far worse. With hysteresis.
    fn leave_out_poor(&mut self, tier: &mut Vec<&Candidate>) {
        let best = tier.iter().map(|c| c.cost).min().unwrap_or(0);
        tier.retain(|c| {
            let limit = if self.poor[c.path] {
                best * 3 + 150_000
            } else {
                best * 4 + 200_000
            };
            self.poor[c.path] = c.cost > limit;
            if self.poor[c.path] {
                self.excluded[c.path] = Some(Excluded::Quality);
            }
            !self.poor[c.path]
        });
    }

    /// Of the paths of worse roles those that may take overflow, and share no uplink with what is in use.
    fn take_overflow(
        &mut self,
        candidates: &[Candidate],
        eligible: impl Fn(&&Candidate) -> bool,
        role: Option<Role>,
    ) {
        self.overflow.clear();
        let ends = |path: usize| {
            let used = candidates.iter().find(|c| c.path == path);
            used.map(|c| (c.local_uplink, c.remote_uplink))
        };
        let mut taken: Vec<_> = self.set.iter().filter_map(|&path| ends(path)).collect();
        let mut helpers: Vec<&Candidate> = candidates
            .iter()
            .filter(eligible)
            .filter(|c| c.overflow && Some(c.role) > role)
            .collect();
        helpers.sort_by_key(|c| (c.role, c.cost, c.order));
        for helper in helpers {
            let shares = |&(l, r): &(u8, u8)| l == helper.local_uplink || r == helper.remote_uplink;
            if !taken.iter().any(shares) {
                taken.push((helper.local_uplink, helper.remote_uplink));
                self.overflow.push(helper.path);
            }
        }
    }

    fn take_disjoint(&mut self, tier: &[&Candidate]) {
        let mut taken: Vec<(u8, u8)> = Vec::with_capacity(tier.len());
        for candidate in tier {
            let shares = taken
                .iter()
                .any(|&(l, r)| l == candidate.local_uplink || r == candidate.remote_uplink);
            if shares {
                self.excluded[candidate.path] = Some(Excluded::SharesUplink);
            } else {
                taken.push((candidate.local_uplink, candidate.remote_uplink));
                self.set.push(candidate.path);
            }
        }
    }

    fn balance(&mut self, flow: u32, size: usize, now: Instant) -> Option<usize> {
        if self.flows.is_empty() {
            self.flows = vec![Bucket::default(); FLOW_BUCKETS];
        }
        let lightest = self
            .set
            .iter()
            .copied()
            .min_by_key(|&path| self.load[path])?;
        let bucket = &mut self.flows[flow as usize % FLOW_BUCKETS];
        let present = usize::from(bucket.path)
            .checked_sub(1)
            .filter(|path| self.set.contains(path));
        let fresh = bucket
            .used
            .is_some_and(|used| now.saturating_duration_since(used) < FLOW_IDLE);
        let path = present.filter(|_| fresh).unwrap_or(lightest);
        *bucket = Bucket {
            path: path as u8 + 1,
            used: Some(now),
        };
        self.load[path] += size as u64;
        Some(path)
    }
}

fn alike(a: u64, b: u64) -> bool {
    a <= b * 6 / 5 + 2_000
}

/// Of the paths about as good as the best, the first in the configuration.
fn preferred(tier: &[&Candidate]) -> Option<usize> {
    let best = tier.first()?.cost;
    tier.iter()
        .filter(|c| alike(c.cost, best))
        .min_by_key(|c| c.order)
        .map(|c| c.path)
}

/// What a path costs, in microseconds: its round trip, and what a lost frame costs on average.
pub(crate) fn cost(
    round_trip: Option<Duration>,
    jitter: Option<Duration>,
    loss: Option<f64>,
) -> u64 {
    let micros = |d: Option<Duration>| d.map_or(0, |d| d.as_micros() as u64);
    let unknown = if round_trip.is_none() { 1_000_000 } else { 0 };
    // A lost frame costs an inner TCP at least a round trip and half its window: 1 % of loss weighs like 10 ms.
    let loss = (loss.unwrap_or(0.0) * 1_000_000.0) as u64;
    micros(round_trip) + micros(jitter) + loss + unknown
}

#[cfg(test)]
mod tests;
