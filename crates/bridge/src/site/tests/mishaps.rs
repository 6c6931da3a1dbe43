//! What can happen to a network of gateways, and be repaired.

use super::world::{Cut, State, World};
use crate::site::Sites;

impl World {
    pub(super) fn cut(&mut self, cut: Cut) {
        *self.cuts.entry(cut).or_default() += 1;
        self.judge_paths();
    }

    pub(super) fn mend(&mut self, cut: Cut) {
        if let Some(count) = self.cuts.get_mut(&cut) {
            *count -= 1;
            if *count == 0 {
                self.cuts.remove(&cut);
            }
        }
        self.judge_paths();
    }

    pub(super) fn is_cut(&self, cut: Cut) -> bool {
        self.cuts.contains_key(&cut)
    }

    pub(super) fn stop(&mut self, node: usize) {
        if self.nodes[node].state == State::Running {
            self.nodes[node].state = State::Stopped;
        }
        self.judge_paths();
    }

    pub(super) fn resume(&mut self, node: usize) {
        if self.nodes[node].state != State::Stopped {
            return;
        }
        self.nodes[node].state = State::Running;
        let lan_up = self.nodes[node].lan_up;
        self.set_lan(node, lan_up);
        for (from, session, message) in std::mem::take(&mut self.nodes[node].waiting) {
            self.receive(from, node, session, message);
        }
        self.judge_paths();
    }

    pub(super) fn crash(&mut self, node: usize) {
        self.nodes[node].state = State::Crashed;
        self.nodes[node].waiting.clear();
        self.judge_paths();
    }

    pub(super) fn restart(&mut self, node: usize) {
        if self.nodes[node].state != State::Crashed {
            return;
        }
        let now = self.clock(node);
        let instance = self.dice.below(u64::MAX >> 33) + 1;
        if let Some(config) = &mut self.nodes[node].config {
            config.instance = instance;
        }
        let config = self.nodes[node].config.clone();
        self.nodes[node].sites = Sites::new(config.as_ref(), now);
        self.nodes[node].state = State::Running;
        let lan_up = self.nodes[node].lan_up;
        self.nodes[node].sites.set_lan(lan_up, now);
        for other in 0..self.nodes.len() {
            let linked = self
                .sessions
                .contains_key(&(node.min(other), node.max(other)));
            let stopped = self.nodes[other].state == State::Stopped;
            if linked && !stopped {
                self.new_session(node, other);
            } else if linked {
                // A stopped peer shakes hands when it goes on; here: with its next judgement.
                let session = self.sessions.get_mut(&(node.min(other), node.max(other)));
                session.unwrap().number = 0;
            }
        }
        self.judge_paths();
    }

    pub(super) fn set_lan(&mut self, node: usize, up: bool) {
        self.nodes[node].lan_up = up;
        let now = self.clock(node);
        if self.nodes[node].state == State::Running {
            self.nodes[node].sites.set_lan(up, now);
        }
    }
}
