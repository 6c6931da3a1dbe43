//! The session with one run of the peer's process: its paths, record numbers and windows. Keys come and go above it.

mod again;
mod aggregate;
mod changes;
mod control;
mod join;
mod records;
mod reinject;
mod sending;
mod status;
mod timers;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rand::Rng as _;
use wire::control::{Admin, PathState as WireState};

use crate::{
    assembly::Assembly,
    crypto::ForwardSecretRng,
    drops::{Drop, Drops},
    event::Event,
    history::History,
    inflight::Carried,
    liveness::State,
    params::{IDLE_AFTER, MAX_EVENTS, MAX_PATHS, MAX_SUPER_RECORD, RANK_EVERY},
    path::{Path, Sending},
    peer::Mode,
    playout::Playout,
    scheduler::{Candidate, Excluded, Scheduler, cost},
    sink::{Arrival, DatagramSink, UplinkId},
    snapshot::PathState,
};

pub(crate) use changes::UplinkChange;
pub(crate) use control::Opened;
pub(crate) use join::{Asked, LocalUplinks};

/// A gap in the numbers of a path counts for the order of records if some came by it within this time.
const ORDERED_LATELY: Duration = Duration::from_secs(1);
/// A dead path that is heard is probed at most this often because of it.
const WAKE_SPACING: Duration = Duration::from_millis(50);

/// Events waiting for the owner, bounded: the oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.0.len() == MAX_EVENTS {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

/// What every step of a session needs from the peer around it.
pub(crate) struct Context<'a> {
    pub now: Instant,
    pub key: &'a crate::keyring::Key,
    pub sink: &'a mut dyn DatagramSink,
    pub drops: &'a mut Drops,
    pub events: &'a mut Events,
    pub uplinks: &'a LocalUplinks,
}

impl Context<'_> {
    pub(crate) fn sending(&mut self) -> Sending<'_> {
        Sending {
            now: self.now,
            key: self.key,
            sink: self.sink,
            drops: self.drops,
        }
    }
}

/// Records sent and received, for `status`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub tx_frames: u64,
    pub rx_frames: u64,
    pub reinjected: u64,
}

/// See the module.
pub(crate) struct Link {
    /// The run of the peer that this session is with.
    pub instance: u64,
    pub paths: Vec<Path>,
    /// The uplinks that the peer told of in its Hello.
    peer_uplinks: Vec<u8>,
    pub counters: Counters,
    by_id: [u8; 256],
    /// Path id 0, on which pairs of uplinks meet before they have an id.
    lobby: Path,
    asked: Vec<Asked>,
    /// Addresses that answered a challenge since they were last taken.
    proven: Vec<(UplinkId, std::net::SocketAddr)>,
    scheduler: Scheduler,
    history: History,
    assembly: Assembly,
    playout: Playout,
    /// Before it no record is missing, as far as order matters.
    next_ordered: u64,
    /// Reused: incomplete records whose time came while another was taken in.
    unsettled: Vec<u64>,
    next_record: u64,
    max_frame: u32,
    takes_vnet: bool,
    /// When a record was last sent again.
    resent: Option<Instant>,
    /// In the aggregating mode.
    aggregate: Option<Box<aggregate::Aggregate>>,
    takes_ordered: bool,
    status: status::Sender,
    peer_status: Option<u32>,
    last_frame: Instant,
    calm: timers::Calm,
    ranked: Instant,
    epoch: Instant,
    we_are_lower: bool,
    next_path_id: u8,
    rng: ForwardSecretRng,
    scratch: Vec<Carried>,
    /// Reused: what need not be sent again.
    arrived: Vec<Carried>,
    fallen: bool,
}

/// What a session is made with.
pub(crate) struct LinkConfig {
    pub instance: u64,
    pub peer_uplinks: Vec<u8>,
    pub mode: Mode,
    pub we_are_lower: bool,
    /// Longest frame we take, and the peer takes, bytes.
    pub max_frame_in: u32,
    pub max_frame_out: u32,
    /// Whether both take records with a virtio-net header.
    pub vnet: bool,
    /// Whether the peer takes ordered records.
    pub ordered: bool,
    pub rng: ForwardSecretRng,
}

impl Link {
    pub(crate) fn new(mut config: LinkConfig, now: Instant) -> Self {
        let aggregate = (config.mode == Mode::Aggregate)
            .then(|| Box::new(aggregate::Aggregate::new(config.rng.next_u64(), now)));
        let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            instance: config.instance,
            peer_uplinks: config.peer_uplinks,
            paths: Vec::new(),
            counters: Counters::default(),
            by_id: [0; 256],
            lobby: Path::new(0, UplinkId(0), 0, nowhere, now, now),
            asked: Vec::new(),
            proven: Vec::new(),
            scheduler: Scheduler::new(config.mode),
            history: History::default(),
            assembly: Assembly::new(
                config.max_frame_in,
                if config.vnet { MAX_SUPER_RECORD } else { 0 },
            ),
            playout: Playout::new(),
            next_ordered: 0,
            unsettled: Vec::new(),
            next_record: 0,
            max_frame: config.max_frame_out,
            takes_vnet: config.vnet,
            resent: None,
            aggregate,
            takes_ordered: config.ordered,
            status: status::Sender::new(),
            peer_status: None,
            last_frame: now,
            calm: timers::Calm::new(now),
            ranked: now,
            epoch: now,
            we_are_lower: config.we_are_lower,
            next_path_id: 1,
            rng: config.rng,
            scratch: Vec::new(),
            arrived: Vec::new(),
            fallen: false,
        }
    }

    /// Whether records may have a virtio-net header.
    pub(crate) fn takes_vnet(&self) -> bool {
        self.takes_vnet
    }

    /// No frame came or went for a while: probes are slow, and nothing is acknowledged twice.
    pub(crate) fn idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_frame) >= IDLE_AFTER
    }

    /// Whether frames can be sent.
    pub(crate) fn has_path(&self) -> bool {
        self.scheduler.has_path()
    }

    /// Whether the peer can be talked to at all.
    pub(crate) fn answers(&self) -> bool {
        self.paths.iter().any(Path::answers)
    }

    /// Addresses that proved to be the peer since the last call.
    pub(crate) fn take_proven(&mut self) -> Vec<(UplinkId, std::net::SocketAddr)> {
        std::mem::take(&mut self.proven)
    }

    /// Whether a path went down since the last call.
    pub(crate) fn take_fallen(&mut self) -> bool {
        std::mem::take(&mut self.fallen)
    }

    /// The slowest round trip, for how long old keys stay.
    pub(crate) fn slowest_round_trip(&self) -> Duration {
        self.paths
            .iter()
            .filter_map(|path| path.estimator.round_trip())
            .max()
            .unwrap_or_default()
    }

    /// Where a handshake for new keys goes: the best path's address.
    pub(crate) fn best_target(&self) -> Option<crate::sink::Target> {
        self.scheduler
            .best_except(None)
            .map(|path| self.paths[path].target())
    }

    /// Ranks the paths anew; call after any of them changed.
    pub(crate) fn rank(&mut self, now: Instant) {
        self.ranked = now;
        let none = !self.paths.iter().any(Path::usable);
        let candidates: Vec<Candidate> = self
            .paths
            .iter()
            .enumerate()
            .map(|(at, path)| Candidate {
                path: at,
                usable: path.usable() || none && path.is_last_resort(),
                held: path.live.hold_until().is_some_and(|until| until > now),
                role: path.role(),
                overflow: path.local_role.overflow || path.remote_role.overflow,
                cost: cost(
                    path.estimator.round_trip(),
                    path.estimator.jitter(),
                    path.estimator.proven_loss(),
                ),
                order: u32::from(path.uplink.0) << 8 | u32::from(path.remote_uplink),
                local_uplink: path.uplink.0,
                remote_uplink: path.remote_uplink,
            })
            .collect();
        let before: u32 = self.carrying();
        self.scheduler.rank(&candidates, now);
        self.rank_stripes(now);
        let patient = self.is_spreading(now);
        for path in &mut self.paths {
            path.estimator.set_patient(patient);
        }
        let usable = self.paths.iter().filter(|path| path.usable());
        if let Some(fastest) = usable.filter_map(|path| path.estimator.round_trip()).min() {
            self.playout.set_round_trip(fastest);
        }
        if self.carrying() != before {
            self.status.changed(now);
        }
    }

    /// Sends everything that is waiting in open datagrams. Call at the end of every batch.
    pub(crate) fn flush(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if now.saturating_duration_since(self.ranked) >= RANK_EVERY && !self.idle(now) {
            self.rank(now);
        }
        self.pump(context);
        self.send_due_acks(context);
        self.send_due_status(context);
        for at in 0..self.paths.len() {
            if self.paths[at].has_open() && !self.may_wait(at, now) {
                self.paths[at].flush(&mut context.sending());
            }
        }
    }

    /// Why a usable path carries nothing.
    pub(crate) fn excluded(&self, path: usize) -> Option<&'static str> {
        let usable = self.paths[path].usable();
        let useless = self.is_useless(path).then_some(Excluded::NoGain);
        usable
            .then(|| self.scheduler.excluded(path).or(useless))
            .flatten()
            .filter(|_| !self.carries(path) || useless.is_some())
            .map(Excluded::as_str)
    }

    /// Whether `uplink` and every uplink of the peer have a path for which `good` holds. Then another address over `uplink` can
    /// at best be a second way between the same ends.
    pub(crate) fn covers(&self, uplink: UplinkId, good: impl Fn(&Path) -> bool) -> bool {
        let mut ours = self.paths.iter().filter(|path| good(path));
        let reaches = |id: u8| {
            self.paths
                .iter()
                .any(|path| path.remote_uplink == id && good(path))
        };
        ours.any(|path| path.uplink == uplink) && self.peer_uplinks.iter().all(|&id| reaches(id))
    }

    /// Whether we send data on `path`.
    pub(crate) fn carries(&self, path: usize) -> bool {
        let helps = |aggregate: &aggregate::Aggregate| aggregate.stripes.members().contains(&path);
        self.scheduler.carries(path) || self.aggregate.as_deref().is_some_and(helps)
    }

    fn carrying(&self) -> u32 {
        (0..self.paths.len())
            .filter(|&path| self.carries(path))
            .fold(0, |set, path| set | 1 << path)
    }

    fn by_id(&self, id: u8) -> Option<usize> {
        usize::from(self.by_id[usize::from(id)]).checked_sub(1)
    }

    fn add_path(&mut self, path: Path) -> Option<usize> {
        if self.paths.len() >= MAX_PATHS {
            return None;
        }
        self.by_id[usize::from(path.id)] = self.paths.len() as u8 + 1;
        self.paths.push(path);
        Some(self.paths.len() - 1)
    }

    /// The best answering path other than `except`, metered ones only if there is no other.
    fn best_answering(&self, except: usize) -> Option<usize> {
        (0..self.paths.len())
            .filter(|&at| at != except && self.paths[at].answers())
            .min_by_key(|&at| {
                let path = &self.paths[at];
                (path.role(), path.round_trip())
            })
    }

    /// Whether `at` is the only path left that frames could use.
    fn is_last(&self, at: usize) -> bool {
        !self
            .paths
            .iter()
            .enumerate()
            .any(|(other, path)| other != at && path.usable())
    }

    /// Whether the silence of `at` may be the peer's own: no other path is usable, or none has answered since it fell silent.
    fn is_alone(&self, at: usize) -> bool {
        let path = &self.paths[at];
        let mut others = self
            .paths
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != at);
        match path.live.state() {
            State::Suspect => {
                !others.any(|(_, other)| other.live.last_answer() > path.live.since())
            }
            _ => self.is_last(at),
        }
    }

    fn wire_state(path: &Path) -> WireState {
        match (path.present, path.live.state()) {
            (false, _) => WireState::Lost,
            (true, State::Up) => WireState::Usable,
            (true, State::Suspect) => WireState::Suspect,
            (true, State::Probing | State::Down) => WireState::Down,
        }
    }

    /// What arrived on `arrival` opened under this session's key as datagram `number` of `path_id`.
    pub(crate) fn check_replay(&self, path_id: u8, number: u64) -> Result<(), Drop> {
        let window = match self.by_id(path_id) {
            _ if path_id == 0 => &self.lobby.replay,
            Some(path) => &self.paths[path].replay,
            None => return Err(Drop::UnknownPath),
        };
        window.check(number).map_err(|_| Drop::Replayed)
    }

    /// Memory that grows with traffic, bytes.
    pub(crate) fn memory(&self) -> usize {
        let paths = self.paths.iter();
        let flights: usize = paths
            .map(|path| {
                path.flight.memory() + path.swallowed.capacity() * size_of::<(u16, Carried)>()
            })
            .sum();
        let spreading = self
            .aggregate
            .as_ref()
            .map_or(0, |aggregate| aggregate.memory());
        self.history.memory() + self.assembly.memory() + self.playout.memory() + flights + spreading
    }

    fn on_arrival(
        &mut self,
        at: usize,
        number: u64,
        size: usize,
        arrival: &Arrival,
        context: &mut Context<'_>,
    ) -> bool {
        let path = &mut self.paths[at];
        let newest = path.replay.highest().is_none_or(|highest| number > highest);
        if path.replay.accept(number).is_err() {
            return false;
        }
        path.traffic.rx_bytes += size as u64;
        path.traffic.rx_datagrams += 1;
        let gap = path.acks.on_datagram(number, size, context.now);
        let lately = |at| context.now.saturating_duration_since(at) < ORDERED_LATELY;
        if gap && path.ordered_at.is_some_and(lately) {
            self.playout.on_gap(context.now);
        }
        path.last_arrival = context.now;
        // A dead path on which something arrives may be alive again.
        let wakes = path.live.state() == State::Down
            && context.now.saturating_duration_since(path.last_eliciting) >= WAKE_SPACING;
        if arrival.uplink == path.uplink && newest {
            if arrival.remote == path.remote && path.agreed {
                path.local = arrival.local;
            } else {
                // An address not yet proven to us; the peer uses the path, so that it will not ask again.
                self.on_new_address(at, arrival, context);
            }
        }
        if wakes {
            self.probe(at, true, context);
        }
        true
    }
}

/// The state of a path as people see it.
pub(crate) fn state_of(path: &Path) -> PathState {
    match (path.present, path.admin, path.live.state()) {
        (false, ..) => PathState::Absent,
        (true, Admin::Down, _) => PathState::Down,
        (true, Admin::Drained, State::Up) => PathState::Drained,
        (true, _, State::Up) if path.agreed => PathState::Up,
        (true, _, State::Probing | State::Up) => PathState::Probing,
        (true, _, State::Suspect) => PathState::Suspect,
        (true, _, State::Down) => PathState::Down,
    }
}
