use super::*;
use proptest::prelude::*;

const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// Laid out by hand after clause 9.3.1 and 9.3.3.
const FIELDS: [u8; 30] = [
    0x10, 0, 2, 0, 0, 0, 0, 1, // root: priority 4096
    0, 0, 0x4e, 0x20, // cost 20,000
    0x80, 0, 2, 0, 0, 0, 0, 2, // bridge: priority 32768
    0x80, 3, // port 3, priority 128
    1, 0, 20, 0, 2, 0, 15, 0, // ages 1 and 20, hello 2, delay 15
];

fn message() -> Message {
    Message {
        root: BridgeIdentifier::new(4096, Mac([2, 0, 0, 0, 0, 1])),
        root_path_cost: 20_000,
        bridge: BridgeIdentifier::new(32_768, Mac([2, 0, 0, 0, 0, 2])),
        port: PortIdentifier::new(128, 3),
        times: Times {
            message_age: 256,
            max_age: 20 * 256,
            hello_time: 512,
            forward_delay: 15 * 256,
        },
    }
}

fn bytes(head: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, &FIELDS, tail].concat()
}

#[test]
fn layout_of_each_type() {
    let config = Bpdu::Config(ConfigBpdu {
        topology_change: true,
        topology_change_ack: true,
        message: message(),
    });
    let expected = bytes(&[0, 0, 0, 0, 0x81], &[]);
    assert_eq!(config.encode()[..config.len()], expected);
    assert_eq!(Bpdu::parse(&expected), Ok(config));

    let rst = Bpdu::Rst(RstBpdu {
        topology_change: true,
        proposal: true,
        role: BpduRole::Designated,
        learning: true,
        message: message(),
        ..RstBpdu::default()
    });
    let expected = bytes(&[0, 0, 2, 2, 0b0001_1111], &[0]);
    assert_eq!(rst.encode()[..rst.len()], expected);
    assert_eq!(Bpdu::parse(&expected), Ok(rst));

    assert_eq!(Bpdu::Tcn.encode()[..Bpdu::Tcn.len()], [0, 0, 0, 0x80]);
    assert_eq!(Bpdu::parse(&[0, 0, 0, 0x80]), Ok(Bpdu::Tcn));
}

#[test]
fn flags_one_by_one() {
    for (flags, expected) in [
        (1, "topology_change"),
        (2, "proposal"),
        (16, "learning"),
        (32, "forwarding"),
        (64, "agreement"),
    ] {
        let Ok(Bpdu::Rst(rst)) = Bpdu::parse(&bytes(&[0, 0, 2, 2, flags], &[0])) else {
            panic!("flag {flags}");
        };
        let text = format!("{rst:?}");
        assert!(text.contains(&format!("{expected}: true")), "{text}");
        assert_eq!(text.matches("true").count(), 1, "{text}");
    }
}

#[test]
fn what_does_not_count() {
    use BpduError::{Expired, Truncated, UnknownProtocol};
    let whole = bytes(&[0, 0, 2, 2, 0], &[0]);
    for len in 0..whole.len() {
        assert_eq!(Bpdu::parse(&whole[..len]), Err(Truncated), "{len}");
    }
    let config = bytes(&[0, 0, 0, 0, 0], &[]);
    assert_eq!(Bpdu::parse(&config[..34]), Err(Truncated));
    for head in [
        [0, 1, 0, 0, 0],
        [0, 0, 1, 2, 0],
        [0, 0, 0, 3, 0],
        [1, 0, 2, 2, 0],
    ] {
        assert_eq!(
            Bpdu::parse(&bytes(&head, &[0])),
            Err(UnknownProtocol),
            "{head:?}"
        );
    }
    let mut old = config;
    old[27] = 20;
    assert_eq!(Bpdu::parse(&old), Err(Expired));
    // Later versions are read as RST BPDUs, and what follows is left alone (clause 9.3.4).
    let multiple = bytes(&[0, 0, 3, 2, 0x7c], &[0, 0, 1, 2, 3]);
    assert!(matches!(Bpdu::parse(&multiple), Ok(Bpdu::Rst(_))));
}

#[test]
fn frames() {
    let frame = Bpdu::Tcn.write_frame(SOURCE);
    assert_eq!(
        frame[..21],
        [
            1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 7, 0x42, 0x42, 3, 0, 0, 0, 0x80
        ]
    );
    assert!(frame[21..].iter().all(|&byte| byte == 0));
    assert_eq!(Bpdu::parse_frame(&frame), Ok(Bpdu::Tcn));
    assert_eq!(Bpdu::parse_frame(&frame[..20]), Err(BpduError::Truncated));
    for (at, value) in [(5, 1), (12, 8), (14, 0xaa), (16, 0)] {
        let mut other = frame;
        other[at] = value;
        assert_eq!(
            Bpdu::parse_frame(&other),
            Err(BpduError::NotBpdu),
            "byte {at}"
        );
    }
}

#[test]
fn identifiers_are_ordered_and_shown() {
    let low = BridgeIdentifier::new(4096, Mac([0xff; 6]));
    let high = BridgeIdentifier::new(8192, Mac([0; 6]));
    assert!(low < high);
    assert_eq!((low.priority(), low.address()), (4096, Mac([0xff; 6])));
    assert_eq!(high.to_string(), "8192.00:00:00:00:00:00");
    let port = PortIdentifier::new(0x80, 4095);
    assert!(port < PortIdentifier::new(0x90, 1));
    assert_eq!((port.priority(), port.number()), (0x80, 4095));
    assert_eq!(port.to_string(), "128.4095");
}

proptest! {
    #[test]
    fn what_is_read_is_written_back(
        head in proptest::sample::select(vec![[0u8, 0, 0, 0], [0, 0, 2, 2], [0, 0, 0, 0x80]]),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let bytes = [&head[..], &tail].concat();
        if let Ok(bpdu) = Bpdu::parse(&bytes) {
            prop_assert_eq!(Bpdu::parse(&bpdu.encode()[..bpdu.len()]), Ok(bpdu));
            prop_assert_eq!(Bpdu::parse_frame(&bpdu.write_frame(SOURCE)), Ok(bpdu));
        }
    }
}
