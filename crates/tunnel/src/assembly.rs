//! The receiving end of records: puts fragments together and delivers every byte once.

use wire::payload::Piece;

use crate::{
    params::{MAX_ASSEMBLIES, MAX_ASSEMBLY_BYTES, MAX_PATHS, RECORD_WINDOW},
    partial::write_arrived,
};

/// What a piece did that was of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is the first of an ordered record that is not whole yet: to be [settled](Assembly::settle) when its time comes.
    Opened,
    /// Anything else.
    Taken,
}

/// Why a piece was of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The record was delivered before: a redundant or reinjected copy.
    Duplicate,
    /// The record's number is below the window.
    TooOld,
    /// The record is longer than this node takes, or contradicts an earlier piece of itself.
    Contradiction,
}

/// A whole record, or a shorter super-frame made of what arrived of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived<'a> {
    pub bytes: &'a [u8],
    /// It begins with a virtio-net header.
    pub vnet: bool,
    /// When an ordered record was sent ([`wire::payload::Order`]), if its time may be still to come; `None`: deliver at once.
    pub sent: Option<u32>,
}

/// Where that goes.
pub(crate) type Deliver<'a> = &'a mut dyn FnMut(Arrived<'_>);

#[derive(Debug, Default)]
struct Slot {
    number: u64,
    total: u32,
    vnet: bool,
    /// When it was sent, if it is ordered.
    sent: Option<u32>,
    /// It is ordered and its time has come: what arrives is delivered at once.
    settled: bool,
    /// At least `total` long; what `have` does not name is left from an earlier record.
    bytes: Vec<u8>,
    /// Ascending, disjoint byte ranges that arrived; empty: the slot is free.
    have: Vec<(u32, u32)>,
    /// Segments of a super-frame delivered before it was whole: ascending, disjoint ranges.
    written: Vec<(u32, u32)>,
}

impl Slot {
    fn is_free(&self) -> bool {
        self.have.is_empty()
    }

    fn is_whole(&self) -> bool {
        self.have[..] == [(0, self.total)]
    }

    /// It is ordered and its time is still to come.
    fn waits(&self) -> bool {
        self.sent.is_some() && !self.settled
    }
}

/// Delivered record numbers and records being put together.
#[derive(Debug)]
pub(crate) struct Assembly {
    delivered: Vec<u64>,
    highest: Option<u64>,
    slots: Vec<Slot>,
    /// Buffers of super-frames waiting for the next one.
    spare: Vec<Vec<u8>>,
    /// Per path: the record of its last piece, if that is neither whole nor ordered.
    open: Vec<(u8, u64)>,
    scratch: Vec<u8>,
    max_frame: u32,
    max_super: u32,
    held: usize,
    evicted: u64,
}

const WORDS: usize = (RECORD_WINDOW / 64) as usize;
/// Buffers kept: as many as there are paths that carry, usually.
const MAX_SPARE: usize = 4;
/// A larger buffer is worth keeping for the next record.
const LARGE: usize = MAX_ASSEMBLY_BYTES / MAX_ASSEMBLIES;

impl Assembly {
    /// For frames of at most `max_frame` bytes, and records with a virtio-net header of at most `max_super`.
    pub(crate) fn new(max_frame: u32, max_super: u32) -> Self {
        Self {
            delivered: Vec::new(),
            highest: None,
            slots: Vec::new(),
            spare: Vec::new(),
            open: Vec::with_capacity(MAX_PATHS),
            scratch: Vec::new(),
            max_frame,
            max_super,
            held: 0,
            evicted: 0,
        }
    }

    /// Takes one piece that came on `path`; hands the whole record to `deliver` when it completes one.
    ///
    /// The pieces of a record come in order on one path. So when its end is here, or a later record, the missing ones are lost,
    /// and of a super-frame the segments that are whole are delivered without them. Of an ordered record they wait for
    /// [`settle`](Self::settle), since what is missing may be sent again in time.
    ///
    /// # Errors
    /// Says why the piece was of no use.
    pub(crate) fn accept(
        &mut self,
        piece: &Piece<'_>,
        path: u8,
        deliver: Deliver<'_>,
    ) -> Result<Accepted, Refused> {
        self.settle_before(piece.number, path, deliver);
        let longest = if piece.vnet {
            self.max_super
        } else {
            self.max_frame
        };
        if piece.total > longest {
            return Err(Refused::Contradiction);
        }
        self.check(piece.number)?;
        if piece.is_whole() && self.holding(piece.number).is_none() {
            self.mark(piece.number);
            deliver(Arrived {
                bytes: piece.bytes,
                vnet: piece.vnet,
                sent: piece.order.map(|order| order.sent),
            });
            return Ok(Accepted::Taken);
        }
        self.fragment(piece, path, deliver)
    }

    /// The time of ordered record `number` has come: delivers what arrived of it. Later pieces are delivered at once.
    pub(crate) fn settle(&mut self, number: u64, deliver: Deliver<'_>) {
        if let Some(at) = self.holding(number).filter(|&at| self.slots[at].waits()) {
            self.slots[at].settled = true;
            self.write_arrived(at, deliver);
        }
    }

    /// Records given up since the last call because their place was needed.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Frees what an idle session holds, except what was delivered.
    pub(crate) fn release(&mut self) {
        for at in 0..self.slots.len() {
            if !self.slots[at].is_free() {
                self.forget(at);
            }
        }
        self.slots = Vec::new();
        self.spare = Vec::new();
        self.scratch = Vec::new();
        self.open.clear();
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        let buffers = self.slots.iter().map(|slot| &slot.bytes);
        let buffers = buffers.chain(&self.spare).chain([&self.scratch]);
        buffers.map(Vec::capacity).sum::<usize>()
            + self.slots.capacity() * size_of::<Slot>()
            + self.delivered.capacity() * size_of::<u64>()
    }

    /// The first number from `next` on that is not delivered, or handed out to be, as far as is remembered.
    pub(crate) fn next_missing(&self, next: u64) -> u64 {
        let Some(highest) = self.highest else {
            return next;
        };
        let mut next = next.max((highest + 1).saturating_sub(RECORD_WINDOW));
        while next <= highest && {
            let (word, bit) = place(next);
            self.delivered[word] & bit != 0
        } {
            next += 1;
        }
        next
    }

    fn check(&self, number: u64) -> Result<(), Refused> {
        let Some(highest) = self.highest else {
            return Ok(());
        };
        if number > highest {
            return Ok(());
        }
        if highest - number >= RECORD_WINDOW {
            return Err(Refused::TooOld);
        }
        let (word, bit) = place(number);
        if self.delivered[word] & bit != 0 {
            Err(Refused::Duplicate)
        } else {
            Ok(())
        }
    }

    fn mark(&mut self, number: u64) {
        if self.delivered.is_empty() {
            self.delivered = vec![0; WORDS];
        }
        let from = self.highest.map_or(number, |highest| highest + 1);
        if number >= from {
            self.clear_range(from, number);
            self.highest = Some(number);
        }
        let (word, bit) = place(number);
        self.delivered[word] |= bit;
    }

    fn clear_range(&mut self, from: u64, to: u64) {
        if to - from >= RECORD_WINDOW {
            self.delivered.fill(0);
            return;
        }
        for number in from..=to {
            let (word, bit) = place(number);
            self.delivered[word] &= !bit;
        }
    }

    fn fragment(
        &mut self,
        piece: &Piece<'_>,
        path: u8,
        deliver: Deliver<'_>,
    ) -> Result<Accepted, Refused> {
        if self.slots.is_empty() {
            self.slots.resize_with(MAX_ASSEMBLIES, Slot::default);
        }
        let at = slot_of(piece.number);
        let opened = self.claim(at, piece, deliver)?;
        let slot = &mut self.slots[at];
        let (start, end) = (piece.offset, piece.offset + piece.bytes.len() as u32);
        if slot.total != piece.total || slot.vnet != piece.vnet || end > slot.total {
            return Err(Refused::Contradiction);
        }
        slot.bytes[start as usize..end as usize].copy_from_slice(piece.bytes);
        insert_range(&mut slot.have, (start, end));
        if slot.is_whole() && slot.written.is_empty() {
            deliver(Arrived {
                bytes: &slot.bytes[..slot.total as usize],
                vnet: slot.vnet,
                sent: slot.sent.filter(|_| !slot.settled),
            });
        } else if !slot.waits() && (end == slot.total || slot.settled || !slot.written.is_empty()) {
            self.write_arrived(at, deliver);
        }
        let slot = &self.slots[at];
        if slot.is_whole() {
            self.mark(piece.number);
            self.free(at);
        } else if slot.sent.is_none() {
            self.set_open(path, piece.number);
        } else if opened {
            return Ok(Accepted::Opened);
        }
        Ok(Accepted::Taken)
    }

    /// A piece of record `number` came on `path`: what an earlier record still lacks is lost.
    fn settle_before(&mut self, number: u64, path: u8, deliver: Deliver<'_>) {
        let Some(at) = self.open.iter().position(|&(on, _)| on == path) else {
            return;
        };
        let before = self.open[at].1;
        if number <= before {
            return;
        }
        self.open.swap_remove(at);
        if let Some(slot) = self.holding(before) {
            self.write_arrived(slot, deliver);
        }
    }

    fn set_open(&mut self, path: u8, number: u64) {
        if let Some((_, open)) = self.open.iter_mut().find(|(on, _)| *on == path) {
            *open = number.max(*open);
            return;
        }
        if self.open.len() == MAX_PATHS {
            self.open.remove(0); // of a path that is no more
        }
        self.open.push((path, number));
    }

    fn write_arrived(&mut self, at: usize, deliver: Deliver<'_>) {
        let slot = &mut self.slots[at];
        if slot.vnet {
            let record = &slot.bytes[..slot.total as usize];
            write_arrived(
                record,
                &slot.have,
                &mut slot.written,
                &mut self.scratch,
                deliver,
            );
        }
    }

    /// Makes `slots[at]` the one of the piece's record, giving up an older record that holds it. False: it was already.
    fn claim(
        &mut self,
        at: usize,
        piece: &Piece<'_>,
        deliver: Deliver<'_>,
    ) -> Result<bool, Refused> {
        let slot = &self.slots[at];
        if !slot.is_free() {
            if slot.number == piece.number {
                return Ok(false);
            }
            if slot.number > piece.number {
                return Err(Refused::TooOld);
            }
            self.give_up(at, deliver);
        }
        if self.held + piece.total as usize > MAX_ASSEMBLY_BYTES {
            self.evict_oldest(deliver);
        }
        let total = piece.total as usize;
        let slot = &mut self.slots[at];
        if total > LARGE && slot.bytes.capacity() < total {
            slot.bytes = self.spare.pop().unwrap_or_default();
        }
        if slot.bytes.len() < total {
            slot.bytes.resize(total, 0);
        }
        slot.number = piece.number;
        slot.vnet = piece.vnet;
        slot.sent = piece.order.map(|order| order.sent);
        slot.settled = false;
        slot.total = piece.total;
        self.held += total;
        Ok(true)
    }

    fn evict_oldest(&mut self, deliver: Deliver<'_>) {
        let holding = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.is_free());
        if let Some((oldest, _)) = holding.min_by_key(|(_, slot)| slot.number) {
            self.give_up(oldest, deliver);
        }
    }

    /// The slot that record `number` is put together in.
    fn holding(&self, number: u64) -> Option<usize> {
        let slot = self.slots.get(slot_of(number))?;
        (slot.number == number && !slot.is_free()).then(|| slot_of(number))
    }

    /// Frees a slot whose record is not whole, after what arrived of an ordered one was delivered.
    fn give_up(&mut self, at: usize, deliver: Deliver<'_>) {
        if self.slots[at].waits() {
            self.write_arrived(at, deliver);
        }
        self.forget(at);
    }

    /// Frees a slot whose record is not whole. Where some of it was delivered, none of it may be again.
    fn forget(&mut self, at: usize) {
        self.evicted += 1;
        if !self.slots[at].written.is_empty() {
            self.mark(self.slots[at].number);
        }
        self.free(at);
    }

    fn free(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        self.held -= slot.total as usize;
        slot.have.clear();
        slot.written.clear();
        if slot.bytes.capacity() > LARGE {
            // Free slots together must not keep more than full ones may.
            let bytes = std::mem::take(&mut slot.bytes);
            if self.spare.len() < MAX_SPARE {
                self.spare.push(bytes);
            }
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % RECORD_WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

fn slot_of(number: u64) -> usize {
    (number % MAX_ASSEMBLIES as u64) as usize
}

/// Adds `new` to ascending, disjoint ranges, joining those that it touches.
pub(crate) fn insert_range(ranges: &mut Vec<(u32, u32)>, new: (u32, u32)) {
    match ranges.last_mut() {
        Some((_, end)) if *end == new.0 => {
            *end = new.1; // in order, as nearly always
            return;
        }
        None => return ranges.push(new),
        _ => {}
    }
    let first = ranges.partition_point(|&(_, end)| end < new.0);
    let last = ranges.partition_point(|&(start, _)| start <= new.1);
    let merged = ranges[first..last]
        .iter()
        .fold(new, |(start, end), &(s, e)| (start.min(s), end.max(e)));
    ranges.splice(first..last, [merged]);
}

#[cfg(test)]
mod tests;
