//! The scenarios, one function each, named after the goals they belong to.

use std::time::Duration;

use node::{Mode, Role, RoleCode};

use super::{Scenario, Traffic, traps};
use crate::{Fault, Shape, StreamSpec, ms, secs, tcp::Algorithm};

pub(super) const CUBIC: Algorithm = Algorithm::CUBIC;

/// A line of `mbit` and this round trip, with 100 ms of buffer.
#[must_use]
pub const fn line(mbit: u64, round_trip_ms: u64) -> Shape {
    let delay = Duration::from_micros(round_trip_ms * 500);
    Shape::clean(delay)
        .with_rate(mbit * 1_000_000)
        .with_buffer(ms(100))
}

pub(super) const FAST: Shape = line(50, 20);
pub(super) const SLOW: Shape = line(20, 60);

pub(super) const fn cut(line: usize, cut: bool) -> Fault {
    Fault::Cut {
        line,
        direction: 2,
        cut,
    }
}

const fn reshape(line: usize, shape: Shape) -> Fault {
    Fault::Reshape {
        line,
        direction: 2,
        shape,
    }
}

pub(super) fn agg_a(name: &'static str, algorithm: Algorithm) -> Scenario {
    Scenario::new(name, &[FAST, SLOW], algorithm)
}

/// Two unequal lines, one CUBIC.
#[must_use]
pub fn agg_a_cubic() -> Scenario {
    agg_a("AGG-A", CUBIC)
}

/// The same lines, one BBR.
#[must_use]
pub fn agg_a_bbr() -> Scenario {
    agg_a("AGG-A-BBR", Algorithm::Bbr)
}

/// The same lines, one Reno.
#[must_use]
pub fn agg_a_reno() -> Scenario {
    agg_a("AGG-A-RENO", Algorithm::Reno)
}

/// The same lines, one CUBIC that paces.
#[must_use]
pub fn agg_a_paced() -> Scenario {
    Scenario {
        traffic: vec![Traffic::Paced(CUBIC), Traffic::Ping],
        ..agg_a("AGG-A-FQ", CUBIC)
    }
}

/// The same lines, one transfer like QUIC.
#[must_use]
pub fn agg_a_quic() -> Scenario {
    Scenario {
        traffic: vec![Traffic::Quic(CUBIC), Traffic::Ping],
        ..agg_a("AGG-A-QUIC", CUBIC)
    }
}

/// The same lines, eight transfers.
#[must_use]
pub fn agg_a_many() -> Scenario {
    let mut traffic = vec![Traffic::Tcp(CUBIC); 8];
    traffic.push(Traffic::Ping);
    Scenario {
        traffic,
        ..agg_a("AGG-A-MANY", CUBIC)
    }
}

/// The same lines, a transfer each way.
#[must_use]
pub fn agg_a_both() -> Scenario {
    Scenario {
        traffic: vec![Traffic::Tcp(CUBIC), Traffic::Back(CUBIC), Traffic::Ping],
        ..agg_a("AGG-A-BOTH", CUBIC)
    }
}

/// Ten to one.
#[must_use]
pub fn agg_b() -> Scenario {
    Scenario::new("AGG-B", &[line(100, 10), line(10, 100)], CUBIC)
}

/// Three lines.
#[must_use]
pub fn agg_c() -> Scenario {
    Scenario::new("AGG-C", &[line(100, 10), line(50, 30), line(20, 60)], CUBIC)
}

/// A fast line and a mobile one.
#[must_use]
pub fn agg_fib() -> Scenario {
    Scenario::new("AGG-FIB", &[line(300, 16), line(30, 80)], CUBIC)
}

/// Two alike.
#[must_use]
pub fn agg_sym() -> Scenario {
    Scenario::new("AGG-SYM", &[FAST, FAST], CUBIC)
}

/// Delays 200 ms apart.
#[must_use]
pub fn wide() -> Scenario {
    Scenario {
        settle: secs(6),
        ..Scenario::new("WIDE", &[line(50, 10), line(20, 210)], CUBIC)
    }
}

pub(super) const fn lossy(shape: Shape) -> Shape {
    Shape {
        loss: 0.01,
        ..shape
    }
}

/// A hundredth lost on both.
#[must_use]
pub fn loss() -> Scenario {
    Scenario::new("LOSS", &[lossy(FAST), lossy(SLOW)], CUBIC)
}

/// The same on two alike, one BBR.
#[must_use]
pub fn loss_bbr() -> Scenario {
    Scenario::new("LOSS-BBR", &[lossy(FAST); 2], Algorithm::Bbr)
}

/// The slow line jitters evenly.
#[must_use]
pub fn jit_uniform() -> Scenario {
    let slow = Shape {
        jitter: ms(10),
        ..SLOW
    };
    Scenario::new("JIT-UNI", &[FAST, slow], CUBIC)
}

/// The slow line jitters exponentially.
#[must_use]
pub fn jit_exponential() -> Scenario {
    let slow = Shape {
        exponential: ms(10),
        ..SLOW
    };
    Scenario::new("JIT-EXP", &[FAST, slow], CUBIC)
}

/// Half a second of buffer in the lines.
#[must_use]
pub fn bloat() -> Scenario {
    let mut traffic = vec![Traffic::Tcp(CUBIC); 4];
    traffic.push(Traffic::Ping);
    let lines = [FAST.with_buffer(ms(500)), SLOW.with_buffer(ms(500))];
    Scenario {
        traffic,
        ..Scenario::new("BLOAT", &lines, CUBIC)
    }
}

/// The fast line has half its rate from 4 s to 7 s; measured while that lasts and a second more.
#[must_use]
pub fn updown_ping() -> Scenario {
    Scenario {
        events: vec![
            (secs(4), reshape(0, line(25, 20))),
            (secs(7), reshape(0, FAST)),
        ],
        settle: ms(3900),
        lasts: ms(4100),
        ..agg_a("UPDOWN-PING", CUBIC)
    }
}

/// The same, measured from 3 s after the end on.
#[must_use]
pub fn updown() -> Scenario {
    Scenario {
        name: "UPDOWN",
        settle: secs(10),
        lasts: secs(2),
        ..updown_ping()
    }
}

/// From the first segment on.
#[must_use]
pub fn start() -> Scenario {
    Scenario {
        settle: ms(0),
        lasts: secs(4),
        ..agg_a("START", CUBIC)
    }
}

/// The fast line is cut at 4 s.
#[must_use]
pub fn fo_a() -> Scenario {
    Scenario {
        events: vec![(secs(4), cut(0, true))],
        settle: ms(3900),
        lasts: secs(2),
        ..agg_a("FO-A", CUBIC)
    }
}

/// The fast line is cut at 4 s and whole again at 6 s; measured from 3 s later on.
#[must_use]
pub fn back() -> Scenario {
    Scenario {
        events: vec![(secs(4), cut(0, true)), (secs(6), cut(0, false))],
        settle: secs(9),
        lasts: secs(3),
        ..agg_a("BACK", CUBIC)
    }
}

/// The same, measured while the line comes back.
#[must_use]
pub fn back_dip() -> Scenario {
    Scenario {
        name: "BACK-DIP",
        settle: ms(5500),
        lasts: ms(3500),
        ..back()
    }
}

/// A third line is there for half a second of each.
#[must_use]
pub fn flap() -> Scenario {
    let flips = (0..20).map(|n| (ms(500 * n), cut(2, n % 2 == 0)));
    Scenario {
        events: flips.collect(),
        counted: 2,
        ..Scenario::new("FLAP", &[FAST, SLOW, line(20, 40)], CUBIC)
    }
}

/// Duplicates over two bad lines, 100,000 frames.
#[must_use]
pub fn redund() -> Scenario {
    let bad = Shape { loss: 0.02, ..FAST };
    Scenario {
        mode: Mode::Redundant,
        traffic: vec![Traffic::Stream(StreamSpec::steady(0, 1, 10_000))],
        settle: ms(500),
        lasts: secs(10),
        ..Scenario::new("REDUND", &[bad; 2], CUBIC)
    }
}

/// Voice beside a full load.
#[must_use]
pub fn voice() -> Scenario {
    Scenario {
        traffic: vec![Traffic::Tcp(CUBIC), Traffic::Voice],
        ..agg_a("VOICE", CUBIC)
    }
}

/// An idle hour beside a metered line.
#[must_use]
pub fn meter() -> Scenario {
    let metered = RoleCode {
        role: Role::Metered,
        ..RoleCode::default()
    };
    Scenario {
        roles: vec![RoleCode::default(), metered],
        traffic: Vec::new(),
        settle: secs(60),
        lasts: secs(3600),
        ..agg_a("METER", CUBIC)
    }
}

/// One line.
#[must_use]
pub fn one() -> Scenario {
    Scenario::new("ONE", &[FAST], CUBIC)
}

/// One line, without aggregation: what [`one`] is compared with.
#[must_use]
pub fn one_plain() -> Scenario {
    Scenario {
        name: "ONE-PLAIN",
        mode: Mode::Failover,
        ..one()
    }
}

/// All, in the order of the table.
pub const ALL: [fn() -> Scenario; 34] = [
    agg_a_cubic,
    agg_a_bbr,
    agg_a_reno,
    agg_a_paced,
    agg_a_quic,
    agg_a_many,
    agg_a_both,
    agg_b,
    agg_c,
    agg_fib,
    agg_sym,
    wide,
    loss,
    loss_bbr,
    jit_uniform,
    jit_exponential,
    bloat,
    updown_ping,
    updown,
    start,
    fo_a,
    back,
    back_dip,
    flap,
    redund,
    voice,
    meter,
    one,
    one_plain,
    traps::reorder,
    traps::policer,
    traps::idle,
    traps::join,
    traps::step,
];

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    let mut all = ALL.iter().map(|row| row());
    all.find(|scenario| scenario.name == name)
}
