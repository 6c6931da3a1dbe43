//! Whole networks under random faults, from a seed each: `ROPEWALK_SITE_SEEDS=5000` for more,
//! `ROPEWALK_SITE_SEED=7` for one, told in full.

use super::world::{Cut, State, VLANS, Weather, World, ms, world};

const SITES: [&[(&str, usize)]; 4] = [
    &[("office", 2), ("", 1)],
    &[("office", 2), ("works", 2)],
    &[("office", 3), ("", 1)],
    &[("office", 2), ("", 1), ("", 1)],
];

fn random_fault(world: &mut World) {
    let count = world.nodes.len() as u64;
    let node = world.dice.below(count) as usize;
    let other = world.dice.below(count) as usize;
    match world.dice.below(12) {
        0 | 1 => world.stop(node),
        2..=4 => world.resume(node),
        5 => world.crash(node),
        6 | 7 => world.restart(node),
        8 => {
            let up = world.dice.chance(700);
            world.set_lan(node, up);
        }
        kind => {
            // Beacons may be lost one way: who loses them both ways has a split LAN, another matter.
            let cut = if kind == 9 {
                Cut::Lan(node, other)
            } else {
                Cut::Wan(node, other)
            };
            let back = matches!(cut, Cut::Lan(..)) && world.is_cut(Cut::Lan(other, node));
            if world.is_cut(cut) {
                world.mend(cut);
            } else if !back && node != other {
                world.cut(cut);
            }
        }
    }
}

fn repair_all(world: &mut World) {
    for node in 0..world.nodes.len() {
        match world.nodes[node].state {
            State::Running => {}
            State::Stopped => world.resume(node),
            State::Crashed => world.restart(node),
        }
        world.set_lan(node, true);
        for other in 0..world.nodes.len() {
            for cut in [Cut::Lan(node, other), Cut::Wan(node, other)] {
                while world.is_cut(cut) {
                    world.mend(cut);
                }
            }
        }
    }
}

fn run(seed: u64, trace: bool) {
    let sites = SITES[(seed % SITES.len() as u64) as usize];
    let mut world = world(sites, seed);
    world.trace = trace;
    let far = world.dice.below(3) * 10;
    world.weather = Weather {
        lan: (1, 1 + world.dice.below(3)),
        wan: (1 + far, 2 + far + world.dice.below(20)),
        loss: world.dice.below(100),
        twice: 50,
    };
    world.liveness = ms(40 + world.dice.below(200));
    for node in 0..world.nodes.len() {
        let ppm = world.dice.below(1001) as i64 - 500;
        let shift = ms(world.dice.below(1_000_000));
        world.set_clock(node, ppm, shift);
    }
    world.run(ms(world.now.as_millis() as u64 + 1000));
    for _ in 0..40 {
        random_fault(&mut world);
        let pause = [5, 30, 110, 400][world.dice.below(4) as usize];
        let pause = 1 + world.dice.below(pause);
        world.run(world.now + ms(pause));
    }
    repair_all(&mut world);
    world.weather.loss = 0;
    let took = world.run_until_carried(ms(2000));
    assert!(
        took.is_some(),
        "not every VLAN is carried 2 s after the last repair"
    );
    world.run(world.now + ms(3000));
    // It may be handing over just now.
    let pairs = sites.len() * (sites.len() - 1) / 2;
    let whole = |world: &World| VLANS.iter().all(|&id| world.carrying(id).len() == pairs);
    let limit = world.now + ms(150);
    while !whole(&world) {
        assert!(
            world.now < limit,
            "not every pair of sites is joined in the end"
        );
        world.run(world.now + ms(1));
    }
}

#[test]
fn seeds() {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("ROPEWALK_SITE_SEED") {
        return run(seed, true);
    }
    let count = number("ROPEWALK_SITE_SEEDS").unwrap_or(100);
    let first = number("ROPEWALK_SITE_FIRST").unwrap_or(0);
    let mut failing = Vec::new();
    for seed in first..first + count {
        if std::panic::catch_unwind(|| run(seed, false)).is_err() {
            println!("failing seed: ROPEWALK_SITE_SEED={seed} cargo test -p ropewalk-bridge seeds");
            failing.push(seed);
        }
    }
    assert!(failing.is_empty(), "failing seeds: {failing:?}");
}
