//! What is held, and its bounds.

use super::*;

#[test]
fn an_overflow_releases_the_oldest_in_order() {
    let start = epoch();
    let ticks = |n: u64| Order::new(Duration::from_micros(16 * n), false);
    for len in [100, 60_000] {
        let mut playout = Playout::new();
        // A slow piece, so that all others wait.
        playout.on_piece(ticks(0), start + Duration::from_millis(100));
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
        playout.shrink();
        assert_eq!(playout.memory(), 0);
    }
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
