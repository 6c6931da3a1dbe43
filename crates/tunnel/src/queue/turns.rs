//! Whose turn it is: deficit round robin with new flows first (RFC 8290 §4.2), in constant time for items of any length.
//!
//! A flow may send a quantum per round, and pays for what its last item had over in later rounds. With items from 64
//! bytes to super-frames of 64 KiB no single quantum is right for a plain list. One MTU makes it go round 43 times for a
//! super-frame. 64 KiB lets a flow of short frames send a thousand of them in a row, and lets every flow that has just
//! begun hold the line for 5 ms (at 100 Mbit/s) before a frame that nobody should have to wait for.
//!
//! So the quantum stays at one MTU, and the rounds in which a flow would only repay are not played: rounds have numbers,
//! and a flow waits in the list of that round in which it has repaid. These lists form a wheel; a bitmap says which is
//! the next that is not empty. Who sends a super-frame is passed over for 43 rounds in a single step, and the others send
//! 43 MTUs each meanwhile.
//!
//! A round that was skipped to is not over until everybody in it has sent. Until then a flow that begins starts in the
//! first of the skipped rounds, and so comes before those that still wait for the later one: a flow within its share does
//! not wait for ten super-frames because it sends two frames.
//!
//! RFC 8290 moves a new flow that has run empty to the old ones, lest it come back as a new one all the time. Here
//! it is remembered what the flow has used of its round, which serves the same end: it comes back as a new one with what
//! is left of its quantum, or among the old ones when it is in debt. So a call keeps its precedence when two of its frames
//! fall into one long round, and whoever sends super-frames one at a time does not pass as sparse. Debts end when the
//! queue is empty: then nobody waited for them.

/// Lists on the wheel: bits of [`Turns::occupied`].
const WHEEL: u64 = 128;
/// Rounds that a flow is passed over at most in one step. From a round at most so far ahead (see [`Turns::next`]) the
/// step ends within the wheel. Debts of more than 63 quanta are repaid in several steps.
const STEP: u64 = 63;

const NONE: u16 = u16::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In no list: it has no items.
    Idle,
    New,
    /// In the list of its round.
    Old,
}

#[derive(Clone, Debug)]
struct Turn {
    place: Place,
    previous: u16,
    next: u16,
    /// The round in which it may use `credit`: the current one, or a later one if it has a debt to repay.
    round: u64,
    /// Bytes. Positive when `round` comes, but after an item of more than 63 quanta.
    credit: i64,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u16,
    tail: u16,
}

const EMPTY: List = List {
    head: NONE,
    tail: NONE,
};

/// The order of the flows that have items.
#[derive(Debug)]
pub(super) struct Turns {
    flows: Box<[Turn]>,
    quantum: i64,
    /// The first round that is not over. Changes only while no flow is new: the new ones are all in it.
    round: u64,
    new: List,
    old: [List; WHEEL as usize],
    /// Bit n: `old[n]` is not empty.
    occupied: u128,
}

impl Turns {
    pub(super) fn new(flows: usize, quantum: u32) -> Self {
        let idle = Turn {
            place: Place::Idle,
            previous: NONE,
            next: NONE,
            round: 0,
            credit: 0,
        };
        Self {
            flows: vec![idle; flows].into(),
            quantum: i64::from(quantum),
            round: 1,
            new: EMPTY,
            old: [EMPTY; WHEEL as usize],
            occupied: 0,
        }
    }

    /// The flow has got its first item.
    pub(super) fn join(&mut self, flow: u16) {
        let turn = &mut self.flows[usize::from(flow)];
        if turn.round < self.round {
            turn.round = self.round;
            turn.credit = self.quantum;
        }
        let sparse = turn.round == self.round && turn.credit > 0;
        self.link(flow, if sparse { Place::New } else { Place::Old });
    }

    /// The flow has lost its last item without a turn.
    pub(super) fn leave(&mut self, flow: u16) {
        self.unlink(flow);
    }

    /// Whose turn it is. [`Turns::charge`] it for what it sends.
    pub(super) fn next(&mut self) -> Option<u16> {
        if self.new.head != NONE {
            return Some(self.new.head);
        }
        while self.occupied != 0 {
            let at = self.round % WHEEL;
            let ahead = u64::from(self.occupied.rotate_right(at as u32).trailing_zeros());
            let round = self.round + ahead;
            // Rounds between may have lost their flows to the queue's bound.
            self.round = self.round.max(round.saturating_sub(STEP));
            let flow = self.old[slot(round)].head;
            if self.flows[usize::from(flow)].credit > 0 {
                return Some(flow);
            }
            self.pass(flow, true);
        }
        None
    }

    /// The flow whose turn it is sent `bytes`; `more`: it has further items.
    pub(super) fn charge(&mut self, flow: u16, bytes: u32, more: bool) {
        let turn = &mut self.flows[usize::from(flow)];
        turn.credit -= i64::from(bytes);
        if turn.credit <= 0 || !more {
            self.pass(flow, more);
        }
    }

    /// The queue is empty: all debts end.
    pub(super) fn rest(&mut self) {
        self.round += WHEEL;
    }

    /// Ends the turn of a flow; it comes back in the round in which it has credit again.
    fn pass(&mut self, flow: u16, more: bool) {
        let (place, round) = {
            let turn = &self.flows[usize::from(flow)];
            (turn.place, turn.round)
        };
        self.unlink(flow);
        if place == Place::Old && self.old[slot(round)].head == NONE {
            self.round = round + 1;
        }
        let turn = &mut self.flows[usize::from(flow)];
        if turn.credit <= 0 {
            let rounds = (-turn.credit / self.quantum + 1).min(STEP as i64);
            turn.credit += rounds * self.quantum;
            turn.round += rounds as u64;
        }
        if more {
            self.link(flow, Place::Old);
        }
    }

    fn list(&mut self, place: Place, round: u64) -> &mut List {
        match place {
            Place::Old => &mut self.old[slot(round)],
            Place::New | Place::Idle => &mut self.new,
        }
    }

    /// Appends an idle flow to the list of its place.
    fn link(&mut self, flow: u16, place: Place) {
        let round = self.flows[usize::from(flow)].round;
        let list = self.list(place, round);
        let tail = std::mem::replace(&mut list.tail, flow);
        if tail == NONE {
            list.head = flow;
        } else {
            self.flows[usize::from(tail)].next = flow;
        }
        let turn = &mut self.flows[usize::from(flow)];
        (turn.place, turn.previous, turn.next) = (place, tail, NONE);
        if place == Place::Old {
            self.occupied |= 1 << slot(round);
        }
    }

    /// Takes a flow out of its list.
    fn unlink(&mut self, flow: u16) {
        let turn = &mut self.flows[usize::from(flow)];
        let (place, previous, next, round) = (turn.place, turn.previous, turn.next, turn.round);
        if place == Place::Idle {
            return;
        }
        turn.place = Place::Idle;
        match previous {
            NONE => self.list(place, round).head = next,
            previous => self.flows[usize::from(previous)].next = next,
        }
        match next {
            NONE => self.list(place, round).tail = previous,
            next => self.flows[usize::from(next)].previous = previous,
        }
        if place == Place::Old && self.old[slot(round)].head == NONE {
            self.occupied &= !(1 << slot(round));
        }
    }
}

/// The place of a round on the wheel.
fn slot(round: u64) -> usize {
    (round % WHEEL) as usize
}
