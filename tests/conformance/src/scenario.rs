//! Scenarios as files: bridges, LANs, what happens, and what must be seen when.
//!
//! A step first lets time pass until `at`, then holds what it sees against `expect`, then does
//! something. LANs come up at the beginning unless they say `later = true`. Ports are named
//! `bridge.number`; they come into being by being an end of a LAN.

use crate::network::{End, Network};
use bridge::PortId;
use bridge::rstp::{
    ForceVersion, Link, PointToPoint, RstpConfig, RstpEvent, RstpPortConfig, RstpPortSnapshot,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::ethernet::Mac;

/// A scenario as it stands in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows.
    pub what: String,
    /// Where the standard says so.
    pub clause: String,
    bridge: BTreeMap<String, BridgeText>,
    lan: BTreeMap<String, LanText>,
    #[serde(default)]
    port: BTreeMap<String, PortText>,
    step: Vec<Step>,
}

/// Bridges get the addresses 02:00:00:00:00:01, 02 and so on, by the order of their names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgeText {
    #[serde(default = "default_priority")]
    priority: u16,
    /// It knows only STP.
    #[serde(default)]
    stp: bool,
    hello_time: Option<u16>,
    max_age: Option<u16>,
    forward_delay: Option<u16>,
}

const fn default_priority() -> u16 {
    32_768
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LanText {
    ends: Vec<String>,
    mbit: Option<u64>,
    #[serde(default)]
    half_duplex: bool,
    #[serde(default)]
    later: bool,
    /// Frames come back to their sender.
    #[serde(default)]
    reflects: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortText {
    cost: Option<u32>,
    priority: Option<u8>,
    #[serde(default)]
    edge: bool,
    auto_edge: Option<bool>,
    point_to_point: Option<bool>,
    #[serde(default)]
    bpdu_guard: bool,
    #[serde(default)]
    root_guard: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Seconds since the beginning.
    at: f64,
    expect: Option<Expect>,
    #[serde(default)]
    up: Vec<String>,
    #[serde(default)]
    down: Vec<String>,
    /// Ports whose BPDUs are lost from now on, while everything else passes.
    #[serde(default)]
    mute: Vec<String>,
    #[serde(default)]
    unmute: Vec<String>,
    #[serde(default)]
    freeze: Vec<String>,
    #[serde(default)]
    thaw: Vec<String>,
    #[serde(default)]
    enable: Vec<String>,
    #[serde(default)]
    check_migration: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    /// The bridge that all others take for the root.
    root: Option<String>,
    /// Root path costs.
    cost: BTreeMap<String, u32>,
    /// Role, state, then any of `edge`, `stp`, `shut`, `guarded`, `looped`.
    port: BTreeMap<String, String>,
    /// Milliseconds from the last thing done to the last change of a role or state: at most,
    settled_ms: Option<f64>,
    /// and at least.
    not_settled_ms: Option<f64>,
    /// Words of events of a bridge since the step before.
    event: BTreeMap<String, Vec<String>>,
    /// Ports that were flushed since the step before,
    flushed: Vec<String>,
    /// and such that were not.
    not_flushed: Vec<String>,
    /// Whether everything is a tree as Bellman and Ford find it.
    tree: bool,
}

impl Step {
    fn only_looks(&self) -> bool {
        let lists = [
            &self.up,
            &self.down,
            &self.mute,
            &self.unmute,
            &self.freeze,
            &self.thaw,
            &self.enable,
            &self.check_migration,
        ];
        lists.iter().all(|list| list.is_empty())
    }
}

/// A scenario that runs.
struct Run {
    network: Network,
    bridges: Vec<String>,
    lans: Vec<String>,
    /// When something was last done, or checked.
    acted: Duration,
    seen: Duration,
    flushes: BTreeMap<End, u64>,
}

/// Runs a scenario; what was not as it must be comes back as text.
///
/// # Errors
/// The file is not well-formed, or an expectation did not come true.
pub fn run(text: &str, verbose: bool) -> Result<(), String> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut run = Run::build(&scenario)?;
    run.network.verbose = verbose;
    let later = |name: &&String| !scenario.lan[*name].later;
    let first: Vec<String> = run.lans.iter().filter(later).cloned().collect();
    run.set_lans(&first, true)?;
    for step in &scenario.step {
        run.network.run_until(Duration::from_secs_f64(step.at));
        if let Some(expect) = &step.expect {
            let checked = run.check(expect);
            checked.map_err(|error| format!("at {} s: {error}", step.at))?;
        }
        run.act(step)?;
    }
    match run.network.loops.first() {
        Some((from, until, lan)) => Err(format!("a loop by {lan} from {from:?} to {until:?}")),
        None => Ok(()),
    }
}

impl Run {
    fn build(scenario: &Scenario) -> Result<Self, String> {
        let mut run = Self {
            network: Network::new(1),
            bridges: scenario.bridge.keys().cloned().collect(),
            lans: scenario.lan.keys().cloned().collect(),
            acted: Duration::ZERO,
            seen: Duration::ZERO,
            flushes: BTreeMap::new(),
        };
        for (number, (name, text)) in (1..).zip(&scenario.bridge) {
            let mut config = RstpConfig::new(Mac([2, 0, 0, 0, 0, number]));
            config.priority = text.priority;
            config.hello_time = text.hello_time.unwrap_or(config.hello_time);
            config.max_age = text.max_age.unwrap_or(config.max_age);
            config.forward_delay = text.forward_delay.unwrap_or(config.forward_delay);
            if text.stp {
                config.version = ForceVersion::Stp;
            }
            run.network.add_bridge(name, config, text.stp);
        }
        for (name, text) in &scenario.lan {
            run.add_lan(name, text, scenario)?;
        }
        Ok(run)
    }

    fn add_lan(&mut self, name: &str, text: &LanText, scenario: &Scenario) -> Result<(), String> {
        let mut ends = Vec::new();
        for end in &text.ends {
            let place = self.end(end)?;
            let settings = scenario.port.get(end);
            self.network.add_port(place, port_config(settings));
            ends.push(place);
        }
        let link = Link {
            speed: text.mbit.map(|mbit| mbit * 1_000_000),
            full_duplex: !text.half_duplex && ends.len() < 3,
        };
        let lan = self
            .network
            .add_lan(name, &ends, link, Duration::from_micros(200));
        self.network.lans[lan].reflects = text.reflects;
        Ok(())
    }

    fn bridge(&self, name: &str) -> Result<usize, String> {
        let found = self.bridges.iter().position(|bridge| bridge == name);
        found.ok_or_else(|| format!("there is no bridge {name}"))
    }

    fn end(&self, name: &str) -> Result<End, String> {
        let (bridge, port) = name.split_once('.').ok_or("a port is bridge.number")?;
        let number = port.parse().map_err(|_| format!("{name}: no number"))?;
        Ok((self.bridge(bridge)?, PortId(number)))
    }

    fn set_lans(&mut self, names: &[String], up: bool) -> Result<(), String> {
        for name in names {
            let found = self.lans.iter().position(|lan| lan == name);
            let lan = found.ok_or_else(|| format!("there is no LAN {name}"))?;
            self.network.set_lan(lan, up);
        }
        Ok(())
    }

    fn act(&mut self, step: &Step) -> Result<(), String> {
        self.remember(!step.only_looks());
        self.set_lans(&step.down, false)?;
        self.set_lans(&step.up, true)?;
        for (names, muted) in [(&step.unmute, false), (&step.mute, true)] {
            for name in names {
                let end = self.end(name)?;
                let joined = self.network.lans.iter_mut();
                for lan in joined.filter(|lan| lan.ends.contains(&end)) {
                    lan.mute = muted.then_some(end);
                }
            }
        }
        for (names, frozen) in [(&step.freeze, true), (&step.thaw, false)] {
            for name in names {
                let node = self.bridge(name)?;
                self.network.freeze(node, frozen);
            }
        }
        for name in &step.enable {
            let (node, port) = self.end(name)?;
            self.network.call(node, |rstp, now, out| {
                assert!(rstp.enable_port(port, now, out), "it was shut");
            });
        }
        for name in &step.check_migration {
            let (node, port) = self.end(name)?;
            self.network.call(node, |rstp, now, out| {
                assert!(rstp.check_migration(port, now, out));
            });
        }
        Ok(())
    }

    /// From here on count what the next step sees.
    fn remember(&mut self, acts: bool) {
        self.seen = self.network.now();
        if acts {
            self.acted = self.seen;
        }
        self.flushes.clear();
        for (at, node) in self.network.nodes.iter().enumerate() {
            let counts = node.flushes.iter();
            self.flushes
                .extend(counts.map(|(&port, &count)| ((at, port), count)));
        }
    }

    fn check(&self, expect: &Expect) -> Result<(), String> {
        let settled = self.network.changed.saturating_sub(self.acted);
        let settled = settled.as_secs_f64() * 1000.0;
        if expect.settled_ms.is_some_and(|most| settled > most) {
            return Err(format!("settled after {settled} ms"));
        }
        if expect.not_settled_ms.is_some_and(|least| settled < least) {
            return Err(format!("settled after {settled} ms already"));
        }
        self.check_roots(expect)?;
        for (name, words) in &expect.port {
            let (node, port) = self.end(name)?;
            let snapshot = self.network.nodes[node].rstp.snapshot();
            let seen = snapshot.port(port).map(describe).unwrap_or_default();
            if seen != *words {
                return Err(format!("{name} is {seen}, not {words}"));
            }
        }
        self.check_events(expect)?;
        self.check_flushes(expect)?;
        let complaints = self.network.wiring().complaints();
        if expect.tree && !complaints.is_empty() {
            return Err(complaints.join("; "));
        }
        Ok(())
    }

    fn check_roots(&self, expect: &Expect) -> Result<(), String> {
        if let Some(root) = &expect.root {
            let root = self.network.nodes[self.bridge(root)?].rstp.snapshot();
            for node in &self.network.nodes {
                let taken = node.rstp.snapshot().root;
                if taken != root.bridge {
                    return Err(format!("{} takes {taken} for the root", node.name));
                }
            }
        }
        for (name, cost) in &expect.cost {
            let seen = self.network.nodes[self.bridge(name)?].rstp.snapshot();
            if seen.root_path_cost != *cost {
                return Err(format!("{name} is at cost {}", seen.root_path_cost));
            }
        }
        Ok(())
    }

    fn check_events(&self, expect: &Expect) -> Result<(), String> {
        for (name, wanted) in &expect.event {
            let node = &self.network.nodes[self.bridge(name)?];
            let recent = node.events.iter().filter(|(when, _)| *when >= self.seen);
            let texts: Vec<String> = recent
                .map(|(_, event)| RstpEvent::to_string(event))
                .collect();
            for words in wanted {
                if !texts.iter().any(|text| text.contains(words)) {
                    return Err(format!("{name} does not say {words:?} but {texts:?}"));
                }
            }
        }
        Ok(())
    }

    fn check_flushes(&self, expect: &Expect) -> Result<(), String> {
        for (names, wanted) in [(&expect.flushed, true), (&expect.not_flushed, false)] {
            for name in names {
                let (node, port) = self.end(name)?;
                let now = self.network.nodes[node].flushes.get(&port);
                if (now != self.flushes.get(&(node, port))) != wanted {
                    return Err(format!("{name} flushed: {}", !wanted));
                }
            }
        }
        Ok(())
    }
}

fn port_config(text: Option<&PortText>) -> RstpPortConfig {
    let default = RstpPortConfig::default();
    let Some(text) = text else {
        return default;
    };
    RstpPortConfig {
        path_cost: text.cost,
        priority: text.priority.unwrap_or(default.priority),
        admin_edge: text.edge,
        auto_edge: text.auto_edge.unwrap_or(default.auto_edge),
        point_to_point: match text.point_to_point {
            Some(true) => PointToPoint::ForceTrue,
            Some(false) => PointToPoint::ForceFalse,
            None => PointToPoint::Auto,
        },
        bpdu_guard: text.bpdu_guard,
        root_guard: text.root_guard,
    }
}

/// As in a scenario: `root forwarding`, `designated discarding looped`.
fn describe(port: &RstpPortSnapshot) -> String {
    let state = format!("{:?}", port.state).to_lowercase();
    let mut text = format!("{} {state}", port.role);
    for (holds, word) in [
        (port.edge, " edge"),
        (port.stp, " stp"),
        (port.shut, " shut"),
        (port.root_guarded, " guarded"),
        (port.self_looped, " looped"),
    ] {
        if holds {
            text.push_str(word);
        }
    }
    text
}
