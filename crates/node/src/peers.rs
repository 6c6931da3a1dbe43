//! The peers of a node, and for whom of them something is to be done: a wake-up looks at no peer that is at rest.

use std::{collections::VecDeque, time::Instant};

use tunnel::{DatagramSink, Event, Lent, Peer, Record};

use crate::{deadlines::Deadlines, forward::PeerPorts};

/// Peers by slot. Whoever gets one to change it thereby marks it: to be flushed, to be asked when it wants to be called, and
/// to be looked at for events.
pub(crate) struct Peers {
    list: Vec<Peer>,
    to_flush: Marked,
    to_ask: Marked,
    to_tell: Marked,
    /// What those not marked in `to_ask` answered last.
    deadlines: Deadlines,
    /// Reused by [`Self::handle_due`].
    due: Vec<usize>,
}

impl Peers {
    pub(crate) fn new(list: Vec<Peer>) -> Self {
        let marked = || Marked(VecDeque::new(), vec![false; list.len()]);
        let mut peers = Self {
            to_flush: marked(),
            to_ask: marked(),
            to_tell: marked(),
            deadlines: Deadlines::new(list.len()),
            due: Vec::new(),
            list,
        };
        (0..peers.list.len()).for_each(|slot| peers.touch(slot));
        peers
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> + Clone {
        self.list.iter()
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Peer> {
        self.list.get(slot)
    }

    /// A peer, to change it.
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Peer> {
        if slot < self.list.len() {
            self.touch(slot);
        }
        self.list.get_mut(slot)
    }

    /// All peers, to change them.
    pub(crate) fn for_each_mut(&mut self, mut change: impl FnMut(&mut Peer)) {
        for slot in 0..self.list.len() {
            self.touch(slot);
            change(&mut self.list[slot]);
        }
    }

    /// Flushes those that were changed since the last time; records whose time has come go to `deliver`, with the slot.
    pub(crate) fn flush(
        &mut self,
        now: Instant,
        sink: &mut dyn DatagramSink,
        deliver: &mut dyn FnMut(usize, &[u8], bool),
    ) {
        while let Some(slot) = self.to_flush.take() {
            let peer = &mut self.list[slot];
            peer.deliver_due(now, &mut |record, vnet| deliver(slot, record, vnet));
            peer.flush(now, sink);
            self.to_ask.add(slot);
            self.to_tell.add(slot);
        }
    }

    /// When the first of them wants to be called.
    pub(crate) fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.ask(now);
        self.deadlines.earliest()
    }

    /// Calls `handle` for those that have something to do by now.
    pub(crate) fn handle_due(&mut self, now: Instant, mut handle: impl FnMut(&mut Peer)) {
        self.ask(now);
        let mut due = std::mem::take(&mut self.due);
        self.deadlines.due(now, &mut due);
        for slot in due.drain(..) {
            let peer = &mut self.list[slot];
            // Time alone may have made it later: a session that fell idle is probed less often.
            if peer.poll_timeout(now).is_some_and(|at| at <= now) {
                handle(peer);
                self.to_flush.add(slot);
            }
            self.to_ask.add(slot);
        }
        self.due = due;
    }

    /// The oldest event of a peer, with its slot.
    pub(crate) fn poll_event(&mut self) -> Option<(usize, Event)> {
        while let Some(slot) = self.to_tell.first() {
            if let Some(event) = self.list[slot].poll_event() {
                return Some((slot, event));
            }
            self.to_tell.take();
        }
        None
    }

    fn touch(&mut self, slot: usize) {
        self.to_flush.add(slot);
        self.to_ask.add(slot);
        self.to_tell.add(slot);
    }

    fn ask(&mut self, now: Instant) {
        while let Some(slot) = self.to_ask.take() {
            let peer = &self.list[slot];
            let at = peer.poll_timeout(now);
            debug_assert!(
                holds(peer, at, now),
                "{} would want to be called before it said",
                peer.name()
            );
            self.deadlines.set(slot, at);
        }
    }
}

impl PeerPorts for Peers {
    fn send(
        &mut self,
        peer: usize,
        record: &Record<'_>,
        now: Instant,
        sink: &mut dyn DatagramSink,
    ) {
        if let Some(target) = self.get_mut(peer) {
            target.send(record, now, sink);
        }
    }

    fn send_lent(
        &mut self,
        peer: usize,
        record: &mut Lent<'_>,
        now: Instant,
        sink: &mut dyn DatagramSink,
    ) {
        if let Some(target) = self.get_mut(peer) {
            target.send_lent(record, now, sink);
        }
    }

    fn takes_vnet(&self, peer: usize) -> bool {
        self.get(peer).is_some_and(Peer::takes_vnet)
    }
}

/// Whether `peer`, asked again at a few moments before `at` without anything happening to it, would not want to be called
/// earlier: then its answer may be kept.
fn holds(peer: &Peer, at: Option<Instant>, now: Instant) -> bool {
    let end = at.unwrap_or(now + crate::node::LOOK_EVERY);
    let Some(wait) = end.checked_duration_since(now) else {
        return true;
    };
    (1..=8).all(|step| {
        // Halfway, then ever closer to the end.
        let then = end - wait / (1 << step);
        then >= end || peer.poll_timeout(then).is_none_or(|again| again >= end)
    })
}

/// Slots in the order in which they were marked, each once.
struct Marked(VecDeque<u16>, Vec<bool>);

impl Marked {
    fn add(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.1[slot], true) {
            self.0.push_back(slot as u16);
        }
    }

    fn first(&self) -> Option<usize> {
        self.0.front().map(|&slot| usize::from(slot))
    }

    fn take(&mut self) -> Option<usize> {
        let slot = usize::from(self.0.pop_front()?);
        self.1[slot] = false;
        Some(slot)
    }
}
