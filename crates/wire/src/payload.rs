//! The plaintext of a transport datagram (protocol §3): a control section, and a section of
//! records or pieces of them.

use crate::malformed::Malformed;
use crate::reader::{Reader, put_u24};
use bytes::BufMut;
use std::ops::Range;
use std::time::Duration;

/// The longest record a FRAGMENT can name: its total is a 24-bit field.
pub const MAX_RECORD_LEN: usize = (1 << 24) - 1;
/// Bytes of the first record's number, at the head of the record section.
pub const FIRST_NUMBER_LEN: usize = 8;
/// Bytes of a piece's flags and length.
pub const PIECE_HEAD_LEN: usize = 3;
/// Bytes that SKIP adds to a piece.
pub const SKIP_LEN: usize = 2;
/// Bytes that FRAGMENT adds to a piece.
pub const FRAGMENT_LEN: usize = 6;
/// Bytes that ORDERED adds to a piece.
pub const ORDER_LEN: usize = 3;
/// Fewer bytes of a record than this are not worth a fragment's head, unless they are its last.
pub const MIN_FRAGMENT: usize = 32;

const HAS_CONTROL: u8 = 1;
const HAS_RECORDS: u8 = 2;
const FRAGMENT: u8 = 1;
const VNET: u8 = 2;
const SKIP: u8 = 4;
const ORDERED: u8 = 8;
const AGAIN: u8 = 16;

/// A payload, split into its two sections.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    /// The control section, for [`crate::control::Controls`]; empty when there is none.
    pub control: &'a [u8],
    /// The pieces of the record section, when there is one.
    pub records: Option<Pieces<'a>>,
}

impl<'a> Payload<'a> {
    /// Splits the plaintext of one datagram. Bytes after the control section are padding when the
    /// flags announce no records.
    ///
    /// # Errors
    /// [`Malformed::UnknownFlags`], or [`Malformed::Truncated`] when a section's head is cut.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(plaintext);
        let flags = reader.u8()?;
        if flags & !(HAS_CONTROL | HAS_RECORDS) != 0 {
            return Err(Malformed::UnknownFlags);
        }
        let mut control: &[u8] = &[];
        if flags & HAS_CONTROL != 0 {
            let len = reader.u16()?;
            control = reader.bytes(len.into())?;
        }
        let mut records = None;
        if flags & HAS_RECORDS != 0 {
            records = Some(Pieces {
                next: Some(reader.u64()?),
                reader,
            });
        }
        Ok(Self { control, records })
    }
}

/// What the receiver needs to put a record where it belongs among those of the other paths.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// When the record was first sent: the sender's clock in units of [`Order::TICK`], modulo 2^24.
    pub sent: u32,
    /// These bytes were sent before, so that their delay says nothing about the path they came on.
    pub again: bool,
}

impl Order {
    /// The unit of [`sent`](Self::sent); 2^24 of them are 268 s.
    pub const TICK: Duration = Duration::from_micros(16);

    /// For a record first sent at `clock` on the sender's clock, whose zero is of no interest.
    #[must_use]
    pub const fn new(clock: Duration, again: bool) -> Self {
        let ticks = clock.as_micros() / Self::TICK.as_micros();
        Self {
            sent: (ticks & 0xff_ffff) as u32,
            again,
        }
    }
}

/// A record, or the part of one that a datagram carries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The record's number in the session.
    pub number: u64,
    /// Where in the record `bytes` begin.
    pub offset: u32,
    /// Length of the whole record in bytes, never 0.
    pub total: u32,
    /// The record begins with a 12-byte virtio-net header.
    pub vnet: bool,
    /// The record is ordered: the same `sent` in all its pieces.
    pub order: Option<Order>,
    /// Bytes `offset .. offset + bytes.len()` of the record, never none.
    pub bytes: &'a [u8],
}

impl Piece<'_> {
    /// Whether this is all of its record.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && self.bytes.len() == self.total as usize
    }
}

/// The pieces of a record section, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    reader: Reader<'a>,
    /// The number of the next piece if it skips none; `None` past the end of 64 bits.
    next: Option<u64>,
}

impl<'a> Pieces<'a> {
    /// `None` at the end: nothing left, too little left for a head, or a length of 0.
    fn parse_next(&mut self) -> Result<Option<Piece<'a>>, Malformed> {
        if self.reader.remaining() < PIECE_HEAD_LEN {
            return Ok(None);
        }
        let flags = self.reader.u8()?;
        let len = self.reader.u16()?;
        if len == 0 {
            return Ok(None);
        }
        let known = FRAGMENT | VNET | SKIP | ORDERED | AGAIN;
        if flags & !known != 0 || flags & (ORDERED | AGAIN) == AGAIN {
            return Err(Malformed::UnknownFlags);
        }
        let skip = if flags & SKIP != 0 {
            self.reader.u16()?
        } else {
            0
        };
        let number = self.next.and_then(|next| next.checked_add(skip.into()));
        let number = number.ok_or(Malformed::NumberOverflow)?;
        let mut order = None;
        if flags & ORDERED != 0 {
            order = Some(Order {
                sent: self.reader.u24()?,
                again: flags & AGAIN != 0,
            });
        }
        let (mut offset, mut total) = (0, u32::from(len));
        if flags & FRAGMENT != 0 {
            offset = self.reader.u24()?;
            total = self.reader.u24()?;
        }
        // Both are below 2^24, so this cannot overflow.
        if offset + u32::from(len) > total {
            return Err(Malformed::OutOfRecord);
        }
        let bytes = self.reader.bytes(len.into())?;
        self.next = number.checked_add(1);
        Ok(Some(Piece {
            number,
            offset,
            total,
            vnet: flags & VNET != 0,
            order,
            bytes,
        }))
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<Piece<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.parse_next();
        if !matches!(piece, Ok(Some(_))) {
            self.reader.rest();
        }
        piece.transpose()
    }
}

impl std::iter::FusedIterator for Pieces<'_> {}

/// The record section of one datagram under construction. Reuse it: [`clear`](Self::clear) keeps
/// the buffer.
#[derive(Clone, Debug, Default)]
pub struct PieceWriter {
    section: Vec<u8>,
    last: u64,
}

impl PieceWriter {
    /// An empty section.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            section: Vec::new(),
            last: 0,
        }
    }

    /// Starts the section of the next datagram.
    pub fn clear(&mut self) {
        self.section.clear();
    }

    /// Whether no piece was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.section.is_empty()
    }

    /// Bytes of the section, with the first record's number; 0 while it is empty.
    #[must_use]
    pub fn len(&self) -> usize {
        self.section.len()
    }

    /// The section, for [`write_payload`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.section
    }

    /// Appends as much of `record[offset..]` as fits while [`len`](Self::len) stays within `room`
    /// bytes: the whole record if it can, else a FRAGMENT. Returns how many bytes of the record it
    /// took.
    ///
    /// It takes nothing, and returns 0, when fewer than [`MIN_FRAGMENT`] bytes (and not the
    /// record's last) would fit, when `number` is not above the piece before it or more than 65,535
    /// numbers would have to be skipped, when nothing of the record is left at `offset`, or when
    /// the record is longer than [`MAX_RECORD_LEN`]. The rest of a record is the first piece of
    /// the next datagram.
    #[must_use]
    pub fn push(
        &mut self,
        number: u64,
        vnet: bool,
        record: &[u8],
        offset: usize,
        room: usize,
    ) -> usize {
        self.push_part(number, vnet, None, record, offset..record.len(), room)
    }

    /// The same for a part of the record only: nothing behind `part` is taken. With `order` for a
    /// record that is ordered; all its pieces must have the same time.
    #[must_use]
    pub fn push_part(
        &mut self,
        number: u64,
        vnet: bool,
        order: Option<Order>,
        record: &[u8],
        part: Range<usize>,
        room: usize,
    ) -> usize {
        let offset = part.start;
        let Some((free, skip)) = self.admit(number, order, room) else {
            return 0;
        };
        let Some(left) = record.get(part).filter(|left| !left.is_empty()) else {
            return 0;
        };
        if record.len() > MAX_RECORD_LEN {
            return 0;
        }
        let mut flags = flags_of(vnet, order);
        let mut take = left.len();
        if left.len() != record.len() || take > free.min(usize::from(u16::MAX)) {
            flags |= FRAGMENT;
            take = take
                .min(free.saturating_sub(FRAGMENT_LEN))
                .min(usize::from(u16::MAX));
            if take < left.len().min(MIN_FRAGMENT) {
                return 0;
            }
        }
        if self.section.is_empty() {
            self.section.put_u64(number);
        }
        self.section
            .put_u8(if skip == 0 { flags } else { flags | SKIP });
        self.section.put_u16(take as u16);
        if skip != 0 {
            self.section.put_u16(skip);
        }
        if let Some(order) = order {
            put_u24(&mut self.section, order.sent);
        }
        if flags & FRAGMENT != 0 {
            put_u24(&mut self.section, offset as u32);
            put_u24(&mut self.section, record.len() as u32);
        }
        self.section.put_slice(&left[..take]);
        self.last = number;
        take
    }

    /// The bytes that `room` leaves to a piece numbered `number` behind its head, and the skip.
    fn admit(&self, number: u64, order: Option<Order>, room: usize) -> Option<(usize, u16)> {
        let (mut head, mut skip) = (FIRST_NUMBER_LEN + PIECE_HEAD_LEN, 0);
        if !self.is_empty() {
            skip = u16::try_from(number.checked_sub(self.last)?.checked_sub(1)?).ok()?;
            head = PIECE_HEAD_LEN + if skip == 0 { 0 } else { SKIP_LEN };
        }
        if order.is_some() {
            head += ORDER_LEN;
        }
        let free = room.checked_sub(self.len())?.checked_sub(head)?;
        Some((free, skip))
    }
}

const fn flags_of(vnet: bool, order: Option<Order>) -> u8 {
    let flags = if vnet { VNET } else { 0 };
    match order {
        None => flags,
        Some(Order { again: false, .. }) => flags | ORDERED,
        Some(Order { again: true, .. }) => flags | ORDERED | AGAIN,
    }
}

/// Bytes in front of the record's in a payload that holds one fragment and nothing else.
#[must_use]
pub const fn fragment_payload_head(order: Option<Order>) -> usize {
    let order_len = if order.is_some() { ORDER_LEN } else { 0 };
    1 + FIRST_NUMBER_LEN + PIECE_HEAD_LEN + order_len + FRAGMENT_LEN
}

/// Writes a payload of one fragment to `out`, which it fills: as much of `record[offset..]` as is room for. Returns how many
/// bytes of the record that were.
///
/// The same as a [`PieceWriter`] makes, without its buffer: for the middle of a long record. 0, and nothing is written, when
/// less is left of the record than there is room, when the room is less than [`MIN_FRAGMENT`] or more than 65,535 bytes, or when
/// the record is longer than [`MAX_RECORD_LEN`].
#[must_use]
pub fn write_fragment_payload(
    out: &mut [u8],
    number: u64,
    vnet: bool,
    order: Option<Order>,
    record: &[u8],
    offset: usize,
) -> usize {
    let Some((mut head, body)) = out.split_at_mut_checked(fragment_payload_head(order)) else {
        return 0;
    };
    let Some(bytes) = record.get(offset..).and_then(|left| left.get(..body.len())) else {
        return 0;
    };
    let (take, total) = (body.len(), record.len());
    if take < MIN_FRAGMENT || take > usize::from(u16::MAX) || total > MAX_RECORD_LEN {
        return 0;
    }
    head.put_u8(HAS_RECORDS);
    head.put_u64(number);
    head.put_u8(FRAGMENT | flags_of(vnet, order));
    head.put_u16(take as u16);
    if let Some(order) = order {
        put_u24(&mut head, order.sent);
    }
    head.put_uint(offset as u64, 3);
    head.put_uint(total as u64, 3);
    body.copy_from_slice(bytes);
    take
}

/// Bytes of a payload with sections of these lengths (0: no such section).
#[must_use]
pub const fn payload_len(control_len: usize, records_len: usize) -> usize {
    let control = if control_len == 0 { 0 } else { 2 + control_len };
    1 + control + records_len
}

/// Writes a payload to the start of `out` and returns its length, [`payload_len`]. An empty section
/// is left out. Writes nothing and returns 0 when `out` is too short or the control section longer
/// than 65,535 bytes.
#[must_use]
pub fn write_payload(out: &mut [u8], control: &[u8], records: &[u8]) -> usize {
    let len = payload_len(control.len(), records.len());
    let Ok(control_len) = u16::try_from(control.len()) else {
        return 0;
    };
    let Some(mut out) = out.get_mut(..len) else {
        return 0;
    };
    let mut flags = 0;
    if !control.is_empty() {
        flags |= HAS_CONTROL;
    }
    if !records.is_empty() {
        flags |= HAS_RECORDS;
    }
    out.put_u8(flags);
    if !control.is_empty() {
        out.put_u16(control_len);
        out.put_slice(control);
    }
    out.put_slice(records);
    len
}

#[cfg(test)]
mod tests;
