//! A host whose network card the test holds: it sends what the test writes, and hears everything.

use anyhow::Result;
use lab::{Namespace, Plug, Veth};
use sys::PacketSocket;
use sys::packet::FrameBuffers;
use sys::tap::VNET_LEN;

/// See the module.
pub struct Station {
    /// The host; its kernel can speak too.
    pub host: Namespace,
    socket: PacketSocket,
    buffers: FrameBuffers,
}

impl Station {
    /// A host with the interface `eth0`, joined with the interface `device`, which is made on `switch`.
    pub fn plug(switch: &Namespace, device: &str) -> Result<Self> {
        let host = Namespace::new("station")?;
        // Nothing but what the test sends shall come from here.
        host.sysctl("ipv6/conf/all/disable_ipv6", "1")?;
        Veth::join(Plug::new(&host, "eth0"), Plug::new(switch, device))?;
        let index = host.link("eth0")?.index;
        let socket = host.enter(|| PacketSocket::open(index))??;
        Ok(Self {
            host,
            socket,
            buffers: FrameBuffers::new(),
        })
    }

    /// Sends a frame, with the tags that it has.
    pub fn send(&mut self, frame: &[u8]) {
        let refused = self.socket.send(&[0; VNET_LEN], frame) + self.socket.flush();
        assert_eq!(refused, 0, "the station's own card refused a frame");
    }

    /// All that has arrived since the last call, but for IPv6: kernels speak that by themselves on an
    /// interface that comes up, as the switch's did before the daemon was there.
    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while self.socket.receive(&mut self.buffers).is_ok() {
            let records = self.buffers.records();
            let frame = records.map(|record| record[VNET_LEN..].to_vec());
            frames.extend(frame.filter(|frame| !is_ipv6(frame)));
        }
        frames
    }
}

fn is_ipv6(frame: &[u8]) -> bool {
    let mut at = 12;
    while frame.get(at..at + 2) == Some(&[0x81, 0]) {
        at += 4;
    }
    frame.get(at..at + 2) == Some(&[0x86, 0xdd])
}

/// To everybody.
pub const ALL: [u8; 6] = [0xff; 6];

/// An address of a station.
pub fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

/// A frame with these tags (type and control information), to be told from others by `mark`.
pub fn frame(from: u8, to: [u8; 6], tags: &[(u16, u16)], mark: u8) -> Vec<u8> {
    let mut frame = [to, mac(from)].concat();
    for (kind, tci) in tags {
        frame.extend(kind.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    // An EtherType for experiments (IEEE 802).
    frame.extend([0x88, 0xb6, mark]);
    frame.extend([0; 60]);
    frame
}
