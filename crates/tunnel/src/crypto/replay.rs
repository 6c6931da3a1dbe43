//! Which packet numbers of a path were seen: the bitmap ring of RFC 6479.

/// How far below the highest number a datagram may arrive late.
pub const WINDOW: u64 = 65_536;

/// Bits in one word of the bitmap.
const WORD: u64 = 64;
/// A ring for the first 8192 numbers, 1 KiB: an idle path needs no more.
const SMALL_WORDS: u64 = 8192 / WORD;
/// The full ring. One word more than the window, because the words move on whole (RFC 6479 §2).
const FULL_WORDS: u64 = WINDOW / WORD + 1;

/// Why a packet number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Replay {
    /// This number was accepted before.
    #[error("packet number seen before")]
    Seen,
    /// This number lies [`WINDOW`] or more below the highest.
    #[error("packet number older than the window")]
    TooOld,
}

/// The replay window of one path and worker.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// Bit `n % 64` of word `(n / 64) % words.len()` is set when `n` was accepted.
    words: Vec<u64>,
    highest: Option<u64>,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplayWindow {
    /// An empty window of 1 KiB; it grows once, to 8 KiB, when numbers pass 8191.
    #[must_use]
    pub fn new() -> Self {
        Self {
            words: vec![0; SMALL_WORDS as usize],
            highest: None,
        }
    }

    /// The highest number accepted so far.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `number` may be new: ask this before opening, since it costs less.
    ///
    /// # Errors
    /// [`Replay`] when it was seen or is too old.
    pub fn check(&self, number: u64) -> Result<(), Replay> {
        let Some(highest) = self.highest else {
            return Ok(());
        };
        if number > highest {
            return Ok(());
        }
        if highest - number >= WINDOW {
            return Err(Replay::TooOld);
        }
        let seen = self.words[self.slot(number / WORD)] & bit(number) != 0;
        if seen { Err(Replay::Seen) } else { Ok(()) }
    }

    /// Marks `number` as seen. Only for authenticated datagrams: a forged number would move the
    /// window on.
    ///
    /// # Errors
    /// [`Replay`], and nothing changes, when [`Self::check`] refuses it.
    pub fn accept(&mut self, number: u64) -> Result<(), Replay> {
        self.check(number)?;
        if number >= SMALL_WORDS * WORD && self.words.len() < FULL_WORDS as usize {
            // Up to here a number's word was its index in either ring, so the contents stay where
            // they are.
            self.words.resize(FULL_WORDS as usize, 0);
        }
        match self.highest {
            Some(highest) if number > highest => self.advance(highest / WORD, number / WORD),
            _ => {}
        }
        let slot = self.slot(number / WORD);
        self.words[slot] |= bit(number);
        self.highest = self.highest.max(Some(number));
        Ok(())
    }

    /// Clears the words that come into the window as it moves from word `from` to word `to`.
    fn advance(&mut self, from: u64, to: u64) {
        if to - from >= self.words.len() as u64 {
            self.words.fill(0);
            return;
        }
        for word in from + 1..=to {
            let slot = self.slot(word);
            self.words[slot] = 0;
        }
    }

    /// Where the `word`-th word of the number space lies in the ring. The two constant divisors
    /// compile to multiplications.
    fn slot(&self, word: u64) -> usize {
        let small = self.words.len() == SMALL_WORDS as usize;
        (if small {
            word % SMALL_WORDS
        } else {
            word % FULL_WORDS
        }) as usize
    }
}

const fn bit(number: u64) -> u64 {
    1 << (number % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Naive(BTreeSet<u64>);

    impl Naive {
        fn accept(&mut self, number: u64) -> Result<(), Replay> {
            let too_old = self
                .0
                .last()
                .is_some_and(|h| number < *h && h - number >= WINDOW);
            if too_old {
                return Err(Replay::TooOld);
            }
            if self.0.insert(number) {
                Ok(())
            } else {
                Err(Replay::Seen)
            }
        }
    }

    /// A step from the highest number: forwards or backwards, near, by a window, or to an edge of
    /// the number space.
    fn step() -> impl Strategy<Value = (bool, u64)> {
        let distance = prop_oneof![
            6 => 0..200_u64,
            2 => 8100..8300_u64,
            2 => WINDOW - 130..WINDOW + 130,
            1 => 0..2 * WINDOW,
            1 => any::<u64>(),
        ];
        (any::<bool>(), distance)
    }

    fn agrees(start: u64, steps: &[(bool, u64)]) {
        let (mut window, mut naive) = (ReplayWindow::new(), Naive::default());
        let mut highest = start;
        for (forwards, distance) in steps {
            let number = if *forwards {
                highest.saturating_add(*distance)
            } else {
                highest.saturating_sub(*distance)
            };
            let expected = naive.accept(number);
            assert_eq!(window.check(number), expected, "{number} below {highest}");
            assert_eq!(window.accept(number), expected);
            highest = window.highest().unwrap();
            assert_eq!(Some(&highest), naive.0.last());
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_model(
            start in prop_oneof![Just(0), 0..20_000_u64, any::<u64>()],
            steps in proptest::collection::vec(step(), 1..400),
        ) {
            agrees(start, &steps);
        }
    }

    #[test]
    fn starts_small_and_grows_once_without_forgetting() {
        let mut window = ReplayWindow::new();
        for number in 0..8192 {
            window.accept(number).unwrap();
        }
        assert_eq!(window.words.len(), 128);
        window.accept(8192).unwrap();
        assert_eq!(window.words.len(), 1025);
        for number in 0..=8192 {
            assert_eq!(window.check(number), Err(Replay::Seen));
        }
        window.accept(WINDOW + 4).unwrap();
        assert_eq!(window.check(4), Err(Replay::TooOld));
        assert_eq!(window.check(5), Err(Replay::Seen));
        assert_eq!(window.words.len(), 1025);
    }

    #[test]
    fn the_last_numbers_of_all() {
        let mut window = ReplayWindow::new();
        window.accept(u64::MAX).unwrap();
        assert_eq!(window.accept(u64::MAX), Err(Replay::Seen));
        window.accept(u64::MAX - 1).unwrap();
        assert_eq!(window.accept(0), Err(Replay::TooOld));
    }
}
