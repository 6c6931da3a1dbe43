//! Tells the losses of an overloaded line from those of a bad one.

/// Datagrams whose fate makes a share.
const ENOUGH: u32 = 48;
/// Shares remembered for the usual one.
const REMEMBERED: usize = 4;
/// Losing this much more than usual means overload.
const BEYOND: f64 = 0.05;
/// The most that is made up for by sending more.
const MOST_MADE_UP: f64 = 0.04;

/// The share of datagrams lost, window by window.
#[derive(Debug, Default)]
pub(super) struct Losses {
    acked: u32,
    lost: u32,
    since: i64,
    shares: [f64; REMEMBERED],
    next: usize,
    usual: f64,
}

impl Losses {
    /// Takes the fate of datagrams. True once a window shows overload: clearly more lost than in the least lossy of the last
    /// few windows, which a line that loses at random does not do.
    pub(super) fn add(&mut self, acked: u32, lost: u32, now: i64, window: i64) -> bool {
        self.acked += acked;
        self.lost += lost;
        if self.acked + self.lost < ENOUGH || now - self.since < window {
            return false;
        }
        let share = f64::from(self.lost) / f64::from(self.acked + self.lost);
        let least = self.shares.iter().copied().fold(1.0, f64::min);
        let overload = share > 1.5 * least + BEYOND;
        self.shares[self.next] = share;
        self.next = (self.next + 1) % REMEMBERED;
        if !overload {
            self.usual += (share - self.usual) / 8.0;
        }
        (self.acked, self.lost, self.since) = (0, 0, now);
        overload
    }

    /// The share that is lost whatever the rate, as far as it is made up for: if it is too much for chance, sending more is
    /// likely to make it worse.
    pub(super) fn made_up_for(&self) -> f64 {
        self.usual.min(2.0 * MOST_MADE_UP - self.usual).max(0.0)
    }
}
