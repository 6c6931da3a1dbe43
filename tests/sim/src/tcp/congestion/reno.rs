//! Slow start and congestion avoidance of RFC 5681.

use std::time::Instant;

use super::{AckEvent, CongestionControl, INITIAL_WINDOW};

#[derive(Clone, Copy, Debug)]
pub(super) struct Reno {
    window: u64,
    ssthresh: u64,
    credit: u64,
    before: (u64, u64),
}

impl Reno {
    pub(super) const fn new() -> Self {
        Self {
            window: INITIAL_WINDOW,
            ssthresh: u64::MAX,
            credit: 0,
            before: (INITIAL_WINDOW, u64::MAX),
        }
    }

    fn reduce(&mut self) {
        self.before = (self.window, self.ssthresh);
        self.ssthresh = (self.window / 2).max(2);
        self.credit = 0;
    }
}

impl CongestionControl for Reno {
    fn window(&self) -> u64 {
        self.window
    }

    fn ssthresh(&self) -> Option<u64> {
        Some(self.ssthresh)
    }

    fn on_ack(&mut self, ack: &AckEvent) {
        if ack.recovering || !ack.window_limited {
            return;
        }
        let mut delivered = ack.delivered;
        if self.window < self.ssthresh {
            let grown = delivered.min(self.ssthresh - self.window);
            self.window += grown;
            delivered -= grown;
        }
        self.credit += delivered;
        if self.credit >= self.window {
            self.credit -= self.window;
            self.window += 1;
        }
    }

    fn on_loss(&mut self, _: u64, _: Instant) {
        self.reduce();
    }

    fn on_recovered(&mut self) {
        self.window = self.ssthresh;
    }

    fn on_timeout(&mut self, _: Instant) {
        self.reduce();
        self.window = 1;
    }

    fn undo(&mut self) {
        (self.window, self.ssthresh) = (self.window.max(self.before.0), self.before.1);
    }
}
