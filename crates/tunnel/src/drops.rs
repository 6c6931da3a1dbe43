//! Named reasons for everything that is thrown away.

/// Why something was dropped. [`Drop::as_str`] is what `status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Drop {
    /// A frame was offered and no path is usable.
    NoUsablePath,
    /// A frame was longer than the peer takes.
    FrameTooLong,
    /// The send queue of the data loop was full.
    SendQueueFull,
    /// A datagram did not open under its key.
    BadAuthentication,
    /// A datagram named a key we do not hold.
    UnknownKey,
    /// A datagram's number was seen before on its path, or is below the window.
    Replayed,
    /// A datagram opened and made no sense inside.
    Malformed,
    /// A datagram on a path id that was never agreed.
    UnknownPath,
    /// A record came a second time, by intention (redundant, reinjected) or by the network's doing.
    DuplicateRecord,
    /// A record's number was below the window of remembered ones.
    RecordTooOld,
    /// Fragments of a record contradicted each other or it was too long.
    BadFragment,
    /// An incomplete record gave way to newer ones.
    ReassemblyEvicted,
    /// A record to be sent again was no longer kept, was too old, or had been sent again often enough.
    ReinjectionMissed,
    /// Too much waited for the paths of a peer.
    EgressFull,
    /// A flow stood in the queue for the paths of a peer for too long (CoDel).
    EgressDelay,
    /// A handshake message that was not valid.
    BadHandshake,
    /// A handshake message beyond the rate that a peer is granted.
    HandshakeLimited,
}

const COUNT: usize = Drop::HandshakeLimited as usize + 1;

const ALL: [Drop; COUNT] = [
    Drop::NoUsablePath,
    Drop::FrameTooLong,
    Drop::SendQueueFull,
    Drop::BadAuthentication,
    Drop::UnknownKey,
    Drop::Replayed,
    Drop::Malformed,
    Drop::UnknownPath,
    Drop::DuplicateRecord,
    Drop::RecordTooOld,
    Drop::BadFragment,
    Drop::ReassemblyEvicted,
    Drop::ReinjectionMissed,
    Drop::EgressFull,
    Drop::EgressDelay,
    Drop::BadHandshake,
    Drop::HandshakeLimited,
];

impl Drop {
    /// The name shown to people and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoUsablePath => "no-usable-path",
            Self::FrameTooLong => "frame-too-long",
            Self::SendQueueFull => "send-queue-full",
            Self::BadAuthentication => "bad-authentication",
            Self::UnknownKey => "unknown-key",
            Self::Replayed => "replayed",
            Self::Malformed => "malformed",
            Self::UnknownPath => "unknown-path",
            Self::DuplicateRecord => "duplicate-record",
            Self::RecordTooOld => "record-too-old",
            Self::BadFragment => "bad-fragment",
            Self::ReassemblyEvicted => "reassembly-evicted",
            Self::ReinjectionMissed => "reinjection-missed",
            Self::EgressFull => "egress-full",
            Self::EgressDelay => "egress-delay",
            Self::BadHandshake => "bad-handshake",
            Self::HandshakeLimited => "handshake-limited",
        }
    }
}

/// How often each reason applied.
#[derive(Clone, Debug, Default)]
pub struct Drops([u64; COUNT]);

impl Drops {
    /// Counts one.
    pub fn count(&mut self, reason: Drop) {
        self.add(reason, 1);
    }

    /// Counts several.
    pub fn add(&mut self, reason: Drop, count: u64) {
        self.0[reason as usize] += count;
    }

    /// How often `reason` applied.
    #[must_use]
    pub fn of(&self, reason: Drop) -> u64 {
        self.0[reason as usize]
    }

    /// All reasons that applied at least once.
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        ALL.iter()
            .map(|&reason| (reason, self.of(reason)))
            .filter(|&(_, count)| count > 0)
    }
}
