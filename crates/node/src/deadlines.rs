//! Who of many wants to be called first: a tournament over cached instants.
//!
//! A change costs the height of the tree, ten steps for a thousand; the earliest costs one look. Against a heap: nothing
//! stale lies in it, and it never grows.

use std::time::Instant;

/// One instant for each slot, or none.
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Node 1 is the root, node `n` holds the earlier of `2n` and `2n + 1`; the leaves are the second half.
    tree: Vec<Option<Instant>>,
}

impl Deadlines {
    /// For slots below `count`, all without a deadline.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            tree: vec![None; 2 * count.next_power_of_two()],
        }
    }

    /// Replaces the deadline of `slot`.
    pub(crate) fn set(&mut self, slot: usize, at: Option<Instant>) {
        let mut node = self.tree.len() / 2 + slot;
        self.tree[node] = at;
        while node > 1 {
            node /= 2;
            let earliest = earlier(self.tree[2 * node], self.tree[2 * node + 1]);
            if self.tree[node] == earliest {
                return;
            }
            self.tree[node] = earliest;
        }
    }

    /// The earliest of all.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.tree[1]
    }

    /// Appends the slots whose deadline has come, ascending. Looks only at them and at what is above them in the tree.
    pub(crate) fn due(&self, now: Instant, out: &mut Vec<usize>) {
        self.due_below(1, now, out);
    }

    fn due_below(&self, node: usize, now: Instant, out: &mut Vec<usize>) {
        if self.tree[node].is_none_or(|at| at > now) {
            return;
        }
        let leaves = self.tree.len() / 2;
        if node >= leaves {
            return out.push(node - leaves);
        }
        self.due_below(2 * node, now, out);
        self.due_below(2 * node + 1, now, out);
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::{Rng as _, SeedableRng as _, rngs::ChaCha8Rng};

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn like_an_array_that_is_searched() {
        let start = Instant::now();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for count in [1, 2, 3, 200, 1000] {
            let mut deadlines = Deadlines::new(count);
            let mut array = vec![None; count];
            for _ in 0..2000 {
                let slot = rng.next_u32() as usize % count;
                let at = start + Duration::from_millis(u64::from(rng.next_u32() % 100));
                let at = (rng.next_u32() % 4 != 0).then_some(at);
                deadlines.set(slot, at);
                array[slot] = at;
                assert_eq!(deadlines.earliest(), array.iter().copied().flatten().min());
            }
            let now = start + Duration::from_millis(50);
            let mut due = Vec::new();
            deadlines.due(now, &mut due);
            let expected = (0..count).filter(|&slot| array[slot].is_some_and(|at| at <= now));
            assert_eq!(due, expected.collect::<Vec<_>>());
        }
    }
}
