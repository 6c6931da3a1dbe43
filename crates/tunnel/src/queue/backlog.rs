//! The bytes of each flow, and which flow has most of them.

/// Search again only after this many quanta were taken from the flow that was found.
const SLACK: u32 = 16;

/// Bytes per flow.
#[derive(Debug)]
pub(super) struct Backlog {
    bytes: Box<[u32]>,
    total: u32,
    /// The flow found last…
    fattest: u16,
    /// …and a bound of what any other has: nobody grows past it unnoticed.
    others: u32,
    slack: u32,
}

impl Backlog {
    pub(super) fn new(flows: usize, quantum: u32) -> Self {
        Self {
            bytes: vec![0; flows].into(),
            total: 0,
            fattest: 0,
            others: 0,
            slack: SLACK * quantum,
        }
    }

    /// Bytes of all flows.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Bytes of one flow.
    pub(super) fn of(&self, flow: u16) -> u32 {
        self.bytes[usize::from(flow)]
    }

    pub(super) fn add(&mut self, flow: u16, bytes: u32) {
        self.total += bytes;
        self.bytes[usize::from(flow)] += bytes;
        let mine = self.of(flow);
        if flow == self.fattest {
            return;
        }
        let known = self.of(self.fattest);
        if mine > known {
            self.others = self.others.max(known);
            self.fattest = flow;
        } else {
            self.others = self.others.max(mine);
        }
    }

    pub(super) fn subtract(&mut self, flow: u16, bytes: u32) {
        self.total -= bytes;
        self.bytes[usize::from(flow)] -= bytes;
    }

    /// The flow with most bytes, or the one that was it last, while it has at least half as many and is within 16 quanta
    /// of them. The latter is why a full queue does not look at all flows for each item: it takes a run of items from one flow, as
    /// RFC 8290 §4.1.2 suggests, yet spares the small.
    pub(super) fn fattest(&mut self) -> u16 {
        let enough = (self.others / 2)
            .max(self.others.saturating_sub(self.slack))
            .max(1);
        if self.of(self.fattest) < enough {
            self.search();
        }
        self.fattest
    }

    fn search(&mut self) {
        let (mut fattest, mut most, mut second) = (0, 0, 0);
        for (flow, &bytes) in self.bytes.iter().enumerate() {
            if bytes > most {
                second = most;
                most = bytes;
                fattest = flow as u16;
            } else if bytes > second {
                second = bytes;
            }
        }
        self.fattest = fattest;
        self.others = second;
    }
}
