//! Which frames belong together: a hash that is the same for all frames of one flow.

use crate::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Frame, Inner};
use crate::ip::{Ipv4, Ipv6, ports};

/// A hash of what names the flow of an Ethernet frame (without virtio-net header): VLANs, and then
/// IP addresses, protocol and ports, looking through up to two tags. Fragments go without ports, so
/// that those of one packet stay together. Frames of other protocols: addresses and EtherType.
///
/// It is the same on every machine and in every run, and each direction of a conversation has its
/// own. It does not keep out someone who looks for collisions: a queue that must not be shared
/// mixes in a secret.
#[must_use]
pub fn flow_hash(frame: &[u8]) -> u32 {
    let Some(frame) = Frame::parse(frame) else {
        return 0;
    };
    let inner = frame.inner();
    let [outer, second] = inner.vlans.map(u64::from);
    let hash = mix(SEED, outer << 16 | second);
    let hash = hash_ip(hash, &inner).unwrap_or_else(|| {
        let hash = mix(
            hash,
            mac_word(frame.dst().0) << 16 | u64::from(inner.ethertype),
        );
        mix(hash, mac_word(frame.src().0))
    });
    (hash ^ hash >> 32) as u32
}

fn hash_ip(hash: u64, inner: &Inner<'_>) -> Option<u64> {
    let (hash, protocol, fragment, payload) = match inner.ethertype {
        ETHERTYPE_IPV4 => {
            let ip = Ipv4::parse(inner.payload)?;
            let addresses = u64::from(ip.src.to_bits()) << 32 | u64::from(ip.dst.to_bits());
            (mix(hash, addresses), ip.protocol, ip.fragment, ip.payload)
        }
        ETHERTYPE_IPV6 => {
            let ip = Ipv6::parse(inner.payload)?;
            let hash = mix_wide(mix_wide(hash, ip.src.to_bits()), ip.dst.to_bits());
            (hash, ip.protocol, ip.fragment, ip.payload)
        }
        _ => return None,
    };
    let ports = if fragment {
        None
    } else {
        ports(protocol, payload)
    };
    let (src, dst) = ports.unwrap_or_default();
    Some(mix(
        hash,
        u64::from(protocol) << 32 | u64::from(src) << 16 | u64::from(dst),
    ))
}

/// An odd number without pattern (2^64 divided by the golden ratio).
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Another one, to multiply with.
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// Folds the 128-bit product back: two instructions that move every input bit everywhere.
const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word) as u128 * FACTOR as u128;
    (product as u64 ^ (product >> 64) as u64).wrapping_add(SEED)
}

const fn mix_wide(hash: u64, word: u128) -> u64 {
    mix(mix(hash, (word >> 64) as u64), word as u64)
}

const fn mac_word([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethernet::push_tag;
    use proptest::prelude::*;

    fn udp(src: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0]);
        frame.extend(src);
        frame.extend([192, 0, 2, 9]);
        frame.extend(ports.0.to_be_bytes());
        frame.extend(ports.1.to_be_bytes());
        frame.extend([0, 8, 0, 0]);
        frame
    }

    fn udp6(port: u16) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 17, 64]);
        frame.extend([1; 32]);
        frame.extend(port.to_be_bytes());
        frame.extend([0, 53, 0, 8, 0, 0]);
        frame
    }

    fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
        let mut out = vec![0; frame.len() + 4];
        push_tag(&mut out, &Frame::parse(frame).unwrap(), tci).unwrap();
        out
    }

    #[test]
    fn a_flow_is_its_five_tuple_and_vlan() {
        let one = udp([10, 0, 0, 1], (1000, 53));
        let hash = flow_hash(&one);
        let mut same = one.clone();
        same[0] = 0xee; // another next hop
        same[18] = 0x77; // IP identification
        same.extend([1, 2, 3]);
        assert_eq!(flow_hash(&same), hash);
        assert_eq!(
            flow_hash(&tagged(&one, 0xe00a)),
            flow_hash(&tagged(&one, 0x000a)),
            "priority"
        );
        for other in [
            udp([10, 0, 0, 2], (1000, 53)),
            udp([10, 0, 0, 1], (1001, 53)),
            udp([10, 0, 0, 1], (1000, 54)),
            tagged(&one, 10),
            tagged(&tagged(&one, 10), 11),
        ] {
            assert_ne!(flow_hash(&other), hash);
        }
        assert_ne!(flow_hash(&tagged(&one, 10)), flow_hash(&tagged(&one, 11)));
        let (inner, outer) = (tagged(&tagged(&one, 10), 12), tagged(&tagged(&one, 11), 12));
        assert_ne!(
            flow_hash(&inner),
            flow_hash(&outer),
            "the inner VLAN counts"
        );
        let other = udp([10, 0, 0, 1], (1001, 53));
        let deep = |frame: &[u8]| flow_hash(&tagged(&tagged(frame, 10), 11));
        assert_ne!(deep(&one), deep(&other), "ports count behind two tags too");
        assert_ne!(flow_hash(&udp6(1)), flow_hash(&udp6(2)));
    }

    #[test]
    fn fragments_stay_together() {
        let mut first = udp([10, 0, 0, 1], (1000, 53));
        first[20] = 0x20;
        let mut second = udp([10, 0, 0, 1], (7777, 8888));
        second[21] = 0x10;
        assert_eq!(flow_hash(&first), flow_hash(&second));
    }

    #[test]
    fn other_protocols_by_address() {
        let arp = |last: u8| [&[0xff; 6][..], &[2, 0, 0, 0, 0, last], &[8, 6, 0, 1]].concat();
        assert_eq!(flow_hash(&arp(1)), flow_hash(&[&arp(1)[..], &[9]].concat()));
        assert_ne!(flow_hash(&arp(1)), flow_hash(&arp(2)));
        let mut cut = udp([10, 0, 0, 1], (1, 2));
        cut.truncate(20);
        let other = udp([10, 0, 0, 2], (1, 2));
        assert_eq!(flow_hash(&cut), flow_hash(&other[..20]));
        assert_eq!(flow_hash(&[]), 0);
    }

    /// Neighbouring ports and addresses spread evenly: no bucket of 256 is far from its share.
    #[test]
    fn even_spread() {
        for by_port in [true, false] {
            for shift in [0, 8, 16, 24] {
                let mut buckets = [0u32; 256];
                for i in 0..16_384u16 {
                    let [high, low] = i.to_be_bytes();
                    let frame = match by_port {
                        true => udp([10, 0, 0, 1], (i, 53)),
                        false => udp([10, 0, high, low], (1000, 53)),
                    };
                    buckets[(flow_hash(&frame) >> shift & 0xff) as usize] += 1;
                }
                // 64 expected; 5 standard deviations of 8 are 40.
                assert!(
                    buckets.iter().all(|count| (24..=104).contains(count)),
                    "{buckets:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 0usize..5) {
            let types: [[u8; 2]; 5] = [[8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8], [0, 0]];
            if let Some(place) = bytes.get_mut(12..14) {
                place.copy_from_slice(&types[kind]);
            }
            prop_assert_eq!(flow_hash(&bytes), flow_hash(&bytes));
        }
    }
}
