//! Segments and acknowledgements as Ethernet frames.
//!
//! A bulk transfer has a number, which is in its ports; data goes from port 30000 + number to port 5201. Each segment's payload
//! begins with the marker of all simulated frames, the number of the transmission and the time of departure, so that order,
//! copies and delay of every single frame are known. Over UDP the same fields stand where a protocol like QUIC has its own.

use node::Mac;
use wire::{
    checksum::Sum,
    vnet::{Gso, GsoKind, VNET_LEN, VnetHeader},
};

use super::{Ack, MSS, Range};
use crate::frame::MARKER;

const ETHERNET: usize = 14;
const IP: usize = 20;
const L4: usize = ETHERNET + IP;
const TCP: usize = 32;
const UDP: usize = 8;
/// What stands before a segment or the ranges of an acknowledgement over UDP: kind and number.
const PREFIX: usize = 8;
const FIRST_PORT: u16 = 30_000;
const SERVER_PORT: u16 = 5201;
/// Marker, transmission, departure.
const LABEL: usize = 24;
/// First sequence number: soon wraps.
const ISN: u32 = 0xfff0_0000;

/// What carries a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Over IPv4.
    Tcp,
    /// Over IPv4, as opaque as QUIC.
    Udp,
}

/// Addresses of a transfer.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Number of the transfer.
    pub id: u16,
    /// Machines of sender and receiver.
    pub machines: [usize; 2],
    /// What carries it.
    pub carrier: Carrier,
}

/// What a frame of a transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A segment.
    Data {
        /// Its number, low 32 bits of bytes.
        sequence: u32,
        /// Number of the transmission.
        transmission: u64,
        /// When it left, ns.
        departure: u64,
    },
    /// An acknowledgement, in bytes as on the wire.
    Ack(u32, Vec<(u32, u32)>),
}

/// Segment `number` in sequence space.
fn sequence(number: u64) -> u32 {
    ISN.wrapping_add((number as u32).wrapping_mul(MSS as u32))
}

/// The segment that `sequence` names, near segment `near`.
#[must_use]
pub fn segment(value: u32, near: u64) -> u64 {
    let distance = value.wrapping_sub(sequence(near)) as i32 / MSS as i32;
    near.saturating_add_signed(i64::from(distance))
}

impl Addresses {
    fn mac(&self, end: usize) -> Mac {
        let [high, low] = self.id.to_be_bytes();
        Mac([2, 0x54, self.machines[end] as u8, 0, high, low])
    }

    /// Ethernet and IPv4 of what goes from end `from`, with `len` bytes behind the IP header.
    fn head(&self, from: usize, len: usize, out: &mut Vec<u8>) {
        out.extend(self.mac(1 - from).0);
        out.extend(self.mac(from).0);
        out.extend([8, 0]);
        let protocol = match self.carrier {
            Carrier::Tcp => 6,
            Carrier::Udp => 17,
        };
        let total = ((len + IP) as u16).to_be_bytes();
        let [source, destination] = [from, 1 - from].map(|end| self.machines[end] as u8 + 1);
        let mut ip = [
            0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0,
        ]
        .to_vec();
        ip.extend([192, 0, 2, source, 192, 0, 2, destination]);
        let sum = Sum::new().bytes(&ip).checksum();
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend(ip);
        let ports = [FIRST_PORT + self.id, SERVER_PORT];
        out.extend(ports[from].to_be_bytes());
        out.extend(ports[1 - from].to_be_bytes());
    }

    /// The rest of a TCP header, with timestamps and other `options`.
    fn tcp(from: usize, (sequence, ack): (u32, u32), options: &[u8], out: &mut Vec<u8>) {
        out.extend(sequence.to_be_bytes());
        out.extend(ack.to_be_bytes());
        let words = ((TCP + options.len()) / 4) as u8;
        // ACK, and PSH with data.
        out.extend([
            words << 4,
            0x10 | (8 * (1 - from as u8)),
            0xff,
            0xff,
            0,
            0,
            0,
            0,
        ]);
        out.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
        out.extend(options);
    }

    /// The rest of a UDP header, for `len` bytes of payload.
    fn udp(len: usize, out: &mut Vec<u8>) {
        out.extend(((UDP + len) as u16).to_be_bytes());
        out.extend([0, 0]);
    }

    /// Segments from `first` on, one for each of `transmissions`, as a kernel gives them to a TAP: behind a virtio-net header,
    /// several as a super-frame. `now` in ns.
    #[must_use]
    pub fn data(&self, first: u64, transmissions: std::ops::Range<u64>, now: u64) -> Vec<u8> {
        let count = (transmissions.end - transmissions.start) as usize;
        let (header, prefix) = match self.carrier {
            Carrier::Tcp => (TCP, 0),
            Carrier::Udp => (UDP, PREFIX),
        };
        let payload = count * (prefix + MSS);
        let mut out = vec![0; VNET_LEN];
        out.reserve(L4 + header + payload);
        self.head(0, header + payload, &mut out);
        match self.carrier {
            Carrier::Tcp => Self::tcp(0, (sequence(first), 1), &[], &mut out),
            Carrier::Udp => Self::udp(payload, &mut out),
        }
        for (number, transmission) in (first..).zip(transmissions) {
            if self.carrier == Carrier::Udp {
                out.extend([0x40, 0, 0, 0]);
                out.extend(sequence(number).to_be_bytes());
            }
            out.extend(MARKER);
            out.extend(transmission.to_be_bytes());
            out.extend(now.to_be_bytes());
            out.extend([0x5a; MSS - LABEL]);
        }
        self.finish((count > 1).then_some(prefix + MSS), &mut out);
        out
    }

    /// An acknowledgement, likewise behind a virtio-net header.
    #[must_use]
    pub fn acknowledgement(&self, ack: &Ack) -> Vec<u8> {
        let bytes = |&(first, end): &Range| {
            [sequence(first).to_be_bytes(), sequence(end).to_be_bytes()].concat()
        };
        let blocks: Vec<u8> = ack.blocks.iter().flat_map(bytes).collect();
        let next = sequence(ack.next);
        let mut out = vec![0; VNET_LEN];
        match self.carrier {
            Carrier::Tcp => {
                let options = match blocks.len() {
                    0 => Vec::new(),
                    len => [&[1, 1, 5, len as u8 + 2], &blocks[..]].concat(),
                };
                self.head(1, TCP + options.len(), &mut out);
                Self::tcp(1, (1, next), &options, &mut out);
            }
            Carrier::Udp => {
                let payload = PREFIX + blocks.len();
                self.head(1, UDP + payload, &mut out);
                Self::udp(payload, &mut out);
                out.extend([0x41, ack.blocks.len() as u8, 0, 0]);
                out.extend(next.to_be_bytes());
                out.extend(blocks);
            }
        }
        self.finish(None, &mut out);
        out
    }

    /// Writes the virtio-net header and the partial checksum. `size`: payload of each segment of a super-frame.
    fn finish(&self, size: Option<usize>, out: &mut [u8]) {
        let (kind, offset) = match self.carrier {
            Carrier::Tcp => (GsoKind::TcpV4, 16),
            Carrier::Udp => (GsoKind::UdpL4, 6),
        };
        let header = VnetHeader {
            needs_csum: true,
            gso: size.map(|size| Gso {
                kind,
                ecn: false,
                size: size as u16,
            }),
            csum_start: L4 as u16,
            csum_offset: offset,
            ..VnetHeader::PLAIN
        };
        let (vnet, frame) = out.split_at_mut(VNET_LEN);
        vnet.copy_from_slice(&header.encode());
        let partial = pseudo(frame).folded();
        let at = L4 + usize::from(offset);
        frame[at..at + 2].copy_from_slice(&partial.to_be_bytes());
    }
}

/// The sum of the pseudo-header.
fn pseudo(frame: &[u8]) -> Sum {
    let protocol = u16::from(frame[ETHERNET + 9]);
    Sum::new()
        .bytes(&frame[L4 - 8..L4])
        .word(protocol)
        .word((frame.len() - L4) as u16)
}

fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(frame: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(frame: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(frame.get(at..at + 8)?.try_into().ok()?))
}

/// The number of the transfer to which an untagged frame belongs; `None`: it is something else.
#[must_use]
pub fn transfer(frame: &[u8]) -> Option<u16> {
    let ip = u16_at(frame, 12)? == 0x0800 && matches!(frame.get(ETHERNET + 9)?, 6 | 17);
    let ports = [u16_at(frame, L4)?, u16_at(frame, L4 + 2)?];
    let id = match ports {
        [port, SERVER_PORT] | [SERVER_PORT, port] => port.checked_sub(FIRST_PORT)?,
        _ => return None,
    };
    ip.then_some(id)
}

/// Reads a frame of a transfer as it comes out of a port: single, with all its checksums. `None`: damaged.
#[must_use]
pub fn parse(frame: &[u8]) -> Option<Parsed> {
    let header = frame.get(ETHERNET..L4)?;
    let whole = usize::from(u16_at(frame, ETHERNET + 2)?) + ETHERNET == frame.len();
    if !whole || !Sum::new().bytes(header).is_valid() {
        return None;
    }
    if !pseudo(frame).bytes(&frame[L4..]).is_valid() {
        return None;
    }
    let data = |sequence, at: usize| {
        let right = frame.len() == at + MSS && frame.get(at..at + 8)? == MARKER;
        right.then_some(Parsed::Data {
            sequence,
            transmission: u64_at(frame, at + 8)?,
            departure: u64_at(frame, at + 16)?,
        })
    };
    let ack = |next, at: usize| {
        let blocks = frame.get(at..)?.chunks_exact(8);
        let blocks = blocks.filter_map(|b| Some((u32_at(b, 0)?, u32_at(b, 4)?)));
        Some(Parsed::Ack(next, blocks.collect()))
    };
    let from_server = u16_at(frame, L4)? == SERVER_PORT;
    match (header[9], from_server) {
        (6, false) => data(u32_at(frame, L4 + 4)?, L4 + TCP),
        (6, true) => ack(u32_at(frame, L4 + 8)?, (L4 + TCP + 4).min(frame.len())),
        (_, false) => data(u32_at(frame, L4 + UDP + 4)?, L4 + UDP + PREFIX),
        (_, true) => ack(u32_at(frame, L4 + UDP + 4)?, L4 + UDP + PREFIX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(carrier: Carrier) -> Addresses {
        Addresses {
            id: 7,
            machines: [0, 1],
            carrier,
        }
    }

    /// What a kernel's checksum offload does to a frame that is not a super-frame.
    fn complete(record: &[u8]) -> Vec<u8> {
        let header = VnetHeader::parse(record).unwrap();
        let mut frame = record[VNET_LEN..].to_vec();
        let start = usize::from(header.csum_start);
        let sum = Sum::new().bytes(&frame[start..]).checksum();
        let at = start + usize::from(header.csum_offset);
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn frames_say_what_they_are() {
        for carrier in [Carrier::Tcp, Carrier::Udp] {
            let addresses = addresses(carrier);
            for number in [0, 5, 800, 10_000_000] {
                let mut frame = complete(&addresses.data(number, 77..78, 99));
                assert_eq!(transfer(&frame), Some(7));
                let Some(Parsed::Data {
                    sequence,
                    transmission: 77,
                    departure: 99,
                }) = parse(&frame)
                else {
                    panic!("{carrier:?} {number}");
                };
                assert_eq!(segment(sequence, number + 3), number);
                assert_eq!(segment(sequence, number.saturating_sub(9)), number);
                frame[200] ^= 1;
                assert_eq!(parse(&frame), None);
            }
            let ack = Ack {
                next: 800,
                blocks: vec![(810, 812), (802, 805)],
            };
            let frame = complete(&addresses.acknowledgement(&ack));
            assert_eq!(transfer(&frame), Some(7));
            let blocks = ack.blocks.iter();
            let blocks = blocks.map(|&(a, b)| (sequence(a), sequence(b)));
            let expected = Parsed::Ack(sequence(800), blocks.collect());
            assert_eq!(parse(&frame), Some(expected));
        }
    }
}
