//! Reading integers and slices from bytes of which nothing is known yet, and the two writers that
//! [`bytes::BufMut`] lacks. All integers are in network byte order.

use bytes::BufMut;

/// The input is shorter than what was asked of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input ends too early")]
pub struct Truncated;

/// The largest value a varint holds: 2^62 − 1 (RFC 9000 §16).
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// A cursor over borrowed bytes. A read that fails takes nothing.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Takes the next `n` bytes.
    ///
    /// # Errors
    /// [`Truncated`] when fewer are left.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`Truncated`] when none is left.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Takes a 16-bit integer.
    ///
    /// # Errors
    /// [`Truncated`] when fewer than 2 bytes are left.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Takes a 24-bit integer.
    ///
    /// # Errors
    /// [`Truncated`] when fewer than 3 bytes are left.
    pub fn u24(&mut self) -> Result<u32, Truncated> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Takes a 32-bit integer.
    ///
    /// # Errors
    /// [`Truncated`] when fewer than 4 bytes are left.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Takes a 64-bit integer.
    ///
    /// # Errors
    /// [`Truncated`] when fewer than 8 bytes are left.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Takes a variable-length integer (RFC 9000 §16): 1, 2, 4 or 8 bytes, at most [`VARINT_MAX`].
    ///
    /// # Errors
    /// [`Truncated`] when fewer bytes are left than its first one announces.
    pub fn varint(&mut self) -> Result<u64, Truncated> {
        let first = *self.bytes.first().ok_or(Truncated)?;
        let len = 1usize << (first >> 6);
        let value = self
            .bytes(len)?
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        // The two top bits of the first byte are the length, not the value.
        Ok(value & (u64::MAX >> (64 - 8 * len + 2)))
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len()
    }
}

/// Appends `value` as a varint (RFC 9000 §16) of the shortest length. A value above [`VARINT_MAX`]
/// is written as [`VARINT_MAX`]; counters of packets do not get there.
pub fn put_varint(out: &mut impl BufMut, value: u64) {
    match value {
        0..0x40 => out.put_u8(value as u8),
        0x40..0x4000 => out.put_u16(0x4000 | value as u16),
        0x4000..0x4000_0000 => out.put_u32(0x8000_0000 | value as u32),
        _ => out.put_u64(0xc000_0000_0000_0000 | value.min(VARINT_MAX)),
    }
}

/// Appends the low 24 bits of `value`.
pub fn put_u24(out: &mut impl BufMut, value: u32) {
    let [_, a, b, c] = value.to_be_bytes();
    out.put_slice(&[a, b, c]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_of_rfc_9000_appendix_a() {
        for (bytes, value) in [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes);
        }
        assert_eq!(
            Reader::new(&[0x40, 0x25]).varint(),
            Ok(37),
            "longer than needed is allowed"
        );
    }

    #[test]
    fn a_failed_read_takes_nothing() {
        let mut reader = Reader::new(&[0x80, 2, 3]);
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.varint(), Err(Truncated));
        assert_eq!(reader.bytes(4), Err(Truncated));
        assert_eq!(reader.u24(), Ok(0x80_0203));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), Err(Truncated));
    }

    proptest! {
        #[test]
        fn varint_round_trip(shift in 0u32..64, raw: u64) {
            let value = (raw >> shift).min(VARINT_MAX);
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
            for short in 0..out.len() {
                prop_assert_eq!(Reader::new(&out[..short]).varint(), Err(Truncated));
            }
        }

        #[test]
        fn integers_round_trip(a: u8, b: u16, c in 0u32..1 << 24, d: u32, e: u64) {
            let mut out = Vec::new();
            out.put_u8(a);
            out.put_u16(b);
            put_u24(&mut out, c);
            out.put_u32(d);
            out.put_u64(e);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.u8(), Ok(a));
            prop_assert_eq!(reader.u16(), Ok(b));
            prop_assert_eq!(reader.u24(), Ok(c));
            prop_assert_eq!(reader.u32(), Ok(d));
            prop_assert_eq!(reader.remaining(), 8);
            prop_assert_eq!(reader.rest(), &e.to_be_bytes()[..]);
            prop_assert!(reader.is_empty());
        }
    }
}
