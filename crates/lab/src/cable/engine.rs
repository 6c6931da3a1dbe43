//! The thread of a cable: reads frames at one end, holds them, writes them at the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sys::poll::{Events, Interest, Poller, Waker};
use sys::tap::Tap;

use super::line::{Fate, Line};
use super::{LineStats, Profile, Shared};
use crate::Direction;

/// Frames on their way in one direction at most; more are dropped as if the queue were full.
const MAX_IN_FLIGHT: usize = 65_536;
/// Frames read at one end before the other end and the due deliveries get their turn.
const READ_BATCH: usize = 32;
/// Room for a frame of the largest MTU with a VLAN tag.
const FRAME_SIZE: usize = 65_536 + 18;
/// The least time between two turns of a cable that has work: at high rates one turn moves several
/// frames, which costs a fraction of one turn for each. Frames are late by this at most.
const TURN: Duration = Duration::from_micros(150);
const WAKER_TOKEN: u64 = 2;

/// A frame on its way; ordered by arrival, then by the order it was sent in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    at: Instant,
    order: u64,
    frame: Vec<u8>,
}

/// One direction: `taps[direction]` to the other.
#[derive(Debug)]
struct Lane {
    line: Line,
    heap: BinaryHeap<Reverse<InFlight>>,
    sent: u64,
}

impl Lane {
    fn new(seed: u64) -> Self {
        Self {
            line: Line::new(seed),
            heap: BinaryHeap::new(),
            sent: 0,
        }
    }

    fn push(&mut self, at: Instant, frame: Vec<u8>) {
        self.sent += 1;
        self.heap.push(Reverse(InFlight {
            at,
            order: self.sent,
            frame,
        }));
    }

    fn due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(next)| next.at)
    }

    fn accept(&mut self, frame: &[u8], profile: &Profile, stats: &mut LineStats, now: Instant) {
        if self.heap.len() >= MAX_IN_FLIGHT {
            stats.offered += 1;
            stats.queue_full += 1;
            return;
        }
        match self.line.offer(profile, ip_bytes(frame), now, stats) {
            Fate::Dropped => {}
            Fate::Arrives(at) => self.push(at, frame.to_vec()),
            Fate::ArrivesTwice(at) => {
                self.push(at, frame.to_vec());
                self.push(at, frame.to_vec());
            }
        }
    }

    /// Returns how many frames were due.
    fn deliver(&mut self, to: Option<&Tap>, profile: &Profile, stats: &mut LineStats) -> usize {
        let now = Instant::now();
        let mut frames = 0;
        while self.due().is_some_and(|due| due <= now) {
            let Some(Reverse(next)) = self.heap.pop() else {
                break;
            };
            frames += 1;
            if profile.cut {
                stats.cut += 1;
            } else if to.is_some_and(|tap| tap.write(&next.frame).is_ok()) {
                stats.delivered += 1;
                stats.delivered_bytes += ip_bytes(&next.frame) as u64;
            } else {
                stats.far_end_down += 1;
            }
        }
        frames
    }
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moved {
    /// Nothing was there or due.
    Nothing,
    /// Some frames, all there were.
    Some,
    /// As many as one turn may read: there may be more.
    Much,
}

/// The bytes of IP in a frame: without the Ethernet header and one VLAN tag.
fn ip_bytes(frame: &[u8]) -> usize {
    let header = if frame.get(12..14) == Some(&[0x81, 0x00]) {
        18
    } else {
        14
    };
    frame.len().saturating_sub(header)
}

/// Everything the thread owns.
#[derive(Debug)]
pub(super) struct Engine {
    taps: Arc<[Tap; 2]>,
    shared: Arc<Shared>,
    waker: Waker,
    poller: Poller,
    lanes: [Lane; 2],
    buffer: Vec<u8>,
}

impl Engine {
    pub(super) fn new(
        taps: Arc<[Tap; 2]>,
        shared: Arc<Shared>,
        waker: Waker,
        seed: u64,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        for (token, tap) in taps.iter().enumerate() {
            poller.add(tap, token as u64, Interest::Read)?;
        }
        poller.add(&waker, WAKER_TOKEN, Interest::Read)?;
        let lanes = [Lane::new(seed), Lane::new(seed ^ 0x9e37_79b9_7f4a_7c15)];
        Ok(Self {
            taps,
            shared,
            waker,
            poller,
            lanes,
            buffer: vec![0; FRAME_SIZE],
        })
    }

    /// Runs until the handle says stop.
    pub(super) fn run(mut self) {
        // Both are for precision only: without the privilege the cable is less exact.
        let _ = sys::thread::precise_timers();
        let _ = sys::thread::real_time();
        let mut events = Events::with_capacity(4);
        loop {
            let begin = Instant::now();
            match self.turn() {
                None => return,
                Some(Moved::Nothing) => {}
                Some(Moved::Some) => {
                    std::thread::sleep((begin + TURN).saturating_duration_since(Instant::now()));
                    continue;
                }
                Some(Moved::Much) => continue,
            }
            if self.poller.wait(&mut events, self.time_to_next()).is_err() {
                return;
            }
            if events.iter().any(|event| event.token == WAKER_TOKEN) {
                self.waker.clear();
            }
        }
    }

    fn time_to_next(&self) -> Option<Duration> {
        let next = self.lanes.iter().filter_map(Lane::due).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Delivers what is due and reads what is there; `None` when the cable is to end.
    fn turn(&mut self) -> Option<Moved> {
        let mut state = self.shared.lock();
        if state.stop {
            return None;
        }
        let state = &mut *state;
        let mut moved = Moved::Nothing;
        let plugged = state.carrier == [true; 2];
        for direction in Direction::BOTH {
            let (from, to) = match direction {
                Direction::AToB => (&self.taps[0], &self.taps[1]),
                Direction::BToA => (&self.taps[1], &self.taps[0]),
            };
            let to = Some(to).filter(|_| plugged);
            let lane = &mut self.lanes[direction as usize];
            let profile = &state.profiles[direction as usize];
            let stats = &mut state.stats[direction as usize];
            let mut frames = lane.deliver(to, profile, stats);
            let mut read = 0;
            while read < READ_BATCH {
                let Ok(length) = from.read(&mut self.buffer) else {
                    break;
                };
                let frame = self.buffer.get(..length).unwrap_or_default();
                lane.accept(frame, profile, stats, Instant::now());
                read += 1;
            }
            // What has no delay goes on without another turn.
            frames += lane.deliver(to, profile, stats) + read;
            moved = moved.max(match frames {
                0 => Moved::Nothing,
                _ if read == READ_BATCH => Moved::Much,
                _ => Moved::Some,
            });
        }
        Some(moved)
    }
}
