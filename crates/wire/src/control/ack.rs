//! ACK: what a node received on one path.

use super::{ACK, put};
use crate::malformed::Malformed;
use crate::reader::{Reader, VARINT_MAX, put_varint};
use bytes::BufMut;
use std::ops::RangeInclusive;

/// At most this many pairs of gap and run follow the first range of an ACK.
pub const MAX_ACK_PAIRS: usize = 32;

/// The fixed part of an ACK, as it is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AckHeader {
    /// The path whose packet numbers these are.
    pub path: u8,
    /// The largest packet number that arrived.
    pub largest: u64,
    /// Microseconds from the largest's arrival to the sending of this message.
    pub delay_us: u32,
    /// The receiver's clock at the largest's arrival, in microseconds, wrapping.
    pub arrival_us: u32,
    /// Bytes of UDP payload that arrived on the path so far.
    pub received_bytes: u64,
}

/// An ACK as it was read; the fields are [`AckHeader`]'s.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The path whose packet numbers these are.
    pub path: u8,
    /// The largest packet number that arrived.
    pub largest: u64,
    /// Microseconds from the largest's arrival to the sending of this message.
    pub delay_us: u32,
    /// The receiver's clock at the largest's arrival, in microseconds, wrapping.
    pub arrival_us: u32,
    /// Bytes of UDP payload that arrived on the path so far.
    pub received_bytes: u64,
    ranges: &'a [u8],
}

impl<'a> Ack<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            path: reader.u8()?,
            largest: reader.u64()?,
            delay_us: reader.u32()?,
            arrival_us: reader.u32()?,
            received_bytes: reader.u64()?,
            ranges: reader.rest(),
        })
    }

    /// The fixed part.
    #[must_use]
    pub const fn header(&self) -> AckHeader {
        let Self {
            path,
            largest,
            delay_us,
            arrival_us,
            received_bytes,
            ranges: _,
        } = *self;
        AckHeader {
            path,
            largest,
            delay_us,
            arrival_us,
            received_bytes,
        }
    }

    /// The packet numbers that arrived, from the largest down: ranges that neither touch nor
    /// overlap, `1 + MAX_ACK_PAIRS` at most. Ends early where the bytes make no sense, so that what
    /// it yields is always in order and at or below [`largest`](Self::largest).
    #[must_use]
    pub fn ranges(&self) -> AckRanges<'a> {
        AckRanges {
            reader: Reader::new(self.ranges),
            largest: self.largest,
            below: None,
            left: 1 + MAX_ACK_PAIRS,
        }
    }
}

/// See [`Ack::ranges`].
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    reader: Reader<'a>,
    largest: u64,
    /// The lowest number of the range before; `None` before the first.
    below: Option<u64>,
    left: usize,
}

impl AckRanges<'_> {
    fn parse_next(&mut self) -> Option<RangeInclusive<u64>> {
        self.left = self.left.checked_sub(1)?;
        let high = match self.below {
            None => self.largest,
            Some(low) => low
                .checked_sub(self.reader.varint().ok()?)?
                .checked_sub(2)?,
        };
        let low = high.checked_sub(self.reader.varint().ok()?)?;
        self.below = Some(low);
        Some(low..=high)
    }
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.parse_next();
        if range.is_none() {
            self.left = 0;
        }
        range
    }
}

impl std::iter::FusedIterator for AckRanges<'_> {}

/// Appends an ACK. `ranges` go from the largest down, neither touch nor overlap, and the first
/// contains `header.largest`; at most [`MAX_ACK_PAIRS`] after the first are taken, and none behind
/// one that breaks this order.
pub fn put_ack(
    out: &mut Vec<u8>,
    header: &AckHeader,
    mut ranges: impl Iterator<Item = RangeInclusive<u64>>,
) {
    put(out, ACK, |out| {
        out.put_u8(header.path);
        out.put_u64(header.largest);
        out.put_u32(header.delay_us);
        out.put_u32(header.arrival_us);
        out.put_u64(header.received_bytes);
        let first = ranges.next().map_or(header.largest, |range| *range.start());
        let run = header.largest.saturating_sub(first).min(VARINT_MAX);
        put_varint(out, run);
        let mut below = header.largest - run;
        for range in ranges.take(MAX_ACK_PAIRS) {
            let (low, high) = range.into_inner();
            let gap = below
                .checked_sub(high)
                .and_then(|distance| distance.checked_sub(2));
            let (Some(gap), Some(run)) = (gap, high.checked_sub(low)) else {
                break;
            };
            if gap > VARINT_MAX || run > VARINT_MAX {
                break;
            }
            put_varint(out, gap);
            put_varint(out, run);
            below = low;
        }
    });
}
