//! What breaks in a seed's run, when, and that all of it is mended in the end.

use std::time::Duration;

use node::PathOp;
use rand::{RngExt as _, rngs::ChaCha8Rng, seq::IndexedRandom as _};

use crate::{
    fault::Fault,
    line::{Burst, Shape},
    world::World,
};

use super::Plan;

/// Schedules faults; returns when the last of them must be over.
pub(super) fn schedule(world: &mut World, plan: &Plan, rng: &mut ChaCha8Rng) -> Duration {
    let end = Duration::from_millis(rng.random_range(15_000..40_000));
    for _ in 0..rng.random_range(2..14) {
        let at = Duration::from_millis(rng.random_range(0..end.as_millis() as u64 - 50));
        let longest = if rng.random_bool(0.5) { 1_500 } else { 14_000 };
        let lasts = Duration::from_millis(rng.random_range(10..longest));
        let (breaks, mends) = draw(plan, rng);
        world.schedule_fault(at, breaks);
        if let Some(mends) = mends {
            world.schedule_fault((at + lasts).min(end - Duration::from_millis(1)), mends);
        }
    }
    end
}

/// Makes everything good that may still be broken.
pub(super) fn mend(world: &mut World, plan: &Plan) {
    for (line, &shape) in plan.pair.lines.iter().enumerate() {
        world.apply(Fault::Reshape {
            line,
            direction: 2,
            shape,
        });
        world.apply(Fault::Cut {
            line,
            direction: 2,
            cut: false,
        });
    }
    for host in 0..2 {
        if world.hosts[host].node.is_none() {
            world.apply(Fault::Boot(host, Some(0)));
        }
        world.apply(Fault::Wake(host));
        for uplink in 0..plan.pair.lines.len() as u8 {
            if !world.hosts[host].sockets[usize::from(uplink)].present {
                world.apply(Fault::Carrier {
                    host,
                    uplink,
                    present: true,
                });
            }
            world.apply(Fault::Order(host, uplink, PathOp::Up));
        }
    }
    world.apply(Fault::Pause(false));
    world.end_attack();
}

/// Something that breaks and, unless it is a thing of one moment, its repair.
fn draw(plan: &Plan, rng: &mut ChaCha8Rng) -> (Fault, Option<Fault>) {
    let count = plan.pair.lines.len();
    let line = rng.random_range(0..count);
    let uplink = line as u8;
    let direction = rng.random_range(0..3);
    let host = rng.random_range(0..2);
    match rng.random_range(0..20) {
        0..=4 => {
            let cut = |cut| Fault::Cut {
                line,
                direction,
                cut,
            };
            (cut(true), Some(cut(false)))
        }
        5..=8 => {
            let base = plan.pair.lines[line];
            let worse = worsen(base, rng);
            let reshape = |shape| Fault::Reshape {
                line,
                direction,
                shape,
            };
            (reshape(worse), Some(reshape(base)))
        }
        9 | 10 => {
            let carrier = |present| Fault::Carrier {
                host,
                uplink,
                present,
            };
            (carrier(false), Some(carrier(true)))
        }
        11 | 12 => match plan.mover {
            Some(host) => (Fault::Readdress { host, uplink }, None),
            None => (Fault::Rebind { host, uplink }, None),
        },
        13 | 14 => {
            let clock = *[Some(0), Some(0), None, Some(-500_000), Some(500_000)]
                .choose(rng)
                .unwrap_or(&None);
            (Fault::Crash(host), Some(Fault::Boot(host, clock)))
        }
        15 => (Fault::Sleep(host), Some(Fault::Wake(host))),
        16 => (Fault::Freeze(host), Some(Fault::Wake(host))),
        17 => {
            let op = if rng.random_bool(0.5) {
                PathOp::Down
            } else {
                PathOp::Drain
            };
            (
                Fault::Order(host, uplink, op),
                Some(Fault::Order(host, uplink, PathOp::Up)),
            )
        }
        18 => (Fault::Pause(true), Some(Fault::Pause(false))),
        _ if rng.random_bool(0.3) => (
            Fault::ClockJump(host, rng.random_range(-100_000..100_000)),
            None,
        ),
        _ => (
            Fault::Attack(Duration::from_millis(rng.random_range(200..6_000))),
            None,
        ),
    }
}

fn worsen(base: Shape, rng: &mut ChaCha8Rng) -> Shape {
    let millis = |rng: &mut ChaCha8Rng, most| Duration::from_millis(rng.random_range(1..most));
    match rng.random_range(0..9) {
        0 => Shape {
            loss: rng.random_range(0.001..0.3),
            ..base
        },
        1 => Shape {
            burst: Some(Burst {
                enter: 0.01,
                leave: rng.random_range(0.02..0.5),
                loss: 0.9,
            }),
            ..base
        },
        2 => Shape {
            duplicate: rng.random_range(0.01..0.9),
            ..base
        },
        3 => Shape {
            reorder: rng.random_range(0.01..0.5),
            reorder_by: millis(rng, 1_000),
            ..base
        },
        4 => Shape {
            delay: base.delay + millis(rng, 400),
            ..base
        },
        5 => Shape {
            delay: base.delay / 4,
            ..base
        },
        6 => Shape {
            jitter: millis(rng, 120),
            overtaking: rng.random_bool(0.5),
            ..base
        },
        7 => Shape {
            mtu: rng.random_range(1250..1400),
            ..base
        },
        _ => Shape {
            rate: rng.random_range(100_000..1_000_000),
            queue: 20_000,
            ..base
        },
    }
}
