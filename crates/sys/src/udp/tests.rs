use std::time::Duration;

use super::*;
use crate::netlink::VethEnd;
use crate::poll::{Events, Interest, Poller};
use crate::testing::{block_on, can_make_namespaces, in_netns};
use crate::{Netlink, Netns};

/// One datagram (or coalesced batch) within five seconds.
fn recv_one(socket: &UdpSocket) -> (Vec<u8>, Meta) {
    let poller = Poller::new().unwrap();
    poller.add(socket, 0, Interest::Read).unwrap();
    poller
        .wait(&mut Events::with_capacity(1), Some(Duration::from_secs(5)))
        .unwrap();
    let mut buffer = vec![0u8; RECV_BUFFER_SIZE];
    let mut metas = [Meta::default()];
    let filled = socket
        .recv(&mut [IoSliceMut::new(&mut buffer)], &mut metas)
        .unwrap();
    assert_eq!(filled, 1);
    buffer.truncate(metas[0].len);
    (buffer, metas[0])
}

/// All datagrams of `count`, in order.
fn recv_datagrams(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < count {
        let (bytes, meta) = recv_one(socket);
        all.extend(bytes.chunks(meta.stride).map(<[u8]>::to_vec));
    }
    all
}

fn loopback(socket: &UdpSocket, v4: bool) -> SocketAddr {
    let port = socket.local_addr().unwrap().port();
    let ip = if v4 {
        Ipv4Addr::LOCALHOST.into()
    } else {
        IpAddr::from(Ipv6Addr::LOCALHOST)
    };
    SocketAddr::new(ip, port)
}

fn failure(result: io::Result<()>) -> SendFailure {
    SendFailure::of(&result.unwrap_err())
}

#[test]
fn both_families_come_out_plain_with_the_address_they_were_sent_to() {
    let a = UdpSocket::open(&BindOptions::default()).unwrap();
    let b = UdpSocket::open(&BindOptions::default()).unwrap();
    for v4 in [true, false] {
        let (to, from) = (loopback(&b, v4), loopback(&a, v4));
        a.send(to, None, b"hello", None).unwrap();
        let (bytes, meta) = recv_one(&b);
        assert_eq!(
            (bytes.as_slice(), meta.from, meta.local),
            (&b"hello"[..], from, Some(to.ip()))
        );
        assert_eq!((meta.len, meta.stride, meta.ecn), (5, 5, 0));
        assert_eq!(meta.ifindex, crate::raw::if_index("lo"));
    }
    let mapped = SocketAddr::from((
        Ipv4Addr::LOCALHOST.to_ipv6_mapped(),
        loopback(&b, true).port(),
    ));
    a.send(mapped, Some("127.0.0.3".parse().unwrap()), b"x", None)
        .unwrap();
    let (_, meta) = recv_one(&b);
    assert_eq!(
        meta.from.ip().to_string(),
        "127.0.0.3",
        "the source address was chosen"
    );
}

#[test]
fn plain_ipv4_sockets_work_too() {
    let addr = "127.0.0.1:0".parse().unwrap();
    let a = UdpSocket::open(&BindOptions {
        addr,
        ..BindOptions::default()
    })
    .unwrap();
    let to = a.local_addr().unwrap();
    a.send(to, Some("127.0.0.1".parse().unwrap()), b"self", None)
        .unwrap();
    assert_eq!(recv_one(&a).1.from, to);
    let v6 = "[::1]:9".parse().unwrap();
    assert_eq!(
        failure(a.send(v6, None, b"x", None)),
        SendFailure::Unreachable
    );
}

#[test]
fn batches_arrive_as_the_datagrams_they_were() {
    let options = BindOptions {
        recv_buffer: Some(4 << 20),
        send_buffer: Some(4 << 20),
        ..BindOptions::default()
    };
    let a = UdpSocket::open(&options).unwrap();
    let b = UdpSocket::open(&options).unwrap();
    let contents: Vec<u8> = (0..100_050u32).map(|n| (n / 1000) as u8).collect();
    for (v4, gso) in [(true, true), (false, true), (true, false)] {
        a.gso.store(gso, Ordering::Relaxed);
        a.send(loopback(&b, v4), None, &contents, Some(1000))
            .unwrap();
        let datagrams = recv_datagrams(&b, 101);
        let expected: Vec<_> = contents.chunks(1000).collect();
        assert_eq!(datagrams, expected);
    }
    let error = a
        .send(loopback(&b, true), None, &contents, Some(0))
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn fragments_are_forbidden_in_both_families() {
    let socket = UdpSocket::open(&BindOptions::default()).unwrap();
    let option = |level, name| raw::get_option(socket.as_fd(), level, name).unwrap();
    assert_eq!(
        option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
        libc::IP_PMTUDISC_PROBE
    );
    assert_eq!(
        option(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        libc::IPV6_PMTUDISC_PROBE
    );
}

#[test]
fn buffers_get_the_size_asked_for() {
    let size = Some(8 << 20);
    let options = BindOptions {
        recv_buffer: size,
        send_buffer: size,
        ..BindOptions::default()
    };
    let (recv, send) = UdpSocket::open(&options).unwrap().buffer_sizes().unwrap();
    if crate::privilege::has_cap_net_admin() {
        assert!(recv >= 16 << 20 && send >= 16 << 20, "{recv} {send}");
    }
}

/// Two namespaces and a veth pair between them, both ends up: `a` has .1, `b` has .2.
fn pair(work: impl AsyncFnOnce(&Netns, &Netns, Netlink)) {
    if !can_make_namespaces() {
        return;
    }
    let (a, b) = (Netns::create().unwrap(), Netns::create().unwrap());
    block_on(async |_| {
        let (in_a, in_b) = (Netlink::open_in(&a).unwrap(), Netlink::open_in(&b).unwrap());
        let far = VethEnd {
            name: "eth0",
            index: Some(20),
            netns: Some(b.as_fd()),
        };
        let near = VethEnd {
            name: "eth0",
            index: Some(10),
            netns: None,
        };
        in_a.create_veth(near, far).await.unwrap();
        for (netlink, host) in [(&in_a, 1), (&in_b, 2)] {
            netlink.set_up("eth0", true).await.unwrap();
            let v4 = format!("10.0.0.{host}").parse().unwrap();
            netlink.add_address("eth0", v4, 24).await.unwrap();
            let v6 = format!("fd00::{host}").parse().unwrap();
            netlink.add_address("eth0", v6, 64).await.unwrap();
        }
        work(&a, &b, in_a).await;
    });
}

#[test]
fn errors_are_told_apart_and_harm_nothing() {
    pair(async |a, b, netlink| {
        let device = Some("eth0".to_owned());
        let options = BindOptions {
            device,
            ..BindOptions::port(1830)
        };
        let socket = a.enter(|| UdpSocket::open(&options).unwrap()).unwrap();
        let peer = b
            .enter(|| UdpSocket::open(&BindOptions::port(1830)).unwrap())
            .unwrap();
        let hosts: [SocketAddr; 2] = [
            "10.0.0.2:1830".parse().unwrap(),
            "[fd00::2]:1830".parse().unwrap(),
        ];
        for to in hosts {
            let limit = if to.is_ipv4() { 1472 } else { 1452 };
            let big = vec![1u8; 64_000];
            let too_big = failure(socket.send(to, None, &big[..limit + 1], None));
            assert_eq!(too_big, SendFailure::TooBig);
            let too_big = failure(socket.send(to, None, &big, Some(limit + 1)));
            assert_eq!(too_big, SendFailure::TooBig);
            socket
                .send(to, None, &big[..3 * limit], Some(limit))
                .unwrap();
            assert_eq!(recv_datagrams(&peer, 3).len(), 3);
            assert_eq!(
                socket.max_segments(),
                MAX_SEGMENTS,
                "batches still go at once"
            );
            let foreign = if to.is_ipv4() {
                "10.0.0.77"
            } else {
                "fd00::77"
            };
            let gone = [SendFailure::AddressGone, SendFailure::Unreachable];
            assert!(gone.contains(&failure(socket.send(to, foreign.parse().ok(), b"x", None))));
            let batch = socket.send(to, foreign.parse().ok(), &big[..3000], Some(1000));
            assert!(gone.contains(&failure(batch)));
            assert_eq!(
                socket.max_segments(),
                MAX_SEGMENTS,
                "the batch was not at fault"
            );
        }
        let nowhere = "192.0.2.1:1".parse().unwrap();
        socket
            .send(nowhere, None, b"x", None)
            .expect("a device without a route: on the link");
        let unbound = a
            .enter(|| UdpSocket::open(&BindOptions::port(0)).unwrap())
            .unwrap();
        assert_eq!(
            failure(unbound.send(nowhere, None, b"x", None)),
            SendFailure::Unreachable
        );
        netlink.set_up("eth0", false).await.unwrap();
        for to in hosts {
            let failure = failure(socket.send(to, None, b"x", None));
            // IPv6 addresses go with the link.
            let down = [
                SendFailure::Unreachable,
                SendFailure::LinkDown,
                SendFailure::AddressGone,
            ];
            assert!(down.contains(&failure), "{failure:?}");
        }
        netlink.set_up("eth0", true).await.unwrap();
        socket.send(hosts[0], None, b"again", None).unwrap();
        assert_eq!(recv_one(&peer).0, b"again");
    });
}

#[test]
fn sockets_of_different_devices_share_a_port() {
    pair(async |a, _, netlink| {
        netlink.set_up("lo", true).await.unwrap();
        a.enter(|| {
            let on = |device: &str| BindOptions {
                device: Some(device.to_owned()),
                ..BindOptions::port(1830)
            };
            let first = UdpSocket::open(&on("eth0")).unwrap();
            let second = UdpSocket::open(&on("lo")).unwrap();
            let busy = UdpSocket::open(&on("eth0")).unwrap_err();
            assert_eq!(busy.kind(), io::ErrorKind::AddrInUse);
            let missing = UdpSocket::open(&on("none0")).unwrap_err();
            assert_eq!(SendFailure::of(&missing), SendFailure::LinkDown);
            second
                .send("127.0.0.1:1830".parse().unwrap(), None, b"x", None)
                .unwrap();
            assert_eq!(recv_one(&second).1.ifindex, crate::raw::if_index("lo"));
            drop(first);
        })
        .unwrap();
    });
}

#[test]
fn one_shared_socket_beside_sockets_with_devices() {
    in_netns(|| {
        block_on(async |netlink| netlink.set_up("lo", true).await.unwrap());
        let shared = BindOptions {
            share_port: true,
            ..BindOptions::port(1830)
        };
        let all = UdpSocket::open(&shared).unwrap();
        let device = Some("lo".to_owned());
        let lo = UdpSocket::open(&BindOptions {
            device,
            ..shared.clone()
        })
        .unwrap();
        all.send("127.0.0.1:1830".parse().unwrap(), None, b"x", None)
            .unwrap();
        assert_eq!(recv_one(&lo).0, b"x", "the socket with the device wins");
        all.set_share_port(false).unwrap();
        let error = UdpSocket::open(&shared).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    });
}
