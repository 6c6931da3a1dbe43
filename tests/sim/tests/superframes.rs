//! Super-frames: carried whole, cut where they must be, and of a damaged one all that arrived.

use node::{Mode, PortVlans, VlanId};
use sim::{PairSpec, Shape, Sizes, StreamSpec, World, ms, pair, secs};

fn stream(payload: usize, burst: u32) -> StreamSpec {
    StreamSpec {
        sizes: Sizes::Fixed(payload),
        burst,
        offload: true,
        ..StreamSpec::steady(0, 1, 50)
    }
}

fn running(seed: u64, spec: &PairSpec) -> World {
    let mut world = pair(seed, spec);
    world.boot(0);
    world.boot(1);
    world.run(secs(1));
    world
}

#[test]
fn segments_arrive_as_frames_with_all_their_tags() {
    let ten = VlanId::new(10).unwrap();
    let mut spec = PairSpec::new(Mode::Balance, &[Shape::clean(ms(5)); 2]);
    spec.ports = vec![PortVlans::Transparent, PortVlans::Access(ten)];
    let mut world = running(1, &spec);
    for (payload, vlan, inner, to) in [
        (1500, 0, None, 0),
        (1000, 10, None, 0),
        (700, 10, None, 1),
        (300, 10, Some((0x8100, 20)), 0),
        (46, 0, Some((0x88a8, 5)), 0),
    ] {
        world.add_conversation(&StreamSpec {
            vlan,
            inner,
            to: (1, to),
            ..stream(payload, 40)
        });
    }
    let from = world.now;
    world.run(secs(5));
    assert_eq!(world.lost(from, world.now - ms(100)), 0);
    world.assert_clean();
}

#[test]
fn a_lost_datagram_does_not_cost_the_whole() {
    let line = Shape {
        loss: 0.01,
        ..Shape::clean(ms(5))
    };
    let mut world = running(2, &PairSpec::new(Mode::Failover, &[line]));
    world.add_stream(stream(1400, 40));
    let from = world.now;
    world.run(secs(20));
    let (until, all) = (world.now - ms(100), 20 * 50 * 40);
    let lost = world.lost(from, until);
    // In about 40 datagrams of which each hundredth is lost: two segments each, all where it had the headers.
    assert!(
        (all / 100..all * 45 / 1000).contains(&lost),
        "{lost} of {all}"
    );
    world.assert_clean();
}

#[test]
fn what_overtakes_inside_a_super_frame_arrives_once() {
    let line = Shape {
        jitter: ms(3),
        overtaking: true,
        duplicate: 0.02,
        ..Shape::clean(ms(5))
    };
    for mode in [Mode::Failover, Mode::Redundant] {
        let mut world = running(3, &PairSpec::new(mode, &[line; 2]));
        world.add_conversation(&stream(1400, 40));
        let from = world.now;
        world.run(secs(10));
        assert_eq!(world.lost(from, world.now - ms(100)), 0);
        world.assert_clean();
    }
}
