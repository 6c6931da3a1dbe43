//! What happened on the line.

use std::ops::Range;

use super::World;

impl World {
    /// What the line carried of what it could have, over some ms; all senders.
    pub(in crate::controller) fn used(&self, over: Range<u64>) -> f64 {
        let ticks = &self.ticks[over.start as usize..over.end as usize];
        let carried: u64 = ticks.iter().flat_map(|tick| &tick.carried).sum();
        let capacity: f64 = ticks.iter().map(|tick| tick.capacity * 1000.0).sum();
        carried as f64 / capacity
    }

    /// What a sender offered, Mbit/s.
    pub(in crate::controller) fn offered(&self, flow: usize, over: Range<u64>) -> f64 {
        let ticks = &self.ticks[over.start as usize..over.end as usize];
        let offered: u64 = ticks.iter().map(|tick| tick.offered[flow]).sum();
        offered as f64 / ticks.len() as f64 / 1000.0
    }

    /// The same that the line carried.
    pub(in crate::controller) fn carried(&self, flow: usize, over: Range<u64>) -> f64 {
        let ticks = &self.ticks[over.start as usize..over.end as usize];
        let carried: u64 = ticks.iter().map(|tick| tick.carried[flow]).sum();
        carried as f64 / ticks.len() as f64 / 1000.0
    }

    /// A quantile of the queue, ms.
    pub(in crate::controller) fn queue(&self, quantile: f64, over: Range<u64>) -> f64 {
        let ticks = &self.ticks[over.start as usize..over.end as usize];
        let mut queues: Vec<f64> = ticks.iter().map(|tick| tick.queue).collect();
        queues.sort_by(f64::total_cmp);
        queues[((queues.len() - 1) as f64 * quantile) as usize]
    }

    /// The first ms from which on the line is used by so much over `over` ms.
    pub(in crate::controller) fn full_from(&self, share: f64, from: u64, over: u64) -> Option<u64> {
        (from..(self.ticks.len() as u64).saturating_sub(over))
            .find(|&at| self.used(at..at + over) >= share)
    }
}
