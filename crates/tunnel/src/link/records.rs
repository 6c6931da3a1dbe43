//! The pieces of records that arrive: put together, and ordered ones held until their time.

use std::time::Instant;

use crate::{
    assembly::{Accepted, Assembly, Refused},
    drops::Drop,
    playout::Released,
};

use super::{Context, Link};

/// Where whole records go, with whether they begin with a virtio-net header.
type Deliver<'a> = &'a mut dyn FnMut(&[u8], bool);

impl Link {
    pub(super) fn on_pieces(
        &mut self,
        pieces: wire::payload::Pieces<'_>,
        path: u8,
        deliver: Deliver<'_>,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        self.deliver_due(now, deliver);
        for piece in pieces {
            let Ok(piece) = piece else {
                context.drops.count(Drop::Malformed);
                break;
            };
            match self.on_piece(&piece, path, deliver, now) {
                Ok(()) => {}
                Err(Refused::Duplicate) => context.drops.count(Drop::DuplicateRecord),
                Err(Refused::TooOld) => context.drops.count(Drop::RecordTooOld),
                Err(Refused::Contradiction) => context.drops.count(Drop::BadFragment),
            }
        }
        context
            .drops
            .add(Drop::ReassemblyEvicted, self.assembly.take_evicted());
    }

    fn on_piece(
        &mut self,
        piece: &wire::payload::Piece<'_>,
        path: u8,
        deliver: Deliver<'_>,
        now: Instant,
    ) -> Result<(), Refused> {
        if let Some(order) = piece.order.filter(|order| !order.again) {
            self.playout.on_piece(order, now);
            if let Some(at) = self.by_id(path) {
                self.paths[at].ordered_at = Some(now);
            }
        }
        let Self {
            assembly,
            playout,
            unsettled,
            counters,
            next_ordered,
            ..
        } = self;
        let delivered = &mut counters.rx_frames;
        let accepted = assembly.accept(piece, path, &mut |arrived| match arrived.sent {
            Some(sent) if piece.number > *next_ordered || !playout.is_empty() => {
                let record = (arrived.bytes, arrived.vnet);
                let mut release = |released: Released<'_>| match released {
                    Released::Whole { bytes, vnet, .. } => {
                        *delivered += 1;
                        deliver(bytes, vnet);
                    }
                    Released::Incomplete { number } => unsettled.push(number),
                };
                playout.hold(piece.number, sent, record, now, &mut release);
            }
            _ => {
                *delivered += 1;
                deliver(arrived.bytes, arrived.vnet);
            }
        })?;
        // Only what was sent again in time, and not in vain, tells how late such pieces are.
        if let Some(order) = piece.order.filter(|order| order.again) {
            playout.on_piece(order, now);
        }
        if let (Accepted::Opened, Some(order)) = (accepted, piece.order) {
            playout.expect(piece.number, order.sent, now, &mut |released| {
                hand_over(&released, assembly, delivered, deliver);
            });
        }
        for number in unsettled.drain(..) {
            let incomplete = Released::Incomplete { number };
            hand_over(&incomplete, assembly, delivered, deliver);
        }
        self.deliver_next(deliver);
        if !self.playout.is_empty() {
            self.playout.on_gap(now);
        }
        Ok(())
    }

    /// Hands over the records before which nothing is missing any more.
    fn deliver_next(&mut self, deliver: Deliver<'_>) {
        let next = self.assembly.next_missing(self.next_ordered);
        if next == std::mem::replace(&mut self.next_ordered, next) || self.playout.is_empty() {
            return;
        }
        let Self {
            assembly,
            playout,
            counters,
            ..
        } = self;
        playout.release_below(next, &mut |released| {
            hand_over(&released, assembly, &mut counters.rx_frames, deliver);
        });
    }

    /// Hands over the ordered records whose time has come, and gives up what is missing before them.
    pub(crate) fn deliver_due(&mut self, now: Instant, deliver: Deliver<'_>) {
        if self.playout.due().is_none_or(|due| due > now) {
            return;
        }
        let Self {
            assembly,
            playout,
            counters,
            next_ordered,
            ..
        } = self;
        playout.release(now, &mut |released| {
            let (Released::Whole { number, .. } | Released::Incomplete { number }) = released;
            *next_ordered = number.saturating_add(1).max(*next_ordered);
            hand_over(&released, assembly, &mut counters.rx_frames, deliver);
        });
        self.deliver_next(deliver);
    }

    /// Bytes of ordered records that wait for their time.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.playout.held() as u64
    }
}

fn hand_over(
    released: &Released<'_>,
    assembly: &mut Assembly,
    delivered: &mut u64,
    deliver: Deliver<'_>,
) {
    match released {
        Released::Whole { bytes, vnet, .. } => {
            *delivered += 1;
            deliver(bytes, *vnet);
        }
        Released::Incomplete { number } => assembly.settle(*number, &mut |arrived| {
            *delivered += 1;
            deliver(arrived.bytes, arrived.vnet);
        }),
    }
}
