//! What a device with offloads does: super-frames become the frames that a wire takes, and partial
//! checksums become complete.

use crate::checksum::Sum;
use crate::superframe::{Refused, Shape, SuperFrame};
use crate::vnet::VnetHeader;

/// Makes the checksum of `frame` complete if `header` says that it is partial; else leaves the
/// frame as it is. The frame must not be a super-frame: its segments have a checksum each.
///
/// As the standard says, the sum goes to the end of the frame, padding included. A sum of 0 is
/// written as 0xffff, which UDP must (RFC 768) and TCP may.
///
/// # Errors
/// [`Refused::WrongChecksum`] when the checksum is outside of the frame, and
/// [`Refused::WrongSize`] for a super-frame, which is left as it was.
pub fn complete_checksum(header: VnetHeader, frame: &mut [u8]) -> Result<(), Refused> {
    let shape = Shape::check(header, frame, frame.len())?;
    if shape.segments() > 1 {
        return Err(Refused::WrongSize);
    }
    complete(shape.header(), frame).ok_or(Refused::WrongChecksum)
}

/// The same for a header that has been checked.
fn complete(header: VnetHeader, frame: &mut [u8]) -> Option<()> {
    if !header.needs_csum {
        return Some(());
    }
    let covered = frame.get_mut(usize::from(header.csum_start)..)?;
    let checksum = match Sum::new().bytes(covered).checksum() {
        0 => 0xffff,
        checksum => checksum,
    };
    let field = covered.get_mut(usize::from(header.csum_offset)..)?;
    *field.first_chunk_mut()? = checksum.to_be_bytes();
    Some(())
}

impl SuperFrame<'_> {
    /// Writes segment `index` to the start of `out` as a plain frame with complete checksums, and
    /// returns its length in bytes, at most [`Shape::segment_len`]. A frame that is not to be cut is
    /// its own segment 0. `None` when there is no such segment or `out` is too short.
    #[must_use]
    pub fn segment(&self, index: usize, out: &mut [u8]) -> Option<usize> {
        let (header, len) = self.cut(index..index.checked_add(1)?, out)?;
        complete(header, out.get_mut(..len)?)?;
        Some(len)
    }

    /// Hands every segment to `each` in order, as a plain frame with complete checksums, written to
    /// `buffer`. Returns how many there were, or `None`, and hands over none, when `buffer` is
    /// shorter than [`Shape::segment_len`].
    pub fn for_each_segment(
        &self,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) -> Option<usize> {
        for index in 0..self.segments() {
            let len = self.segment(index, buffer)?;
            each(buffer.get(..len)?);
        }
        Some(self.segments())
    }
}

#[cfg(test)]
mod tests;
