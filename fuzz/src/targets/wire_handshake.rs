//! The outsides of datagrams: kinds, headers, handshake messages.

use wire::datagram::{HEADER_LEN, Header, Kind, OVERHEAD, kind};
use wire::handshake::{
    CookieReply, Initiation, Response, before_mac1, before_mac2, set_mac1, set_mac2,
};

/// Reads `data` as a datagram; what was read and put together again is the same.
pub fn run(data: &[u8]) {
    let found = kind(data);
    let parsed = [
        Initiation::parse(data).is_some(),
        Response::parse(data).is_some(),
        CookieReply::parse(data).is_some(),
    ];
    let expected =
        [Kind::Initiation, Kind::Response, Kind::CookieReply].map(|kind| found == Some(kind));
    assert_eq!(parsed, expected);
    let _ = (before_mac1(data), before_mac2(data));
    if let Some(message) = Initiation::parse(data) {
        let mut again = Initiation::assemble(message.sender, message.noise);
        set_mac1(&mut again, message.mac1);
        set_mac2(&mut again, message.mac2);
        same_but_reserved(data, &again, 2..4);
        assert_eq!(before_mac2(data).len(), before_mac1(data).len() + 16);
    }
    if let Some(message) = Response::parse(data) {
        let mut again = Response::assemble(message.sender, message.receiver, message.noise);
        set_mac1(&mut again, message.mac1);
        set_mac2(&mut again, message.mac2);
        same_but_reserved(data, &again, 2..4);
    }
    if let Some(message) = CookieReply::parse(data) {
        let again = CookieReply::assemble(message.receiver, message.nonce, message.sealed);
        same_but_reserved(data, &again, 2..4);
    }
    if found == Some(Kind::Transport) {
        let header = Header::parse(data).expect("long enough");
        same_but_reserved(&data[..HEADER_LEN], &header.encode(), 3..4);
    }
}

fn same_but_reserved(one: &[u8], other: &[u8], reserved: std::ops::Range<usize>) {
    let mut one = one.to_vec();
    one[reserved].fill(0);
    assert_eq!(one, other);
}

/// One datagram of every kind.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let header = Header {
        path: 1,
        worker: 0,
        receiver: 5,
        number: 6,
    };
    let mut transport = header.encode().to_vec();
    transport.resize(OVERHEAD + 40, 7);
    vec![
        Initiation::assemble(1, &[2; 608]).to_vec(),
        Response::assemble(1, 2, &[3; 560]).to_vec(),
        CookieReply::assemble(1, &[2; 24], &[3; 32]).to_vec(),
        transport,
    ]
}
