//! BPDUs, alone and in frames.

use wire::bpdu::{Bpdu, BpduRole, BridgeIdentifier, ConfigBpdu, Message, RstBpdu, Times};
use wire::ethernet::Mac;

const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// Reads `data` as a frame and as a BPDU; what can be read is written back.
pub fn run(data: &[u8]) {
    for bpdu in [Bpdu::parse_frame(data), Bpdu::parse(data)]
        .into_iter()
        .flatten()
    {
        let bytes = bpdu.encode();
        assert_eq!(Bpdu::parse(&bytes[..bpdu.len()]), Ok(bpdu));
        assert_eq!(Bpdu::parse_frame(&bpdu.write_frame(SOURCE)), Ok(bpdu));
    }
}

/// What is in a BPDU of either kind.
#[must_use]
pub fn message() -> Message {
    Message {
        root: BridgeIdentifier::new(4096, SOURCE),
        root_path_cost: 20_000,
        bridge: BridgeIdentifier::new(32_768, SOURCE),
        times: Times {
            message_age: 256,
            max_age: 20 * 256,
            hello_time: 2 * 256,
            forward_delay: 15 * 256,
        },
        ..Message::default()
    }
}

/// One BPDU of each type.
#[must_use]
pub fn bpdus() -> [Bpdu; 3] {
    [
        Bpdu::Config(ConfigBpdu {
            message: message(),
            ..ConfigBpdu::default()
        }),
        Bpdu::Tcn,
        Bpdu::Rst(RstBpdu {
            role: BpduRole::Designated,
            proposal: true,
            message: message(),
            ..RstBpdu::default()
        }),
    ]
}

/// Each type, bare and in a frame.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let bare = bpdus().map(|bpdu| bpdu.encode()[..bpdu.len()].to_vec());
    let framed = bpdus().map(|bpdu| bpdu.write_frame(SOURCE).to_vec());
    bare.into_iter().chain(framed).collect()
}
