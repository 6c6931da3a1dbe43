//! What is known of one path's delay and loss, from acknowledgements.

use std::time::{Duration, Instant};

use crate::params::{
    ACK_DELAY, SUSPECT_JITTER_MAX, SUSPECT_JITTER_MIN, SUSPECT_SLACK, YOUNG_GRACE, YOUNG_SAMPLES,
};

const WINDOW_BUCKETS: usize = 4;
const WINDOW_BUCKET: Duration = Duration::from_millis(250);

/// The largest value of the last second, in four buckets.
#[derive(Clone, Copy, Debug, Default)]
struct WindowedMax {
    buckets: [Duration; WINDOW_BUCKETS],
    newest: u64,
}

impl WindowedMax {
    fn add(&mut self, value: Duration, bucket: u64) {
        let gone = (bucket.saturating_sub(self.newest)).min(WINDOW_BUCKETS as u64);
        for step in 1..=gone {
            self.buckets[((self.newest + step) % WINDOW_BUCKETS as u64) as usize] = Duration::ZERO;
        }
        self.newest = self.newest.max(bucket);
        let slot = &mut self.buckets[(bucket % WINDOW_BUCKETS as u64) as usize];
        *slot = (*slot).max(value);
    }

    /// Of the last second before the newest sample: an idle path keeps what it last knew.
    fn max(&self) -> Duration {
        self.buckets.iter().copied().max().unwrap_or_default()
    }
}

/// So long a much shorter round trip replaces what was measured before, instead of being averaged with it.
const EARLY_SAMPLES: u32 = 8;

const LOSS_SECONDS: usize = 10;
/// Datagrams in the loss window that make its ratio worth acting on.
const ENOUGH_TO_JUDGE: u64 = 20;

/// Datagrams that tell a path which loses from one that lost, and the share from which it does.
const ENOUGH_TO_KNOW: u64 = 500;
const LOSSY: f64 = 0.002;

/// Datagrams sent and lost in each of the last ten seconds.
#[derive(Clone, Copy, Debug, Default)]
struct LossWindow {
    seconds: [(u32, u32); LOSS_SECONDS],
    newest: u64,
}

impl LossWindow {
    fn add(&mut self, arrived: u32, lost: u32, second: u64) {
        let gone = second.saturating_sub(self.newest).min(LOSS_SECONDS as u64);
        for step in 1..=gone {
            self.seconds[((self.newest + step) % LOSS_SECONDS as u64) as usize] = (0, 0);
        }
        self.newest = self.newest.max(second);
        let slot = &mut self.seconds[(second % LOSS_SECONDS as u64) as usize];
        slot.0 = slot.0.saturating_add(arrived);
        slot.1 = slot.1.saturating_add(lost);
    }

    /// Share lost, if the fate of at least `least` datagrams is known.
    fn ratio(&self, least: u64) -> Option<f64> {
        let (arrived, lost) = self
            .seconds
            .iter()
            .fold((0u64, 0u64), |(a, l), &(arrived, lost)| {
                (a + u64::from(arrived), l + u64::from(lost))
            });
        (arrived + lost >= least).then(|| lost as f64 / (arrived + lost) as f64)
    }
}

/// Round trips as RFC 6298 smooths them, plus the windows that liveness needs.
#[derive(Clone, Debug)]
pub(crate) struct Estimator {
    epoch: Instant,
    /// What was sent before does not count.
    since: Instant,
    smoothed: Option<Duration>,
    variation: Duration,
    samples: u32,
    own: WindowedMax,
    other: WindowedMax,
    loss: LossWindow,
    /// Single losses are made good anyway: they need not look like the path's death.
    patient: bool,
}

impl Estimator {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            since: now,
            smoothed: None,
            variation: Duration::ZERO,
            samples: 0,
            own: WindowedMax::default(),
            other: WindowedMax::default(),
            loss: LossWindow::default(),
            patient: false,
        }
    }

    /// A first idea of the round trip of a path just made or moved, from its challenge.
    pub(crate) fn seed(&mut self, sample: Duration, now: Instant) {
        if self.smoothed.is_none() {
            self.take(sample, now);
        }
    }

    /// A round trip whose acknowledgement came back on the path itself, less the peer's delay.
    pub(crate) fn on_round_trip(&mut self, sample: Duration, now: Instant) {
        if now.saturating_duration_since(self.since) >= sample {
            self.take(sample, now);
        }
    }

    fn take(&mut self, sample: Duration, now: Instant) {
        let bucket = self.bucket(now);
        self.own.add(sample, bucket);
        self.samples = self.samples.saturating_add(1);
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            // The first answers of a line just plugged in wait for the kernel to find the neighbour's address.
            Some(smoothed) if self.samples <= EARLY_SAMPLES && sample < smoothed / 2 => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// A round trip whose acknowledgement came back on another path: it bounds how long to wait when only this path's way back is dead.
    pub(crate) fn on_round_trip_elsewhere(&mut self, sample: Duration, now: Instant) {
        if now.saturating_duration_since(self.since) < sample {
            return;
        }
        let bucket = self.bucket(now);
        self.other.add(sample, bucket);
    }

    /// Datagrams whose fate became known.
    pub(crate) fn on_fate(&mut self, arrived: u32, lost: u32, now: Instant) {
        let second = now.saturating_duration_since(self.epoch).as_secs();
        self.loss.add(arrived, lost, second);
    }

    /// Smoothed round trip.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.smoothed
    }

    /// Mean deviation of the round trip (RFC 6298 RTTVAR).
    pub(crate) fn jitter(&self) -> Option<Duration> {
        self.smoothed.map(|_| self.variation)
    }

    /// Share of datagrams lost in the last ten seconds, 0 to 1.
    pub(crate) fn loss(&self) -> Option<f64> {
        self.loss.ratio(1)
    }

    /// The same, once there are enough datagrams to judge a path by it: one lost probe of three is no third of the traffic.
    pub(crate) fn proven_loss(&self) -> Option<f64> {
        self.loss.ratio(ENOUGH_TO_JUDGE)
    }

    /// How long acknowledgements may be silent before it means something.
    pub(crate) fn margin(&self) -> Duration {
        let jitter = (self.variation / 2).clamp(SUSPECT_JITTER_MIN, SUSPECT_JITTER_MAX);
        ACK_DELAY + jitter + SUSPECT_SLACK
    }

    /// How old the oldest unacknowledged datagram may get before the path is suspect: on one that loses now and then long
    /// enough for a question of its own, and its answer.
    pub(crate) fn suspicion(&self) -> Duration {
        let threshold = self.doubt() * if self.is_lossy() { 2 } else { 1 };
        if self.samples < YOUNG_SAMPLES {
            threshold.max(YOUNG_GRACE)
        } else {
            threshold
        }
    }

    /// Whether what is lost on the path is sent again: then a path that loses now and then is given more time.
    pub(crate) fn set_patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// Whether the silence of single datagrams means little.
    pub(crate) fn is_lossy(&self) -> bool {
        self.patient
            && self
                .loss
                .ratio(ENOUGH_TO_KNOW)
                .is_some_and(|loss| loss >= LOSSY)
    }

    /// How old the oldest unacknowledged datagram may get before an answer is late.
    pub(crate) fn doubt(&self) -> Duration {
        // What came back elsewhere long ago says nothing about the way back now.
        let current = self.other.newest + WINDOW_BUCKETS as u64 > self.own.newest;
        let other = if current {
            self.other.max()
        } else {
            Duration::ZERO
        };
        let slowest = self.own.max().max(other);
        slowest + self.margin()
    }

    /// Forgets delays, also of what is on its way, for a path that leads elsewhere now or came back. Loss stays.
    pub(crate) fn start_again(&mut self, now: Instant) {
        *self = Self {
            loss: self.loss,
            since: now,
            patient: self.patient,
            ..Self::new(self.epoch)
        };
    }

    /// Forgets losses: they were those of an outage.
    pub(crate) fn forget_loss(&mut self) {
        self.loss = LossWindow::default();
    }

    fn bucket(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.epoch).as_millis() / WINDOW_BUCKET.as_millis()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    #[test]
    fn suspicion_follows_the_slowest_round_trip_of_the_last_second() {
        let start = epoch();
        let mut path = Estimator::new(start);
        assert_eq!(path.suspicion(), YOUNG_GRACE);
        for n in 0..40 {
            path.on_round_trip(20 * MS, start + n * 10 * MS);
        }
        let calm = path.suspicion();
        assert!(calm >= 32 * MS && calm < 34 * MS, "{calm:?}");
        path.on_round_trip_elsewhere(40 * MS, start + 400 * MS);
        assert!(path.suspicion() >= 52 * MS);
        path.on_round_trip_elsewhere(20 * MS, start + 2000 * MS);
        assert!(path.suspicion() < 34 * MS);
    }

    #[test]
    fn a_first_answer_that_waited_is_soon_forgotten() {
        let start = epoch();
        let mut path = Estimator::new(start);
        path.on_round_trip(290 * MS, start + 300 * MS);
        path.on_round_trip(20 * MS, start + 350 * MS);
        path.on_round_trip(20 * MS, start + 400 * MS);
        assert_eq!(path.round_trip(), Some(20 * MS));
        assert!(path.jitter().unwrap() <= 10 * MS);
        for n in 0..20 {
            path.on_round_trip(20 * MS, start + (450 + n * 50) * MS);
        }
        path.on_round_trip(5 * MS, start + 1500 * MS);
        assert!(path.round_trip().unwrap() > 15 * MS, "later it is smoothed");
    }

    #[test]
    fn loss_forgets_after_ten_seconds() {
        let start = epoch();
        let mut path = Estimator::new(start);
        assert_eq!(path.loss(), None);
        path.on_fate(9, 1, start);
        assert_eq!(path.loss(), Some(0.1));
        path.on_fate(10, 0, start + 11_000 * MS);
        assert_eq!(path.loss(), Some(0.0));
    }

    #[test]
    fn losses_buy_time_only_where_what_is_lost_is_sent_again() {
        let start = epoch();
        let mut path = Estimator::new(start);
        for n in 0..40 {
            path.on_round_trip(20 * MS, start + n * 10 * MS);
        }
        path.on_fate(990, 10, start);
        let (calm, doubt) = (path.suspicion(), path.doubt());
        assert_eq!(calm, doubt);
        path.set_patient(true);
        assert_eq!(path.suspicion(), doubt * 2);
    }
}
