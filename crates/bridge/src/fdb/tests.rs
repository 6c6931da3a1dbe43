use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const AGEING: Duration = Duration::from_secs(300);

fn config(limit: usize, limit_per_port: usize) -> FdbConfig {
    FdbConfig {
        ageing: AGEING,
        limit,
        limit_per_port,
        hash_seed: 7,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "some starting point; only distances count"
)]
fn start() -> Instant {
    Instant::now()
}

fn mac(n: u32) -> Mac {
    let [a, b, c, d] = n.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

fn vlan(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);
const A: PortId = PortId(1);
const B: PortId = PortId(2);

#[test]
fn vlans_learn_on_their_own() {
    let (mut fdb, now) = (Fdb::new(config(100, 100)), start());
    assert_eq!(fdb.learn(vlan(10), mac(1), A, now), Learned::New);
    assert_eq!(fdb.learn(vlan(11), mac(1), B, now), Learned::New);
    assert_eq!(fdb.learn(vlan(10), mac(1), A, now), Learned::Refreshed);
    assert_eq!(fdb.lookup(vlan(10), mac(1), now), Some(A));
    assert_eq!(fdb.lookup(vlan(11), mac(1), now), Some(B));
    assert_eq!(fdb.lookup(vlan(12), mac(1), now), None);
}

#[test]
fn a_host_moves() {
    let (mut fdb, now) = (Fdb::new(config(100, 1)), start());
    fdb.learn(vlan(0), mac(1), A, now);
    assert_eq!(
        fdb.learn(vlan(0), mac(1), B, now),
        Learned::Moved { from: A }
    );
    assert_eq!(fdb.lookup(vlan(0), mac(1), now), Some(B));
    assert_eq!(
        fdb.learn(vlan(0), mac(2), A, now),
        Learned::New,
        "the old port has room again"
    );
    assert_eq!(fdb.learn(vlan(0), mac(2), B, now), Learned::PortFull);
    assert_eq!(
        fdb.lookup(vlan(0), mac(2), now),
        None,
        "flooded rather than sent where it was"
    );
}

#[test]
fn groups_and_nobody_are_not_learned() {
    let (mut fdb, now) = (Fdb::new(config(100, 100)), start());
    for mac in [Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1]), Mac::default()] {
        assert_eq!(fdb.learn(vlan(0), mac, A, now), Learned::Ignored);
        assert_eq!(fdb.lookup(vlan(0), mac, now), None);
    }
    assert_eq!(
        fdb.learn(vlan(0), mac(1), PortId(MAX_PORTS), now),
        Learned::Ignored
    );
    assert!(fdb.is_empty());
}

#[test]
fn addresses_age() {
    let (mut fdb, now) = (Fdb::new(config(100, 100)), start());
    fdb.learn(vlan(0), mac(1), A, now);
    fdb.learn(vlan(0), mac(2), A, now);
    fdb.learn(vlan(0), mac(2), A, now + AGEING);
    assert_eq!(fdb.lookup(vlan(0), mac(1), now + AGEING), Some(A));
    let later = now + AGEING + SECOND;
    assert_eq!(
        fdb.lookup(vlan(0), mac(1), later),
        None,
        "without any sweep"
    );
    let [entry] = fdb.entries(later)[..] else {
        panic!("one is left")
    };
    assert_eq!(
        entry,
        FdbEntry {
            vlan: vlan(0),
            mac: mac(2),
            port: A,
            age: SECOND
        }
    );
    assert_eq!(
        fdb.learn(vlan(0), mac(1), B, later),
        Learned::New,
        "not a move any more"
    );
}

#[test]
fn sweeps_free_the_slots_and_then_rest() {
    let (mut fdb, start) = (Fdb::new(config(4000, 4000)), start());
    assert_eq!(fdb.poll_timeout(), None);
    for n in 0..4000 {
        fdb.learn(vlan(0), mac(n), A, start);
    }
    fdb.learn(vlan(0), mac(4), A, start + AGEING);
    let mut now = start;
    let mut wakes = 0;
    while let Some(at) = fdb.poll_timeout() {
        assert!(at > now, "time goes on");
        now = at;
        fdb.handle_timeout(now);
        wakes += 1;
        assert!(
            fdb.len() == 4000 || now > start + AGEING,
            "nothing is swept early"
        );
        assert!(wakes < 200);
    }
    assert!(fdb.is_empty());
    assert!(
        now <= start + AGEING * 2 + AGEING / 2,
        "the last one went in time"
    );
}

#[test]
fn limits_hold_and_old_ones_make_room() {
    let (mut fdb, now) = (Fdb::new(config(40, 30)), start());
    for n in 0..30 {
        assert_eq!(fdb.learn(vlan(0), mac(n), A, now), Learned::New);
    }
    assert_eq!(fdb.learn(vlan(0), mac(99), A, now), Learned::PortFull);
    for n in 100..110 {
        assert_eq!(fdb.learn(vlan(0), mac(n), B, now + SECOND), Learned::New);
    }
    assert_eq!(fdb.learn(vlan(0), mac(99), B, now), Learned::TableFull);
    assert_eq!(fdb.learn(vlan(0), mac(5), A, now), Learned::Refreshed);
    assert_eq!(fdb.len(), 40);
    // 128 slots: at most two bounded steps until those that have aged are found.
    let later = now + AGEING + SECOND;
    let learned: Vec<_> = (200..203)
        .map(|n| fdb.learn(vlan(0), mac(n), A, later))
        .collect();
    assert_eq!(learned.last(), Some(&Learned::New), "{learned:?}");
}

#[test]
fn a_flush_takes_one_port_only() {
    let (mut fdb, now) = (Fdb::new(config(1000, 500)), start());
    for n in 0..500 {
        fdb.learn(vlan(1), mac(n), A, now);
        fdb.learn(vlan(2), mac(n), B, now);
    }
    fdb.flush_port(A);
    assert_eq!(fdb.len(), 500);
    assert!((0..500).all(|n| fdb.lookup(vlan(1), mac(n), now).is_none()));
    assert!((0..500).all(|n| fdb.lookup(vlan(2), mac(n), now) == Some(B)));
    assert_eq!(
        fdb.learn(vlan(1), mac(1), A, now),
        Learned::New,
        "its count went too"
    );
}

#[test]
fn fifty_thousand_behind_one_port_and_then_nothing() {
    let (mut fdb, now) = (Fdb::new(config(65_536, 57_344)), start());
    for n in 0..50_000 {
        assert_eq!(fdb.learn(vlan(0), mac(n), A, now), Learned::New);
    }
    assert!((0..50_000).all(|n| fdb.lookup(vlan(0), mac(n), now) == Some(A)));
    assert!(longest_search(&fdb) < 50, "{}", longest_search(&fdb));
    assert_eq!(fdb.slots.len() * size_of::<Slot>(), 2 << 20);
    fdb.flush_port(A);
    assert!(fdb.is_empty());
    assert_eq!(fdb.slots.len(), MIN_SLOTS, "what is empty takes no memory");
    assert_eq!(fdb.poll_timeout(), None);
}

/// Slots looked at for the address that is worst off.
fn longest_search(fdb: &Fdb) -> usize {
    let held = fdb.slots.iter().enumerate();
    let searches = held.filter(|(_, slot)| !slot.is_free()).map(|(at, slot)| {
        let from_home = at.wrapping_sub(fdb.home(slot.key)) & (fdb.slots.len() - 1);
        from_home + 1
    });
    searches.max().unwrap_or(0)
}

#[test]
fn addresses_that_differ_in_few_bits_are_spread_whatever_the_seed() {
    for hash_seed in [0, 1, 7, u64::MAX, 0x9e37_79b9_7f4a_7c15] {
        for shift in [0, 8, 16, 24, 32] {
            let mut fdb = Fdb::new(FdbConfig {
                hash_seed,
                ..config(65_536, 65_536)
            });
            for n in 0..4096u64 {
                let [.., a, b, c, d, e, f] = (n << shift).to_be_bytes();
                fdb.learn(vlan(0), Mac([a & 0xfe, b, c, d, e, f]), A, start());
            }
            assert!(
                longest_search(&fdb) < 50,
                "{hash_seed} {shift}: {}",
                longest_search(&fdb)
            );
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Learn(u16, u32, u16),
    Flush(u16),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0u16..3, 0u32..80, 0u16..4).prop_map(|(v, m, p)| Step::Learn(v, m, p)),
        1 => (0u16..4).prop_map(Step::Flush),
        3 => (0u64..200).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..400)
}

proptest! {
    /// Against a map that does the same in the obvious way, with room for everything.
    #[test]
    fn like_a_map(steps in steps(), hash_seed: u64) {
        let mut fdb = Fdb::new(FdbConfig { hash_seed, ..config(10_000, 10_000) });
        let mut model: BTreeMap<(u16, u32), (u16, Instant)> = BTreeMap::new();
        let mut now = start();
        for step in steps {
            match step {
                Step::Learn(v, m, p) => {
                    fdb.learn(vlan(v), mac(m), PortId(p), now);
                    model.insert((v, m), (p, now));
                }
                Step::Flush(p) => {
                    fdb.flush_port(PortId(p));
                    model.retain(|_, (port, _)| *port != p);
                }
                Step::Wait(seconds) => {
                    now += SECOND * seconds as u32;
                    model.retain(|_, (_, seen)| now.duration_since(*seen) <= AGEING);
                    fdb.handle_timeout(now);
                }
            }
        }
        let expected: Vec<_> = model
            .iter()
            .map(|(&(v, m), &(p, seen))| FdbEntry {
                vlan: vlan(v),
                mac: mac(m),
                port: PortId(p),
                age: now.duration_since(seen),
            })
            .collect();
        prop_assert_eq!(fdb.entries(now), expected);
        for v in 0..3 {
            for m in 0..80 {
                let known = model.get(&(v, m)).map(|&(port, _)| PortId(port));
                prop_assert_eq!(fdb.lookup(vlan(v), mac(m), now), known);
            }
        }
        prop_assert_eq!(fdb.used_per_port.iter().sum::<u32>() as usize, fdb.used);
        prop_assert_eq!(fdb.slots.iter().filter(|slot| !slot.is_free()).count(), fdb.used);
    }
}
