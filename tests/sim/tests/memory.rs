//! What a node takes from the heap, counted.

use std::alloc::System;

use node::Mode;
use sim::{PairSpec, Shape, Sizes, StreamSpec, World, ms, pair, secs};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What an idle peer may keep, bytes.
const IDLE_PEER: usize = 256 << 10;

/// Heap of machine 0's node, bytes: what it gives back at its end.
fn heap_of(world: &mut World) -> usize {
    let node = world.hosts[0].node.take();
    let region = Region::new(COUNTED);
    drop(node);
    let change = region.change();
    change.bytes_deallocated - change.bytes_allocated
}

/// Two machines that have talked a lot, over a short line and one on which much is in flight.
fn busy(mode: Mode) -> World {
    let lines = [Shape::clean(ms(10)), Shape::clean(ms(250))];
    let mut world = pair(1, &PairSpec::new(mode, &lines));
    (0..2).for_each(|host| world.boot(host));
    world.run(secs(1));
    assert!(world.all_peers_up() && world.all_lines_up());
    world.add_conversation(&StreamSpec {
        sizes: Sizes::Mixed(1500),
        burst: 40,
        ..StreamSpec::steady(0, 1, 250)
    });
    world.run(secs(2));
    assert!(told(&world) > IDLE_PEER, "no load");
    world
}

/// What machine 0's node says that it holds, bytes.
fn told(world: &World) -> usize {
    let node = world.hosts[0].node.as_ref();
    node.map_or(0, node::Node::memory)
}

#[test]
fn an_idle_peer_gives_back_what_traffic_took() {
    for mode in [Mode::Failover, Mode::Balance, Mode::Redundant] {
        let mut world = busy(mode);
        world.lines[0].directions[0].shape.cut = true;
        world.run(secs(1)); // much is in flight where nothing is answered
        world.lines[0].directions[0].shape.cut = false;
        world
            .streams
            .iter_mut()
            .for_each(|stream| stream.paused = true);
        world.run(secs(25));
        world.assert_clean();
        let heap = heap_of(&mut world);
        assert!(heap <= IDLE_PEER, "{mode:?}: {heap} bytes");
    }
}

/// In a large segment somebody asks for an address every other second.
#[test]
fn so_does_one_that_hears_a_frame_now_and_then() {
    let mut world = busy(Mode::Failover);
    world
        .streams
        .iter_mut()
        .for_each(|stream| stream.paused = true);
    world.add_conversation(&StreamSpec {
        every: secs(2),
        ..StreamSpec::steady(0, 1, 1)
    });
    world.run(secs(31));
    world.assert_clean();
    let heap = heap_of(&mut world);
    assert!(heap <= IDLE_PEER, "{heap} bytes");
}
