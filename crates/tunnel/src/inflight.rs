//! What was sent on one path and is not yet known to have arrived: acknowledgement, loss, and what to send again.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use wire::payload::Order;

use crate::{mtu::BigLosses, params::MAX_IN_FLIGHT};

/// [`Carried::again`] of a copy that is not worth sending again.
pub(crate) const COPY: u8 = u8::MAX;

/// Part of a record that a datagram carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// The record's number.
    pub record: u64,
    /// Where the part starts in the record, in bytes.
    pub offset: u32,
    /// Its length in bytes.
    pub len: u32,
    /// How often it was sent before.
    pub again: u8,
    /// The record is ordered: when it was first sent, in ticks of the session's clock ([`Order::sent`]).
    pub ordered: Option<u32>,
    /// It was handed out to be sent again.
    pub handed: bool,
}

impl Carried {
    /// What the receiver is told of the record's order.
    pub(crate) fn order(&self) -> Option<Order> {
        let again = self.again > 0 && self.again != COPY;
        self.ordered.map(|sent| Order { sent, again })
    }

    /// Takes `next` in if it touches or overlaps this part of the same record. `next` must not start before it.
    pub(crate) fn absorb(&mut self, next: &Self) -> bool {
        let end = self.offset + self.len;
        if next.record != self.record || next.offset > end {
            return false;
        }
        self.len = end.max(next.offset + next.len) - self.offset;
        self.again = self.again.max(next.again);
        true
    }
}

/// What kind of datagram was sent, as far as its loss matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Frames, probes, control: its silence makes the path suspect.
    Ordinary,
    /// A search for a larger MTU: its loss says nothing about the path.
    MtuProbe,
    /// Acknowledgements only: nobody acknowledges it.
    Silent,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    size: u16,
    purpose: Purpose,
    outstanding: bool,
    carried: u16,
    status: Option<u32>,
}

/// What one acknowledgement brought to light.
#[derive(Debug, Default)]
pub(crate) struct AckOutcome {
    /// Datagrams acknowledged for the first time.
    pub newly_acked: u32,
    /// Send time of the largest one acknowledged for the first time, if the acknowledgement's largest is new.
    pub largest_sent_at: Option<Instant>,
    /// Send time of the newest datagram acknowledged for the first time.
    pub newest_sent_at: Option<Instant>,
    /// Ordinary datagrams declared lost.
    pub lost: u32,
    /// The largest datagram acknowledged for the first time, UDP payload bytes; 0: none.
    pub largest_acked_size: u16,
    /// Those of them above the size asked about, and above what this acknowledgement shows to arrive.
    pub big_lost: BigLosses,
    /// An MTU probe of this size arrived.
    pub mtu_probe_acked: Option<u16>,
    /// An MTU probe of this size was lost.
    pub mtu_probe_lost: Option<u16>,
    /// The newest STATUS known to have arrived.
    pub status_acked: Option<u32>,
}

/// Where what lost datagrams carried goes.
#[derive(Debug)]
pub(crate) struct Lost<'a> {
    pub swallowed: &'a mut Vec<(u16, Carried)>,
    pub parts: &'a mut Vec<Carried>,
    /// What was handed out to be sent again, and has arrived after all.
    pub arrived: &'a mut Vec<Carried>,
}

/// The datagrams of one path in flight. Numbers are dense, so all lookups are by index.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    first: u64,
    sent: VecDeque<Sent>,
    carried: VecDeque<Carried>,
    largest_acked: Option<u64>,
    bytes: u64,
    /// Something in flight was handed out to be sent again.
    handed: bool,
}

/// A datagram is lost once this many later ones have arrived (RFC 9002 §6.1.1).
const PACKET_THRESHOLD: u64 = 3;

/// Room that an idle path keeps for its probes.
const KEPT_WHEN_IDLE: usize = 64;

impl InFlight {
    /// The next packet number.
    pub(crate) fn next_number(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    /// Bytes sent and neither acknowledged nor given up.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.sent.capacity() * size_of::<Sent>() + self.carried.capacity() * size_of::<Carried>()
    }

    /// Gives back what a path in little use does not need.
    pub(crate) fn shrink(&mut self) {
        self.sent.shrink_to(KEPT_WHEN_IDLE);
        self.carried.shrink_to(KEPT_WHEN_IDLE);
    }

    /// Notes that the datagram [`Self::next_number`] was sent.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        size: usize,
        purpose: Purpose,
        carried: &[Carried],
        status: Option<u32>,
    ) {
        if self.sent.len() == MAX_IN_FLIGHT {
            self.pop_front();
        }
        let outstanding = purpose != Purpose::Silent;
        if outstanding {
            self.bytes += size as u64;
        }
        self.carried.extend(carried);
        self.sent.push_back(Sent {
            at: now,
            size: size as u16,
            purpose,
            outstanding,
            carried: carried.len() as u16,
            status,
        });
        self.trim();
    }

    /// When the oldest datagram whose silence counts was sent.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.sent
            .iter()
            .find(|sent| sent.outstanding && sent.purpose == Purpose::Ordinary)
            .map(|sent| sent.at)
    }

    /// Takes in the ranges of one ACK (descending); `round_trip` bounds how long a reordered datagram may stay out.
    ///
    /// What lost datagrams above `big` bytes carried goes to `lost.swallowed`, with their size: a black hole may have taken
    /// them. All of it goes to `lost.parts`.
    pub(crate) fn acknowledge(
        &mut self,
        ranges: impl Iterator<Item = RangeInclusive<u64>>,
        round_trip: Duration,
        big: u16,
        lost: &mut Lost<'_>,
    ) -> AckOutcome {
        let mut outcome = AckOutcome::default();
        let mut newest: Option<Instant> = None;
        for (nth, range) in ranges.enumerate() {
            let (low, high) = (*range.start(), *range.end());
            if high >= self.next_number() {
                break; // a number we never sent: the peer is confused, believe nothing of it
            }
            for number in low.max(self.first)..=high {
                let Some(sent) = self.sent.get_mut((number - self.first) as usize) else {
                    break;
                };
                if nth == 0 && number == high && sent.outstanding {
                    outcome.largest_sent_at = Some(sent.at);
                }
                Self::note_acked(sent, &mut self.bytes, &mut newest, &mut outcome);
            }
            if nth == 0 {
                self.largest_acked = Some(self.largest_acked.map_or(high, |seen| seen.max(high)));
            }
        }
        outcome.newest_sent_at = newest;
        if self.handed && newest.is_some() {
            self.take_arrived(lost.arrived);
        }
        if let Some(newest) = newest {
            let big = big.max(outcome.largest_acked_size);
            self.declare_lost(newest, round_trip, big, lost, &mut outcome);
        }
        self.trim();
        outcome
    }

    fn note_acked(
        sent: &mut Sent,
        bytes: &mut u64,
        newest: &mut Option<Instant>,
        outcome: &mut AckOutcome,
    ) {
        if !sent.outstanding {
            return;
        }
        sent.outstanding = false;
        *bytes -= u64::from(sent.size);
        *newest = Some(newest.map_or(sent.at, |seen| seen.max(sent.at)));
        outcome.newly_acked += 1;
        outcome.status_acked = outcome.status_acked.max(sent.status);
        if sent.purpose == Purpose::MtuProbe {
            outcome.mtu_probe_acked = Some(sent.size);
        }
        outcome.largest_acked_size = outcome.largest_acked_size.max(sent.size);
    }

    fn declare_lost(
        &mut self,
        newest: Instant,
        round_trip: Duration,
        big: u16,
        lost: &mut Lost<'_>,
        outcome: &mut AckOutcome,
    ) {
        let Some(largest) = self.largest_acked else {
            return;
        };
        let patience = (round_trip * 9 / 8).max(Duration::from_millis(1));
        let mut next_part = 0;
        for (index, sent) in self.sent.iter_mut().enumerate() {
            let number = self.first + index as u64;
            if number >= largest {
                break;
            }
            let parts = next_part..next_part + usize::from(sent.carried);
            next_part = parts.end;
            let overtaken = largest - number >= PACKET_THRESHOLD;
            let late = newest.saturating_duration_since(sent.at) > patience;
            if !sent.outstanding || !(overtaken || late) {
                continue;
            }
            sent.outstanding = false;
            self.bytes -= u64::from(sent.size);
            match sent.purpose {
                Purpose::MtuProbe => outcome.mtu_probe_lost = Some(sent.size),
                Purpose::Silent => {}
                Purpose::Ordinary => {
                    outcome.lost += 1;
                    let parts = || {
                        let parts = self.carried.range(parts.clone());
                        parts.filter(|part| !part.handed).copied()
                    };
                    if sent.size > big {
                        outcome.big_lost.push(sent.size);
                        lost.swallowed.extend(parts().map(|part| (sent.size, part)));
                    }
                    lost.parts.extend(parts());
                }
            }
        }
    }

    /// Hands out, once, what datagrams carried that were sent `patience` ago or earlier, while later ones have arrived. They
    /// stay in flight: their acknowledgement may still come.
    pub(crate) fn take_late(&mut self, patience: Duration, now: Instant, out: &mut Vec<Carried>) {
        let Some(largest) = self.largest_acked else {
            return;
        };
        let mut at = 0;
        for (index, sent) in self.sent.iter().enumerate() {
            if self.first + index as u64 >= largest || sent.at + patience > now {
                break;
            }
            let parts = at..at + usize::from(sent.carried);
            at = parts.end;
            if sent.outstanding {
                let carries = |part: &&Carried| !part.handed;
                out.extend(self.carried.range(parts.clone()).filter(carries));
                self.carried
                    .range_mut(parts)
                    .for_each(|part| part.handed = true);
                self.handed = true;
            }
        }
    }

    /// Hands out what was handed out to be sent again and has been acknowledged since.
    fn take_arrived(&mut self, out: &mut Vec<Carried>) {
        let mut at = 0;
        self.handed = false;
        for sent in &self.sent {
            for part in self.carried.range_mut(at..at + usize::from(sent.carried)) {
                if part.handed && part.len > 0 && !sent.outstanding {
                    out.push(*part);
                    part.len = 0;
                }
                self.handed |= part.handed && part.len > 0;
            }
            at += usize::from(sent.carried);
        }
    }

    /// When [`Self::take_late`] will have something to hand out.
    pub(crate) fn next_late(&self, patience: Duration) -> Option<Instant> {
        let largest = self.largest_acked?;
        let (mut at, overtaken) = (0, largest.saturating_sub(self.first) as usize);
        for sent in self.sent.iter().take(overtaken) {
            let mut parts = self.carried.range(at..at + usize::from(sent.carried));
            at += usize::from(sent.carried);
            if sent.outstanding && parts.any(|part| !part.handed) {
                return Some(sent.at + patience);
            }
        }
        None
    }

    /// Appends the record parts of all ordinary datagrams in flight to `out`, oldest first. They stay in flight, since their
    /// late acknowledgement still proves the path alive, but are not handed out a second time.
    pub(crate) fn take_outstanding(&mut self, out: &mut Vec<Carried>) {
        let mut at = 0;
        self.handed = true;
        for sent in &mut self.sent {
            let parts = usize::from(sent.carried);
            if sent.outstanding {
                out.extend(
                    self.carried
                        .range(at..at + parts)
                        .filter(|part| !part.handed),
                );
                for part in self.carried.range_mut(at..at + parts) {
                    part.handed = true;
                }
            }
            at += parts;
        }
    }

    /// Forgets all but the newest `keep` datagrams: on a dead path nobody acknowledges them.
    pub(crate) fn forget_oldest(&mut self, keep: usize) {
        while self.sent.len() > keep.max(1) {
            self.pop_front();
        }
    }

    /// Forgets what is in flight: nobody will acknowledge it (the path died or moved).
    pub(crate) fn give_up(&mut self) {
        self.first = self.next_number();
        self.sent.clear();
        self.carried.clear();
        self.bytes = 0;
    }

    fn trim(&mut self) {
        // The newest entry stays, so that `next_number` keeps counting from it.
        while self.sent.len() > 1 && self.sent.front().is_some_and(|sent| !sent.outstanding) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(sent) = self.sent.pop_front() {
            self.first += 1;
            self.carried.drain(..usize::from(sent.carried));
            if sent.outstanding {
                self.bytes -= u64::from(sent.size);
            }
        }
    }
}

#[cfg(test)]
mod tests;
