use super::*;

const MS: Duration = Duration::from_millis(1);

fn candidate(path: usize, cost: u64) -> Candidate {
    Candidate {
        path,
        usable: true,
        held: false,
        role: Role::Primary,
        overflow: false,
        cost,
        order: path as u32,
        local_uplink: path as u8,
        remote_uplink: path as u8,
    }
}

#[allow(clippy::disallowed_methods)] // only differences to it are used
fn epoch() -> Instant {
    Instant::now()
}

#[test]
fn failover_prefers_role_then_quality_then_order() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Failover);
    let fast_backup = Candidate {
        role: Role::Backup,
        ..candidate(0, 1_000)
    };
    scheduler.rank(
        &[fast_backup, candidate(1, 50_000), candidate(2, 20_000)],
        now,
    );
    assert_eq!(scheduler.choose(0, 100, now), [Some(2), None]);
    assert_eq!(scheduler.excluded(0), Some(Excluded::Role));
    assert_eq!(scheduler.excluded(1), Some(Excluded::Standby));
}

#[test]
fn an_equal_path_earlier_in_the_configuration_is_returned_to_and_then_kept() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Failover);
    scheduler.rank(&[candidate(1, 20_000)], now);
    let both = [candidate(0, 21_000), candidate(1, 20_000)];
    scheduler.rank(&both, now);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(1));
    scheduler.rank(&both, now + REVERT_AFTER);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(0));
    for n in 0..100 {
        scheduler.rank(&both, now + REVERT_AFTER + n * 100 * MS);
        assert_eq!(scheduler.choose(0, 1, now)[0], Some(0));
    }
}

#[test]
fn a_better_path_earlier_in_the_configuration_is_returned_to_as_soon() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Failover);
    scheduler.rank(&[candidate(1, 60_000)], now);
    let both = [candidate(0, 20_000), candidate(1, 60_000)];
    scheduler.rank(&both, now);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(1));
    scheduler.rank(&both, now + REVERT_AFTER);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(0));
}

#[test]
fn no_pair_of_steady_costs_makes_traffic_go_to_and_fro() {
    for cost in (0..30_000).step_by(250) {
        let both = [candidate(0, cost), candidate(1, 10_000)];
        let mut scheduler = Scheduler::new(Mode::Failover);
        let now = epoch();
        let mut moves = 0;
        let mut last = None;
        for n in 0..100 {
            scheduler.rank(&both, now + n * 100 * MS);
            let active = scheduler.choose(0, 1, now)[0];
            moves += u32::from(active != last);
            last = active;
        }
        assert!(moves <= 2, "{cost}: {moves}");
    }
}

#[test]
fn a_better_path_must_stay_better_for_a_while() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Failover);
    scheduler.rank(&[candidate(0, 20_000)], now);
    let both = [candidate(0, 40_000), candidate(1, 20_000)];
    scheduler.rank(&both, now);
    scheduler.rank(&both, now + SWITCH_AFTER - MS);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(0));
    scheduler.rank(&both, now + SWITCH_AFTER);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(1));
}

#[test]
fn two_good_paths_that_take_turns_do_not_keep_a_bad_one_in_use() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Failover);
    scheduler.rank(&[candidate(0, 90_000)], now);
    for n in 0..40 {
        let (first, second) = if n % 2 == 0 {
            (20_000, 20_500)
        } else {
            (20_500, 20_000)
        };
        let all = [
            candidate(0, 90_000),
            candidate(1, first),
            candidate(2, second),
        ];
        scheduler.rank(&all, now + n * 100 * MS);
    }
    assert_ne!(scheduler.choose(0, 1, now)[0], Some(0));
}

#[test]
fn held_paths_carry_only_alone() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Failover);
    let held = Candidate {
        held: true,
        ..candidate(0, 1_000)
    };
    scheduler.rank(&[held, candidate(1, 50_000)], now);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(1));
    assert_eq!(scheduler.excluded(0), Some(Excluded::HoldDown));
    scheduler.rank(&[held], now);
    assert_eq!(scheduler.choose(0, 1, now)[0], Some(0));
}

#[test]
fn only_disjoint_paths_carry() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Redundant);
    let mesh: Vec<Candidate> = [(0, 0), (0, 1), (1, 0), (1, 1)]
        .iter()
        .enumerate()
        .map(|(path, &(local_uplink, remote_uplink))| Candidate {
            local_uplink,
            remote_uplink,
            ..candidate(path, 20_000)
        })
        .collect();
    scheduler.rank(&mesh, now);
    assert_eq!(scheduler.choose(9, 1, now), [Some(0), Some(3)]);
    assert_eq!(scheduler.excluded(1), Some(Excluded::SharesUplink));
}

#[test]
fn balance_leaves_out_a_path_on_which_flows_would_suffer() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Balance);
    scheduler.rank(&[candidate(0, 20_000), candidate(1, 270_000)], now);
    assert!(scheduler.carries(1));
    scheduler.rank(&[candidate(0, 20_000), candidate(1, 290_000)], now);
    assert_eq!(
        (scheduler.carries(1), scheduler.excluded(1)),
        (false, Some(Excluded::Quality))
    );
    scheduler.rank(&[candidate(0, 20_000), candidate(1, 220_000)], now);
    assert!(!scheduler.carries(1));
    scheduler.rank(&[candidate(0, 20_000), candidate(1, 200_000)], now);
    assert!(scheduler.carries(1));
}

#[test]
fn a_flow_keeps_its_path_while_it_is_good_and_flows_spread() {
    let now = epoch();
    let mut scheduler = Scheduler::new(Mode::Balance);
    let both = [candidate(0, 20_000), candidate(1, 60_000)];
    scheduler.rank(&both, now);
    let first = scheduler.choose(1, 1000, now)[0];
    let second = scheduler.choose(2, 1000, now)[0];
    assert_ne!(first, second);
    for _ in 0..50 {
        assert_eq!(scheduler.choose(1, 1000, now)[0], first);
    }
    scheduler.rank(&[candidate(second.unwrap(), 20_000)], now);
    assert_eq!(scheduler.choose(1, 1000, now)[0], second);
    scheduler.rank(&both, now);
    assert_eq!(scheduler.choose(1, 1000, now)[0], second);
}
