//! Any paths, and any clock.

use super::*;
use crate::params::MAX_PLAYOUT_HOLD;
use proptest::{collection::vec, prelude::*};

proptest! {
    /// Any paths, jitter and losses: each record comes out once, never early, never later than the delay says; and in order,
    /// except what came after its time.
    #[test]
    fn any_paths(
        paths in vec((0i64..150, 0i64..40, 0u64..20), 1..4),
        ahead in 0i64..600,
        drift in -100i64..=100,
        seed in any::<u32>(),
    ) {
        let random = |number: u64, of: u64| scatter(number ^ u64::from(seed) << 20 ^ of << 56);
        let transit = |number| {
            let (base, jitter, _) = paths[(random(number, 0) % paths.len() as u64) as usize];
            base * MS + (random(number, 1) % (1 + jitter as u64 * 1000)) as Nanos * 1000
        };
        let mut flights = flow(&mut (0..), (0, 2 * SECOND), MS / 2, |number| Some(transit(number)));
        for flight in &mut flights {
            if random(flight.number, 2) % 100 < paths[0].2 {
                flight.arrives += 30 * MS + transit(flight.number + 7);
                flight.again = true;
            }
        }
        let mut bench = Bench::new(ahead * SECOND, drift);
        let mut numbers: Vec<_> = bench.run(flights).iter().map(|out| out.number).collect();
        let longest = nanos(bench.longest);
        let mut highest = (0, 0);
        for record in &bench.out {
            let held = record.held();
            prop_assert!(held >= 0 && held <= longest + 16_000, "{record:?} {longest}");
            let late = (record.sent, record.number) < highest;
            prop_assert!(!late || held == 0, "{record:?}: out of order, and was held");
            highest = highest.max((record.sent, record.number));
        }
        numbers.sort_unstable();
        prop_assert!(numbers.windows(2).all(|two| two[0] < two[1]));
    }

    /// A peer whose clock says anything delays only itself, and by no more than the bound.
    #[test]
    fn any_clock(
        pieces in vec((0u32..1 << 24, any::<bool>(), 0u64..2000, any::<bool>()), 1..300),
        round_trip in 0u64..10_000,
    ) {
        let start = epoch();
        let mut playout = Playout::new();
        playout.set_round_trip(Duration::from_millis(round_trip));
        let mut now = start;
        let mut arrived = Vec::new();
        let mut released = vec![0; pieces.len()];
        for (at, (sent, again, pause, whole)) in pieces.into_iter().enumerate() {
            let next = now + Duration::from_millis(if pause > 1900 { pause * 100 } else { pause / 20 });
            while let Some(due) = playout.due().filter(|due| *due <= next) {
                now = now.max(due);
                playout.release(now, &mut |out| check(&out, now, &arrived, &mut released));
            }
            now = next;
            arrived.push(now);
            playout.on_piece(Order { sent, again }, now);
            let mut out = |out: Released<'_>| check(&out, now, &arrived, &mut released);
            if whole {
                playout.hold(at as u64, sent, (&[1], false), now, &mut out);
            } else {
                playout.expect(at as u64, sent, now, &mut out);
            }
        }
        let end = now + Duration::from_secs(1);
        playout.release(end, &mut |out| check(&out, now, &arrived, &mut released));
        prop_assert!(released.iter().all(|times| *times == 1));
        prop_assert_eq!(playout.held(), 0);
    }
}

fn check(out: &Released<'_>, now: Instant, arrived: &[Instant], released: &mut [u32]) {
    let (Released::Whole { number, .. } | Released::Incomplete { number }) = *out;
    let held = now - arrived[number as usize];
    assert!(held <= MAX_PLAYOUT_HOLD + PLAYOUT_SLACK, "{held:?}");
    released[number as usize] += 1;
}
