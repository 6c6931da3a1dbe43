//! The smallest network: two machines and a perfect line.

use node::Mode;
use sim::{PairSpec, Shape, StreamSpec, ms, pair, secs};

#[test]
fn two_machines_and_one_perfect_line_carry_frames() {
    let mut world = pair(1, &PairSpec::new(Mode::Failover, &[Shape::clean(ms(10))]));
    let ids = world.add_conversation(&StreamSpec::steady(0, 1, 100));
    world.boot(0);
    world.boot(1);
    world.run(secs(1));
    let from = world.now;
    world.run(secs(5));
    let to = world.now - ms(50);
    for id in ids {
        let stream = &world.streams[usize::from(id)];
        assert_eq!(stream.lost(from, to), 0);
        assert!(stream.arrived(from, to) > 450);
    }
    world.assert_clean();
}
