use super::*;
use crate::netlink::VethEnd;
use crate::testing::{block_on, in_netns};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use wire::vnet::{GsoKind, VnetHeader};

/// A veth pair `near`–`far`, up, without IPv6's chatter.
fn pair() {
    for setting in ["default/disable_ipv6", "all/disable_ipv6"] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{setting}"), "1");
    }
    block_on(async |netlink| {
        let end = |name| VethEnd {
            name,
            index: None,
            netns: None,
        };
        netlink.create_veth(end("near"), end("far")).await.unwrap();
        for name in ["near", "far"] {
            netlink.set_up(name, true).await.unwrap();
        }
    });
}

fn open(name: &str) -> PacketSocket {
    PacketSocket::open(raw::if_index(name).unwrap()).unwrap()
}

fn receive(socket: &PacketSocket, buffers: &mut FrameBuffers) -> Vec<Vec<u8>> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        if socket.receive(buffers).is_ok() {
            return buffers.records().map(<[u8]>::to_vec).collect();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Vec::new()
}

fn frame(tail: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tail, &[7; 40]].concat()
}

#[test]
fn frames_arrive_with_their_tags_and_not_our_own() {
    in_netns(|| {
        pair();
        let (mut near, mut far) = (open("near"), open("far"));
        let mut buffers = FrameBuffers::new();
        let tails: [&[u8]; 4] = [
            &[0x88, 0xb6, 1, 2, 3],
            &[0x81, 0, 0xb0, 10, 0x88, 0xb6, 1],
            &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x88, 0xb6, 1],
            &[0x81, 0, 0, 0, 0x88, 0xb6, 1],
        ];
        for tail in tails {
            assert_eq!(far.send(&[0; VNET_LEN], &frame(tail)), 0);
        }
        assert_eq!(far.flush(), 0);
        let records = receive(&near, &mut buffers);
        let frames: Vec<&[u8]> = records.iter().map(|record| &record[VNET_LEN..]).collect();
        assert_eq!(frames, tails.map(frame));
        assert_eq!(
            far.receive(&mut buffers).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert_eq!(buffers.records().count(), 0);
        assert_eq!(
            near.send(&[0; VNET_LEN], &frame(&[0; 3000])),
            1,
            "longer than the MTU"
        );
    });
}

#[test]
fn many_frames_go_with_few_calls_and_in_order() {
    in_netns(|| {
        pair();
        let (near, mut far) = (open("near"), open("far"));
        let mut buffers = FrameBuffers::new();
        let numbered = |n: u8| frame(&[0x88, 0xb6, n, 0, 0]);
        for n in 0..100 {
            assert_eq!(far.send(&[0; VNET_LEN], &numbered(n)), 0);
        }
        assert_eq!(far.flush(), 0);
        let mut received = Vec::new();
        while received.len() < 100 {
            let batch = receive(&near, &mut buffers);
            assert!(!batch.is_empty(), "{} came", received.len());
            received.extend(batch);
        }
        for (n, record) in received.iter().enumerate() {
            assert_eq!(record[VNET_LEN..], numbered(n as u8));
        }
        assert_eq!(near.overflows(), 0);
    });
}

/// Two hosts' kernels talk TCP through two sockets that hand everything over as it comes: tagged as a
/// trunk would, and back.
#[test]
fn super_frames_pass_whole() {
    in_netns(|| {
        let (left, right) = (
            crate::Netns::create().unwrap(),
            crate::Netns::create().unwrap(),
        );
        block_on(async |netlink| {
            for (near, netns, address) in [("a", &left, "10.1.1.1"), ("b", &right, "10.1.1.2")] {
                let host = VethEnd {
                    name: "eth0",
                    index: None,
                    netns: Some(std::os::fd::AsFd::as_fd(netns)),
                };
                let near_end = VethEnd {
                    name: near,
                    index: None,
                    netns: None,
                };
                netlink.create_veth(near_end, host).await.unwrap();
                netlink.set_up(near, true).await.unwrap();
                let inside = crate::Netlink::open_in(netns).unwrap();
                inside.set_up("eth0", true).await.unwrap();
                inside
                    .add_address("eth0", address.parse().unwrap(), 24)
                    .await
                    .unwrap();
            }
        });
        let sockets = [open("a"), open("b")];
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (tx, rx) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let stop = &stop;
            let carrier = scope.spawn(move || carry(sockets, stop));
            let server = right
                .enter(|| TcpListener::bind("10.1.1.2:5000").unwrap())
                .unwrap();
            scope.spawn(move || {
                let mut stream = server.accept().unwrap().0;
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                tx.send(all).unwrap();
            });
            let payload: Vec<u8> = (0..4_000_000u32).map(|n| (n / 7) as u8).collect();
            let connect = || TcpStream::connect("10.1.1.2:5000").unwrap();
            let mut client = left.enter(connect).unwrap();
            client.write_all(&payload).unwrap();
            drop(client);
            let received = rx.recv_timeout(Duration::from_secs(20)).unwrap();
            assert!(received == payload);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(carrier.join().unwrap() > 20, "super-frames");
        });
    });
}

/// Passes frames between two sockets; returns how many super-frames there were.
fn carry(mut sockets: [PacketSocket; 2], stop: &std::sync::atomic::AtomicBool) -> usize {
    let mut buffers = FrameBuffers::new();
    let mut found = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        for from in [0, 1] {
            if sockets[from].receive(&mut buffers).is_err() {
                continue;
            }
            for record in buffers.records() {
                let (header, frame) = VnetHeader::split(record).unwrap();
                let kind = header.gso.map(|gso| gso.kind);
                found += usize::from(kind == Some(GsoKind::TcpV4));
                sockets[1 - from].send(&header.encode(), frame);
            }
            sockets[1 - from].flush();
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    found
}

#[test]
fn a_tag_that_is_put_back_moves_the_checksum() {
    let mut slot = vec![0; 200];
    let header = VnetHeader {
        needs_csum: true,
        hdr_len: 66,
        csum_start: 34,
        csum_offset: 16,
        ..VnetHeader::PLAIN
    };
    let mut short = header.encode();
    to_native(&mut short);
    slot[FRAME_AT - SHORT_VNET_LEN..FRAME_AT].copy_from_slice(&short[..SHORT_VNET_LEN]);
    slot[FRAME_AT..FRAME_AT + 57].copy_from_slice(&frame(&[8, 0, 1, 2, 3]));
    let start = finish(&mut slot, Some((0x88a8, 0x1234)));
    let (found, tagged) = VnetHeader::split(&slot[start..FRAME_AT + 57]).unwrap();
    assert_eq!(
        (found.csum_start, found.hdr_len, found.csum_offset),
        (38, 70, 16)
    );
    assert_eq!(tagged, frame(&[0x88, 0xa8, 0x12, 0x34, 8, 0, 1, 2, 3]));
    let mut plain = vec![0; 200];
    let start = finish(&mut plain, Some((0x8100, 1)));
    assert_eq!(
        VnetHeader::split(&plain[start..]).unwrap().0,
        VnetHeader::PLAIN
    );
}

#[test]
fn an_interface_that_goes_is_told() {
    in_netns(|| {
        pair();
        let near = open("near");
        block_on(async |netlink| netlink.delete_link("far").await.unwrap());
        let mut buffers = FrameBuffers::new();
        let error = near.receive(&mut buffers).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENETDOWN));
        assert_eq!(
            near.receive(&mut buffers).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(PacketSocket::open(near.ifindex()).is_err());
    });
}
