//! Which addresses to try, and when: endpoints from the configuration times uplinks, and addresses the peer came from.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::Rng as _;

use crate::{
    crypto::{ForwardSecretRng, MacGenerator, PublicKey},
    params::{
        COVERED_PAUSE, DOWN_PATIENCE, HANDSHAKE_CAP, HANDSHAKE_CAP_EARLY, HANDSHAKE_EARLY_FOR,
        HANDSHAKE_FIRST, IDLE_PROBE, MAX_CANDIDATES,
    },
    sink::UplinkId,
};

/// Where an address is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An endpoint in the configuration.
    Configured,
    /// The peer sent from there.
    Learned,
}

/// One address over one uplink.
pub(crate) struct Candidate {
    pub uplink: UplinkId,
    pub remote: SocketAddr,
    pub source: Source,
    /// Cookies belong to our address as the peer sees it, so each candidate has its own.
    pub macs: MacGenerator,
    next: Instant,
    pause: Duration,
    /// When the peer last proved to be there.
    proven: Instant,
    pub since: Instant,
}

/// All addresses of one peer.
pub(crate) struct Candidates {
    remote_key: PublicKey,
    list: Vec<Candidate>,
}

impl Candidates {
    pub(crate) fn new(remote_key: PublicKey) -> Self {
        Self {
            remote_key,
            list: Vec::new(),
        }
    }

    /// Replaces the configured ones; what stays keeps its schedule.
    pub(crate) fn configure(&mut self, wanted: &[(UplinkId, SocketAddr)], now: Instant) {
        self.list
            .retain(|c| c.source == Source::Learned || wanted.contains(&(c.uplink, c.remote)));
        for &(uplink, remote) in wanted {
            match self
                .list
                .iter_mut()
                .find(|c| c.uplink == uplink && c.remote == remote)
            {
                Some(known) => known.source = Source::Configured,
                None => self.add(uplink, remote, Source::Configured, now),
            }
        }
    }

    /// The peer proved to be at this address.
    pub(crate) fn learn(&mut self, uplink: UplinkId, remote: SocketAddr, now: Instant) {
        if let Some(known) = self
            .list
            .iter_mut()
            .find(|c| c.uplink == uplink && c.remote == remote)
        {
            known.proven = now;
            return;
        }
        // The peer moves on and its old addresses do not come back: keep a few.
        let learned = self
            .list
            .iter()
            .filter(|c| c.source == Source::Learned)
            .count();
        if learned >= MAX_CANDIDATES / 4
            && let Some(oldest) = self.list.iter().position(|c| c.source == Source::Learned)
        {
            self.list.remove(oldest);
        }
        self.add(uplink, remote, Source::Learned, now);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        self.list.iter_mut()
    }

    /// Try everything at once: something changed.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for candidate in &mut self.list {
            candidate.next = now;
            candidate.pause = HANDSHAKE_FIRST;
            candidate.since = now;
        }
    }

    /// Takes the candidates that are due and not `settled`. Those over a `covered` uplink can wait: all ends are reached.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        settled: impl Fn(UplinkId, SocketAddr) -> bool,
        covered: impl Fn(UplinkId) -> bool,
    ) -> Vec<(UplinkId, SocketAddr)> {
        self.forget_stale(now, &settled);
        let mut due = Vec::new();
        for candidate in &mut self.list {
            if candidate.next > now || settled(candidate.uplink, candidate.remote) {
                continue;
            }
            due.push((candidate.uplink, candidate.remote));
            let rare = candidate.pause >= HANDSHAKE_CAP_EARLY && covered(candidate.uplink);
            candidate.next = now + if rare { COVERED_PAUSE } else { candidate.pause };
            let patient = now.saturating_duration_since(candidate.since) >= DOWN_PATIENCE;
            let cap = if patient {
                IDLE_PROBE
            } else {
                HANDSHAKE_CAP_EARLY
            };
            candidate.pause = (candidate.pause * 2).min(cap);
        }
        due
    }

    /// Addresses a roaming peer left behind belong to strangers by now; the last one is kept if it is all we have.
    fn forget_stale(&mut self, now: Instant, settled: &impl Fn(UplinkId, SocketAddr) -> bool) {
        let stale = |c: &Candidate| {
            c.source == Source::Learned
                && now.saturating_duration_since(c.proven) >= DOWN_PATIENCE
                && !settled(c.uplink, c.remote)
        };
        let newest = self.list.iter().map(|c| c.proven).max();
        let only_learned = self.list.iter().all(|c| c.source == Source::Learned);
        self.list
            .retain(|c| !stale(c) || only_learned && Some(c.proven) == newest);
    }

    /// When [`Self::due`] will have something.
    pub(crate) fn next(&self, settled: impl Fn(UplinkId, SocketAddr) -> bool) -> Option<Instant> {
        self.list
            .iter()
            .filter(|c| !settled(c.uplink, c.remote))
            .map(|c| c.next)
            .min()
    }

    fn add(&mut self, uplink: UplinkId, remote: SocketAddr, source: Source, now: Instant) {
        if self.list.len() >= MAX_CANDIDATES {
            return;
        }
        let macs = MacGenerator::new(&self.remote_key);
        let pause = HANDSHAKE_FIRST;
        self.list.push(Candidate {
            uplink,
            remote,
            source,
            macs,
            next: now,
            pause,
            proven: now,
            since: now,
        });
    }
}

/// When to send the next handshake: at once, then after 100, 200, 400 ms … with jitter.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Option<Instant>,
    began: Instant,
    pub attempts: u32,
}

impl Backoff {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            next: None,
            began: now,
            attempts: 0,
        }
    }

    /// A handshake is wanted; if that is news, now.
    pub(crate) fn want(&mut self, now: Instant) {
        if self.next.is_none() {
            self.next = Some(now);
            self.began = now;
            self.attempts = 0;
        }
    }

    /// Starts over, now.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.next = None;
        self.want(now);
    }

    /// Keys are made; whether they lead to a usable path is still to be seen. Not before `earliest`, then.
    pub(crate) fn defer(&mut self, earliest: Instant) {
        self.next = self.next.map(|next| next.max(earliest));
    }

    /// No handshake is wanted any more.
    pub(crate) fn settle(&mut self) {
        self.next = None;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// An attempt was made.
    pub(crate) fn attempted(&mut self, now: Instant, rng: &mut ForwardSecretRng) {
        let cap = if now.saturating_duration_since(self.began) < HANDSHAKE_EARLY_FOR {
            HANDSHAKE_CAP_EARLY
        } else {
            HANDSHAKE_CAP
        };
        let pause = (HANDSHAKE_FIRST * 2u32.saturating_pow(self.attempts.min(10))).min(cap);
        self.attempts = self.attempts.saturating_add(1);
        // Jitter of an eighth keeps two ends, or two hundred, from staying in step.
        let jitter = pause * (rng.next_u32() % 256) / 2048;
        self.next = Some(now + pause + jitter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn handshakes_back_off_to_their_caps() {
        let mut now = Instant::now();
        let start = now;
        let mut rng = ForwardSecretRng::from_seed([1; 32]);
        let mut backoff = Backoff::new(now);
        backoff.want(now);
        let mut pauses = Vec::new();
        for _ in 0..100 {
            assert_eq!(backoff.next(), Some(now));
            backoff.attempted(now, &mut rng);
            let next = backoff.next().expect("still wanted");
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert!(
            (100..113).contains(&pauses[0]) && (200..226).contains(&pauses[1]),
            "{pauses:?}"
        );
        assert!(pauses.iter().max() < Some(&5630), "{pauses:?}");
        assert!(now - start > HANDSHAKE_EARLY_FOR);
        assert!(pauses[..30].iter().max() < Some(&1126), "{pauses:?}");
    }
}
