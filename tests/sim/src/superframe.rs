//! Super-frames of the frames that a stream sends at once, and what must come of them.

use wire::vnet::{Gso, GsoKind, VnetHeader};

const UDP_HEADER: usize = 8;
const IP_HEADER: usize = 20;

/// Where the IPv4 header of a frame begins.
fn l3(frame: &[u8]) -> usize {
    let mut at = 12;
    while matches!(frame[at..at + 2], [0x81, 0] | [0x88, 0xa8]) {
        at += 4;
    }
    at + 2
}

/// The super-frame of UDP frames with equal headers and lengths, behind its virtio-net header, as a kernel writes it.
#[must_use]
pub fn merge(frames: &[Vec<u8>]) -> Vec<u8> {
    let first = &frames[0];
    let l4 = l3(first) + IP_HEADER;
    let header_len = l4 + UDP_HEADER;
    let header = VnetHeader {
        needs_csum: true,
        gso: Some(Gso {
            kind: GsoKind::UdpL4,
            ecn: false,
            size: (first.len() - header_len) as u16,
        }),
        csum_start: l4 as u16,
        csum_offset: 6,
        ..VnetHeader::PLAIN
    };
    let mut frame = first[..header_len].to_vec();
    for one in frames {
        frame.extend(&one[header_len..]);
    }
    let udp_len = (frame.len() - l4) as u16;
    put16(&mut frame, l4 - IP_HEADER + 2, udp_len + IP_HEADER as u16);
    put16(&mut frame, l4 + 4, udp_len);
    let partial = fold(sum(&frame[l4 - 8..l4]) + u64::from(udp_len) + 17);
    put16(&mut frame, l4 + 6, partial);
    [&header.encode()[..], &frame].concat()
}

/// Whether `frame` is `original` as cut from a super-frame: with an identification and all checksums.
#[must_use]
pub fn cut_from(frame: &[u8], original: &[u8]) -> bool {
    if frame.len() != original.len() || l3(frame) != l3(original) {
        return false;
    }
    let (ip, l4) = (l3(frame), l3(frame) + IP_HEADER);
    let mut plain = frame.to_vec();
    for field in [ip + 4, ip + 10, l4 + 6] {
        put16(&mut plain, field, 0);
    }
    put16(
        &mut plain,
        ip + 4,
        u16::from_be_bytes([original[ip + 4], original[ip + 5]]),
    );
    let ip_is_summed = fold(sum(&frame[ip..l4])) == 0xffff;
    let udp_len = (frame.len() - l4) as u64;
    let udp_is_summed = fold(sum(&frame[l4 - 8..]) + udp_len + 17) == 0xffff;
    plain == original && ip_is_summed && udp_is_summed
}

fn put16(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2);
    words
        .map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0)))
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
