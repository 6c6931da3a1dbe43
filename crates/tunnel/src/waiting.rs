//! Frames that ask for or tell an address, kept while there is no path.
//!
//! Kernels ask for an address at once, then only every second. A question lost while the first path comes up would cost
//! that second, far more than the path did.

use std::{collections::VecDeque, time::Instant};

use wire::{ethernet::Frame, ip::Ipv6};

use crate::{
    params::{MAX_WAITING, WAITING_LIFE},
    record::Record,
};

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
/// Router solicitation to redirect (RFC 4861 §4).
const NEIGHBOUR_DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;
/// They are never longer than this, tags included; no memory for anything else.
const LONGEST: usize = 256;

struct Kept {
    frame: Vec<u8>,
    flow: u32,
    at: Instant,
}

/// The last [`MAX_WAITING`] such frames, none older than [`WAITING_LIFE`].
#[derive(Default)]
pub(crate) struct Waiting(VecDeque<Kept>);

impl Waiting {
    /// Keeps `frame` if it is of the kind. Returns whether it was, and whether an older one had to go for it.
    pub(crate) fn keep(&mut self, record: &Record<'_>, now: Instant) -> (bool, bool) {
        let frame = record.bytes;
        if record.vnet || frame.len() > LONGEST || !resolves_addresses(frame) {
            return (false, false);
        }
        let full = self.0.len() >= MAX_WAITING;
        if full {
            self.0.pop_front();
        }
        self.0.push_back(Kept {
            frame: frame.to_vec(),
            flow: record.flow,
            at: now,
        });
        (true, full)
    }

    /// Hands out everything, oldest first. Returns how many were too old for that.
    pub(crate) fn release(&mut self, now: Instant, mut send: impl FnMut(&[u8], u32)) -> u64 {
        let mut stale = 0;
        for kept in self.0.drain(..) {
            if now.saturating_duration_since(kept.at) > WAITING_LIFE {
                stale += 1;
            } else {
                send(&kept.frame, kept.flow);
            }
        }
        stale
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn resolves_addresses(frame: &[u8]) -> bool {
    let Some(frame) = Frame::parse(frame) else {
        return false;
    };
    let inner = frame.inner();
    match inner.ethertype {
        ETHERTYPE_ARP => true,
        ETHERTYPE_IPV6 => Ipv6::parse(inner.payload).is_some_and(|packet| {
            packet.protocol == ICMPV6
                && packet
                    .payload
                    .first()
                    .is_some_and(|kind| NEIGHBOUR_DISCOVERY.contains(kind))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // only differences to it are used
    fn epoch() -> Instant {
        Instant::now()
    }

    fn arp(number: u8) -> Vec<u8> {
        let mut frame = vec![0xff; 12];
        frame.extend([0x08, 0x06]);
        frame.resize(42, number);
        frame
    }

    fn released(waiting: &mut Waiting, now: Instant) -> (Vec<u8>, u64) {
        let mut numbers = Vec::new();
        let stale = waiting.release(now, |frame, _| numbers.push(frame[41]));
        (numbers, stale)
    }

    #[test]
    fn questions_wait_in_order_and_within_bounds() {
        let now = epoch();
        let mut waiting = Waiting::default();
        let evicted = (0..40)
            .filter(|&n| waiting.keep(&Record::plain(&arp(n), 0), now).1)
            .count();
        assert_eq!(evicted, 40 - MAX_WAITING);
        let newest: Vec<u8> = (40 - MAX_WAITING as u8..40).collect();
        assert_eq!(released(&mut waiting, now), (newest, 0));
        assert!(waiting.is_empty());
    }

    #[test]
    fn old_questions_are_not_asked_any_more() {
        let now = epoch();
        let mut waiting = Waiting::default();
        waiting.keep(&Record::plain(&arp(1), 0), now);
        waiting.keep(&Record::plain(&arp(2), 0), now + WAITING_LIFE);
        let later = now + WAITING_LIFE + WAITING_LIFE / 2;
        assert_eq!(released(&mut waiting, later), (vec![2], 1));
    }

    #[test]
    fn data_does_not_wait_but_tagged_questions_and_neighbour_discovery_do() {
        let now = epoch();
        let mut waiting = Waiting::default();
        let mut data = arp(0);
        data[12..14].copy_from_slice(&[0x08, 0x00]);
        assert_eq!(waiting.keep(&Record::plain(&data, 0), now), (false, false));
        let mut tagged = vec![0xff; 12];
        tagged.extend([0x81, 0x00, 0, 10, 0x08, 0x06]);
        tagged.resize(46, 0);
        assert!(waiting.keep(&Record::plain(&tagged, 0), now).0);
        let mut solicitation = vec![0x33; 12];
        solicitation.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255]);
        solicitation.resize(14 + 40, 0);
        solicitation.extend([135, 0, 0, 0, 0, 0, 0, 0]);
        assert!(waiting.keep(&Record::plain(&solicitation, 0), now).0);
        solicitation[54] = 128; // an echo request
        assert!(!waiting.keep(&Record::plain(&solicitation, 0), now).0);
    }
}
