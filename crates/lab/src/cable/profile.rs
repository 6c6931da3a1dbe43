//! What a direction of a cable is like.

use std::time::Duration;

/// How the delay varies. Frames keep their order; see [`Profile::reorder`] for the opposite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// Adds between nothing and this, each as likely.
    Uniform(Duration),
    /// Adds an exponentially distributed delay with this mean, cut at ten times it.
    Exponential(Duration),
}

/// How frames are lost by chance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Loss {
    /// None is.
    #[default]
    None,
    /// Each with this probability, independently.
    Random(f64),
    /// In bursts (Gilbert and Elliott): per frame, a good state turns bad with probability
    /// `enter` and a bad one good with `leave`; in the bad state each is lost with `loss`.
    Burst {
        /// From good to bad, per frame.
        enter: f64,
        /// From bad to good, per frame.
        leave: f64,
        /// Lost while bad.
        loss: f64,
    },
}

/// How much waits for the line before frames are dropped (at the tail).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QueueLimit {
    /// Bytes of IP.
    Bytes(usize),
    /// As much as the line sends in this time.
    Time(Duration),
}

/// One direction of a cable. The default is perfect: no delay, no limit, no loss.
///
/// A frame first waits for the line (`rate`, `queue`), and is then lost, delayed, copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Bits per second, counting bytes of IP; `None`: no limit.
    pub rate: Option<u64>,
    /// How long a frame travels, after it has been sent completely.
    pub delay: Duration,
    /// What varies in that.
    pub jitter: Jitter,
    /// Loss by chance.
    pub loss: Loss,
    /// How much waits when there is a rate.
    pub queue: QueueLimit,
    /// The probability that a frame arrives twice.
    pub duplicate: f64,
    /// The probability that a frame overtakes: it travels without delay and jitter.
    pub reorder: f64,
    /// Larger packets vanish without ICMP; bytes of IP.
    pub mtu_black_hole: Option<usize>,
    /// Everything vanishes.
    pub cut: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            jitter: Jitter::None,
            loss: Loss::None,
            queue: QueueLimit::Time(Duration::from_millis(100)),
            duplicate: 0.0,
            reorder: 0.0,
            mtu_black_hole: None,
            cut: false,
        }
    }
}

impl Profile {
    /// A line of `megabits` per second with `delay_ms` milliseconds each way.
    pub fn line(megabits: f64, delay_ms: u64) -> Self {
        Self {
            rate: Some((megabits * 1e6) as u64),
            delay: Duration::from_millis(delay_ms),
            ..Self::default()
        }
    }

    /// As it is, with this loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// As it is, with this jitter.
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// As it is, with this queue.
    pub fn with_queue(self, queue: QueueLimit) -> Self {
        Self { queue, ..self }
    }
}
