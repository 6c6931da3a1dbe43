//! The least value of a sliding window.

/// The least value in each of the last `N` slices of time.
#[derive(Debug)]
pub(crate) struct Minima<const N: usize> {
    /// Length of a slice, µs.
    slice: i64,
    values: [i64; N],
    newest: i64,
}

const NONE: i64 = i64::MAX;

impl<const N: usize> Minima<N> {
    pub(crate) fn new(slice: i64) -> Self {
        Self {
            slice,
            values: [NONE; N],
            newest: 0,
        }
    }

    /// Notes a value at a time in µs; time does not run back.
    pub(crate) fn add(&mut self, value: i64, at: i64) {
        let slice = at / self.slice;
        let gone = (slice - self.newest).clamp(0, N as i64);
        for step in 1..=gone {
            *self.slot(self.newest + step) = NONE;
        }
        if gone == N as i64 {
            self.values = [NONE; N];
        }
        self.newest = self.newest.max(slice);
        let slot = self.slot(self.newest);
        *slot = value.min(*slot);
    }

    fn slot(&mut self, slice: i64) -> &mut i64 {
        &mut self.values[slice.rem_euclid(N as i64) as usize]
    }

    /// The least of about the last `micros` before the newest value; at most of all slices.
    pub(crate) fn least(&self, micros: i64) -> Option<i64> {
        let slices = (micros / self.slice + 1).clamp(1, N as i64);
        (0..slices)
            .map(|back| self.values[(self.newest - back).rem_euclid(N as i64) as usize])
            .min()
            .filter(|&least| least != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_as_long_as_the_window() {
        let mut minima = Minima::<4>::new(10);
        assert_eq!(minima.least(40), None);
        minima.add(3, 5);
        minima.add(7, 25);
        assert_eq!((minima.least(10), minima.least(20)), (Some(7), Some(3)));
        minima.add(9, 45);
        assert_eq!(minima.least(40), Some(7));
        minima.add(8, 1_000);
        assert_eq!(minima.least(i64::MAX), Some(8));
    }
}
