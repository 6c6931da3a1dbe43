//! What is outstanding, segment by segment (the scoreboard of RFC 6675).

use std::{collections::VecDeque, time::Instant};

use super::rate::Departure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Flying,
    Delivered,
    Lost,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) sent_at: Instant,
    pub(super) departure: Departure,
    /// How often it was sent.
    pub(super) times: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Scoreboard {
    una: u64,
    entries: VecDeque<Entry>,
    flying: u64,
    sacked: u64,
    lost: u64,
    /// Behind the highest segment delivered.
    highest: u64,
    /// No segment before this one is lost.
    lost_from: u64,
}

impl Scoreboard {
    /// The oldest outstanding segment.
    pub(super) fn una(&self) -> u64 {
        self.una
    }

    /// The segment that was never sent.
    pub(super) fn next(&self) -> u64 {
        self.una + self.entries.len() as u64
    }

    /// Segments believed to be on their way.
    pub(super) fn flying(&self) -> u64 {
        self.flying
    }

    /// Segments delivered beyond a hole.
    pub(super) fn sacked(&self) -> u64 {
        self.sacked
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn push(&mut self, sent_at: Instant, departure: Departure) {
        self.entries.push_back(Entry {
            state: State::Flying,
            sent_at,
            departure,
            times: 1,
        });
        self.flying += 1;
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(number.checked_sub(self.una)? as usize)
    }

    /// A segment is sent again.
    pub(super) fn resend(&mut self, number: u64, sent_at: Instant, departure: Departure) {
        let una = self.una;
        let Some(entry) = self.entries.get_mut((number - una) as usize) else {
            return;
        };
        match entry.state {
            State::Lost => {
                self.lost -= 1;
                self.flying += 1;
            }
            State::Flying | State::Delivered => {}
        }
        *entry = Entry {
            state: State::Flying,
            sent_at,
            departure,
            times: entry.times + 1,
        };
    }

    /// Marks a segment as delivered; what was known of it, if it was not delivered before.
    pub(super) fn deliver(&mut self, number: u64) -> Option<Entry> {
        let entry = self
            .entries
            .get_mut(number.checked_sub(self.una)? as usize)?;
        let before = *entry;
        match before.state {
            State::Delivered => return None,
            State::Flying => self.flying -= 1,
            State::Lost => self.lost -= 1,
        }
        entry.state = State::Delivered;
        self.sacked += 1;
        Some(before)
    }

    /// Notes that `number` was delivered, after those around it were looked at.
    pub(super) fn raise(&mut self, end: u64) {
        self.highest = self.highest.max(end);
    }

    /// Forgets the delivered segments before `next`.
    pub(super) fn advance(&mut self, next: u64) {
        while self.una < next && self.entries.pop_front().is_some() {
            self.una += 1;
            self.sacked -= 1;
        }
    }

    /// Marks segments in flight as lost when `judge` says so; how many.
    pub(super) fn lose(&mut self, mut judge: impl FnMut(u64, &Entry) -> bool) -> u64 {
        let mut count = 0;
        for (number, entry) in (self.una..).zip(&mut self.entries) {
            if entry.state == State::Flying && judge(number, entry) {
                entry.state = State::Lost;
                self.lost_from = self.lost_from.min(number);
                count += 1;
            }
        }
        self.flying -= count;
        self.lost += count;
        count
    }

    /// The first lost segment and how many follow it, at most `most`.
    pub(super) fn first_lost(&mut self, most: u64) -> Option<(u64, u64)> {
        if self.lost == 0 {
            self.lost_from = self.next();
            return None;
        }
        let mut number = self.lost_from.max(self.una);
        let lost = |number| self.get(number).is_some_and(|e| e.state == State::Lost);
        while number < self.next() && !lost(number) {
            number += 1;
        }
        let count = (0..most).take_while(|&n| lost(number + n)).count() as u64;
        self.lost_from = number;
        (count > 0).then_some((number, count))
    }
}
