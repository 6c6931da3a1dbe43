//! How much may leave during recovery (proportional rate reduction, RFC 6937 with its slow-start bound).

#[derive(Clone, Copy, Debug)]
pub(super) struct Prr {
    ssthresh: u64,
    /// In flight when recovery began.
    flight: u64,
    delivered: u64,
    sent: u64,
    allowed: u64,
}

impl Prr {
    pub(super) fn new(ssthresh: u64, flight: u64) -> Self {
        Self {
            ssthresh,
            flight: flight.max(1),
            delivered: 0,
            sent: 0,
            // The first retransmission is always allowed.
            allowed: 1,
        }
    }

    /// `delivered` segments were acknowledged, `pipe` are in flight; `good`: it advanced and nothing more was lost.
    pub(super) fn on_ack(&mut self, delivered: u64, pipe: u64, good: bool) {
        self.delivered += delivered;
        self.allowed = if pipe > self.ssthresh {
            (self.delivered * self.ssthresh)
                .div_ceil(self.flight)
                .saturating_sub(self.sent)
        } else {
            let mut limit = self.delivered.saturating_sub(self.sent).max(delivered);
            limit += u64::from(good);
            limit.min(self.ssthresh - pipe)
        };
        if self.sent == 0 {
            self.allowed = self.allowed.max(1);
        }
    }

    pub(super) fn on_send(&mut self, count: u64) {
        self.sent += count;
        self.allowed = self.allowed.saturating_sub(count);
    }

    pub(super) fn allowed(&self) -> u64 {
        self.allowed
    }
}
