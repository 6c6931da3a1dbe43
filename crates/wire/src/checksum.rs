//! The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words.

/// A sum under way. Its order of bytes is the network's, whatever the machine's is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

/// Bytes per round of the inner loop: four lanes of 64 bits.
const ROUND: usize = 32;

impl Sum {
    /// The sum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// With one more 16-bit word.
    #[must_use]
    pub const fn word(self, word: u16) -> Self {
        // Folded, so that no number of words overflows.
        Self(fold(self.0) as u64 + word as u64)
    }

    /// Less one 16-bit word that was in the sum.
    #[must_use]
    pub const fn less(self, word: u16) -> Self {
        self.word(!word)
    }

    /// With `bytes`, at an even offset of what is summed; an odd last one is padded with 0.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // RFC 1071 §2(B): words may be summed in the machine's own order and swapped at the end.
        self.word(u16::from_be(fold(native_sum(bytes))))
    }

    /// The sum folded to 16 bits, not complemented: what the field of a partial checksum holds.
    #[must_use]
    pub const fn folded(self) -> u16 {
        fold(self.0)
    }

    /// The complement of the sum: what a header carries. 0 only when every word was 0xffff.
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !fold(self.0)
    }

    /// Whether the sum is that of bytes with a correct checksum among them.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        fold(self.0) == 0xffff
    }
}

/// The sum in the machine's order of bytes, with carries between 64-bit words added at the end.
fn native_sum(bytes: &[u8]) -> u64 {
    let mut lanes = [0u64; 4];
    let (rounds, rest) = bytes.as_chunks::<ROUND>();
    for round in rounds {
        for (lane, word) in lanes.iter_mut().zip(round.as_chunks::<8>().0) {
            let word = u64::from_ne_bytes(*word);
            // Halves of 32 bits: a lane overflows only after 2^31 of them, 16 GiB.
            *lane += (word & 0xffff_ffff) + (word >> 32);
        }
    }
    let (words, tail) = rest.as_chunks::<2>();
    let mut sum: u64 = lanes.iter().map(|&lane| u64::from(fold(lane))).sum();
    for word in words {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = tail {
        sum += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    sum
}

/// Adds the 16-bit words of `sum` with end-around carry.
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 as it is written.
    fn plainly(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| u32::from(low));
            if sum > 0xffff {
                sum -= 0xffff;
            }
        }
        sum as u16
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new().bytes(&bytes).folded(), 0xddf2);
        assert_eq!(Sum::new().bytes(&bytes).checksum(), 0x220d);
        assert!(Sum::new().bytes(&bytes).word(0x220d).is_valid());
        assert_eq!(Sum::new().bytes(&[0xff; 65_536]).folded(), 0xffff);
        assert_eq!(Sum::new().bytes(&[]).folded(), 0);
    }

    proptest! {
        #[test]
        fn like_the_plain_one(bytes in proptest::collection::vec(any::<u8>(), 0..200),
                              at in 0usize..200, word in any::<u16>()) {
            let sum = Sum::new().bytes(&bytes);
            // 0 and 0xffff are the same number in ones' complement.
            prop_assert_eq!(sum.folded() % 0xffff, plainly(&bytes) % 0xffff);
            let (head, tail) = bytes.split_at((at & !1).min(bytes.len() & !1));
            let parts = Sum::new().bytes(head).bytes(tail);
            prop_assert_eq!(parts.folded() % 0xffff, sum.folded() % 0xffff);
            prop_assert_eq!(sum.word(word).less(word).folded() % 0xffff, sum.folded() % 0xffff);
        }
    }
}
