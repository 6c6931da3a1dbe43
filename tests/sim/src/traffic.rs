//! Streams of frames from a port of one machine to stations behind another, and what became of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use node::Mac;

use crate::frame::{Head, MIN_PAYLOAD};

/// How long the payloads of a stream's frames are.
#[derive(Clone, Copy, Debug)]
pub enum Sizes {
    /// All alike, bytes.
    Fixed(usize),
    /// From the shortest to this, with many at both ends.
    Mixed(usize),
}

impl Sizes {
    /// Payload of frame `seq` of stream `stream`, bytes.
    #[must_use]
    pub fn of(self, stream: u16, seq: u32) -> usize {
        let hash =
            (u64::from(stream) << 32 | u64::from(seq)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 20;
        match self {
            Self::Fixed(payload) => payload.max(MIN_PAYLOAD),
            Self::Mixed(most) => match hash % 4 {
                0 => MIN_PAYLOAD,
                1 => most,
                _ => MIN_PAYLOAD + (hash >> 8) as usize % (most - MIN_PAYLOAD + 1),
            },
        }
    }
}

/// What a stream is.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// Machine and port that the frames enter.
    pub from: (usize, u16),
    /// Machine and port behind which the addressed station is.
    pub to: (usize, u16),
    /// Outer VLAN, 0 for none.
    pub vlan: u16,
    /// Another tag inside: (TPID, VLAN).
    pub inner: Option<(u16, u16)>,
    /// Lengths.
    pub sizes: Sizes,
    /// Pause between bursts.
    pub every: Duration,
    /// Frames at once.
    pub burst: u32,
    /// Hand those over as one super-frame; their sizes are fixed then.
    pub offload: bool,
}

impl StreamSpec {
    /// `per_second` untagged frames of 200 bytes from port 0 of machine `from` towards machine `to`, evenly spaced.
    #[must_use]
    pub fn steady(from: usize, to: usize, per_second: u32) -> Self {
        let every = Duration::from_secs(1) / per_second;
        Self {
            from: (from, 0),
            to: (to, 0),
            vlan: 0,
            inner: None,
            sizes: Sizes::Fixed(186),
            every,
            burst: 1,
            offload: false,
        }
    }

    /// The same towards the other side.
    #[must_use]
    pub fn back(&self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self.clone()
        }
    }
}

/// A stream and all its frames.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What it is.
    pub spec: StreamSpec,
    /// What its frames begin with.
    pub head: Head,
    /// No frames now.
    pub paused: bool,
    /// When each frame was sent.
    pub sent: Vec<Instant>,
    /// When each frame arrived, per machine and port.
    pub arrived: BTreeMap<(usize, u16), Vec<Option<Instant>>>,
}

impl Stream {
    /// The stream number `id`, before its first frame; `reverse` is the number of the stream that comes back, so that
    /// its source is this one's destination.
    #[must_use]
    pub fn new(id: u16, reverse: Option<u16>, spec: StreamSpec) -> Self {
        let mac = |machine: usize, stream: u16| {
            Mac([2, 0x52, machine as u8, 0, (stream >> 8) as u8, stream as u8])
        };
        let pair = reverse.map_or(id, |reverse| reverse.min(id));
        let head = Head {
            dst: mac(spec.to.0, pair),
            src: mac(spec.from.0, pair),
            vlan: spec.vlan,
            // Only port 0 takes tags: see `PairSpec::ports`.
            priority: if spec.from.1 == 0 { 3 } else { 0 },
            inner: spec.inner,
            stream: id,
        };
        Self {
            spec,
            head,
            paused: false,
            sent: Vec::new(),
            arrived: BTreeMap::new(),
        }
    }

    /// When the frames sent from `from` to before `to` arrived where the addressed station is.
    pub fn fates(&self, from: Instant, to: Instant) -> impl Iterator<Item = Option<Instant>> + '_ {
        let arrived = self.arrived.get(&self.spec.to);
        let range =
            self.sent.partition_point(|&at| at < from)..self.sent.partition_point(|&at| at < to);
        range.map(move |seq| arrived.and_then(|a| a.get(seq).copied().flatten()))
    }

    /// How many frames sent from `from` to before `to` did not arrive.
    #[must_use]
    pub fn lost(&self, from: Instant, to: Instant) -> usize {
        self.fates(from, to).filter(Option::is_none).count()
    }

    /// How many frames sent from `from` to before `to` arrived.
    #[must_use]
    pub fn arrived(&self, from: Instant, to: Instant) -> usize {
        self.fates(from, to).flatten().count()
    }

    /// The longest time without an arrival between `from` and `to`.
    #[must_use]
    pub fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let arrived = self.arrived.get(&self.spec.to);
        let mut times: Vec<Instant> = arrived
            .into_iter()
            .flatten()
            .flatten()
            .copied()
            .filter(|at| (from..to).contains(at))
            .collect();
        times.sort_unstable();
        times.push(to);
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in times {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }
}
