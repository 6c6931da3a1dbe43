//! The one error of everything that is parsed after it was authenticated.

use crate::reader::Truncated;

/// Why bytes could not be read as what they claim to be.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The input ends before the last field it promises.
    #[error("the input ends before its last field")]
    Truncated,
    /// Flag bits are set that this version does not know and must not ignore.
    #[error("unknown flag bits are set")]
    UnknownFlags,
    /// A value of a known type has a length that type cannot have.
    #[error("a value has the wrong length")]
    WrongLength,
    /// A fragment is outside of the record it says it belongs to, or the record has no bytes.
    #[error("a fragment lies outside of its record")]
    OutOfRecord,
    /// Record numbers would pass the end of 64 bits.
    #[error("record numbers wrap around")]
    NumberOverflow,
    /// A field that must be there is not.
    #[error("a required field is missing")]
    MissingField,
    /// A field holds a value outside of its range.
    #[error("a field is out of range")]
    OutOfRange,
}

impl From<Truncated> for Malformed {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}
