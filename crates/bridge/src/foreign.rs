//! Whether the network behind an interface lets frames of other stations than the interface's own
//! pass.
//!
//! Many hypervisors hand a virtual machine only frames to the address they gave it, and drop what it
//! sends under another. A switch in such a machine hears broadcasts and is never answered. That looks
//! like silence of everybody, and costs people days; so it is noticed, and told.

use std::time::{Duration, Instant};
use wire::ethernet::Mac;

/// So many frames must have gone unanswered,
const ASKED: u32 = 20;
/// for so long,
const ASKED_FOR: Duration = Duration::from_secs(20);
/// while so many from there show that the network is alive.
const ALIVE: u32 = 3;

/// Watches what an interface sends and receives.
#[derive(Clone, Debug, Default)]
pub struct ForeignWatch {
    own: Option<Mac>,
    /// The first frame since the last one that was answered.
    since: Option<Instant>,
    asked: u32,
    heard: u32,
    passes: bool,
}

impl ForeignWatch {
    /// For an interface with this address, which it may use in any case.
    #[must_use]
    pub fn new(own: Option<Mac>) -> Self {
        Self {
            own,
            ..Self::default()
        }
    }

    /// A frame from a station behind us leaves by the interface: to everybody, which questions are
    /// (ARP), or to one station there, which answers sooner or later.
    pub fn sent(&mut self, dst: Mac, now: Instant) {
        if self.passes || dst.is_multicast() && dst != Mac::BROADCAST {
            return;
        }
        self.since.get_or_insert(now);
        self.asked = self.asked.saturating_add(1);
    }

    /// A frame came in by the interface.
    pub fn received(&mut self, dst: Mac) {
        if self.passes {
        } else if dst.is_multicast() {
            self.heard = self.heard.saturating_add(1);
        } else if Some(dst) != self.own {
            // One is enough: whoever drops such frames drops all.
            self.passes = true;
        }
    }

    /// Whether it looks as if frames of other stations did not pass.
    #[must_use]
    pub fn is_blocked(&self, now: Instant) -> bool {
        let lasted = self
            .since
            .is_some_and(|since| now.saturating_duration_since(since) >= ASKED_FOR);
        !self.passes && lasted && self.asked >= ASKED && self.heard >= ALIVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const STATION: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[expect(
        clippy::disallowed_methods,
        reason = "some starting point; only distances count"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    /// Questions go out for 30 s, broadcasts come in.
    fn asked(mut each: impl FnMut(&mut ForeignWatch)) -> bool {
        let (start, mut watch) = (start(), ForeignWatch::new(Some(OWN)));
        for second in 0..30 {
            watch.sent(Mac::BROADCAST, start + Duration::from_secs(second));
            each(&mut watch);
        }
        watch.is_blocked(start + Duration::from_secs(30))
    }

    #[test]
    fn broadcasts_without_answers_are_told() {
        assert!(asked(|watch| watch.received(Mac::BROADCAST)));
        // Frames to the interface's own address pass everywhere, and say nothing.
        assert!(asked(|watch| {
            watch.received(Mac::BROADCAST);
            watch.received(OWN);
        }));
    }

    #[test]
    fn an_answer_or_silence_is_not() {
        assert!(!asked(|_| {}), "nobody is there at all");
        assert!(!asked(|watch| {
            watch.received(Mac::BROADCAST);
            watch.received(STATION);
        }));
        let (start, mut watch) = (start(), ForeignWatch::new(None));
        for _ in 0..100 {
            watch.sent(STATION, start);
            watch.received(Mac::BROADCAST);
            watch.sent(Mac([1, 0, 0x5e, 0, 0, 1]), start);
        }
        assert!(!watch.is_blocked(start + ASKED_FOR / 2), "too early");
        assert!(watch.is_blocked(start + ASKED_FOR));
    }
}
