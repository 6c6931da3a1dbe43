//! Ethernet frames, their tags, and flow hashes.

use wire::ethernet::{Frame, Mac, TAG_LEN, Tag, pop_tag, push_tag, write_tagged};
use wire::flow::flow_hash;

/// Reads `data` as a frame, tags and untags it, and hashes it.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(mac) = text.parse::<Mac>()
    {
        assert_eq!(mac.to_string(), text.to_ascii_lowercase().replace('-', ":"));
    }
    let hash = flow_hash(data);
    assert_eq!(flow_hash(data), hash);
    let Some(frame) = Frame::parse(data) else {
        return;
    };
    let inner = frame.inner();
    assert!(inner.payload.len() + 14 <= data.len());
    let tci = u16::from_be_bytes([data[0], data[1]]);
    let mut out = vec![0; data.len() + TAG_LEN];
    let mut back = vec![0; data.len() + TAG_LEN];

    let len = push_tag(&mut out, &frame, tci).expect("there is room");
    let tagged = Frame::parse(&out[..len]).expect("ours");
    assert_eq!(tagged.tag(), Some(Tag::from_tci(tci)));
    let len = pop_tag(&mut back, &tagged).expect("there is room");
    assert_eq!(&back[..len], data);
    // Another priority is no other flow.
    let mut other = out.clone();
    other[14] ^= 0xe0;
    assert_eq!(flow_hash(&out), flow_hash(&other));

    let len = write_tagged(&mut back, &frame, tci).expect("there is room");
    let retagged = Frame::parse(&back[..len]).expect("ours");
    assert_eq!(retagged.tag(), Some(Tag::from_tci(tci)));
    let grown = if frame.tag().is_some() { 0 } else { TAG_LEN };
    assert_eq!(len, data.len() + grown);
}

/// IPv4 and IPv6 packets, tagged once and twice, ARP, and an address as text.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let head = [2; 12];
    let ipv4 = [
        &[0x08, 0, 0x45, 0, 0, 28, 0, 1, 0x20, 0, 64, 17, 0, 0][..],
        &[10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 99, 0, 8, 0, 0],
    ]
    .concat();
    let ipv6 = [
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 0, 64][..],
        &[1; 32],
        &[
            44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 9, 0, 0, 0, 0, 0, 80, 0, 99, 0, 0, 0, 0,
        ],
    ]
    .concat();
    let frame = |parts: &[&[u8]]| [&head[..], &parts.concat()].concat();
    vec![
        frame(&[&ipv4]),
        frame(&[&[0x81, 0, 0xa0, 10], &ipv4]),
        frame(&[&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6], &ipv6]),
        frame(&[&ipv6]),
        frame(&[&[8, 6, 0, 1, 8, 0, 6, 4]]),
        b"16:b9:3f:58:cb:4c".to_vec(),
    ]
}
