//! The parts alone.

use super::world::{Cut, VLANS, epoch, ms, vlan, vlans, world};
use crate::site::announcer::{Announcer, MAX_WAITING};
use crate::site::claims::{Claims, SiteConfig};
use crate::site::mates::{Hearing, Mates};
use crate::site::moves::{BLOCK_FOR, MAX_FOLLOWED, MAX_MOVES, MOVE_WINDOW, Moves, Verdict};
use crate::site::params::{MATE_DEAD, REVERT_AFTER, TAKEOVER_GUARD};
use std::time::Duration;
use wire::beacon::{Beacon, Echo};
use wire::ethernet::Mac;
use wire::vlan::{VlanId, VlanSet};

fn mac(number: u16) -> Mac {
    let [high, low] = number.to_be_bytes();
    Mac([2, 0, 0, 0, high, low])
}

fn beacon(gateway: u64, instance: u64, number: u64, echo: Option<u64>) -> Beacon {
    let echo = echo.map(|number| Echo {
        gateway: 1,
        instance: 77,
        number,
    });
    Beacon {
        gateway,
        instance,
        number,
        site: 5,
        ready: true,
        reach: 1,
        priority: 100,
        vlan_priorities: Vec::new(),
        echoes: echo.into_iter().collect(),
        serves: vlans(&VLANS),
        claims: VlanSet::empty(),
    }
}

#[test]
fn recorded_beacons_prove_nothing() {
    let now = epoch();
    let mut mates = Mates::new(1, 77, &[2]);
    let hearing = |mates: &Mates, now| mates.present(now).next().map(|(hearing, _)| hearing);
    assert!(
        !mates.on_beacon(&beacon(3, 9, 1, None), now),
        "not of this site"
    );
    mates.on_sent(1, now);
    assert!(mates.on_beacon(&beacon(2, 9, 5, Some(1)), now + ms(1)));
    assert_eq!(hearing(&mates, now + ms(1)), Some(Hearing::Both));
    assert!(
        !mates.on_beacon(&beacon(2, 9, 5, Some(1)), now + ms(2)),
        "again"
    );
    assert!(
        !mates.on_beacon(&beacon(2, 9, 4, Some(1)), now + ms(2)),
        "older"
    );
    // Another run that does not echo us is heard, and not believed.
    assert!(mates.on_beacon(&beacon(2, 8, 900, None), now + ms(3)));
    assert_eq!(hearing(&mates, now + ms(3)), Some(Hearing::Both));
    let later = now + ms(2) + MATE_DEAD;
    assert_eq!(hearing(&mates, later), Some(Hearing::OneWay));
    assert_eq!(hearing(&mates, later + MATE_DEAD), None);
    // Nor with an echo of long ago.
    let late = now + ms(1500);
    assert!(mates.on_beacon(&beacon(2, 8, 901, Some(1)), late));
    assert_eq!(hearing(&mates, late), Some(Hearing::OneWay));
    mates.on_sent(2, late);
    assert!(mates.on_beacon(&beacon(2, 8, 902, Some(2)), late + ms(1)));
    assert_eq!(hearing(&mates, late + ms(1)), Some(Hearing::Both));
}

#[test]
fn a_claim_ends_when_time_jumps() {
    let now = epoch();
    let config = SiteConfig {
        site: 5,
        gateway: 1,
        instance: 77,
        mates: vec![2],
        priority: 100,
        vlan_priorities: Vec::new(),
        serves: VlanSet::all(),
        revert_after: REVERT_AFTER,
    };
    let mut claims = Claims::new(&config, now);
    claims.set_reach(1, now);
    assert!(claims.claims().is_empty(), "it listens first");
    let mut at = now;
    while at < now + ms(300) {
        claims.update(at);
        let _ = claims.poll_beacon(at);
        at += ms(10);
    }
    assert!(claims.claims().is_all() && claims.until() > at);
    assert!(claims.until() <= at + ms(80));
    claims.set_lan(false, at);
    assert!(claims.claims().is_empty(), "without a LAN");
    assert!(claims.poll_beacon(at + ms(50)).is_none());
}

#[test]
fn the_spread_takes_turns_however_vlans_are_numbered() {
    for step in [1, 10, 100] {
        let ids: Vec<u16> = (1..=8).map(|i| i * step).collect();
        let mut own = beacon(1, 77, 1, None);
        own.serves = vlans(&ids);
        let mut other = beacon(2, 78, 1, None);
        other.serves = vlans(&ids);
        let ranking = crate::site::rank::Ranking::new([1, 2]);
        let (mine, theirs) = (ranking.best(&own, &[&other]), ranking.best(&other, &[&own]));
        assert_eq!((mine.len(), theirs.len()), (4, 4), "step {step}");
        assert!(mine.intersect(&theirs).is_empty());
    }
}

#[test]
fn the_end_of_one_gateway_moves_its_vlans_only() {
    let all = |gateway| {
        let mut beacon = beacon(gateway, 1, 1, None);
        beacon.serves = VlanSet::all();
        beacon
    };
    let ranking = crate::site::rank::Ranking::new([1, 2, 3]);
    let (one, two, three) = (all(1), all(2), all(3));
    let before = ranking.best(&one, &[&two, &three]);
    let after = ranking.best(&one, &[&two]);
    assert!(before.is_subset(&after));
    let inherited = after.len() - before.len();
    let third = VlanSet::all().len() / 3;
    assert!(
        inherited.abs_diff(third / 2) < third / 10,
        "half of a third: {inherited}"
    );
}

#[test]
fn priorities_come_before_the_spread() {
    let mut own = beacon(1, 77, 1, None);
    let mut other = beacon(2, 78, 1, None);
    let ranking = crate::site::rank::Ranking::new([1, 2]);
    own.priority = 200;
    assert_eq!(ranking.best(&own, &[&other]), vlans(&VLANS));
    other.vlan_priorities = vec![(vlan(11), 300)];
    assert_eq!(ranking.best(&own, &[&other]), vlans(&[10]));
    other.reach = 2;
    assert!(
        ranking.best(&own, &[&other]).is_empty(),
        "who reaches more comes first"
    );
}

#[test]
fn a_station_that_moves_too_often_is_blocked() {
    let (mut moves, start) = (Moves::default(), epoch());
    let heard = |moves: &mut Moves, believes, stp, now| {
        moves.heard_on_lan(vlan(10), mac(1), believes, stp, now)
    };
    assert_eq!(heard(&mut moves, false, false, start), Verdict::Ignore);
    for i in 1..MAX_MOVES {
        assert_eq!(
            heard(&mut moves, true, false, start + ms(i.into())),
            Verdict::Moved
        );
    }
    let now = start + ms(10);
    assert_eq!(heard(&mut moves, true, false, now), Verdict::Blocked);
    assert!(moves.is_blocked(vlan(10), mac(1), now));
    assert!(!moves.is_blocked(vlan(11), mac(1), now), "another VLAN");
    assert_eq!(moves.blocked(now).count(), 1);
    assert_eq!(heard(&mut moves, true, true, now), Verdict::LeftToStp);
    let later = now + BLOCK_FOR;
    assert!(!moves.is_blocked(vlan(10), mac(1), later));
    assert_eq!(
        heard(&mut moves, true, false, later),
        Verdict::Moved,
        "it begins anew"
    );
}

#[test]
fn slow_moves_are_moves() {
    let (mut moves, mut now) = (Moves::default(), epoch());
    for _ in 0..20 {
        now += MOVE_WINDOW / 4;
        let verdict = moves.heard_on_lan(vlan(10), mac(1), true, false, now);
        assert_eq!(verdict, Verdict::Moved);
    }
    for station in 0..2 * MAX_FOLLOWED as u16 {
        moves.heard_on_lan(vlan(10), mac(station), true, false, now);
    }
}

#[test]
fn announcements_are_paced_and_left_out_when_heard() {
    let (mut announcer, now) = (Announcer::default(), epoch());
    for station in 0..1000 {
        announcer.push(vlan(10), mac(station));
        announcer.push(vlan(10), mac(station));
    }
    announcer.heard(vlan(10), mac(1));
    let mut sent = Vec::new();
    for at in 0..1000 {
        while let Some(next) = announcer.poll(now + ms(at)) {
            sent.push(next);
        }
        if at == 99 {
            assert!((250..=270).contains(&sent.len()), "{}", sent.len());
            let due = announcer.poll_timeout(now + ms(at)).unwrap();
            assert!(announcer.poll(due + Duration::from_micros(500)).is_some());
        }
    }
    assert_eq!(sent.len(), 998);
    assert!(!sent.contains(&(vlan(10), mac(1))));
    assert_eq!(announcer.poll_timeout(now), None);
    for station in 0..MAX_WAITING as u32 + 5 {
        let [_, a, b, c] = station.to_be_bytes();
        announcer.push(vlan(11), Mac([2, 0, 0, a, b, c]));
    }
    assert_eq!(announcer.refused(), 5);
    announcer.forget(vlan(11));
    assert_eq!(announcer.poll(now + ms(2000)), None);
}

#[test]
fn a_new_holder_does_not_believe_its_lan_at_once() {
    let mut world = world(&[("office", 2), ("", 1)], 1);
    world.run(ms(3000));
    let holder = world.carrying(10)[0].0;
    let believes = |world: &super::world::World, node: usize| {
        world.nodes[node]
            .sites
            .believes_lan(2, vlan(10), world.clock(node))
    };
    assert!(believes(&world, holder) && !believes(&world, 1 - holder));
    world.crash(holder);
    while world.carrying(10).is_empty() {
        world.run(world.now + ms(1));
    }
    assert!(!believes(&world, 1 - holder));
    world.run(world.now + TAKEOVER_GUARD + ms(1));
    assert!(believes(&world, 1 - holder));
}

#[test]
fn what_is_known_behind_one_gateway_goes_to_the_one_that_holds() {
    let mut world = world(&[("office", 2), ("", 1)], 1);
    world.run(ms(3000));
    for id in VLANS {
        let holder = world.carrying(id)[0].0 as u16;
        for learned in [0, 1] {
            let target = world.nodes[2]
                .sites
                .resolve(learned, vlan(id), world.clock(2));
            assert_eq!(target, Some(holder));
        }
    }
    assert_eq!(
        world.nodes[2].sites.resolve(0, VlanId::MAX, world.clock(2)),
        None
    );
}

/// The LAN between the two gateways comes apart, with stations on both sides.
fn split(stations: [&[u16]; 2]) -> (super::world::World, usize) {
    let mut world = world(&[("office", 2), ("", 1)], 1);
    world.run(ms(3000));
    for (node, stations) in stations.into_iter().enumerate() {
        world.nodes[node].stations = stations.iter().map(|&station| mac(station)).collect();
    }
    world.cut(Cut::Lan(0, 1));
    world.cut(Cut::Lan(1, 0));
    world.split_allowed = true;
    world.run(world.now + ms(2900));
    let before = world.carrying(10).len();
    world.run(world.now + ms(3000));
    (world, before)
}

#[test]
fn both_halves_of_a_split_lan_are_served_after_three_seconds() {
    let (mut world, before) = split([&[1, 2], &[3]]);
    assert_eq!(before, 1, "not believed yet");
    for id in VLANS {
        assert_eq!(world.carrying(id).len(), 2);
    }
    world.mend(Cut::Lan(0, 1));
    world.mend(Cut::Lan(1, 0));
    world.run(world.now + ms(50));
    world.split_allowed = false;
    world.run(world.now + ms(3000));
    for id in VLANS {
        assert_eq!(world.carrying(id).len(), 1);
    }
}

#[test]
fn a_lan_that_is_joined_one_way_is_served_by_one() {
    for cut in [Cut::Lan(0, 1), Cut::Lan(1, 0)] {
        let (mut world, _) = split([&[1, 2], &[3]]);
        world.mend(cut);
        world.run(world.now + ms(50));
        world.split_allowed = false;
        world.run(world.now + ms(1000));
        for id in VLANS {
            assert_eq!(world.carrying(id).len(), 1);
        }
    }
}

#[test]
fn a_station_heard_on_both_sides_tells_that_the_lan_is_whole() {
    for stations in [[&[1, 2][..], &[2, 3][..]], [&[1], &[]]] {
        let (world, _) = split(stations);
        for id in VLANS {
            assert_eq!(world.carrying(id).len(), 1, "{stations:?}");
        }
    }
}
