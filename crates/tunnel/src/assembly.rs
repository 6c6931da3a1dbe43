//! The receiving end of records: puts fragments together and delivers every record once.

use wire::payload::Piece;

use crate::params::{MAX_ASSEMBLIES, MAX_ASSEMBLY_BYTES, RECORD_WINDOW};

/// What became of a piece that brought no record to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The record was delivered before: a redundant or reinjected copy.
    Duplicate,
    /// The record's number is below the window.
    TooOld,
    /// The record is longer than this node takes, or contradicts an earlier piece of itself.
    Contradiction,
}

#[derive(Debug, Default)]
struct Slot {
    number: u64,
    bytes: Vec<u8>,
    /// Ascending, disjoint byte ranges that arrived; empty: the slot is free.
    have: Vec<(u32, u32)>,
    vnet: bool,
}

/// Delivered record numbers and records being put together.
#[derive(Debug)]
pub(crate) struct Assembly {
    delivered: Vec<u64>,
    highest: Option<u64>,
    slots: Vec<Slot>,
    max_record: u32,
    held: usize,
    evicted: u64,
}

const WORDS: usize = (RECORD_WINDOW / 64) as usize;

impl Assembly {
    /// For records of at most `max_record` bytes.
    pub(crate) fn new(max_record: u32) -> Self {
        Self {
            delivered: Vec::new(),
            highest: None,
            slots: Vec::new(),
            max_record,
            held: 0,
            evicted: 0,
        }
    }

    /// Takes one piece; hands the whole record to `deliver` when it completes one.
    ///
    /// # Errors
    /// Says why the piece was of no use.
    pub(crate) fn accept(
        &mut self,
        piece: &Piece<'_>,
        deliver: &mut dyn FnMut(&[u8], bool),
    ) -> Result<(), Refused> {
        if piece.total > self.max_record {
            return Err(Refused::Contradiction);
        }
        self.check(piece.number)?;
        if piece.is_whole() {
            self.mark(piece.number);
            self.free_if_holding(piece.number);
            deliver(piece.bytes, piece.vnet);
            return Ok(());
        }
        self.fragment(piece, deliver)
    }

    /// Records given up since the last call because their place was needed.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Frees what an idle session holds, except what was delivered.
    pub(crate) fn release(&mut self) {
        self.slots = Vec::new();
        self.held = 0;
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        let kept: usize = self.slots.iter().map(|slot| slot.bytes.capacity()).sum();
        kept + self.slots.capacity() * size_of::<Slot>()
            + self.delivered.capacity() * size_of::<u64>()
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
        deliver: &mut dyn FnMut(&[u8], bool),
    ) -> Result<(), Refused> {
        if self.slots.is_empty() {
            self.slots.resize_with(MAX_ASSEMBLIES, Slot::default);
        }
        let at = (piece.number % MAX_ASSEMBLIES as u64) as usize;
        self.claim(at, piece)?;
        let slot = &mut self.slots[at];
        if slot.bytes.len() != piece.total as usize || slot.vnet != piece.vnet {
            return Err(Refused::Contradiction);
        }
        let (start, end) = (
            piece.offset as usize,
            piece.offset as usize + piece.bytes.len(),
        );
        let Some(place) = slot.bytes.get_mut(start..end) else {
            return Err(Refused::Contradiction);
        };
        place.copy_from_slice(piece.bytes);
        insert_range(&mut slot.have, (start as u32, end as u32));
        if slot.have[..] == [(0, piece.total)] {
            deliver(&slot.bytes, slot.vnet);
            self.mark(piece.number);
            self.free(at);
        }
        Ok(())
    }

    /// Makes `slots[at]` the one of the piece's record, giving up an older record that holds it.
    fn claim(&mut self, at: usize, piece: &Piece<'_>) -> Result<(), Refused> {
        let slot = &self.slots[at];
        if !slot.have.is_empty() {
            if slot.number == piece.number {
                return Ok(());
            }
            if slot.number > piece.number {
                return Err(Refused::TooOld);
            }
            self.free(at);
            self.evicted += 1;
        }
        if self.held + piece.total as usize > MAX_ASSEMBLY_BYTES {
            self.evict_oldest();
        }
        let slot = &mut self.slots[at];
        slot.number = piece.number;
        slot.vnet = piece.vnet;
        slot.bytes.clear();
        slot.bytes.resize(piece.total as usize, 0);
        self.held += slot.bytes.len();
        Ok(())
    }

    fn evict_oldest(&mut self) {
        let holding = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.have.is_empty());
        if let Some((oldest, _)) = holding.min_by_key(|(_, slot)| slot.number) {
            self.free(oldest);
            self.evicted += 1;
        }
    }

    fn free_if_holding(&mut self, number: u64) {
        let at = (number % MAX_ASSEMBLIES as u64) as usize;
        if self
            .slots
            .get(at)
            .is_some_and(|slot| slot.number == number && !slot.have.is_empty())
        {
            self.free(at);
        }
    }

    fn free(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        self.held -= slot.bytes.len();
        slot.have.clear();
        slot.bytes.clear();
        if slot.bytes.capacity() > MAX_ASSEMBLY_BYTES / MAX_ASSEMBLIES {
            // Free slots together must not keep more than full ones may.
            slot.bytes = Vec::new();
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % RECORD_WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

fn insert_range(have: &mut Vec<(u32, u32)>, new: (u32, u32)) {
    let first = have.partition_point(|&(_, end)| end < new.0);
    let last = have.partition_point(|&(start, _)| start <= new.1);
    let merged = have[first..last]
        .iter()
        .fold(new, |(start, end), &(s, e)| (start.min(s), end.max(e)));
    have.splice(first..last, [merged]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: u64, offset: usize, record: &[u8], len: usize) -> Piece<'_> {
        Piece {
            number,
            offset: offset as u32,
            total: record.len() as u32,
            vnet: false,
            bytes: &record[offset..offset + len],
        }
    }

    fn feed(assembly: &mut Assembly, piece: &Piece<'_>) -> (Result<(), Refused>, Vec<Vec<u8>>) {
        let mut out = Vec::new();
        let result = assembly.accept(piece, &mut |bytes, _| out.push(bytes.to_vec()));
        (result, out)
    }

    #[test]
    fn fragments_cut_differently_make_one_record_once() {
        let record: Vec<u8> = (0..100).collect();
        let mut assembly = Assembly::new(2000);
        assert_eq!(
            feed(&mut assembly, &piece(7, 0, &record, 40)),
            (Ok(()), vec![])
        );
        assert_eq!(
            feed(&mut assembly, &piece(7, 70, &record, 30)),
            (Ok(()), vec![])
        );
        assert_eq!(
            feed(&mut assembly, &piece(7, 20, &record, 50)),
            (Ok(()), vec![record.clone()])
        );
        assert_eq!(
            feed(&mut assembly, &piece(7, 0, &record, 100)),
            (Err(Refused::Duplicate), vec![])
        );
        assert_eq!(
            feed(&mut assembly, &piece(7, 0, &record, 40)).0,
            Err(Refused::Duplicate)
        );
    }

    #[test]
    fn numbers_below_the_window_are_refused_and_the_window_slides() {
        let record = [1; 60];
        let mut assembly = Assembly::new(2000);
        assert_eq!(feed(&mut assembly, &piece(0, 0, &record, 60)).0, Ok(()));
        assert_eq!(
            feed(&mut assembly, &piece(RECORD_WINDOW, 0, &record, 60)).0,
            Ok(())
        );
        assert_eq!(
            feed(&mut assembly, &piece(0, 0, &record, 60)).0,
            Err(Refused::TooOld)
        );
        assert_eq!(feed(&mut assembly, &piece(1, 0, &record, 60)).0, Ok(()));
        assert_eq!(
            feed(&mut assembly, &piece(10 * RECORD_WINDOW, 0, &record, 60)).0,
            Ok(())
        );
        assert_eq!(
            feed(
                &mut assembly,
                &piece(10 * RECORD_WINDOW - 5, 0, &record, 60)
            )
            .0,
            Ok(())
        );
    }

    #[test]
    fn memory_is_bounded() {
        let record = vec![0; 65_000];
        let mut assembly = Assembly::new(65_600);
        for number in 0..1000 {
            let _ = feed(&mut assembly, &piece(number, 0, &record, 1000));
            assert!(assembly.held <= MAX_ASSEMBLY_BYTES);
            assert!(
                assembly.memory() <= 2 * MAX_ASSEMBLY_BYTES + (128 << 10),
                "{}",
                assembly.memory()
            );
        }
        assert!(assembly.take_evicted() > 900);
    }

    #[test]
    fn a_contradicting_length_is_refused() {
        let (long, short) = ([0; 100], [0; 90]);
        let mut assembly = Assembly::new(2000);
        assert_eq!(feed(&mut assembly, &piece(1, 0, &long, 40)).0, Ok(()));
        assert_eq!(
            feed(&mut assembly, &piece(1, 40, &short, 50)).0,
            Err(Refused::Contradiction)
        );
    }
}
