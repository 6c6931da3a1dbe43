//! Single faults with the times they cost, and every pair of faults on a small network.

use super::world::{Cut, State, VLANS, World, ms, world};
use std::time::Duration;

const OFFICE: [(&str, usize); 2] = [("office", 2), ("", 1)];
const TWO_BY_TWO: [(&str, usize); 2] = [("office", 2), ("works", 2)];

/// A network that has settled: everything is ready, and every VLAN is carried.
fn settled(sites: &[(&str, usize)]) -> World {
    let mut world = world(sites, 1);
    world.run(ms(3000));
    assert_carried(&world, "at first");
    world
}

fn assert_carried(world: &World, when: &str) {
    for id in VLANS {
        assert_eq!(world.carrying(id).len(), 1, "VLAN {id} {when}");
    }
}

/// The longest time, over the phases of a beacon's period, in which some VLAN is not carried.
fn gap(sites: &[(&str, usize)], fault: impl Fn(&mut World)) -> Duration {
    let mut longest = Duration::ZERO;
    let mut settled = settled(sites);
    for _ in 0..10 {
        settled.run(settled.now + ms(7));
        let mut world = settled.clone();
        fault(&mut world);
        let began = world.now;
        let mut last = began;
        while world.now < began + ms(1500) {
            world.run(world.now + ms(1));
            if VLANS.iter().any(|&id| serving(&world, id).is_none()) {
                last = world.now;
            }
        }
        longest = longest.max(last - began);
        assert_carried(&world, "after the fault");
    }
    longest
}

/// The pair that carries a VLAN and is really there.
fn serving(world: &World, id: u16) -> Option<(usize, usize)> {
    let &(a, b) = world.carrying(id).first()?;
    let runs = |node: usize| world.nodes[node].state == State::Running;
    let lan = |node: usize| world.nodes[node].lan_up;
    let wan = !world.is_cut(Cut::Wan(a, b)) && !world.is_cut(Cut::Wan(b, a));
    (runs(a) && runs(b) && lan(a) && lan(b) && wan).then_some((a, b))
}

#[test]
fn vlans_are_spread_over_the_gateways() {
    for sites in [&OFFICE, &TWO_BY_TWO] {
        let world = settled(sites);
        let holders: Vec<usize> = VLANS
            .iter()
            .map(|&id| serving(&world, id).unwrap().0)
            .collect();
        assert_ne!(holders[0], holders[1]);
    }
}

#[test]
fn a_gateway_that_dies_or_freezes_costs_150_ms() {
    for sites in [&OFFICE, &TWO_BY_TWO] {
        let killed = gap(sites, |world| world.crash(0));
        let frozen = gap(sites, |world| world.stop(0));
        println!("killed {killed:?} frozen {frozen:?}");
        assert!(
            killed <= ms(150) && frozen <= ms(150),
            "{killed:?} {frozen:?}"
        );
    }
}

#[test]
fn a_dead_line_or_lan_port_costs_150_ms() {
    for sites in [&OFFICE, &TWO_BY_TWO] {
        let line = gap(sites, |world| {
            for remote in 2..world.nodes.len() {
                world.cut(Cut::Wan(0, remote));
                world.cut(Cut::Wan(remote, 0));
            }
        });
        let port = gap(sites, |world| world.set_lan(0, false));
        println!("line {line:?} port {port:?}");
        assert!(line <= ms(150) && port <= ms(150), "{line:?} {port:?}");
    }
}

#[test]
fn a_planned_hand_over_costs_little_more_than_a_round_trip() {
    for sites in [&OFFICE, &TWO_BY_TWO] {
        let drain = gap(sites, |world| {
            let now = world.clock(0);
            for remote in 2..world.nodes.len() {
                world.nodes[0].sites.set_drained(remote as u16, true, now);
            }
        });
        let priority = gap(sites, |world| {
            let now = world.clock(0);
            world.nodes[0].sites.set_priority(200, &[], now);
        });
        println!("drain {drain:?} priority {priority:?}");
        assert!(
            drain <= ms(10) && priority <= ms(10),
            "{drain:?} {priority:?}"
        );
    }
}

#[test]
fn a_gateway_that_comes_back_costs_little_more_than_a_round_trip() {
    for sites in [&OFFICE, &TWO_BY_TWO] {
        let mut world = settled(sites);
        world.crash(0);
        world.run(world.now + ms(1000));
        world.restart(0);
        let (mut gap, mut longest) = (0, 0);
        for _ in 0..4000 {
            world.run(world.now + ms(1));
            let carried = VLANS.iter().all(|&id| serving(&world, id).is_some());
            gap = if carried { 0 } else { gap + 1 };
            longest = longest.max(gap);
        }
        println!("healed: {longest} ms");
        assert!(longest <= 10, "{longest}");
        let holders: Vec<usize> = VLANS
            .iter()
            .map(|&id| serving(&world, id).unwrap().0)
            .collect();
        assert_ne!(holders[0], holders[1], "it has its VLAN back");
    }
}

#[test]
fn the_death_of_a_gateway_that_does_not_forward_disturbs_nobody() {
    let mut settled = settled(&OFFICE);
    for at in [0, 1] {
        let now = settled.clock(at);
        let priority = if at == 0 { 200 } else { 100 };
        settled.nodes[at].sites.set_priority(priority, &[], now);
    }
    settled.run(settled.now + ms(100));
    for _ in 0..20 {
        settled.run(settled.now + ms(3));
        let mut world = settled.clone();
        world.crash(1);
        for _ in 0..500 {
            world.run(world.now + ms(1));
            for id in VLANS {
                assert_eq!(serving(&world, id), Some((0, 2)), "at {:?}", world.now);
            }
        }
    }
}

/// One way or both ways: the remote gateway still hears both.
#[test]
fn beacons_that_are_lost_make_no_second_forwarder() {
    for sites in [&OFFICE, &TWO_BY_TWO] {
        for cuts in [
            vec![Cut::Lan(0, 1)],
            vec![Cut::Lan(1, 0)],
            vec![Cut::Lan(0, 1), Cut::Lan(1, 0)],
        ] {
            let mut world = settled(sites);
            cuts.iter().for_each(|&cut| world.cut(cut));
            world.run(world.now + ms(8000));
            assert_carried(&world, "while beacons are lost");
            cuts.iter().for_each(|&cut| world.mend(cut));
            world.run(world.now + ms(3000));
            assert_carried(&world, "afterwards");
        }
    }
}

/// Every gateway then speaks for its site; what remote gateways say of each other's leases is all
/// that keeps a second pair from forming.
#[test]
fn both_lans_fall_silent_at_nearly_the_same_time() {
    let mut settled = settled(&TWO_BY_TWO);
    for phase in 0..3 {
        settled.run(settled.now + ms(7));
        for offset in [0, 3, 20] {
            for wan in [(2, 2), (2, 9), (1, 30)] {
                let mut world = settled.clone();
                world.weather.wan = wan;
                world.run(world.now + ms(1000));
                for (cut, wait) in [(Cut::Lan(0, 1), offset), (Cut::Lan(2, 3), 2000)] {
                    world.cut(cut);
                    world.cut(reverse(cut));
                    world.run(world.now + ms(wait));
                }
                let when = format!("phase {phase}, {offset} ms apart, lines of {wan:?} ms");
                assert_carried(&world, &when);
            }
        }
    }
}

/// Two lines, each from one gateway to one: the speakers of both sites must be at the same line.
#[test]
fn a_line_that_dies_when_each_leads_to_one_gateway() {
    let mut world = world(&TWO_BY_TWO, 1);
    world.unlink(0, 3);
    world.unlink(1, 2);
    world.run(ms(3000));
    let cut = Cut::Wan(0, 2);
    world.cut(cut);
    world.cut(reverse(cut));
    let began = world.now;
    world.run(began + ms(1000));
    for id in VLANS {
        assert_eq!(serving(&world, id), Some((1, 3)), "VLAN {id}");
    }
    world.mend(cut);
    world.mend(reverse(cut));
    world.run(world.now + ms(10_000));
    assert_carried(&world, "afterwards");
}

#[derive(Copy, Clone, Debug)]
enum Fault {
    Stop(usize),
    Crash(usize),
    Cut(Cut),
    CutBoth(Cut),
    LanDown(usize),
}

impl Fault {
    fn begin(self, world: &mut World) {
        match self {
            Self::Stop(node) => world.stop(node),
            Self::Crash(node) => world.crash(node),
            Self::Cut(cut) => world.cut(cut),
            Self::CutBoth(cut) => {
                world.cut(cut);
                world.cut(reverse(cut));
            }
            Self::LanDown(node) => world.set_lan(node, false),
        }
    }

    fn end(self, world: &mut World) {
        match self {
            Self::Stop(node) => world.resume(node),
            Self::Crash(node) => world.restart(node),
            Self::Cut(cut) => world.mend(cut),
            Self::CutBoth(cut) => {
                world.mend(cut);
                world.mend(reverse(cut));
            }
            Self::LanDown(node) => world.set_lan(node, true),
        }
    }
}

const fn reverse(cut: Cut) -> Cut {
    match cut {
        Cut::Lan(a, b) => Cut::Lan(b, a),
        Cut::Wan(a, b) => Cut::Wan(b, a),
    }
}

/// Those that concern the first gateway and its counterparts; the others are their mirror images.
fn faults(world: &World) -> Vec<Fault> {
    let count = world.nodes.len();
    let mut faults = Vec::new();
    for node in 0..count {
        faults.push(Fault::Stop(node));
        faults.push(Fault::Crash(node));
    }
    faults.push(Fault::LanDown(0));
    let lans = if count > 3 {
        vec![(0, 1), (2, 3)]
    } else {
        vec![(0, 1)]
    };
    for (a, b) in lans {
        faults.push(Fault::Cut(Cut::Lan(a, b)));
        faults.push(Fault::Cut(Cut::Lan(b, a)));
        faults.push(Fault::CutBoth(Cut::Lan(a, b)));
    }
    for gateway in 0..2 {
        for remote in 2..count {
            let cut = Cut::Wan(gateway, remote);
            faults.push(Fault::Cut(cut));
            faults.push(Fault::Cut(reverse(cut)));
            faults.push(Fault::CutBoth(cut));
        }
    }
    faults
}

/// Runs every pair of faults, begun `offsets` apart and each lasting one of `lengths`. How many runs.
fn every_pair(sites: &[(&str, usize)], lengths: &[u64], offsets: &[u64], phases: u64) -> u64 {
    let mut settled = settled(sites);
    let faults = faults(&settled);
    let mut runs = 0;
    for _ in 0..phases {
        settled.run(settled.now + ms(11));
        for &first in &faults {
            let mut begun = settled.clone();
            first.begin(&mut begun);
            for &offset in offsets {
                let mut begun = begun.clone();
                begun.run(settled.now + ms(offset));
                for &second in &faults {
                    for &length in lengths {
                        let script =
                            format!("{first:?}, {offset} ms later {second:?}, {length} ms");
                        pair(&begun, first, second, length, &script);
                        runs += 1;
                    }
                }
            }
        }
    }
    runs
}

fn pair(begun: &World, first: Fault, second: Fault, length: u64, script: &str) {
    let outcome = std::panic::catch_unwind(|| {
        let mut world = begun.clone();
        second.begin(&mut world);
        world.run(world.now + ms(length));
        first.end(&mut world);
        world.run(world.now + ms(30));
        second.end(&mut world);
        let took = world.run_until_carried(ms(2000));
        assert!(took.is_some(), "not carried 2 s after the last repair");
    });
    if let Err(panic) = outcome {
        println!("failing script: {script}");
        std::panic::resume_unwind(panic);
    }
}

/// `ROPEWALK_SITE_PAIRS=1`: more lengths, offsets and phases; some minutes in release.
#[test]
fn every_pair_of_faults_with_one_remote_gateway() {
    let runs = if std::env::var_os("ROPEWALK_SITE_PAIRS").is_some() {
        let offsets: Vec<u64> = (0..30).map(|i| i * 7).collect();
        every_pair(&OFFICE, &[5, 45, 85, 105, 125, 400], &offsets, 5)
    } else {
        every_pair(&OFFICE, &[45, 125], &[0, 90], 1)
    };
    println!("{runs} runs");
}

#[test]
fn every_pair_of_faults_two_by_two() {
    let runs = if std::env::var_os("ROPEWALK_SITE_PAIRS").is_some() {
        let offsets: Vec<u64> = (0..15).map(|i| i * 13).collect();
        every_pair(&TWO_BY_TWO, &[5, 85, 105, 125, 400], &offsets, 3)
    } else {
        every_pair(&TWO_BY_TWO, &[125], &[90], 1)
    };
    println!("{runs} runs");
}
