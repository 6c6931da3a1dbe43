//! Is a path alive? Driven by acknowledgements of data and probes; knows neither sockets nor packets.
//!
//! ```text
//! Probing --first answer--> Up --silence--> Suspect --3 periods--> Down --answer--> Probing --second answer--> Up (held down)
//!                            ^------- any answer -----'
//! ```

use std::time::{Duration, Instant};

use crate::params::{
    DEAD_PERIODS, FLAP_DECAY, HOLD_DOWN, HOLD_DOWN_MAX, LAST_PATH_DEAD, RESTORE_PATIENCE,
};

/// What the machine believes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not proven yet, or not again.
    Probing,
    /// It answers.
    Up,
    /// Silent for longer than it ever was lately: no new data until it answers.
    Suspect,
    /// Silent for good, or known to be cut.
    Down,
}

/// How long the silence of a path may last, from its estimator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Age of the oldest unacknowledged datagram at which a path is suspect.
    pub suspicion: Duration,
    /// How long no acknowledgement at all may come while something is outstanding.
    pub margin: Duration,
}

/// The liveness machine of one path.
#[derive(Debug)]
pub(crate) struct Liveness {
    state: State,
    since: Instant,
    reason: &'static str,
    last_answer: Instant,
    was_up: bool,
    flaps: u32,
    /// When it last became usable.
    last_up: Instant,
    hold_until: Option<Instant>,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: State::Probing,
            since: now,
            reason: "new",
            last_answer: now,
            was_up: false,
            flaps: 0,
            last_up: now,
            hold_until: None,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }

    /// When it answered last.
    pub(crate) fn last_answer(&self) -> Instant {
        self.last_answer
    }

    /// Until when a restored path carries nothing that another can carry.
    pub(crate) fn hold_until(&self) -> Option<Instant> {
        self.hold_until
    }

    /// Whether an acknowledgement shows that the path works now. One that took another way back, for something sent before the
    /// silence was noticed, shows only that it worked then.
    /// And the second answer of a path that came back must be to a question asked since: an end that stood still answers many
    /// old ones at once.
    pub(crate) fn is_news(&self, came_on_it: bool, sent: Option<Instant>) -> bool {
        let since = sent.is_some_and(|sent| sent >= self.since);
        match self.state {
            State::Suspect | State::Down => came_on_it || since,
            State::Probing => !self.was_up || since,
            State::Up => true,
        }
    }

    /// The path answered: an acknowledgement or a challenge's response. True when it became usable by this.
    pub(crate) fn on_answer(&mut self, now: Instant) -> bool {
        self.last_answer = now;
        match self.state {
            State::Up => false,
            State::Suspect => self.enter(State::Up, "answers-again", now),
            State::Probing if self.was_up && self.since == now => false,
            State::Probing => self.restore(now),
            State::Down => {
                self.enter(State::Probing, "answers", now);
                false
            }
        }
    }

    /// When silence, if it lasts, will mean something more than it does now. `oldest`: send time of the oldest unacknowledged
    /// datagram; `last`: no other path is usable, or none has answered since this one fell silent.
    pub(crate) fn deadline(
        &self,
        oldest: Option<Instant>,
        patience: Patience,
        last: bool,
        now: Instant,
    ) -> Option<Instant> {
        match self.state {
            State::Up => {
                let silent = self.silent_at(oldest?, patience);
                let dead = oldest? + (patience.suspicion * DEAD_PERIODS).max(LAST_PATH_DEAD);
                Some(if last && silent <= now {
                    dead.max(silent)
                } else {
                    silent
                })
            }
            State::Suspect => {
                let dead = patience.suspicion * DEAD_PERIODS;
                Some(self.since + if last { dead.max(LAST_PATH_DEAD) } else { dead })
            }
            State::Probing if self.was_up => {
                Some(self.since + RESTORE_PATIENCE.max(patience.suspicion * DEAD_PERIODS))
            }
            State::Probing | State::Down => None,
        }
    }

    /// Whether an `Up` path is silent for longer than it should.
    pub(crate) fn is_silent(
        &self,
        oldest: Option<Instant>,
        patience: Patience,
        now: Instant,
    ) -> bool {
        self.state == State::Up
            && oldest.is_some_and(|oldest| self.silent_at(oldest, patience) <= now)
    }

    /// Draws the conclusion from silence; `last`: no other path is usable, so suspicion would help nobody. True on a change of state.
    pub(crate) fn on_silence(
        &mut self,
        oldest: Option<Instant>,
        patience: Patience,
        last: bool,
        now: Instant,
    ) -> bool {
        if self
            .deadline(oldest, patience, last, now)
            .is_none_or(|deadline| deadline > now)
        {
            return false;
        }
        match self.state {
            State::Up if !last => self.enter(State::Suspect, "silent", now),
            State::Up => self.fall("silent", now),
            State::Suspect => self.fall("silent", now),
            State::Probing => self.enter(State::Down, "no-second-answer", now),
            State::Down => false,
        }
    }

    /// The path is known to be cut (carrier, peer's word, administration): no waiting. True on a change of state.
    pub(crate) fn on_cut(&mut self, reason: &'static str, now: Instant) -> bool {
        match self.state {
            State::Down => {
                self.reason = reason;
                false
            }
            _ => self.fall(reason, now),
        }
    }

    fn restore(&mut self, now: Instant) -> bool {
        if self.was_up {
            let hold = HOLD_DOWN * 2u32.saturating_pow(self.flaps.saturating_sub(1).min(16));
            self.hold_until = Some(now + hold.min(HOLD_DOWN_MAX));
        }
        self.was_up = true;
        self.last_up = now;
        self.enter(State::Up, "answers", now)
    }

    fn fall(&mut self, reason: &'static str, now: Instant) -> bool {
        if self.was_up && self.state != State::Probing {
            // Minutes in which it worked, not those in which it was down.
            let clean =
                now.saturating_duration_since(self.last_up).as_secs() / FLAP_DECAY.as_secs();
            self.flaps = self
                .flaps
                .checked_shr(clean.min(31) as u32)
                .unwrap_or(0)
                .saturating_add(1);
        }
        self.enter(State::Down, reason, now)
    }

    fn enter(&mut self, state: State, reason: &'static str, now: Instant) -> bool {
        self.state = state;
        self.since = now;
        self.reason = reason;
        if state == State::Down {
            self.hold_until = None;
        }
        true
    }

    fn silent_at(&self, oldest: Instant, patience: Patience) -> Instant {
        (oldest + patience.suspicion).max(self.last_answer + patience.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PATIENCE: Patience = Patience {
        suspicion: Duration::from_millis(30),
        margin: Duration::from_millis(12),
    };

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn up() -> (Liveness, Instant) {
        let now = Instant::now();
        let mut live = Liveness::new(now);
        assert!(live.on_answer(now + MS));
        (live, now + MS)
    }

    #[test]
    fn the_first_answer_makes_it_usable_without_hold_down() {
        let (live, _) = up();
        assert_eq!((live.state(), live.hold_until()), (State::Up, None));
    }

    #[test]
    fn silence_makes_suspect_then_down_and_an_answer_forgives_a_suspect() {
        let (mut live, now) = up();
        assert!(!live.on_silence(Some(now), PATIENCE, false, now + 29 * MS));
        assert!(live.on_silence(Some(now), PATIENCE, false, now + 30 * MS));
        assert_eq!(live.state(), State::Suspect);
        assert!(live.on_answer(now + 40 * MS));
        assert_eq!((live.state(), live.hold_until()), (State::Up, None));
        assert!(live.on_silence(Some(now + 41 * MS), PATIENCE, false, now + 71 * MS));
        assert!(!live.on_silence(Some(now + 41 * MS), PATIENCE, false, now + 160 * MS));
        assert!(live.on_silence(Some(now + 41 * MS), PATIENCE, false, now + 161 * MS));
        assert_eq!(live.state(), State::Down);
    }

    #[test]
    fn what_was_sent_before_the_silence_and_answered_elsewhere_forgives_nothing() {
        let (mut live, now) = up();
        assert!(live.is_news(false, None), "a path in good standing");
        live.on_silence(Some(now), PATIENCE, false, now + 30 * MS);
        assert!(!live.is_news(false, Some(now + 29 * MS)));
        assert!(!live.is_news(false, None));
        assert!(live.is_news(true, Some(now)), "the way back works");
        assert!(
            live.is_news(false, Some(now + 30 * MS)),
            "asked after the silence"
        );
        live.on_cut("peer-lost-its-end", now + 40 * MS);
        assert!(
            !live.is_news(false, Some(now + 39 * MS)),
            "sent before the end was lost"
        );
        assert!(live.is_news(false, Some(now + 40 * MS)));
    }

    #[test]
    fn answers_that_still_come_keep_it_up_whatever_the_oldest_says() {
        let (mut live, now) = up();
        live.on_answer(now + 25 * MS);
        assert!(!live.on_silence(Some(now), PATIENCE, false, now + 36 * MS));
        assert!(live.on_silence(Some(now), PATIENCE, false, now + 37 * MS));
    }

    #[test]
    fn the_last_path_is_never_suspect_but_dies_in_the_end() {
        let (mut live, now) = up();
        assert!(!live.on_silence(Some(now), PATIENCE, true, now + 499 * MS));
        assert!(live.is_silent(Some(now), PATIENCE, now + 30 * MS));
        assert!(live.on_silence(Some(now), PATIENCE, true, now + 500 * MS));
        assert_eq!(live.state(), State::Down);
    }

    #[test]
    fn hold_down_doubles_with_flaps_and_decays_in_clean_minutes() {
        let (mut live, mut now) = up();
        let mut holds = Vec::new();
        for _ in 0..9 {
            live.on_cut("carrier-lost", now);
            assert!(!live.on_answer(now + MS));
            assert!(live.on_answer(now + 2 * MS));
            holds.push(
                live.hold_until()
                    .unwrap()
                    .duration_since(now + 2 * MS)
                    .as_millis(),
            );
            now += 10 * MS;
        }
        assert_eq!(
            holds,
            [300, 600, 1200, 2400, 4800, 9600, 19_200, 30_000, 30_000]
        );
        now += 10 * FLAP_DECAY;
        live.on_cut("carrier-lost", now);
        live.on_answer(now + MS);
        live.on_answer(now + 2 * MS);
        assert_eq!(live.hold_until(), Some(now + 2 * MS + HOLD_DOWN));
    }
}
