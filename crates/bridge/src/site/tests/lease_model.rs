//! Every schedule of a small model of the leases, made of the real machines: two gateways of a site
//! that claim a VLAN as they like, and one remote gateway.
//!
//! In each state, any of these may happen next: a gateway begins or ceases to claim; a gateway that
//! has a LEASE due sends it (or does not: it is stopped); any message in flight arrives, once or
//! again; it is lost; a session begins anew; time passes. States that differ only by a shift of time
//! and of numbers are one, so that the search ends. Bounded are the messages in flight and their
//! age.

use super::world::{epoch, ms, vlan, vlans};
use crate::site::granter::Granter;
use crate::site::holder::Holder;
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};
use wire::control::site::{Grant, Lease};
use wire::vlan::VlanSet;

const VLAN: u16 = 10;
/// The term of a lease is two of these; the granter waits for three.
const TICK: Duration = ms(60);

#[derive(Clone)]
enum Message {
    Lease(usize, Box<Lease>),
    Grant(usize, Box<Grant>),
}

#[derive(Clone)]
struct Flight {
    message: Message,
    sent: Instant,
}

#[derive(Copy, Clone, Debug)]
struct Bounds {
    /// LEASEs of a gateway in a tick.
    sends: u8,
    /// Ticks after which a message does not arrive any more.
    age: u32,
    sessions: bool,
}

#[derive(Clone)]
struct Model {
    now: Instant,
    holders: [Holder; 2],
    claims: [bool; 2],
    /// In this tick.
    sends: [u8; 2],
    granter: Granter,
    flights: Vec<Flight>,
}

#[derive(Copy, Clone, Debug)]
enum Action {
    Claim(usize),
    Send(usize),
    Arrive(usize),
    NewSession(usize),
    Tick,
}

impl Model {
    fn new() -> Self {
        let now = epoch();
        let mut granter = Granter::new(vlans(&[VLAN]));
        let mut holder = Holder::new(1, now);
        holder.begin(0, VlanSet::all(), now);
        for peer in 0..2 {
            granter.begin(peer, 1, now);
        }
        Self {
            now,
            holders: [holder.clone(), holder],
            claims: [false; 2],
            sends: [0; 2],
            granter,
            flights: Vec::new(),
        }
    }

    fn actions(&self, bounds: Bounds) -> Vec<Action> {
        let mut actions = vec![Action::Tick];
        for at in 0..2 {
            actions.push(Action::Claim(at));
            let due = self.holders[at].clone().poll_lease(self.now).is_some();
            if due && self.sends[at] < bounds.sends {
                actions.push(Action::Send(at));
            }
            if bounds.sessions {
                actions.push(Action::NewSession(at));
            }
        }
        actions.extend((0..self.flights.len()).map(Action::Arrive));
        actions
    }

    fn act(&mut self, action: Action, bounds: Bounds) {
        let now = self.now;
        match action {
            Action::Claim(at) => {
                self.claims[at] ^= true;
                self.set_claims(at);
                self.forget(now);
            }
            Action::Send(at) => {
                if let Some((_, lease)) = self.holders[at].poll_lease(now) {
                    self.sends[at] += 1;
                    self.fly(Message::Lease(at, lease.into()));
                }
            }
            Action::Arrive(at) => {
                match self.flights[at].message.clone() {
                    Message::Lease(from, lease) => self.granter.on_lease(from as u16, &lease, now),
                    Message::Grant(to, grant) => self.holders[to].on_grant(0, &grant, now),
                }
                self.answer();
                self.forget(now);
            }
            Action::NewSession(at) => {
                self.holders[at].begin(0, VlanSet::all(), now);
                self.granter.begin(at as u16, 1, now);
                self.flights.retain(|flight| match flight.message {
                    Message::Lease(of, _) | Message::Grant(of, _) => of != at,
                });
            }
            Action::Tick => {
                self.now += TICK;
                self.sends = [0; 2];
                let oldest = self.now - TICK * bounds.age;
                self.flights.retain(|flight| flight.sent >= oldest);
                self.granter.handle_timeout(self.now);
                self.answer();
                for at in 0..2 {
                    self.set_claims(at);
                    self.holders[at].handle_timeout(self.now);
                }
                self.forget(self.now);
            }
        }
    }

    fn set_claims(&mut self, at: usize) {
        let claims = if self.claims[at] {
            vlans(&[VLAN])
        } else {
            VlanSet::empty()
        };
        let far = self.now + ms(100_000);
        // A mate is heard, so that nothing is concluded from silence.
        self.holders[at].set_claims(&claims, far, false, Some(ms(0)), self.now);
    }

    fn answer(&mut self) {
        while let Some((to, grant)) = self.granter.poll_grant() {
            self.fly(Message::Grant(to.into(), grant.into()));
        }
        while self.granter.poll_taken().is_some() {}
    }

    /// GRANTs whose term is over are as good as lost.
    fn forget(&mut self, now: Instant) {
        let holders = &self.holders;
        self.flights.retain(|flight| match &flight.message {
            Message::Lease(..) => true,
            Message::Grant(to, grant) => holders[*to].awaits(grant.number, now),
        });
    }

    fn fly(&mut self, message: Message) {
        let sent = self.now;
        self.flights.push(Flight { message, sent });
    }

    /// The numbers of a gateway that still mean something, ascending.
    fn live(&self, at: usize) -> Vec<u64> {
        let numbers = self
            .flights
            .iter()
            .filter_map(|flight| match &flight.message {
                Message::Lease(of, lease) if *of == at => Some(lease.number),
                Message::Grant(of, grant) if *of == at => Some(grant.number),
                _ => None,
            });
        let known = self.granter.number(at as u16);
        let mut numbers: Vec<u64> = numbers.chain(known).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The same for states that are the same but for the names of the gateways.
    fn key(&self) -> u128 {
        let mut sides = [self.side(0), self.side(1)];
        sides.sort_unstable();
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, &sides).hash(&mut hasher);
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }

    /// One gateway, what the granter knows of it, and the messages between the two.
    fn side(&self, at: usize) -> Vec<u64> {
        let live = self.live(at);
        let mut flights: Vec<[u64; 4]> = Vec::new();
        for flight in &self.flights {
            let past = (self.now - flight.sent).as_millis() as u64;
            let (kind, of, number, vlans) = match &flight.message {
                Message::Lease(of, lease) => (1, *of, lease.number, &lease.vlans),
                Message::Grant(of, grant) => (2, *of, grant.number, &grant.vlans),
            };
            if of == at {
                let rank = live.partition_point(|&other| other < number) as u64;
                flights.push([kind, rank, vlans.len() as u64, past]);
            }
        }
        flights.sort_unstable();
        flights.dedup();
        let mut words = vec![self.claims[at].into(), self.sends[at].into()];
        words.extend(self.holders[at].fingerprint(&live, self.now));
        let known = self.granter.number(at as u16).unwrap_or_default();
        words.push(live.partition_point(|&other| other < known) as u64);
        words.push(u64::MAX);
        words.extend(self.granter.fingerprint(at as u16, self.now));
        words.extend(flights.concat());
        words
    }

    /// Never two gateways that may forward, and who may is the one whose frames are accepted.
    fn check(&self, path: &dyn Fn() -> Vec<Action>) {
        let may = |at: usize| self.holders[at].may_forward(0, vlan(VLAN), self.now);
        let accepted = |at: usize| self.granter.accepts(at as u16, vlan(VLAN), self.now);
        assert!(!(may(0) && may(1)), "both may forward: {:?}", path());
        assert!(
            !(accepted(0) && accepted(1)),
            "both are accepted: {:?}",
            path()
        );
        for at in 0..2 {
            let other = 1 - at;
            assert!(
                !(may(at) && accepted(other)),
                "{at} may, {other} is accepted: {:?}",
                path()
            );
        }
    }
}

/// Breadth first; how many states, how many actions deep, and whether that were all.
fn explore(bounds: Bounds, limit: usize) -> (usize, usize, bool) {
    let start = Model::new();
    let mut seen = HashSet::from([start.key()]);
    let mut parents: Vec<(usize, Action)> = vec![(0, Action::Tick)];
    let mut queue = VecDeque::from([(0, start)]);
    let mut last = 0;
    while let Some((at, state)) = queue.pop_front() {
        last = at;
        for action in state.actions(bounds) {
            let mut next = state.clone();
            next.act(action, bounds);
            if !seen.insert(next.key()) {
                continue;
            }
            parents.push((at, action));
            let id = parents.len() - 1;
            next.check(&|| path_to(&parents, id));
            if seen.len() >= limit {
                return (seen.len(), path_to(&parents, at).len(), false);
            }
            queue.push_back((id, next));
        }
    }
    (seen.len(), path_to(&parents, last).len(), true)
}

fn path_to(parents: &[(usize, Action)], mut at: usize) -> Vec<Action> {
    let mut path = Vec::new();
    while at != 0 {
        let (parent, action) = parents[at];
        path.push(action);
        at = parent;
    }
    path.reverse();
    path
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// `ROPEWALK_SITE_MODEL=3000000` goes on up to so many states, `ROPEWALK_SITE_SENDS=3` allows more
/// LEASEs in a tick, `ROPEWALK_SITE_SESSIONS=1` new sessions; in release.
#[test]
fn every_schedule_of_the_leases() {
    let bounds = Bounds {
        sends: number("ROPEWALK_SITE_SENDS").unwrap_or(2) as u8,
        age: 2,
        sessions: number("ROPEWALK_SITE_SESSIONS").is_some(),
    };
    let limit = number("ROPEWALK_SITE_MODEL").unwrap_or(200_000);
    let (states, depth, whole) = explore(bounds, limit);
    let all = if whole { "all there are" } else { "not all" };
    println!("{states} states, {depth} actions deep, {all}");
    assert!(states > 1000, "{states}");
}
