//! The ingress queue: FQ-CoDel (RFC 8290 with RFC 8289 in each flow) over handles of the caller's buffers.
//!
//! Frames wait here while the paths are full. Whoever fills the lines meets the delay and the loss of its own making;
//! a flow that sends little passes by. The queue holds no bytes, has no clock, and allocates nothing once it is made.
//!
//! One file per machine: `turns` says whose turn it is, `codel` whether a flow's head is dropped, `backlog` which flow
//! gives way at the bound, `slab` keeps the order within a flow; `store` may keep the bytes.
//!
//! Congestion is signalled by dropping alone. Marking instead (ECN, RFC 8290 §4.2) would mean to write into the inner IP
//! header, and its checksum, of frames that the tunnel otherwise carries unread and unchanged.

mod backlog;
mod codel;
mod slab;
mod store;
mod turns;

use std::time::{Duration, Instant};

use self::{
    backlog::Backlog,
    codel::{Codel, Law},
    slab::{Fifo, Slab},
    turns::Turns,
};

pub use store::Store;

/// What waits: a frame or a super-frame in a buffer of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The caller's buffer slot. Comes back exactly once, from [`FairQueue::pop`] or through a `dropped` closure.
    pub handle: u32,
    /// Length in bytes. Nothing is free: 0 counts as 1.
    pub len: u32,
    /// Hash of what names the flow (`wire::flow::flow_hash`); the queue mixes its secret in.
    pub flow: u32,
}

impl Item {
    fn cost(&self) -> u32 {
        self.len.max(1)
    }
}

/// Bounds and parameters; what is out of range is moved to the nearest value that is possible.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Items that wait at most: 1 to 2^24.
    pub items: usize,
    /// Bytes that wait at most: 1 to 2^31 - 1. An item that is longer is never taken.
    pub bytes: u32,
    /// Flow buckets (RFC 8290 §4.1.1): 1 to 65,535. Flows that fall into one share its turn.
    pub flows: usize,
    /// Bytes that a flow may send in a round, and what CoDel leaves alone: one MTU (RFC 8290 §4.1.3), 64 bytes to 1 MiB.
    /// Super-frames need no larger one: see `turns`.
    pub quantum: u32,
    /// Standing delay that CoDel tolerates (RFC 8289 §4.3).
    pub target: Duration,
    /// How long it tolerates more: a round trip of most connections (RFC 8289 §4.3); at most 10 s.
    pub interval: Duration,
}

impl Default for QueueLimits {
    /// The parameters of RFC 8290 §5.2, with fewer items, as each may be a super-frame: 4 MiB are 64 of these, or 33 ms
    /// at 1 Gbit/s.
    fn default() -> Self {
        Self {
            items: 2048,
            bytes: 4 << 20,
            flows: 1024,
            quantum: 1514,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        }
    }
}

/// What happened since the queue was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Items dropped because their flow stands in the queue.
    pub codel_drops: u64,
    /// Items dropped because the queue was full.
    pub overflow_drops: u64,
    /// Longest stay of an item that [`FairQueue::pop`] gave.
    pub max_sojourn: Duration,
}

#[derive(Debug, Default)]
struct Flow {
    fifo: Fifo,
    codel: Codel,
}

/// Items of many flows, given back in fair turns by bytes. See the module.
#[derive(Debug)]
pub struct FairQueue {
    items: usize,
    bytes: u32,
    law: Law,
    /// A random multiplier and addend: multiply-shift, whose collisions nobody can aim at without knowing them.
    hash: (u64, u64),
    slab: Slab,
    flows: Box<[Flow]>,
    backlog: Backlog,
    turns: Turns,
    counters: QueueCounters,
}

impl FairQueue {
    /// An empty queue; everything that it will ever need is allocated here (by default 160 KiB). `hash_secret`: from the
    /// caller's generator, so that nobody can choose flows that share a bucket with somebody else's.
    #[must_use]
    pub fn new(limits: QueueLimits, hash_secret: u64) -> Self {
        let items = limits.items.clamp(1, 1 << 24);
        let flows = limits.flows.clamp(1, usize::from(u16::MAX));
        let quantum = limits.quantum.clamp(64, 1 << 20);
        Self {
            items,
            bytes: limits.bytes.clamp(1, i32::MAX as u32),
            law: Law {
                target: limits.target,
                interval: limits.interval.min(Duration::from_secs(10)),
                mtu: quantum,
            },
            hash: (scramble(hash_secret, 1), scramble(hash_secret, 2)),
            // One more: an item is appended before another gives way.
            slab: Slab::new(items + 1),
            flows: (0..flows).map(|_| Flow::default()).collect(),
            backlog: Backlog::new(flows, quantum),
            turns: Turns::new(flows, quantum),
            counters: QueueCounters::default(),
        }
    }

    /// Queues an item behind those of its flow. While that exceeds a bound, heads of the fattest flow (by bytes, RFC 8290
    /// §4.1.2) are handed to `dropped`, the item itself if it is the head or longer than the bound. One long item may cost
    /// several short ones. Heads, because the sender hears of it sooner.
    pub fn push(&mut self, item: Item, now: Instant, dropped: &mut dyn FnMut(Item)) {
        if item.cost() > self.bytes {
            self.counters.overflow_drops += 1;
            return dropped(item);
        }
        let bucket = self.bucket(item.flow);
        let flow = &mut self.flows[usize::from(bucket)];
        let was_empty = flow.fifo.is_empty();
        self.slab.append(&mut flow.fifo, item, now);
        self.backlog.add(bucket, item.cost());
        if was_empty {
            self.turns.join(bucket);
        }
        while self.len() > self.items || self.bytes() > self.bytes {
            let fattest = self.backlog.fattest();
            let Some((victim, _)) = self.take(fattest) else {
                break; // a bound is exceeded, so the fattest flow has an item
            };
            if self.flows[usize::from(fattest)].fifo.is_empty() {
                self.turns.leave(fattest);
            }
            self.counters.overflow_drops += 1;
            dropped(victim);
        }
    }

    /// The next item: of flows that have become busy first, then in deficit round robin (RFC 8290 §4.2). Items that CoDel
    /// drops on the way are handed to `dropped`, whose slots the caller frees. `None` if and only if the queue is empty:
    /// CoDel never takes the last item.
    pub fn pop(&mut self, now: Instant, dropped: &mut dyn FnMut(Item)) -> Option<Item> {
        let bucket = self.turns.next()?;
        loop {
            let (item, since) = self.take(bucket)?;
            let sojourn = now.saturating_duration_since(since);
            let left = self.backlog.of(bucket);
            let flow = &mut self.flows[usize::from(bucket)];
            if flow.codel.drops(&self.law, sojourn, item.len, left, now) {
                self.counters.codel_drops += 1;
                dropped(item);
                continue;
            }
            self.counters.max_sojourn = self.counters.max_sojourn.max(sojourn);
            self.turns
                .charge(bucket, item.cost(), !flow.fifo.is_empty());
            if self.is_empty() {
                self.turns.rest();
            }
            return Some(item);
        }
    }

    /// Sets the standing delay that CoDel tolerates, and for how long it tolerates more (at most 10 s).
    pub fn set_patience(&mut self, target: Duration, interval: Duration) {
        self.law.target = target;
        self.law.interval = interval.min(Duration::from_secs(10));
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.backlog.total()
    }

    /// What was dropped and how long items stayed.
    #[must_use]
    pub fn counters(&self) -> QueueCounters {
        self.counters
    }

    /// Takes the head of a flow, without a look at whose turn it is.
    fn take(&mut self, bucket: u16) -> Option<(Item, Instant)> {
        let flow = &mut self.flows[usize::from(bucket)];
        let (item, since) = self.slab.take(&mut flow.fifo)?;
        self.backlog.subtract(bucket, item.cost());
        if flow.fifo.is_empty() {
            flow.codel.on_empty();
        }
        Some((item, since))
    }

    fn bucket(&self, flow: u32) -> u16 {
        let (factor, addend) = self.hash;
        let hash = factor.wrapping_mul(u64::from(flow)).wrapping_add(addend) >> 32;
        ((hash * self.flows.len() as u64) >> 32) as u16
    }
}

/// The nth word of a secret, its bits spread even if it has few (SplitMix64).
const fn scramble(secret: u64, nth: u64) -> u64 {
    let word = secret.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests;
