//! Telling the peer how we see the paths, until it says that it knows.

use std::time::{Duration, Instant};

use wire::control::{Admin, PathStatus, StatusIter, put_status};

use crate::{liveness::State, params::STATUS_REPEAT};

use super::{Context, Link};

const SLOWEST_REPEAT: Duration = Duration::from_secs(1);

/// The newest STATUS and whether the peer has it.
#[derive(Debug)]
pub(super) struct Sender {
    sequence: u32,
    acked: u32,
    due: Option<Instant>,
    pause: Duration,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self {
            sequence: 0,
            acked: 0,
            due: None,
            pause: STATUS_REPEAT,
        }
    }

    /// Something the peer ought to know is different.
    pub(super) fn changed(&mut self, now: Instant) {
        self.sequence = self.sequence.wrapping_add(1);
        self.due = Some(now);
        self.pause = STATUS_REPEAT;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn on_acked(&mut self, sequence: u32) {
        self.acked = self.acked.max(sequence);
        if self.acked == self.sequence {
            self.due = None;
        }
    }
}

impl Link {
    /// Sends STATUS on every path that answers, if it is due.
    pub(super) fn send_due_status(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if self.status.due.is_none_or(|due| due > now) {
            return;
        }
        let entries: Vec<PathStatus> = (0..self.paths.len())
            .filter(|&at| self.paths[at].agreed)
            .map(|at| {
                let path = &self.paths[at];
                PathStatus {
                    path: path.id,
                    state: Self::wire_state(path),
                    active: self.carries(at),
                    admin: path.admin,
                    admin_version: path.admin_version,
                }
            })
            .collect();
        let sequence = self.status.sequence;
        for path in self
            .paths
            .iter_mut()
            .filter(|path| path.answers() || path.tells_of_order(now))
        {
            path.control(true, &mut context.sending(), |out| {
                put_status(out, sequence, entries.iter().copied());
            });
            path.carries_status(sequence);
        }
        self.status.due = Some(now + self.status.pause);
        self.status.pause = (self.status.pause * 2).min(SLOWEST_REPEAT);
    }

    /// The peer told how it sees the paths.
    pub(super) fn on_status(
        &mut self,
        sequence: u32,
        entries: StatusIter<'_>,
        context: &mut Context<'_>,
    ) {
        if self.peer_status.is_some_and(|seen| sequence <= seen) {
            return;
        }
        self.peer_status = Some(sequence);
        for entry in entries {
            if let Some(at) = self.by_id(entry.path) {
                self.on_path_status(at, &entry, context);
            }
        }
    }

    fn on_path_status(&mut self, at: usize, entry: &PathStatus, context: &mut Context<'_>) {
        use wire::control::PathState::{Down, Lost, Suspect, Usable};
        let path = &mut self.paths[at];
        let was = std::mem::replace(&mut path.peer_state, entry.state);
        path.peer_active = entry.active;
        let newer = entry.admin_version > path.admin_version
            || entry.admin_version == path.admin_version
                && !self.we_are_lower
                && entry.admin != path.admin;
        match (was, entry.state) {
            (_, Lost) => self.cut(at, "peer-lost-its-end", context),
            // It cannot reach us, or could not until now: find out at once whether we can reach it.
            (Usable, Suspect | Down) | (Lost, _) if path.live.state() != State::Probing => {
                self.probe(at, true, context);
            }
            _ => {}
        }
        if newer {
            self.on_order(at, entry.admin, entry.admin_version, context);
        }
    }

    fn cut(&mut self, at: usize, reason: &'static str, context: &mut Context<'_>) {
        if self.paths[at].live.on_cut(reason, context.now) {
            self.on_path_changed(at, context);
        }
    }

    /// The operator's order for one path; it binds the peer too.
    pub(crate) fn order(&mut self, at: usize, admin: Admin, context: &mut Context<'_>) {
        let version = self.paths[at].admin_version.wrapping_add(1);
        self.on_order(at, admin, version, context);
    }
}
