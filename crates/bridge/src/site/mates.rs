//! The other gateways of the own site, as their beacons show them.
//!
//! A beacon counts when its number is above the last of its run, and a run counts when it has
//! echoed a number that we sent within the last second: so nothing recorded earlier counts. The
//! echo also tells whether the mate hears us, and since when at the latest it does.

use super::params::{BEACONS_REMEMBERED, CLAIM_HOLD, ECHO_FRESH, MATE_DEAD, MATE_QUIET};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::beacon::{Beacon, Echo};

/// How a mate and we hear each other.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hearing {
    /// Nothing from it for [`MATE_DEAD`].
    Gone,
    /// Nothing from it for [`MATE_QUIET`].
    Quiet,
    /// We hear it, and it does not hear us (or has not said so yet).
    OneWay,
    /// Both hear each other.
    Both,
}

/// One run of a mate's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Run {
    heard_at: Instant,
    /// When we sent the newest number that it echoed.
    echoed: Option<Instant>,
    beacon: Beacon,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mate {
    id: u64,
    proven: Option<Run>,
    /// It has not echoed us yet.
    candidate: Option<Run>,
}

impl Mate {
    fn hearing(&self, now: Instant) -> Hearing {
        if let Some(run) = &self.proven {
            let silence = now.saturating_duration_since(run.heard_at);
            if silence < MATE_QUIET {
                let heard = run.echoed.is_some_and(|sent| now < sent + CLAIM_HOLD);
                return if heard {
                    Hearing::Both
                } else {
                    Hearing::OneWay
                };
            }
            if silence < MATE_DEAD {
                return Hearing::Quiet;
            }
        }
        let candidate = self.candidate.as_ref().map(|run| run.heard_at);
        match candidate {
            Some(at) if now.saturating_duration_since(at) < MATE_DEAD => Hearing::OneWay,
            _ => Hearing::Gone,
        }
    }

    /// What it said last, in the run that `hearing` judged.
    fn current(&self, now: Instant) -> Option<&Run> {
        let proven = self.proven.as_ref();
        let alive = proven.filter(|run| now.saturating_duration_since(run.heard_at) < MATE_DEAD);
        alive.or(self.candidate.as_ref())
    }
}

/// The other gateways of the own site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mates {
    own: u64,
    instance: u64,
    sent: VecDeque<(u64, Instant)>,
    mates: Vec<Mate>,
}

impl Mates {
    /// Those of the configuration; beacons of others are ignored.
    #[must_use]
    pub fn new(own: u64, instance: u64, mates: &[u64]) -> Self {
        let mate = |&id| Mate {
            id,
            proven: None,
            candidate: None,
        };
        Self {
            own,
            instance,
            sent: VecDeque::new(),
            mates: mates.iter().map(mate).collect(),
        }
    }

    /// Whether there are any.
    #[must_use]
    pub const fn any(&self) -> bool {
        !self.mates.is_empty()
    }

    /// Notes that our beacon with this number goes out.
    pub fn on_sent(&mut self, number: u64, now: Instant) {
        if self.sent.len() >= BEACONS_REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((number, now));
    }

    /// When the last beacon went out.
    #[must_use]
    pub fn last_sent(&self) -> Option<Instant> {
        self.sent.back().map(|&(_, at)| at)
    }

    /// Takes an authentic beacon; whether it counts.
    pub fn on_beacon(&mut self, beacon: &Beacon, now: Instant) -> bool {
        let echoed = self.echoed_at(beacon);
        let Some(mate) = self.mates.iter_mut().find(|mate| mate.id == beacon.gateway) else {
            return false;
        };
        let run = Run {
            heard_at: now,
            echoed,
            beacon: beacon.clone(),
        };
        let known = |run: &&mut Run| run.beacon.instance == beacon.instance;
        if let Some(proven) = mate.proven.as_mut().filter(known) {
            return replace(proven, run);
        }
        if let Some(candidate) = mate.candidate.as_mut().filter(known) {
            if !replace(candidate, run) {
                return false;
            }
        } else {
            mate.candidate = Some(run);
        }
        let fresh = echoed.is_some_and(|sent| now < sent + ECHO_FRESH);
        if fresh {
            mate.proven = mate.candidate.take();
        }
        true
    }

    fn echoed_at(&self, beacon: &Beacon) -> Option<Instant> {
        let mut echoes = beacon.echoes.iter();
        let echo =
            echoes.find(|echo| echo.gateway == self.own && echo.instance == self.instance)?;
        let at = self.sent.binary_search_by_key(&echo.number, |sent| sent.0);
        Some(self.sent[at.ok()?].1)
    }

    /// What our next beacon echoes: the newest run of each mate, trusted or not.
    #[must_use]
    pub fn echoes(&self) -> Vec<Echo> {
        let newest = |mate: &Mate| {
            let runs = [&mate.candidate, &mate.proven];
            let run = runs.into_iter().flatten().max_by_key(|run| run.heard_at)?;
            Some(Echo {
                gateway: mate.id,
                instance: run.beacon.instance,
                number: run.beacon.number,
            })
        };
        self.mates.iter().filter_map(newest).collect()
    }

    /// Mates that are not gone: how we hear them, and what they said last.
    pub fn present(&self, now: Instant) -> impl Iterator<Item = (Hearing, &Beacon)> {
        self.mates.iter().filter_map(move |mate| {
            let hearing = mate.hearing(now);
            let run = mate.current(now)?;
            (hearing != Hearing::Gone).then_some((hearing, &run.beacon))
        })
    }

    /// Until when a claim that stands now stands: see [`CLAIM_HOLD`].
    #[must_use]
    pub fn claim_until(&self, now: Instant) -> Instant {
        let own = self.last_sent().map_or(now, |sent| sent + CLAIM_HOLD);
        let proven = self.mates.iter().filter_map(|mate| mate.proven.as_ref());
        // Who reaches nobody takes nothing over.
        let rivals = proven.filter(|run| run.beacon.reach > 0);
        let heard = rivals.filter(|run| now.saturating_duration_since(run.heard_at) < MATE_QUIET);
        let echoed = heard.map(|run| run.echoed.map_or(now, |sent| sent + CLAIM_HOLD));
        echoed.fold(own, Instant::min)
    }

    /// For how long no mate at all was heard; `None`: never was one.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        let runs = self
            .mates
            .iter()
            .flat_map(|mate| [&mate.proven, &mate.candidate]);
        let last = runs.flatten().map(|run| run.heard_at).max()?;
        Some(now.saturating_duration_since(last))
    }

    /// The next moment after `now` at which some [`Hearing`] changes by itself.
    #[must_use]
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        let runs = self
            .mates
            .iter()
            .flat_map(|mate| [&mate.proven, &mate.candidate]);
        let moments = runs.flatten().flat_map(|run| {
            let echo = run.echoed.map(|sent| sent + CLAIM_HOLD);
            [
                Some(run.heard_at + MATE_QUIET),
                Some(run.heard_at + MATE_DEAD),
                echo,
            ]
        });
        moments.flatten().filter(|&at| at > now).min()
    }
}

/// Puts a later beacon of the same run in its place; false when it is not later.
fn replace(run: &mut Run, mut later: Run) -> bool {
    if later.beacon.number <= run.beacon.number {
        return false;
    }
    later.echoed = later.echoed.max(run.echoed);
    *run = later;
    true
}
