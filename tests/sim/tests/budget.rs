//! What an idle pair costs.
#![allow(clippy::print_stderr, reason = "the measured bytes are worth reading")]

use node::{Mode, Role, RoleCode};
use sim::{PairSpec, Shape, StreamSpec, World, ms, pair, secs};

const METERED: RoleCode = RoleCode {
    role: Role::Metered,
    overflow: false,
};

fn idle(spec: &PairSpec) -> World {
    let mut world = pair(1, spec);
    world.boot(0);
    world.boot(1);
    world.add_conversation(&StreamSpec::steady(0, 1, 100));
    world.run(secs(5));
    world.apply(sim::Fault::Pause(true));
    world.run(secs(60));
    world
}

/// Bytes a day of IP, per line and direction, measured over an hour.
fn daily(world: &mut World) -> Vec<u64> {
    const HEADERS: u64 = 28;
    let counters = |world: &World| -> Vec<(u64, u64)> {
        let lines = world.lines.iter();
        let directions = lines.flat_map(|line| {
            (0..2).map(|end| {
                let (host, uplink) = line.ends[end];
                let direction = &line.directions[end];
                (
                    world.hosts[host].sent_bytes[usize::from(uplink)],
                    direction.carried + direction.lost,
                )
            })
        });
        directions.collect()
    };
    let before = counters(world);
    world.run(secs(3600));
    let after = counters(world);
    let hours = before
        .iter()
        .zip(after)
        .map(|(b, a)| a.0 - b.0 + (a.1 - b.1) * HEADERS);
    hours.map(|bytes| bytes * 24).collect()
}

#[test]
fn an_idle_hour_is_cheap() {
    for mode in [Mode::Failover, Mode::Balance, Mode::Redundant] {
        let mut world = idle(&PairSpec::new(
            mode,
            &[Shape::clean(ms(10)), Shape::clean(ms(30))],
        ));
        let daily = daily(&mut world);
        eprintln!("idle, {mode:?}: {daily:?} bytes a day per line and direction");
        assert!(daily.iter().all(|&bytes| bytes <= 2_000_000), "{daily:?}");
        assert!(world.all_lines_up());
        world.assert_clean();
    }
}

#[test]
fn a_metered_standby_is_cheaper() {
    let mut spec = PairSpec::new(
        Mode::Failover,
        &[Shape::clean(ms(10)), Shape::clean(ms(30))],
    );
    spec.roles = [vec![RoleCode::default(), METERED], vec![]];
    let mut world = idle(&spec);
    let daily_idle = daily(&mut world);
    eprintln!("metered standby, idle: {daily_idle:?} bytes a day");
    assert!(
        daily_idle[2..].iter().all(|&bytes| bytes <= 500_000),
        "{daily_idle:?}"
    );
    world.apply(sim::Fault::Pause(false));
    let daily_busy = daily(&mut world);
    eprintln!("metered standby, beside traffic: {daily_busy:?} bytes a day");
    assert!(
        daily_busy[2..].iter().all(|&bytes| bytes <= 500_000),
        "{daily_busy:?}"
    );
    world.assert_clean();
}

#[test]
fn a_dead_line_of_an_idle_pair_is_cheap_too() {
    let mut spec = PairSpec::new(
        Mode::Failover,
        &[
            Shape::clean(ms(10)),
            Shape::clean(ms(30)),
            Shape::clean(ms(30)),
        ],
    );
    spec.roles = [
        vec![RoleCode::default(), RoleCode::default(), METERED],
        vec![],
    ];
    let mut world = idle(&spec);
    for line in [1, 2] {
        world.apply(sim::Fault::Cut {
            line,
            direction: 2,
            cut: true,
        });
    }
    world.run(secs(1200));
    let daily = daily(&mut world);
    eprintln!("dead lines, idle: {daily:?} bytes a day");
    assert!(
        daily[..4].iter().all(|&bytes| bytes <= 2_000_000),
        "{daily:?}"
    );
    assert!(
        daily[4..].iter().all(|&bytes| bytes <= 500_000),
        "{daily:?}"
    );
    world.assert_clean();
}

#[test]
fn a_pair_that_cannot_meet_is_cheap() {
    let mut world = pair(
        1,
        &PairSpec::new(Mode::Failover, &[Shape::clean(ms(10)); 2]),
    );
    world.boot(0);
    world.run(secs(1200));
    let before: u64 = world.hosts[0].sent_bytes.iter().sum();
    world.run(secs(3600));
    let hour = world.hosts[0].sent_bytes.iter().sum::<u64>() - before;
    eprintln!("alone: {} bytes an hour on two lines", hour);
    assert!(hour <= 2_000_000, "{hour}");
    world.assert_clean();
}
