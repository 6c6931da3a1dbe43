//! Inputs for the seeded runner: well-formed ones, bent at random, the same for the same seed.

/// SplitMix64: small, and good enough to bend bytes.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts a sequence.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`; 0 when `end` is 0.
    pub const fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next_u64() % end as u64) as usize
        }
    }
}

/// No input is longer than this.
pub const MAX_LEN: usize = 2048;
/// Bytes at which parsers change their mind.
const TELLING: [u8; 12] = [0, 1, 2, 3, 4, 7, 8, 0x40, 0x7f, 0x80, 0xfe, 0xff];

/// An input made from one or two of `corpus`, bent up to eight times; sometimes pure noise.
#[must_use]
pub fn input(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    if corpus.is_empty() || random.below(16) == 0 {
        let len = random.below(random.clone().below(700) + 1);
        return (0..len).map(|_| random.next_u64() as u8).collect();
    }
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..random.below(9) {
        let other = &corpus[random.below(corpus.len())];
        bend(random, &mut bytes, other);
    }
    bytes.truncate(MAX_LEN);
    bytes
}

fn bend(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let len = random.below(17);
    let end = (at + len).min(bytes.len());
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, std::iter::repeat_n(TELLING[random.below(12)], len))),
        3 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        kind => {
            let Some(byte) = bytes.get_mut(at) else {
                return;
            };
            *byte = match kind {
                5 => *byte ^ 1 << random.below(8),
                6 => TELLING[random.below(TELLING.len())],
                _ => random.next_u64() as u8,
            };
        }
    }
}
