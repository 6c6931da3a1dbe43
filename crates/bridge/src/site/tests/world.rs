//! A network of gateways in virtual time, made of the real machines: beacons on LANs, sessions
//! between peers, faults, and what must hold at every moment.

pub(super) use super::setting::{Dice, VLANS, Weather, epoch, ms, vlan, vlans};
use crate::site::claims::SiteConfig;
use crate::site::params::REVERT_AFTER;
use crate::site::{Event, Output, PeerSite, Sites, site_id};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};
use wire::beacon::Beacon;
use wire::control::site::{ADDRESSES, Grant, Lease, SiteMessage, put_addresses};
use wire::ethernet::Mac;
use wire::vlan::{VlanId, VlanSet};

#[derive(Clone, Debug)]
pub(super) enum Message {
    Beacon(Box<Beacon>),
    Lease(Box<Lease>),
    Grant(Box<Grant>),
    Addresses(VlanId, Vec<Mac>),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// SIGSTOP: what arrives waits.
    Stopped,
    Crashed,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) sites: Sites,
    pub(super) config: Option<SiteConfig>,
    pub(super) site: Option<u64>,
    pub(super) state: State,
    /// How the clock differs: its rate in parts per million, and what it shows at the start.
    ppm: i64,
    shift: Duration,
    pub(super) waiting: Vec<(usize, u64, Message)>,
    /// Stations that it hears on its LAN, for reports.
    pub(super) stations: Vec<Mac>,
    pub(super) lan_up: bool,
}

impl Node {
    fn clock(&self, epoch: Instant, now: Duration) -> Instant {
        let drift = (now.as_nanos() as i64 / 1000 * self.ppm / 1000) as i128;
        let local = now.as_nanos() as i128 + drift;
        epoch + self.shift + Duration::from_nanos(local as u64)
    }
}

/// A session between two nodes.
#[derive(Copy, Clone, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    /// Both ends think that a path is usable.
    usable: bool,
    /// When that is to be looked at again.
    judged_at: Option<Duration>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    Lan(usize, usize),
    Wan(usize, usize),
}

#[derive(Clone)]
pub(super) struct World {
    epoch: Instant,
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    pub(super) weather: Weather,
    /// How long it takes until a dead path is noticed.
    pub(super) liveness: Duration,
    pub(super) dice: Dice,
    pub(super) cuts: BTreeMap<Cut, u32>,
    pub(super) sessions: BTreeMap<(usize, usize), Session>,
    flights: BinaryHeap<Reverse<(Duration, u64)>>,
    messages: BTreeMap<u64, (usize, usize, u64, Message)>,
    count: u64,
    /// Whether more than one gateway of a site may forward a VLAN somewhere: after a LAN fell
    /// silent both ways, to different remote sites.
    pub(super) scattered_allowed: bool,
    pub(super) trace: bool,
    pub(super) split_allowed: bool,
}

/// Gateways by site: `&[&["s1", "s2"], &["r"]]`; an empty name of a site means none.
pub(super) fn world(sites: &[(&str, usize)], seed: u64) -> World {
    let mut dice = Dice::new(seed);
    let epoch = epoch();
    let mut nodes = Vec::new();
    for &(name, count) in sites {
        let first = nodes.len();
        for at in first..first + count {
            let site = (!name.is_empty()).then(|| site_id(name));
            let config = site.map(|site| SiteConfig {
                site,
                gateway: at as u64 + 1,
                instance: dice.below(u64::MAX >> 33) + 1,
                mates: (first..first + count)
                    .filter(|&mate| mate != at)
                    .map(|mate| mate as u64 + 1)
                    .collect(),
                priority: 100,
                vlan_priorities: Vec::new(),
                serves: vlans(&VLANS),
                revert_after: REVERT_AFTER,
            });
            nodes.push(Node {
                sites: Sites::new(config.as_ref(), epoch),
                config,
                site,
                state: State::Running,
                ppm: 0,
                shift: Duration::ZERO,
                waiting: Vec::new(),
                stations: Vec::new(),
                lan_up: true,
            });
        }
    }
    let mut world = World {
        epoch,
        now: Duration::ZERO,
        nodes,
        weather: Weather::CALM,
        liveness: ms(60),
        dice,
        cuts: BTreeMap::new(),
        sessions: BTreeMap::new(),
        flights: BinaryHeap::new(),
        messages: BTreeMap::new(),
        count: 0,
        scattered_allowed: false,
        trace: false,
        split_allowed: false,
    };
    for a in 0..world.nodes.len() {
        for b in a + 1..world.nodes.len() {
            if !world.mates(a, b) {
                world.new_session(a, b);
            }
        }
    }
    world
}

impl World {
    pub(super) fn set_clock(&mut self, node: usize, ppm: i64, shift: Duration) {
        self.nodes[node].ppm = ppm;
        self.nodes[node].shift = shift;
        let now = self.clock(node);
        let config = self.nodes[node].config.clone();
        self.nodes[node].sites = Sites::new(config.as_ref(), now);
        for other in 0..self.nodes.len() {
            if other != node && !self.mates(node, other) {
                self.new_session(node, other);
            }
        }
    }

    pub(super) fn clock(&self, node: usize) -> Instant {
        self.nodes[node].clock(self.epoch, self.now)
    }

    fn mates(&self, a: usize, b: usize) -> bool {
        self.nodes[a].site.is_some() && self.nodes[a].site == self.nodes[b].site
    }

    /// Removes a link between two nodes for good, as where each line leads to one gateway.
    pub(super) fn unlink(&mut self, a: usize, b: usize) {
        self.sessions.remove(&(a.min(b), a.max(b)));
        for (node, peer) in [(a, b), (b, a)] {
            let now = self.clock(node);
            self.nodes[node].sites.session_ended(peer as u16, now);
        }
    }

    pub(super) fn new_session(&mut self, a: usize, b: usize) {
        self.count += 1;
        let session = Session {
            number: self.count,
            usable: true,
            judged_at: None,
        };
        self.sessions.insert((a.min(b), a.max(b)), session);
        for (node, peer) in [(a, b), (b, a)] {
            let now = self.clock(node);
            let site = self.nodes[peer].site;
            let vlans = VlanSet::all();
            let round_trip = ms(2 * self.weather.wan.1);
            let node = &mut self.nodes[node].sites;
            node.session(peer as u16, PeerSite { site, vlans }, now);
            node.set_round_trip(peer as u16, round_trip);
        }
    }

    /// What the tunnel does: notices dead and living paths after a while.
    pub(super) fn judge_paths(&mut self) {
        let now = self.now;
        for session in self.sessions.values_mut() {
            session.judged_at.get_or_insert(now + self.liveness);
        }
    }

    fn judge_due(&mut self) {
        let now = self.now;
        let due = self
            .sessions
            .iter()
            .filter(|(_, s)| s.judged_at.is_some_and(|at| at <= now));
        let due: Vec<(usize, usize)> = due.map(|(&pair, _)| pair).collect();
        for (a, b) in due {
            let works = !self.is_cut(Cut::Wan(a, b)) && !self.is_cut(Cut::Wan(b, a));
            let run = |node: usize| self.nodes[node].state == State::Running;
            let usable = works && run(a) && run(b);
            if usable && self.sessions[&(a, b)].number == 0 {
                self.new_session(a, b);
                continue;
            }
            let session = self.sessions.get_mut(&(a, b)).unwrap();
            session.judged_at = None;
            session.usable = usable;
            for (node, peer) in [(a, b), (b, a)] {
                let now = self.clock(node);
                if self.nodes[node].state == State::Running {
                    self.nodes[node].sites.set_usable(peer as u16, usable, now);
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let lan = matches!(message, Message::Beacon(_));
        let cut = if lan {
            Cut::Lan(from, to)
        } else {
            Cut::Wan(from, to)
        };
        let carrier = !lan || self.nodes[from].lan_up && self.nodes[to].lan_up;
        if self.is_cut(cut) || !carrier || self.dice.chance(self.weather.loss) {
            return;
        }
        let copies = if self.dice.chance(self.weather.twice) {
            2
        } else {
            1
        };
        let session = self
            .sessions
            .get(&(from.min(to), from.max(to)))
            .map_or(0, |s| s.number);
        for _ in 0..copies {
            let (low, high) = if lan {
                self.weather.lan
            } else {
                self.weather.wan
            };
            let delay = ms(low + self.dice.below(high - low + 1));
            self.count += 1;
            self.flights.push(Reverse((self.now + delay, self.count)));
            let flight = (from, to, session, message.clone());
            self.messages.insert(self.count, flight);
        }
    }

    pub(super) fn receive(&mut self, from: usize, to: usize, session: u64, message: Message) {
        let now = self.clock(to);
        let current = self
            .sessions
            .get(&(from.min(to), from.max(to)))
            .map_or(0, |s| s.number);
        let lan = matches!(message, Message::Beacon(_));
        if !lan && session != current {
            return;
        }
        if self.trace {
            println!("{:?} {from}->{to} {}", self.now, shown(&message));
        }
        let sites = &mut self.nodes[to].sites;
        let peer = from as u16;
        match message {
            Message::Beacon(beacon) => sites.on_beacon(&beacon, now),
            Message::Lease(lease) => {
                sites.on_message(peer, &SiteMessage::Lease(lease), |_, _| false, now);
            }
            Message::Grant(grant) => {
                let grant = SiteMessage::Grant(grant);
                sites.on_message(peer, &grant, |_, _| false, now);
            }
            Message::Addresses(vlan, macs) => {
                let mut bytes = Vec::new();
                put_addresses(&mut bytes, vlan, macs);
                let message = SiteMessage::parse(ADDRESSES, &bytes[3..]).unwrap();
                sites.on_message(peer, &message, |_, _| false, now);
            }
        }
        self.drain(to);
    }

    fn drain(&mut self, node: usize) {
        let now = self.clock(node);
        let mut rounds = 0;
        while let Some(output) = self.nodes[node].sites.poll(now) {
            rounds += 1;
            assert!(rounds < 100, "node {node} never has enough: {output:?}");
            match output {
                Output::Beacon(beacon) => {
                    for mate in 0..self.nodes.len() {
                        if mate != node && self.mates(node, mate) {
                            self.send(node, mate, Message::Beacon(Box::new(beacon.clone())));
                        }
                    }
                }
                Output::Lease(peer, lease) => {
                    self.send(node, peer.into(), Message::Lease(lease.into()));
                }
                Output::Grant(peer, grant) => {
                    self.send(node, peer.into(), Message::Grant(grant.into()));
                }
                Output::Event(Event::ReportAddresses(peer)) => {
                    let stations = self.nodes[node].stations.clone();
                    let message = Message::Addresses(vlan(VLANS[0]), stations);
                    self.send(node, peer.into(), message);
                }
                Output::Event(event) => {
                    if self.trace {
                        println!("{:?} {node}: {event:?}", self.now);
                    }
                }
            }
        }
    }

    /// Goes on until `until`, and checks after every event.
    pub(super) fn run(&mut self, until: Duration) {
        loop {
            self.judge_due();
            self.step();
            self.check();
            let next = self.next_event();
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
        }
    }

    fn next_event(&self) -> Duration {
        let later = self.now + ms(1);
        let flight = self.flights.peek().map(|Reverse((at, _))| *at);
        let judged = self
            .sessions
            .values()
            .filter_map(|session| session.judged_at)
            .min();
        let mut next = flight
            .into_iter()
            .chain(judged)
            .min()
            .unwrap_or(later + ms(100));
        for (at, node) in self.nodes.iter().enumerate() {
            let local = self.clock(at);
            if node.state == State::Running
                && let Some(due) = node.sites.poll_timeout(local)
            {
                let wait = due
                    .saturating_duration_since(local)
                    .as_micros()
                    .div_ceil(1000);
                next = next.min(self.now + ms(wait as u64));
            }
        }
        next.max(later)
    }

    fn step(&mut self) {
        while let Some(&Reverse((at, number))) = self.flights.peek() {
            if at > self.now {
                break;
            }
            self.flights.pop();
            let Some((from, to, session, message)) = self.messages.remove(&number) else {
                continue;
            };
            match self.nodes[to].state {
                State::Running => self.receive(from, to, session, message),
                State::Stopped => self.nodes[to].waiting.push((from, session, message)),
                State::Crashed => {}
            }
        }
        for node in 0..self.nodes.len() {
            let now = self.clock(node);
            if self.nodes[node].state != State::Running {
                continue;
            }
            self.nodes[node].sites.handle_timeout(now);
            self.drain(node);
        }
    }

    /// Runs until every VLAN is carried between the first site and the last node's; how long it took.
    pub(super) fn run_until_carried(&mut self, limit: Duration) -> Option<Duration> {
        let began = self.now;
        while self.now <= began + limit {
            if VLANS.iter().all(|&id| !self.carrying(id).is_empty()) {
                return Some(self.now - began);
            }
            self.run(self.now + ms(1));
        }
        None
    }
}

fn shown(message: &Message) -> String {
    match message {
        Message::Beacon(beacon) => format!(
            "beacon {} reach {} ready {} claims {}",
            beacon.number, beacon.reach, beacon.ready, beacon.claims
        ),
        other => format!("{other:?}"),
    }
}
