//! The items of all flows in one place, each flow's in the order of arrival.

use std::time::Instant;

use super::Item;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node {
    item: Item,
    since: Instant,
    /// The one behind it, in its flow or among the free ones.
    next: u32,
}

/// The ends of one flow's items in a [`Slab`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Fifo {
    head: u32,
    tail: u32,
}

impl Default for Fifo {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
        }
    }
}

impl Fifo {
    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }
}

/// Nodes for a fixed number of items.
#[derive(Debug)]
pub(super) struct Slab {
    /// Grows, within its first capacity, when no node is free.
    nodes: Vec<Node>,
    free: u32,
    used: usize,
}

impl Slab {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(capacity),
            free: NONE,
            used: 0,
        }
    }

    /// Items in all flows.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    /// Puts an item behind the others of its flow.
    pub(super) fn append(&mut self, fifo: &mut Fifo, item: Item, since: Instant) {
        let node = Node {
            item,
            since,
            next: NONE,
        };
        let at = self.free;
        let at = if at == NONE {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            self.free = self.nodes[at as usize].next;
            self.nodes[at as usize] = node;
            at
        };
        if fifo.is_empty() {
            fifo.head = at;
        } else {
            self.nodes[fifo.tail as usize].next = at;
        }
        fifo.tail = at;
        self.used += 1;
    }

    /// Takes the oldest item of a flow and when it came.
    pub(super) fn take(&mut self, fifo: &mut Fifo) -> Option<(Item, Instant)> {
        if fifo.is_empty() {
            return None;
        }
        let at = fifo.head;
        let node = &mut self.nodes[at as usize];
        fifo.head = node.next;
        node.next = self.free;
        self.free = at;
        self.used -= 1;
        Some((node.item, node.since))
    }
}
