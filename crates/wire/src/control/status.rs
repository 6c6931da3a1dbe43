//! STATUS: how a node sees its paths.

use super::{STATUS, put};
use crate::malformed::Malformed;
use bytes::BufMut;

/// Bytes of one path's entry.
const ENTRY_LEN: usize = 8;
/// Path ids have 8 bits, so there is never need for more entries.
const MAX_ENTRIES: usize = 256;

/// How the sender of a STATUS finds a path.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PathState {
    /// It works.
    Usable = 0,
    /// It was silent when it should not have been.
    Suspect = 1,
    /// It does not work.
    Down = 2,
    /// The sender's own end of it is gone: interface, address or route.
    Lost = 3,
}

impl PathState {
    /// A state that this version does not know counts as down: nothing is risked on it.
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Usable,
            1 => Self::Suspect,
            3 => Self::Lost,
            _ => Self::Down,
        }
    }
}

/// What an operator ordered for a path.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Admin {
    /// Nothing: it is used as it can be.
    #[default]
    Up = 0,
    /// Not to be used, from now on.
    Down = 1,
    /// To be emptied without loss, then not to be used.
    Drained = 2,
}

impl Admin {
    /// An order that this version does not know takes the traffic off, and loses none.
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Up,
            1 => Self::Down,
            _ => Self::Drained,
        }
    }
}

/// One path's entry in a STATUS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The path id.
    pub path: u8,
    /// How the sender finds it.
    pub state: PathState,
    /// The sender sends data on it.
    pub active: bool,
    /// The newest order of an operator that the sender knows.
    pub admin: Admin,
    /// Counts the orders for this path; of two ends' orders the higher one binds both.
    pub admin_version: u32,
}

/// The entries of a STATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusIter<'a> {
    entries: &'a [u8],
}

impl<'a> StatusIter<'a> {
    pub(super) fn parse(entries: &'a [u8]) -> Result<Self, Malformed> {
        if entries.len().is_multiple_of(ENTRY_LEN) {
            Ok(Self { entries })
        } else {
            Err(Malformed::WrongLength)
        }
    }
}

impl Iterator for StatusIter<'_> {
    type Item = PathStatus;

    fn next(&mut self) -> Option<PathStatus> {
        let (entry, rest) = self.entries.split_first_chunk::<ENTRY_LEN>()?;
        self.entries = rest;
        let [path, state, active, admin, version @ ..] = *entry;
        Some(PathStatus {
            path,
            state: PathState::from_byte(state),
            active: active != 0,
            admin: Admin::from_byte(admin),
            admin_version: u32::from_be_bytes(version),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.entries.len() / ENTRY_LEN;
        (left, Some(left))
    }
}

impl ExactSizeIterator for StatusIter<'_> {}
impl std::iter::FusedIterator for StatusIter<'_> {}

/// Appends a STATUS with the first 256 of `paths` (there are no more path ids).
pub fn put_status(out: &mut Vec<u8>, sequence: u32, paths: impl Iterator<Item = PathStatus>) {
    put(out, STATUS, |out| {
        out.put_u32(sequence);
        for path in paths.take(MAX_ENTRIES) {
            let head = [
                path.path,
                path.state as u8,
                path.active.into(),
                path.admin as u8,
            ];
            out.put_slice(&head);
            out.put_u32(path.admin_version);
        }
    });
}
