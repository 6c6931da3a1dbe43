//! A spanning tree that hears whatever the input makes up.

use super::wire_bpdu;
use bridge::rstp::{Link, Rstp, RstpConfig, RstpEvent, RstpPortConfig, RstpSink};
use bridge::{PortId, PortState};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use wire::bpdu::Bpdu;
use wire::ethernet::Mac;

const PORTS: u8 = 4;
/// Of a step that the input describes: port, what happens, length, then a BPDU.
const STEP_HEAD: usize = 3;
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

struct Sink([PortState; PORTS as usize]);

impl RstpSink for Sink {
    fn send(&mut self, _: PortId, frame: &[u8]) {
        // Information that has gone in circles may be too old, but it is well-formed.
        use wire::bpdu::BpduError::Expired;
        assert!(matches!(Bpdu::parse_frame(frame), Ok(_) | Err(Expired)));
    }

    fn set_state(&mut self, port: PortId, state: PortState) {
        self.0[usize::from(port.0)] = state;
    }

    fn flush(&mut self, _: PortId) {}

    fn event(&mut self, event: RstpEvent) {
        assert_ne!(event, RstpEvent::Unsettled);
    }
}

/// Feeds the steps that `data` describes to a bridge, which must always come to rest.
pub fn run(data: &[u8]) {
    let mut sink = Sink([PortState::Discarding; PORTS as usize]);
    let mut rstp = bridge(&mut sink);
    let (mut now, mut rest) = (*START, data);
    while let Some((&[port, what, len], tail)) = rest.split_first_chunk::<STEP_HEAD>() {
        let (bytes, tail) = tail.split_at(tail.len().min(len.into()));
        rest = tail;
        let port = PortId(u16::from(port % (PORTS + 1)));
        match what {
            0..=9 => now += Duration::from_millis(u64::from(what) * 250),
            10 => _ = rstp.port_down(port, now, &mut sink),
            11 => _ = rstp.port_up(port, Link::default(), now, &mut sink),
            12 => _ = rstp.enable_port(port, now, &mut sink),
            13 => _ = rstp.check_migration(port, now, &mut sink),
            _ => {}
        }
        rstp.handle_timeout(now, &mut sink);
        if let Ok(bpdu) = Bpdu::parse(bytes) {
            rstp.handle_bpdu(port, bpdu, now, &mut sink);
        }
        let _ = rstp.handle_frame(port, bytes, now, &mut sink);
        let snapshot = rstp.snapshot();
        assert_eq!(snapshot.unsettled, 0);
        for port in &snapshot.ports {
            assert_eq!(
                sink.0[usize::from(port.port.0)],
                port.state,
                "as it was told"
            );
        }
    }
}

fn bridge(sink: &mut Sink) -> Rstp {
    let config = RstpConfig::new(Mac([2, 0, 0, 0, 0, 1]));
    let mut rstp = Rstp::new(&config, *START).expect("the defaults are valid");
    for id in 0..PORTS {
        let config = RstpPortConfig {
            root_guard: id == 2,
            bpdu_guard: id == 3,
            ..RstpPortConfig::default()
        };
        let port = PortId(u16::from(id));
        rstp.add_port(port, config, sink).expect("a new port");
        rstp.port_up(port, Link::default(), *START, sink);
    }
    rstp
}

/// Conversations of a few seconds.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let step =
        |port: u8, what: u8, bytes: &[u8]| [&[port, what, bytes.len() as u8][..], bytes].concat();
    let mut all = Vec::new();
    for bpdu in wire_bpdu::bpdus() {
        let bytes = &bpdu.encode()[..bpdu.len()];
        let mut talk = Vec::new();
        for second in 0..8 {
            talk.extend(step(second % PORTS, 4, bytes));
            talk.extend(step(0, 10 + second % 4, &[]));
        }
        all.push(talk);
    }
    all.push(
        wire_bpdu::bpdus()
            .map(|bpdu| step(1, 4, &bpdu.encode()))
            .concat(),
    );
    all
}
