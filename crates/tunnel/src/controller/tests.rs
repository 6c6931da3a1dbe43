use super::testline::{Jitter, Line, World};

#[test]
#[ignore]
fn explore() {
    let get = |name: &str, default: f64| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let mut line = Line::new(get("RATE", 50.0), get("RTT", 20.0));
    line.buffer = get("BUF", 100.0);
    line.loss = get("LOSS", 0.0);
    line.batch = get("BATCH", 200.0) as u64;
    line.late = get("LATE", 100.0) as u64;
    if get("UNI", 0.0) > 0.0 {
        line.jitter = Jitter::Uniform(get("UNI", 0.0));
    }
    if get("EXP", 0.0) > 0.0 {
        line.jitter = Jitter::Exponential(get("EXP", 0.0));
    }
    if get("POL", 0.0) > 0.0 {
        line.policer = Some((get("POL", 0.0), get("BURST", 50.0)));
    }
    if get("STEP", 0.0) > 0.0 {
        line.rate = vec![
            (0, get("RATE", 50.0)),
            (4000, get("STEP", 0.0)),
            (7000, get("RATE", 50.0)),
        ];
    }
    if get("ROUTE", 0.0) > 0.0 {
        line.round_trip = vec![
            (0, get("RTT", 20.0)),
            (4000, get("RTT", 20.0) + get("ROUTE", 0.0)),
        ];
    }
    let end = get("END", 5000.0) as u64;
    let n = get("N", 1.0) as usize;
    let demands: Vec<_> = (0..n).map(|i| vec![i as u64 * 1000..end]).collect();
    let mut world = World::new(line, &demands, 1);
    world.run(end);
    world.show(get("EVERY", 20.0) as usize);
    let half = end / 2;
    println!(
        "used {:.3} q50 {:.2} q90 {:.2} q99 {:.2} max {:.2} startup max {:.2} 90% from {:?} offered {:.2}",
        world.used(half..end - 10),
        world.queue(0.5, half..end - 10),
        world.queue(0.9, half..end - 10),
        world.queue(0.99, half..end - 10),
        world.queue(1.0, half..end - 10),
        world.queue(1.0, 0..half),
        world.full_from(0.9, 0, 100),
        world.offered(0, half..end - 10)
    );
}

#[test]
#[ignore]
fn grid() {
    let end = 10_000;
    for jitter in [
        Jitter::None,
        Jitter::Uniform(10.0),
        Jitter::Exponential(10.0),
    ] {
        for loss in [0.0, 0.01, 0.03] {
            for batch in [100, 1000] {
                for buffer in [10.0, 100.0, 500.0] {
                    for rate in [2.0, 10.0, 50.0, 200.0, 1000.0] {
                        for rtt in [0.2, 20.0, 60.0, 250.0] {
                            if rate * buffer < 12.0 * 4.0 {
                                continue;
                            }
                            if rate > 500.0 && !matches!(jitter, Jitter::None) {
                                continue;
                            }
                            let mut line = Line::new(rate, rtt);
                            line.buffer = buffer;
                            line.loss = loss;
                            line.batch = batch;
                            line.jitter = jitter;
                            let end = if rate > 500.0 { 6000 } else { end };
                            let half = end / 2;
                            let mut w = World::new(line, &[vec![0..end]], 1);
                            w.run(end);
                            let (used, q50, q90, q99) = (
                                w.used(half..end - 10),
                                w.queue(0.5, half..end - 10),
                                w.queue(0.9, half..end - 10),
                                w.queue(0.99, half..end - 10),
                            );
                            let up = w.full_from(0.9, 0, 100);
                            let start_q = w.queue(1.0, 0..half);
                            let bad = used < 0.97 || q99 > 12.0 || up.is_none_or(|u| u > 2000);
                            println!(
                                "{} {jitter:?} loss {loss} batch {batch} buf {buffer} rate {rate} rtt {rtt}: used {used:.3} q {q50:.1} {q90:.1} {q99:.1} start {start_q:.0} up {up:?}",
                                if bad { "BAD" } else { "ok " }
                            );
                        }
                    }
                }
            }
        }
    }
}
