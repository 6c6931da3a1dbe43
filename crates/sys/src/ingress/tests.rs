use super::*;
use crate::netlink::VethEnd;
use crate::testing::{block_on, in_netns};
use std::net::UdpSocket;
use std::time::Duration;

/// A veth pair `near`–`far` in this namespace, up, `near` with 10.1.1.1.
fn pair() {
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

fn index(name: &str) -> u32 {
    crate::raw::if_index(name).unwrap()
}

#[test]
fn a_table_is_made_and_goes_with_its_owner() {
    in_netns(|| {
        pair();
        let name = table_name(index("near"));
        assert_eq!(
            remove(&name).unwrap_err().raw_os_error(),
            Some(libc::ENOENT)
        );
        let held = IngressDrop::install(index("near"), "near").unwrap();
        assert_eq!(held.table(), name);
        // Others cannot take it away while we live, or it is a kernel without owners.
        let removed = remove(&name);
        assert!(removed.is_ok() || removed.unwrap_err().raw_os_error() == Some(libc::EPERM));
        drop(held);
        assert_eq!(
            remove(&name).unwrap_err().raw_os_error(),
            Some(libc::ENOENT)
        );
    });
}

#[test]
fn one_left_behind_is_replaced() {
    in_netns(|| {
        pair();
        let name = table_name(index("near"));
        let socket = open().unwrap();
        talk(&socket, Batch::drop_all(&name, "near", PRIORITY, false)).unwrap();
        drop(socket);
        drop(IngressDrop::install(index("near"), "near").unwrap());
        assert!(remove(&name).is_err());
    });
}

/// Frames still reach packet sockets, and no longer the kernel's own stack.
#[test]
fn the_kernel_gets_nothing_and_packet_sockets_get_all() {
    in_netns(|| {
        pair();
        let open = |name| crate::PacketSocket::open(index(name)).unwrap();
        let (near, mut far) = (open("near"), open("far"));
        block_on(async |netlink| {
            let address = "10.1.1.1".parse().unwrap();
            netlink.add_address("near", address, 24).await.unwrap();
        });
        let socket = UdpSocket::bind("10.1.1.1:4000").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        // A broadcast, so that no address of the interface matters.
        let mut seen = || {
            far.send(&[0; crate::tap::VNET_LEN], &udp_broadcast());
            far.flush();
            let to_socket = socket.recv(&mut [0; 64]).is_ok();
            let mut buffers = crate::packet::FrameBuffers::new();
            near.receive(&mut buffers).unwrap();
            let expected = udp_broadcast();
            let to_packet = buffers.records().any(|record| record[12..] == expected[..]);
            (to_packet, to_socket)
        };
        assert_eq!(seen(), (true, true));
        let held = IngressDrop::install(index("near"), "near").unwrap();
        assert_eq!(seen(), (true, false));
        drop(held);
        assert_eq!(seen(), (true, true));
    });
}

/// A UDP packet to port 4000 of 10.1.1.1 from 10.1.1.2, to everybody on the link.
fn udp_broadcast() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9, 8, 0]);
    let mut ip = vec![
        0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 1, 2, 10, 1, 1, 1,
    ];
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0x0f, 0xa1, 0x0f, 0xa0, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame
}
