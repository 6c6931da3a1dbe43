//! Two namespaces, a TAP device with offloads in each, and a loop between them in place of a
//! tunnel: what it does to super-frames and checksums has to satisfy the kernel at the other end.

use super::*;
use crate::tap::{Tap, TapOptions};
use crate::testing::{block_on, can_make_namespaces, in_netns};
use crate::{Netlink, Netns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use wire::coalesce::Coalescer;
use wire::ethernet::{Frame, pop_tag, push_tag};
use wire::segment::complete_checksum;
use wire::superframe::SuperFrame;
use wire::vnet::{GsoKind, VnetHeader};

const OFFLOAD: TapOptions = TapOptions {
    persist: false,
    ifindex: None,
    offload: true,
};
const V4: [&str; 2] = ["10.9.8.1", "10.9.8.2"];
const V6: [&str; 2] = ["fd09:8::1", "fd09:8::2"];
const AMOUNT: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the loop does with a frame on its way.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Way {
    /// Nothing.
    Whole,
    /// Super-frames become shorter ones, of at most this many segments.
    Cut(usize),
    /// Every frame becomes plain ones.
    Segment,
    /// The same, and those of a batch become super-frames again.
    Coalesce,
}

/// The way, and the tag that frames carry on it.
#[derive(Copy, Clone, Debug)]
struct Road {
    way: Way,
    tag: Option<u16>,
}

/// What the loop has seen and done.
#[derive(Clone, Debug, Default)]
struct Seen {
    longest_read: usize,
    /// Super-frames read, by kind.
    kinds: [usize; 3],
    longest_written: usize,
    written: usize,
}

struct Pair {
    netns: [Netns; 2],
    taps: [Tap; 2],
}

impl Pair {
    fn new() -> Self {
        let netns = [Netns::create().unwrap(), Netns::create().unwrap()];
        let open = |netns: &Netns| netns.enter(|| Tap::open("t0", OFFLOAD).unwrap()).unwrap();
        let taps = [open(&netns[0]), open(&netns[1])];
        block_on(async |_| {
            for (i, netns) in netns.iter().enumerate() {
                let netlink = Netlink::open_in(netns).unwrap();
                netlink.set_up("t0", true).await.unwrap();
                for (address, prefix) in [(V4[i], 24), (V6[i], 64)] {
                    let address = address.parse().unwrap();
                    netlink.add_address("t0", address, prefix).await.unwrap();
                }
            }
        });
        Self { netns, taps }
    }

    /// Runs `test` while the loop carries frames.
    fn joined(&self, road: Road, test: impl FnOnce()) -> Seen {
        let stop = AtomicBool::new(false);
        /// Ends the loop when a test panics, too.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        thread::scope(|scope| {
            let carrier = scope.spawn(|| carry(&self.taps, road, &stop));
            let stop = Stop(&stop);
            test();
            drop(stop);
            carrier.join().unwrap()
        })
    }

    /// Sends [`AMOUNT`] bytes there and back through one connection.
    fn transfer(&self, addresses: [&str; 2]) {
        let server: SocketAddr = SocketAddr::new(addresses[1].parse::<IpAddr>().unwrap(), 0);
        let listener = self.netns[1].enter(|| TcpListener::bind(server).unwrap());
        let listener = listener.unwrap();
        let server = listener.local_addr().unwrap();
        let netns = &self.netns[0];
        thread::scope(|scope| {
            scope.spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                receive(&stream);
                send(&stream);
            });
            let stream = netns.enter(|| TcpStream::connect_timeout(&server, PATIENCE).unwrap());
            let stream = stream.unwrap();
            send(&stream);
            receive(&stream);
        });
    }

    /// Whether the kernels of both ends found no wrong checksum.
    fn assert_no_errors(&self) {
        for netns in &self.netns {
            let read = |name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}"));
            let (snmp, snmp6) = netns
                .enter(|| (read("snmp").unwrap(), read("snmp6").unwrap()))
                .unwrap();
            let mut lines = snmp.lines();
            let mut looked_at = 0;
            while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
                for (name, value) in names.split(' ').zip(values.split(' ')) {
                    if ["InCsumErrors", "InHdrErrors"].contains(&name) {
                        assert_eq!(value, "0", "{names}\n{values}");
                        looked_at += 1;
                    }
                }
            }
            assert!(looked_at >= 3, "{snmp}");
            let errors = snmp6.lines().filter(|line| line.contains("CsumErrors"));
            assert!(errors.clone().all(|line| line.ends_with("\t0")), "{snmp6}");
            assert!(errors.count() >= 1, "{snmp6}");
        }
    }
}

fn pattern(at: usize) -> u8 {
    (at ^ at >> 8 ^ at >> 16) as u8
}

fn send(mut stream: &TcpStream) {
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let bytes: Vec<u8> = (0..AMOUNT).map(pattern).collect();
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
}

fn receive(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), AMOUNT);
    let wrong = bytes.iter().enumerate().find(|&(at, &b)| b != pattern(at));
    assert_eq!(wrong, None);
}

fn carry(taps: &[Tap; 2], road: Road, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut record = vec![0; READ_LEN];
    let mut buffer = vec![0; READ_LEN];
    let mut tagged = vec![0; READ_LEN];
    let mut untagged = vec![0; READ_LEN];
    let mut coalescer = Coalescer::new();
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [&taps[0], &taps[1]].map(|tap| PollFd::new(tap, PollFlags::IN));
        poll(&mut fds, Some(&pause)).unwrap();
        for (from, to) in [(&taps[0], &taps[1]), (&taps[1], &taps[0])] {
            let mut put = |mut header: VnetHeader, frame: &[u8]| {
                seen.written += 1;
                seen.longest_written = seen.longest_written.max(frame.len());
                let written = if road.tag.is_some() {
                    let tagged = Frame::parse(frame).unwrap();
                    let length = pop_tag(&mut untagged, &tagged).unwrap();
                    header.shift(-4);
                    to.write_parts(&header.encode(), &untagged[..length])
                } else {
                    to.write_parts(&header.encode(), frame)
                };
                written.unwrap();
            };
            for _ in 0..64 {
                let Ok(length) = from.read(&mut record) else {
                    break;
                };
                let (mut header, mut frame) = VnetHeader::split(&record[..length]).unwrap();
                if let Some(tci) = road.tag {
                    let plain = Frame::parse(frame).unwrap();
                    let length = push_tag(&mut tagged, &plain, tci).unwrap();
                    header.shift(4);
                    frame = &tagged[..length];
                }
                let whole = SuperFrame::check(header, frame);
                let whole = whole.unwrap_or_else(|why| panic!("{why}: {header:?}"));
                seen.longest_read = seen.longest_read.max(frame.len());
                if let Some(gso) = whole.header().gso {
                    seen.kinds[gso.kind as usize] += 1;
                }
                forward(&whole, road.way, &mut buffer, &mut coalescer, &mut put);
            }
            coalescer.flush(&mut put);
        }
    }
    seen
}

fn forward(
    whole: &SuperFrame<'_>,
    way: Way,
    buffer: &mut [u8],
    coalescer: &mut Coalescer,
    put: &mut impl FnMut(VnetHeader, &[u8]),
) {
    match way {
        Way::Whole => put(whole.header(), whole.frame()),
        Way::Cut(most) => {
            let mut next = 0;
            while next < whole.segments() {
                let end = (next + most).min(whole.segments());
                let (header, length) = whole.cut(next..end, buffer).unwrap();
                put(header, &buffer[..length]);
                next = end;
            }
        }
        Way::Segment => {
            let count = whole.for_each_segment(buffer, |frame| put(VnetHeader::PLAIN, frame));
            assert_eq!(count, Some(whole.segments()));
        }
        Way::Coalesce => {
            let push = |frame: &[u8]| coalescer.push(VnetHeader::PLAIN, frame, put);
            let count = whole.for_each_segment(buffer, push);
            assert_eq!(count, Some(whole.segments()));
        }
    }
}

/// A transfer over both versions of IP, and one with a VLAN tag on the way. The longest frame
/// written is above `longer_than` and at most `longest`.
fn transfer_all(way: Way, longer_than: usize, longest: usize) {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    let offloads = pair.taps[0].offloads();
    assert!(offloads.csum && offloads.tso, "{offloads:?}");
    for (addresses, kind, tag) in [
        (V4, GsoKind::TcpV4, None),
        (V6, GsoKind::TcpV6, None),
        (V4, GsoKind::TcpV4, Some(0x200a)),
    ] {
        let seen = pair.joined(Road { way, tag }, || pair.transfer(addresses));
        assert!(seen.kinds[kind as usize] > 20, "{seen:?}");
        assert!(seen.longest_read > 20_000, "{seen:?}");
        let written = seen.longest_written;
        assert!(longer_than < written && written <= longest, "{seen:?}");
        pair.assert_no_errors();
    }
}

#[test]
fn super_frames_pass_whole() {
    transfer_all(Way::Whole, 20_000, READ_LEN);
}

#[test]
fn super_frames_pass_in_cuts() {
    transfer_all(Way::Cut(4), 1514, 18 + 60 + 60 + 4 * 1460);
}

#[test]
fn super_frames_pass_in_segments() {
    transfer_all(Way::Segment, 1000, 1518);
}

#[test]
fn segments_pass_put_together() {
    transfer_all(Way::Coalesce, 20_000, READ_LEN);
}

#[test]
fn datagrams_pass_in_super_frames() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    if !pair.taps[0].offloads().uso {
        let _ = writeln!(io::stderr(), "SKIPPED: the kernel offers no USO");
        return;
    }
    for way in [Way::Whole, Way::Cut(3), Way::Segment, Way::Coalesce] {
        for addresses in [V4, V6] {
            let seen = pair.joined(Road { way, tag: None }, || {
                exchange_datagrams(&pair, addresses)
            });
            assert!(seen.kinds[GsoKind::UdpL4 as usize] >= 10, "{seen:?}");
            assert!(seen.longest_read > 10_000, "{seen:?}");
            pair.assert_no_errors();
        }
    }
}

/// Ten times eleven datagrams in one call, the last one short.
fn exchange_datagrams(pair: &Pair, addresses: [&str; 2]) {
    let bind = |end: usize| {
        let address = SocketAddr::new(addresses[end].parse().unwrap(), 0);
        let socket = pair.netns[end].enter(|| UdpSocket::bind(address).unwrap());
        socket.unwrap()
    };
    let (sender, receiver) = (bind(0), bind(1));
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = receiver.local_addr().unwrap();
    // The first one waits for the neighbour's address.
    sender.send_to(b"hello", target).unwrap();
    let mut datagram = [0; 2000];
    assert_eq!(receiver.recv(&mut datagram).unwrap(), 5);
    raw::set_option(sender.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 1000).unwrap();
    for round in 0..10 {
        let bytes: Vec<u8> = (0..10_500).map(|at| pattern(at + round)).collect();
        sender.send_to(&bytes, target).unwrap();
        for expected in bytes.chunks(1000) {
            let length = receiver.recv(&mut datagram).unwrap();
            assert_eq!(&datagram[..length], expected);
        }
    }
}

#[test]
fn a_partial_checksum_is_completed_as_the_kernel_would() {
    in_netns(|| {
        let tap = Tap::open("t0", OFFLOAD).unwrap();
        block_on(async |netlink| {
            netlink.set_up("t0", true).await.unwrap();
            let address = V4[0].parse().unwrap();
            netlink.add_address("t0", address, 24).await.unwrap();
        });
        // A broadcast needs no neighbour's address.
        let socket = UdpSocket::bind("10.9.8.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(b"odd", "10.9.8.255:9").unwrap();
        let mut record = [0; 2048];
        let found = (0..400).find_map(|_| {
            let Ok(length) = tap.read(&mut record) else {
                thread::sleep(Duration::from_millis(5));
                return None;
            };
            let (header, frame) = VnetHeader::split(&record[..length]).unwrap();
            (frame[12..14] == [8, 0]).then(|| (header, frame.to_vec()))
        });
        let (header, mut frame) = found.expect("the datagram");
        assert!(header.needs_csum, "{header:?}");
        complete_checksum(header, &mut frame).unwrap();
        let sum = frame[26..34].iter().chain(&frame[34..]).enumerate();
        let sum: u32 = sum
            .map(|(at, &byte)| u32::from(byte) << if at % 2 == 0 { 8 } else { 0 })
            .sum();
        let sum = sum + 17 + 11;
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    });
}

#[test]
fn without_offloads_nothing_stands_before_a_frame() {
    in_netns(|| {
        let tap = Tap::open("t0", TapOptions::default()).unwrap();
        assert!(!tap.vnet());
        assert_eq!(tap.offloads(), Offloads::default());
        let error = tap.write_parts(&[0; VNET_LEN], &[0; 60]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_device_that_stays_is_left_without_offloads() {
    in_netns(|| {
        let persist = TapOptions {
            persist: true,
            ..OFFLOAD
        };
        for options in [persist, OFFLOAD] {
            let tap = Tap::open("t0", options).unwrap();
            assert!(tap.vnet());
            let (flags, _) = raw::tun_get_iff(tap.as_fd()).unwrap();
            assert_ne!(flags & libc::IFF_VNET_HDR, 0);
            assert_eq!(raw::tun_get_vnet(tap.as_fd()).unwrap(), (12, 1));
            // Dropped on a thread of another namespace, it must still find its own device.
            Netns::create().unwrap().enter(|| drop(tap)).unwrap();
            let tap = Tap::open("t0", TapOptions::default()).unwrap();
            assert!(tap.adopted());
            let (flags, _) = raw::tun_get_iff(tap.as_fd()).unwrap();
            assert_eq!(flags & libc::IFF_VNET_HDR, 0);
            assert_eq!(raw::tun_get_vnet(tap.as_fd()).unwrap(), (10, 0));
        }
    });
}
