use super::*;
use crate::flow::flow_hash;
use crate::segment::complete_checksum;
use crate::superframe::SuperFrame;
use crate::superframe::tests::{Recipe, recipes};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Frames = Vec<(VnetHeader, Vec<u8>)>;

/// The plain frames that a super-frame of this recipe is cut into.
fn plain(recipe: &Recipe) -> Frames {
    let (header, frame) = recipe.make();
    segments(header, &frame)
}

fn segments(header: VnetHeader, frame: &[u8]) -> Frames {
    let whole = SuperFrame::check(header, frame).expect("well-formed");
    let mut buffer = vec![0; whole.shape().segment_len()];
    let mut frames = Vec::new();
    whole
        .for_each_segment(&mut buffer, |segment| {
            frames.push((VnetHeader::PLAIN, segment.to_vec()));
        })
        .expect("there is room");
    frames
}

/// What comes of a batch.
fn coalesced(frames: &[(VnetHeader, Vec<u8>)]) -> Frames {
    let mut out = Vec::new();
    let mut coalescer = Coalescer::new();
    for (header, frame) in frames {
        coalescer.push(*header, frame, &mut |header, frame| {
            out.push((header, frame.to_vec()));
        });
    }
    coalescer.flush(&mut |header, frame| out.push((header, frame.to_vec())));
    coalescer.flush(&mut |_, _| panic!("nothing is left"));
    out
}

/// How many segments each frame that comes of a batch has.
fn counts(frames: &[(VnetHeader, Vec<u8>)]) -> Vec<usize> {
    let count = |(header, frame): &(VnetHeader, Vec<u8>)| {
        SuperFrame::check(*header, frame).unwrap().segments()
    };
    coalesced(frames).iter().map(count).collect()
}

fn four() -> Recipe {
    Recipe {
        flags: 0x10,
        ..Recipe::new(GsoKind::TcpV4, 100, 400)
    }
}

/// Changes a plain frame without tags and makes its checksums right again.
fn bent(frame: &(VnetHeader, Vec<u8>), bend: impl Fn(&mut [u8])) -> (VnetHeader, Vec<u8>) {
    let mut frame = frame.1.clone();
    bend(&mut frame);
    let length = (frame.len() - 34) as u16;
    let pseudo = crate::checksum::Sum::new().bytes(&frame[26..34]).word(6);
    frame[50..52].copy_from_slice(&pseudo.word(length).folded().to_be_bytes());
    frame[24..26].fill(0);
    let checksum = crate::checksum::Sum::new().bytes(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    let partial = VnetHeader {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 16,
        ..VnetHeader::PLAIN
    };
    complete_checksum(partial, &mut frame).unwrap();
    (VnetHeader::PLAIN, frame)
}

#[test]
fn segments_become_what_they_were_cut_from() {
    for kind in [GsoKind::TcpV4, GsoKind::TcpV6] {
        let recipe = Recipe::new(kind, 1448, 40_000);
        let (header, frame) = recipe.make();
        let whole = SuperFrame::check(header, &frame).unwrap();
        assert_eq!(
            coalesced(&plain(&recipe)),
            [(whole.header(), frame.clone())]
        );
    }
}

#[test]
fn what_differs_is_not_put_together() {
    let frames = plain(&four());
    assert_eq!(counts(&frames), [4]);
    type Bend = fn(&mut [u8]);
    let bends: [(Bend, &[usize]); 17] = [
        (|f| f[0] ^= 1, &[2, 1, 1]),     // destination address
        (|f| f[15] ^= 3, &[2, 1, 1]),    // congestion experienced
        (|f| f[15] ^= 4, &[2, 1, 1]),    // traffic class
        (|f| f[22] -= 1, &[2, 1, 1]),    // TTL
        (|f| f[20] = 0, &[2, 1, 1]),     // may be fragmented
        (|f| f[19] ^= 8, &[2, 1, 1]),    // identification
        (|f| f[41] ^= 8, &[2, 1, 1]),    // sequence
        (|f| f[45] ^= 1, &[2, 1, 1]),    // acknowledgement
        (|f| f[46] ^= 1, &[2, 1, 1]),    // a reserved bit
        (|f| f[47] |= 0x40, &[2, 1, 1]), // ECE
        (|f| f[47] |= 0x80, &[2, 1, 1]), // CWR
        (|f| f[47] |= 0x20, &[2, 1, 1]), // URG
        (|f| f[47] |= 0x04, &[2, 1, 1]), // RST
        (|f| f[49] ^= 1, &[2, 1, 1]),    // window
        (|f| f[61] ^= 1, &[2, 1, 1]),    // timestamp
        (|f| f[47] |= 0x08, &[3, 1]),    // PSH
        (|f| f[47] |= 0x01, &[3, 1]),    // FIN
    ];
    for (i, (bend, expected)) in bends.into_iter().enumerate() {
        let mut frames = frames.clone();
        frames[2] = bent(&frames[2], bend);
        assert_eq!(counts(&frames), expected, "case {i}");
        let again: Frames = coalesced(&frames)
            .iter()
            .flat_map(|(header, frame)| segments(*header, frame))
            .collect();
        assert_eq!(again, frames, "case {i}");
    }
}

#[test]
fn other_flows_pass_between_and_their_own_order_is_kept() {
    let frames = plain(&four());
    let mut other = plain(&Recipe { tags: 1, ..four() });
    let arp = (
        VnetHeader::PLAIN,
        [&[0xff; 12][..], &[8, 6], &[0; 28]].concat(),
    );
    let mut batch = frames.clone();
    batch.splice(2..2, [other.remove(0), arp.clone(), other.remove(0)]);
    assert_eq!(counts(&batch), [1, 4, 2]);
    // A pure acknowledgement of the flow waits for what came before it.
    let mut acknowledgement = frames[2].1.clone();
    acknowledgement.truncate(66);
    acknowledgement[17] = 52;
    let mut batch = frames.clone();
    batch.insert(2, (VnetHeader::PLAIN, acknowledgement));
    assert_eq!(counts(&batch), [2, 1, 2]);
    // So does a fragment, whatever its flow is.
    let mut fragment = arp;
    fragment.1[12..14].copy_from_slice(&[8, 0]);
    fragment.1[14..24].copy_from_slice(&[0x45, 0, 0, 28, 0, 0, 0x20, 0, 64, 6]);
    let mut batch = frames;
    batch.insert(2, fragment);
    assert_eq!(counts(&batch), [2, 1, 2]);
}

#[test]
fn damage_is_not_hidden() {
    for at in [24, 30, 50, 70, 165] {
        let mut frames = plain(&four());
        frames[2].1[at] ^= 0x10;
        let out = coalesced(&frames);
        assert!(out.contains(&frames[2]), "byte {at}");
    }
}

#[test]
fn what_ends_a_super_frame() {
    let frames = plain(&Recipe {
        payload: vec![7; 350],
        ..four()
    });
    let mut next = plain(&Recipe {
        sequence: four().sequence.wrapping_add(350),
        identification: four().identification.wrapping_add(4),
        ..four()
    });
    next.truncate(2);
    assert_eq!(counts(&[frames, next].concat()), [4, 2]);
    // One that asks to be delivered at once waits for none, even the first.
    let mut frames = plain(&four());
    frames[0] = bent(&frames[0], |bytes| bytes[47] |= 0x08);
    assert_eq!(counts(&frames), [1, 3]);
    // A longer one begins anew.
    let short = plain(&Recipe {
        payload: vec![7; 50],
        size: 50,
        ..four()
    });
    let long = plain(&Recipe {
        sequence: four().sequence.wrapping_add(50),
        identification: four().identification.wrapping_add(1),
        ..four()
    });
    assert_eq!(counts(&[short, long].concat()), [1, 4]);
}

#[test]
fn identifications_count_up_or_stay() {
    let frames = plain(&four());
    let with = |numbers: [u8; 4], forbidden: bool| {
        let renumbered = frames.iter().zip(numbers).map(|(frame, number)| {
            bent(frame, |bytes| {
                bytes[18..20].copy_from_slice(&[0, number]);
                bytes[20] = if forbidden { 0x40 } else { 0 };
            })
        });
        counts(&renumbered.collect::<Vec<_>>())
    };
    assert_eq!(with([1, 2, 3, 4], false), [4]);
    assert_eq!(with([0, 0, 0, 0], true), [4]);
    assert_eq!(with([0, 0, 0, 0], false), [1, 1, 1, 1]);
    assert_eq!(with([0, 1, 1, 1], true), [2, 2]);
    assert_eq!(with([0, 0, 2, 3], true), [2, 2]);
}

#[test]
fn partial_checksums_are_taken_as_they_are() {
    let (header, frame) = four().make();
    let whole = SuperFrame::check(header, &frame).unwrap();
    let partial: Frames = (0..4)
        .map(|index| {
            let mut out = vec![0; frame.len()];
            let (header, length) = whole.cut(index..index + 1, &mut out).unwrap();
            out.truncate(length);
            (header, out)
        })
        .collect();
    assert_eq!(coalesced(&partial), [(whole.header(), frame.clone())]);
    let mut wrong = partial.clone();
    wrong[2].1[50] ^= 1;
    assert_eq!(counts(&wrong), [2, 1, 1]);
    // A super-frame goes on at once, behind what came before.
    let mut batch = partial;
    batch.insert(1, (whole.header(), frame));
    assert_eq!(counts(&batch), [1, 4, 3]);
}

#[test]
fn flows_and_lengths_are_bounded() {
    let batch: Frames = (0..2 * FLOWS)
        .map(|flow| {
            let frames = plain(&four());
            bent(&frames[0], |bytes| bytes[35] = flow as u8)
        })
        .collect();
    assert_eq!(coalesced(&batch), batch, "the oldest gives way");

    let long = Recipe {
        payload: vec![1; 65_000],
        size: 1000,
        ..four()
    };
    let mut batch = plain(&long);
    batch.extend(plain(&Recipe {
        sequence: long.sequence.wrapping_add(65_000),
        identification: long.identification.wrapping_add(65),
        ..long
    }));
    assert_eq!(counts(&batch), [65, 65]);
    assert!(
        coalesced(&batch)
            .iter()
            .all(|(_, frame)| frame.len() <= MAX_LEN)
    );
}

/// A plain frame, by flow: which TCP recipe it is of, what happens to it.
#[derive(Clone, Debug)]
struct Step {
    flow: usize,
    skip: bool,
    bend: Option<(usize, u8)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bend = proptest::option::weighted(0.1, (12usize..200, any::<u8>()));
    let step = (0usize..10, proptest::bool::weighted(0.05), bend)
        .prop_map(|(flow, skip, bend)| Step { flow, skip, bend });
    proptest::collection::vec(step, 0..80)
}

proptest! {
    /// Cutting what was put together gives, flow by flow, the very frames that went in.
    #[test]
    fn nothing_is_lost_changed_or_overtaken(
        recipes in proptest::collection::vec(recipes(), 10), steps in steps(),
    ) {
        let mut left: Vec<_> = recipes.iter().enumerate().map(|(i, recipe)| {
            let frames = plain(&Recipe { size: recipe.size.max(70), port: i as u16, ..recipe.clone() });
            frames.into_iter()
        }).collect();
        let mut batch = Frames::new();
        for step in steps {
            let Some((header, mut frame)) = left[step.flow].next().filter(|_| !step.skip) else {
                continue;
            };
            if let Some((at, value)) = step.bend && let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
            batch.push((header, frame));
        }
        let by_flow = |frames: &[(VnetHeader, Vec<u8>)]| {
            let mut flows: BTreeMap<u32, Frames> = BTreeMap::new();
            for (header, frame) in frames {
                let pieces = segments(*header, frame);
                flows.entry(flow_hash(frame)).or_default().extend(pieces);
            }
            flows
        };
        prop_assert_eq!(by_flow(&coalesced(&batch)), by_flow(&batch));
    }

    #[test]
    fn a_whole_comes_back(recipe in recipes()) {
        prop_assume!(recipe.kind != GsoKind::UdpL4);
        let recipe = Recipe { flags: recipe.flags & 0x59 | 0x10, ..recipe };
        let (header, frame) = recipe.make();
        let whole = SuperFrame::check(header, &frame).unwrap();
        let out = coalesced(&plain(&recipe));
        prop_assert_eq!(out.len(), 1);
        if whole.segments() > 1 {
            prop_assert_eq!(&out[0], &(whole.header(), frame));
        }
    }
}
