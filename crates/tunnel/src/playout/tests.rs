use super::*;
use crate::params::{MAX_PLAYOUT_HOLD, PLAYOUT_MARGIN, PLAYOUT_STEP};
use proptest::{collection::vec, prelude::*};

const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1000 * MS;
const SLACK: Nanos = nanos(PLAYOUT_SLACK);

#[allow(clippy::disallowed_methods)] // only differences to it are used
fn epoch() -> Instant {
    Instant::now()
}

/// A record on its way, in nanoseconds of true time.
#[derive(Clone, Copy, Debug)]
struct Flight {
    number: u64,
    sent: Nanos,
    arrives: Nanos,
    again: bool,
}

/// What came out, and when.
#[derive(Clone, Copy, Debug)]
struct Out {
    number: u64,
    sent: Nanos,
    arrived: Nanos,
    released: Nanos,
}

impl Out {
    fn held(&self) -> Nanos {
        self.released - self.arrived
    }
}

/// A playout in virtual time, and the sender's clock: how far it is ahead, and by how many parts per million it is faster.
struct Bench {
    playout: Playout,
    start: Instant,
    ahead: Nanos,
    drift: i64,
    flights: Vec<Flight>,
    out: Vec<Out>,
    /// The longest that a record of the fastest path would have been held at any time.
    longest: Duration,
}

impl Bench {
    fn new(ahead: Nanos, drift: i64) -> Self {
        let mut playout = Playout::new();
        playout.set_round_trip(Duration::from_millis(20));
        Self {
            playout,
            start: epoch(),
            ahead,
            drift,
            flights: Vec::new(),
            out: Vec::new(),
            longest: Duration::ZERO,
        }
    }

    fn order(&self, sent: Nanos, again: bool) -> Order {
        let clock = self.ahead + sent + sent / 1_000_000 * self.drift;
        Order::new(Duration::from_nanos(clock as u64), again)
    }

    fn now(&self, at: Nanos) -> Instant {
        self.start + Duration::from_nanos(at as u64)
    }

    /// Releases at every time that was asked for, up to `until`; a wake-up is never early.
    fn sleep(&mut self, until: Nanos) {
        while let Some(due) = self.playout.due() {
            let at = nanos(due - self.start);
            if at > until {
                break;
            }
            self.step(due, |playout, now, release| playout.release(now, release));
        }
    }

    fn step(&mut self, now: Instant, call: impl FnOnce(&mut Playout, Instant, Release<'_>)) {
        let (flights, out, start) = (&self.flights, &mut self.out, self.start);
        call(&mut self.playout, now, &mut |released| {
            let Released::Whole { number, bytes, .. } = released else {
                return;
            };
            assert_eq!(bytes, number.to_be_bytes());
            let flight = flights.iter().rev().find(|flight| flight.number == number);
            let flight = flight.expect("one that was held");
            out.push(Out {
                number,
                sent: flight.sent,
                arrived: flight.arrives,
                released: nanos(now - start),
            });
        });
        self.longest = self.longest.max(self.playout.delay());
    }

    fn arrive(&mut self, flight: Flight) {
        self.sleep(flight.arrives);
        self.flights.push(flight);
        if self.flights.len() > 40_000 {
            self.flights.drain(..20_000);
        }
        let (order, now) = (
            self.order(flight.sent, flight.again),
            self.now(flight.arrives),
        );
        self.playout.on_piece(order, now);
        self.step(now, |playout, now, release| {
            let record = (&flight.number.to_be_bytes()[..], false);
            playout.hold(flight.number, order.sent, record, now, release);
        });
    }

    /// Lets all of them arrive, and everything out.
    fn run(&mut self, mut flights: Vec<Flight>) -> &[Out] {
        flights.sort_by_key(|flight| (flight.arrives, flight.number));
        let numbers = flights.len();
        let before = self.out.len();
        let last = flights.last().map_or(0, |flight| flight.arrives);
        for flight in flights {
            self.arrive(flight);
        }
        self.sleep(last + SECOND);
        assert_eq!(self.out.len() - before, numbers, "each comes out once");
        assert_eq!((self.playout.held(), self.playout.due()), (0, None));
        &self.out[before..]
    }
}

/// One record every `spacing`, from `from` to `to`; `path` tells by number how long it takes, or that it is lost.
fn flow(
    numbers: &mut std::ops::RangeFrom<u64>,
    (from, to): (Nanos, Nanos),
    spacing: Nanos,
    mut path: impl FnMut(u64) -> Option<Nanos>,
) -> Vec<Flight> {
    let times = (from..to).step_by(spacing as usize).zip(numbers);
    let flights = times.filter_map(|(sent, number)| {
        path(number).map(|transit| Flight {
            number,
            sent,
            arrives: sent + transit,
            again: false,
        })
    });
    flights.collect()
}

/// How many came after one that was sent later.
fn out_of_order(out: &[Out]) -> usize {
    let mut highest = 0;
    let late = out.iter().filter(|record| {
        let late = record.number < highest;
        highest = highest.max(record.number);
        late
    });
    late.count()
}

fn longest_pause(out: &[Out]) -> Nanos {
    let pauses = out.windows(2).map(|two| two[1].released - two[0].released);
    pauses.max().unwrap_or_default()
}

/// A generator good enough to scatter delays.
fn scatter(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

#[test]
fn two_unequal_paths_come_out_in_order() {
    let mut bench = Bench::new(77 * SECOND, 0);
    let path = |number| Some(if number % 3 == 0 { 40 * MS } else { 10 * MS });
    let flights = flow(&mut (0..), (0, 3 * SECOND), MS / 5, path);
    let out = bench.run(flights);
    assert_eq!(out_of_order(&out[500..]), 0);
    for record in &out[500..] {
        let transit = record.released - record.sent;
        let margin = nanos(PLAYOUT_MARGIN);
        assert!((40 * MS + margin - SLACK..=40 * MS + margin + 16_000).contains(&transit));
    }
}

#[test]
fn a_loss_stalls_nobody() {
    // Two flows: that of the odd numbers loses a percent on the slow path, and never gets it back.
    let path = |lossy: bool| {
        move |number: u64| {
            let slow = number % 4 < 2;
            let lost = lossy && slow && number % 2 == 1 && scatter(number) % 100 == 0;
            (!lost).then_some(if slow { 30 * MS } else { 10 * MS })
        }
    };
    let run = |lossy| {
        let mut bench = Bench::new(0, 0);
        let flights = flow(&mut (0..), (0, 5 * SECOND), MS / 5, path(lossy));
        bench.run(flights).to_vec()
    };
    let (clean, lossy) = (run(false), run(true));
    assert!(lossy.len() < clean.len() - 40);
    let of_even = |out: &[Out]| -> Vec<_> {
        let even = out.iter().filter(|record| record.number % 2 == 0);
        even.map(|record| (record.number, record.released))
            .collect()
    };
    for (clean, lossy) in of_even(&clean).iter().zip(&of_even(&lossy)) {
        assert_eq!(clean.0, lossy.0);
        assert!((clean.1 - lossy.1).abs() <= SLACK, "{clean:?} {lossy:?}");
    }
}

/// Two paths of 10 and 30 ms, of which one record in `one_in` is lost, comes 25 ms later, having been sent again; a tenth of
/// those is lost again.
fn lossy(to: Nanos, one_in: u64) -> Vec<Flight> {
    let path = |number| Some(if number % 3 == 0 { 30 * MS } else { 10 * MS });
    let mut flights = flow(&mut (0..), (0, to), MS / 5, path);
    for flight in &mut flights {
        if scatter(flight.number) % one_in == 0 {
            let twice = scatter(flight.number ^ 0xff) % 10 == 0;
            flight.arrives += if twice { 75 * MS } else { 25 * MS };
            flight.again = true;
        }
    }
    flights
}

#[test]
fn what_is_lost_and_sent_again_comes_in_order() {
    let mut bench = Bench::new(0, 0);
    let out = bench.run(lossy(8 * SECOND, 100)).to_vec();
    let settled = &out[5000..];
    let again = |record: &&Out| record.arrived - record.sent > 30 * MS;
    let (twice, once) = (85 * MS, settled.iter().filter(again).count());
    let late: Vec<_> = settled
        .iter()
        .filter(|out| out.arrived - out.sent >= twice)
        .collect();
    assert!(once > 250 && late.len() > 10, "{once} {}", late.len());
    assert!(late.iter().all(|record| record.held() == 0));
    assert!(out_of_order(settled) <= late.len());
    assert!(bench.longest <= Duration::from_micros(55_000 - 10_000 + 1_016));
}

#[test]
fn rare_losses_and_bursts_of_them_delay_nothing() {
    let rare = lossy(8 * SECOND, 10_000);
    // 200 at once, as when a path dies.
    let mut burst = lossy(8 * SECOND, u64::MAX);
    for flight in &mut burst[20_000..20_200] {
        flight.arrives += 20 * MS;
        flight.again = true;
    }
    for flights in [rare, burst] {
        assert!(flights.iter().any(|flight| flight.again));
        let mut bench = Bench::new(0, 0);
        bench.run(flights);
        assert!(
            bench.longest <= Duration::from_micros(21_016),
            "{:?}",
            bench.longest
        );
    }
}

#[test]
fn a_path_that_joins_makes_one_pause_as_long_as_it_is_slower() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS / 5, |_| Some(10 * MS));
    flights.extend(flow(numbers, (SECOND, 3 * SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 70 * MS } else { 10 * MS })
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    // What it brings until the pause is over is late; it comes during the pause.
    let fast: Vec<_> = out
        .iter()
        .filter(|record| record.number % 5 != 0)
        .copied()
        .collect();
    assert!(
        (60 * MS..62 * MS).contains(&longest_pause(&fast)),
        "{}",
        longest_pause(&fast)
    );
    let settled = out
        .iter()
        .position(|record| record.released > SECOND + 140 * MS);
    assert_eq!(out_of_order(&out[settled.unwrap()..]), 0);
    assert!(out_of_order(out) <= 61, "those of 60 ms");
}

#[test]
fn a_path_that_is_tried_with_copies_first_puts_nothing_out_of_order() {
    let numbers = &mut (0..);
    let flights = flow(numbers, (0, 2 * SECOND), MS / 5, |_| Some(10 * MS));
    let joined = flow(numbers, (2 * SECOND, 3 * SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 70 * MS } else { 10 * MS })
    });
    let mut bench = Bench::new(0, 0);
    for flight in flights {
        // A copy of what was sent 60 ms before, on the path that is on trial.
        if flight.sent > SECOND && flight.number % 50 == 0 {
            bench.sleep(flight.arrives);
            let copy = bench.order(flight.sent - 60 * MS, false);
            bench.playout.on_piece(copy, bench.now(flight.arrives));
        }
        bench.arrive(flight);
    }
    bench.run(joined);
    assert_eq!(out_of_order(&bench.out), 0);
    assert!(longest_pause(&bench.out) < 62 * MS);
}

#[test]
fn a_path_much_slower_pauses_the_flow_no_longer_than_a_tcp_waits() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS / 5, |_| Some(10 * MS));
    flights.extend(flow(numbers, (SECOND, 4 * SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 400 * MS } else { 10 * MS })
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    let fast: Vec<_> = out
        .iter()
        .filter(|record| record.number % 5 != 0)
        .copied()
        .collect();
    let pause = longest_pause(&fast);
    let longest = nanos(PLAYOUT_STEP) * 3 / 2;
    assert!(pause > longest - 5 * MS && pause < longest + MS, "{pause}");
    // After the pause two thirds of the rate, until the delay is where it has to be.
    let after = fast
        .windows(2)
        .position(|two| two[1].released - two[0].released == pause);
    let from = fast[after.unwrap() + 1];
    let during = fast
        .iter()
        .filter(|out| (0..500 * MS).contains(&(out.released - from.released)));
    let during = during.count();
    assert!((1300..1400).contains(&during), "{during} of 2000");
    let settled = out
        .iter()
        .position(|record| record.released > SECOND + 1900 * MS);
    assert_eq!(out_of_order(&out[settled.unwrap()..]), 0);
}

#[test]
fn when_the_slowest_path_leaves_the_delay_falls_slowly() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS / 5, |number| {
        Some(if number % 5 == 0 { 70 * MS } else { 10 * MS })
    });
    flights.extend(flow(numbers, (SECOND, 4 * SECOND), MS / 5, |_| {
        Some(10 * MS)
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    let held = |at| out.iter().find(|record| record.sent >= at).unwrap().held();
    assert!(held(1900 * MS) > 60 * MS);
    assert!(held(2700 * MS) > MS + SLACK);
    assert!(held(2950 * MS) <= MS + 16_000);
    for two in out[500..].windows(2) {
        let [before, after] = [two[0], two[1]].map(|record| record.released - record.sent);
        assert!(after >= before - MS / 10 - SLACK - 16_000, "no burst");
    }
}

#[test]
fn jitter_is_covered() {
    let mut bench = Bench::new(0, 0);
    let flights = flow(&mut (0..), (0, 5 * SECOND), MS / 5, |number| {
        let jitter = (scatter(number) % 10_000) as Nanos * 1000;
        Some(if number % 3 == 0 {
            30 * MS + jitter
        } else {
            10 * MS
        })
    });
    let out = bench.run(flights).to_vec();
    assert!(
        out_of_order(&out[1000..]) <= 3,
        "{}",
        out_of_order(&out[1000..])
    );
    assert!(bench.longest <= Duration::from_micros(31_016));
}

#[test]
fn the_senders_clock_may_wrap_and_pause_for_any_time() {
    let wrap = WRAP * TICK;
    for ahead in [wrap - 300 * MS, 5 * wrap - MS, 0, wrap / 2] {
        let mut bench = Bench::new(ahead, 0);
        let numbers = &mut (0..);
        let mut at = 0;
        for pause in [
            0,
            SECOND,
            wrap / 2 - SECOND,
            wrap / 2,
            wrap,
            wrap * 3 / 2 + MS,
            7 * wrap + 1,
        ] {
            at += pause;
            let path = |number| Some(if number % 3 == 0 { 40 * MS } else { 10 * MS });
            let flights = flow(numbers, (at, at + SECOND), MS, path);
            at += 2 * SECOND;
            let out = bench.run(flights);
            assert_eq!(out_of_order(&out[200..]), 0, "after {pause}");
            assert!(out.iter().all(|record| record.held() <= 31 * MS + 16_000));
        }
    }
}

#[test]
fn clocks_may_drift_apart() {
    for drift in [-100, 100] {
        let mut bench = Bench::new(1000 * SECOND, drift);
        let numbers = &mut (0..);
        for from in (0..20).map(|step| step * 100 * SECOND) {
            // Half of it in a stream, half of it with one record in 2 s.
            let path = |number| Some(if number % 3 == 0 { 40 * MS } else { 10 * MS });
            let mut flights = flow(numbers, (from, from + 50 * SECOND), 20 * MS, path);
            let slowly = (from + 50 * SECOND, from + 100 * SECOND);
            flights.extend(flow(numbers, slowly, 2 * SECOND, path));
            let out = bench.run(flights);
            assert_eq!(out_of_order(&out[50..]), 0);
            assert!(out.iter().all(|record| record.held() <= 32 * MS), "{drift}");
        }
    }
}

#[test]
fn nothing_is_held_for_longer_than_the_bound() {
    let mut bench = Bench::new(0, 0);
    let flights = flow(&mut (0..), (0, 3 * SECOND), MS, |number| {
        Some(if number % 9 == 0 { 900 * MS } else { 10 * MS })
    });
    let out = bench.run(flights).to_vec();
    assert!(bench.longest <= MAX_PLAYOUT_HOLD);
    assert!(
        out.iter()
            .all(|record| record.held() <= nanos(MAX_PLAYOUT_HOLD))
    );
    let slow = out.iter().filter(|record| record.number % 9 == 0);
    assert!(
        slow.skip(1).all(|record| record.held() == 0),
        "always late, at once"
    );
}

#[test]
fn a_fast_path_that_appears_is_not_held_for_longer_than_the_bound() {
    let numbers = &mut (0..);
    let mut flights = flow(numbers, (0, SECOND), MS, |_| Some(900 * MS));
    flights.extend(flow(numbers, (SECOND, 2 * SECOND), MS, |number| {
        Some(if number % 2 == 0 { 900 * MS } else { 10 * MS })
    }));
    let mut bench = Bench::new(0, 0);
    let out = bench.run(flights);
    assert!(
        out.iter()
            .all(|record| record.held() <= nanos(MAX_PLAYOUT_HOLD))
    );
}

#[test]
fn an_overflow_releases_the_oldest_in_order() {
    let start = epoch();
    let mut playout = Playout::new();
    let ticks = |n: u64| Order::new(Duration::from_micros(16 * n), false);
    // A slow piece, so that all others wait.
    playout.on_piece(ticks(0), start + Duration::from_millis(100));
    for len in [100, 60_000] {
        let first = (len as u64) << 10;
        let (mut out, mut peak) = (Vec::new(), 0);
        let bytes = vec![0x5a; len];
        let now = start + Duration::from_millis(100);
        for number in first..first + 20_000 {
            let order = ticks(6250 - 6000 + (number - first) / 8);
            playout.on_piece(order, now);
            playout.hold(number, order.sent, (&bytes, true), now, &mut |released| {
                let Released::Whole {
                    number,
                    bytes,
                    vnet,
                } = released
                else {
                    panic!("all are whole");
                };
                assert!(vnet && bytes.len() == len && bytes.iter().all(|byte| *byte == 0x5a));
                out.push(number);
            });
            peak = peak.max(playout.held());
            assert!(playout.waiting.len() <= MAX_PLAYOUT_RECORDS);
        }
        assert!(peak <= MAX_PLAYOUT_BYTES && (len < 1000 || peak > MAX_PLAYOUT_BYTES - len));
        assert!(
            playout.memory() <= 3 * MAX_PLAYOUT_BYTES,
            "{}",
            playout.memory()
        );
        assert_eq!(out.len(), 20_000 - playout.waiting.len());
        assert!(out.iter().copied().eq(first..first + out.len() as u64));
        // One older than all that are held goes first.
        let before = out.len();
        playout.hold(0, ticks(249).sent, (&bytes, true), now, &mut |released| {
            let Released::Whole { number, .. } = released else {
                panic!()
            };
            out.push(number);
        });
        assert_eq!(out[before..], [0]);
        playout.release(now + Duration::from_secs(2), &mut |_| {});
        assert_eq!((playout.held(), playout.due()), (0, None));
    }
    playout.shrink();
    assert!(playout.memory() < 1024, "{}", playout.memory());
}

#[test]
fn steady_traffic_needs_no_new_memory() {
    let mut bench = Bench::new(0, 0);
    let numbers = &mut (0..);
    let path = |number| Some(if number % 3 == 0 { 40 * MS } else { 10 * MS });
    let mut memory = Vec::new();
    for step in 0..6 {
        let flights = flow(numbers, (step * SECOND, (step + 1) * SECOND), MS / 5, path);
        for flight in flights {
            bench.arrive(flight);
        }
        memory.push(bench.playout.memory());
    }
    assert_eq!(memory[1..], [memory[1]; 5]);
    bench.playout.shrink();
    assert_eq!(bench.playout.memory(), memory[5], "records are held");
    bench.sleep(10 * SECOND);
    assert_ne!(bench.playout.memory(), 0);
    bench.playout.shrink();
    assert_eq!(bench.playout.memory(), 0);
}

#[test]
fn what_is_due_is_not_copied_and_goes_after_what_is_older() {
    let start = epoch();
    let mut playout = Playout::new();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let ticks = |ms| Order::new(Duration::from_millis(ms), false);
    playout.on_piece(ticks(1000), at(50));
    playout.on_piece(ticks(1050), at(60));
    playout.hold(7, ticks(1050).sent, (&[7], false), at(60), &mut |_| {
        panic!("it waits")
    });
    playout.expect(5, ticks(1040).sent, at(60), &mut |_| panic!("it waits"));
    playout.hold(9, ticks(1070).sent, (&[9], false), at(80), &mut |_| {
        panic!("it waits")
    });
    let due = Order::new(Duration::from_micros(1_054_000), false);
    let bytes = [6; 4];
    let mut order = Vec::new();
    playout.hold(
        8,
        due.sent,
        (&bytes, false),
        at(105),
        &mut |released| match released {
            Released::Incomplete { number } => order.push((number, false)),
            Released::Whole {
                number, bytes: got, ..
            } => order.push((number, std::ptr::eq(got, &raw const bytes[..]))),
        },
    );
    assert_eq!(order, [(5, false), (7, false), (8, true)]);
    assert_eq!(playout.due(), Some(at(121)));
    // An incomplete one that is late is settled at once.
    let mut late = Vec::new();
    playout.expect(4, ticks(1000).sent, at(110), &mut |released| {
        late.push(released == Released::Incomplete { number: 4 });
    });
    assert_eq!(late, [true]);
}

#[test]
fn before_anything_was_measured_nothing_is_held() {
    let mut playout = Playout::new();
    let mut released = 0;
    playout.hold(1, 5, (&[1], false), epoch(), &mut |_| released += 1);
    playout.expect(2, 5, epoch(), &mut |_| released += 1);
    playout.release(epoch(), &mut |_| released += 1);
    assert_eq!(
        (released, playout.due(), playout.delay()),
        (2, None, Duration::ZERO)
    );
}

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
