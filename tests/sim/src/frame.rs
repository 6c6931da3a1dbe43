//! Ethernet frames that say what they are, so that any change, copy or leak is noticed.

use node::Mac;

/// Stands in every frame, and must stand in no datagram.
pub const MARKER: &[u8; 8] = b"\xc5ropesim";
/// Shortest payload of a frame, bytes.
pub const MIN_PAYLOAD: usize = 46;

const TPID_C: u16 = 0x8100;
const IP_UDP: usize = 28;
const LABEL: usize = MARKER.len() + 6;

/// What all frames of a stream have in common.
#[derive(Clone, Debug)]
pub struct Head {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    /// Outer C-VLAN, 0 for none.
    pub vlan: u16,
    /// Priority in its tag; 0 where the frame enters without a tag.
    pub priority: u16,
    /// A tag that the switch does not look at: (TPID, VLAN).
    pub inner: Option<(u16, u16)>,
    /// Number of the stream; also gives its UDP ports.
    pub stream: u16,
}

impl Head {
    /// Replaces `out` by frame `seq` with `payload` bytes behind the tags; `tagged`: with its C-VLAN tag, if it has one.
    pub fn write(&self, seq: u32, payload: usize, tagged: bool, out: &mut Vec<u8>) {
        out.clear();
        out.extend(self.dst.0);
        out.extend(self.src.0);
        if self.vlan != 0 && tagged {
            put16(out, TPID_C);
            put16(out, self.vlan | self.priority << 13);
        }
        if let Some((tpid, vlan)) = self.inner {
            put16(out, tpid);
            put16(out, vlan);
        }
        put16(out, 0x0800);
        let start = out.len();
        self.write_ip_udp(payload, out);
        out.extend(MARKER);
        put16(out, self.stream);
        out.extend(seq.to_be_bytes());
        let mut state = (u64::from(self.stream) << 32 | u64::from(seq)) ^ 0x9e37_79b9_7f4a_7c15;
        while out.len() < start + payload {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let left = (start + payload - out.len()).min(8);
            out.extend(&state.to_be_bytes()[..left]);
        }
    }

    fn write_ip_udp(&self, payload: usize, out: &mut Vec<u8>) {
        let len = payload as u16;
        out.extend([0x45, 0]);
        put16(out, len);
        out.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        out.extend([192, 0, 2, self.src.0[2]]);
        out.extend([192, 0, 2, self.dst.0[2]]);
        put16(out, 10_000 + self.stream);
        put16(out, 20_000);
        put16(out, len - 20);
        put16(out, 0);
    }
}

/// The stream and sequence number that a frame names.
#[must_use]
pub fn identify(frame: &[u8]) -> Option<(u16, u32)> {
    let mut at = 12;
    while matches!(frame.get(at..at + 2)?, [0x81, 0] | [0x88, 0xa8]) {
        at += 4;
    }
    let label = frame.get(at + 2 + IP_UDP..at + 2 + IP_UDP + LABEL)?;
    let (marker, rest) = label.split_at(MARKER.len());
    let [a, b, s @ ..] = rest else { return None };
    (marker == MARKER).then_some((
        u16::from_be_bytes([*a, *b]),
        u32::from_be_bytes(s.try_into().ok()?),
    ))
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_forms_name_themselves() {
        for (vlan, inner) in [
            (0, None),
            (10, None),
            (10, Some((0x8100, 20))),
            (0, Some((0x88a8, 7))),
        ] {
            let head = Head {
                dst: Mac([2; 6]),
                src: Mac([4; 6]),
                vlan,
                priority: 3,
                inner,
                stream: 3,
            };
            for payload in [46, 47, 1500, 9000] {
                let mut out = Vec::new();
                head.write(77, payload, true, &mut out);
                let tags = usize::from(vlan != 0) + usize::from(inner.is_some());
                assert_eq!(out.len(), 14 + 4 * tags + payload);
                assert_eq!(identify(&out), Some((3, 77)));
            }
        }
    }
}
