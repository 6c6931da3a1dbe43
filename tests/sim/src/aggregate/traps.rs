//! Traps that others fell into (MULTIPATH) and that are a matter of rates or delays.

use super::{
    Scenario, Traffic,
    rows::{CUBIC, FAST, SLOW, agg_a, cut, line, lossy},
};
use crate::{Fault, Shape, Sizes, StreamSpec, ms, secs};

/// One reorder buffer for all stalls every flow. Loss on one line, a transfer, and numbered frames beside it.
#[must_use]
pub fn reorder() -> Scenario {
    Scenario {
        traffic: vec![
            Traffic::Tcp(CUBIC),
            Traffic::Stream(StreamSpec::steady(0, 1, 200)),
        ],
        ..Scenario::new("TRAP-REORDER", &[FAST, lossy(FAST)], CUBIC)
    }
}

/// More loss, more packets. A policer, and frames without feedback at three times its rate.
#[must_use]
pub fn policer() -> Scenario {
    let policer = Shape {
        queue: 6_000,
        ..line(3, 20)
    };
    let flood = StreamSpec {
        sizes: Sizes::Fixed(1250),
        ..StreamSpec::steady(0, 1, 1000)
    };
    Scenario {
        traffic: vec![Traffic::Stream(flood)],
        ..Scenario::new("TRAP-POLICER", &[policer], CUBIC)
    }
}

/// The estimate of an idle line falls. Load for 3 s, 10 s of nothing, load again.
#[must_use]
pub fn idle() -> Scenario {
    Scenario {
        events: vec![
            (secs(3), Fault::Pause(true)),
            (secs(13), Fault::Pause(false)),
        ],
        settle: secs(13),
        lasts: secs(3),
        ..agg_a("TRAP-IDLE", CUBIC)
    }
}

/// A fresh line that jitters starves. It joins at 3 s.
#[must_use]
pub fn join() -> Scenario {
    let slow = Shape {
        jitter: ms(10),
        ..SLOW
    };
    Scenario {
        events: vec![(ms(0), cut(1, true)), (secs(3), cut(1, false))],
        settle: secs(6),
        lasts: secs(3),
        ..Scenario::new("TRAP-JOIN", &[FAST, slow], CUBIC)
    }
}

/// A step when a line joins. The slow one does at 4 s.
#[must_use]
pub fn step() -> Scenario {
    Scenario {
        events: vec![(ms(0), cut(1, true)), (secs(4), cut(1, false))],
        settle: ms(3500),
        lasts: ms(3500),
        ..agg_a("TRAP-STEP", CUBIC)
    }
}
