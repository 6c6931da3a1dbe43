//! Scenarios of aggregation: lines, traffic, what changes, and what came of it.
//!
//! [`rows`] has one function for each scenario; [`run`] plays one with a seed and measures; [`Trace`] notes what happened
//! every 100 ms.

mod outcome;
pub mod rows;
mod trace;
pub mod traps;

use std::time::{Duration, Instant};

use node::{Mode, RoleCode};
use rand::RngExt as _;

use crate::{
    Fault, PairSpec, Shape, StreamSpec, World, ms, pair, secs,
    tcp::{Algorithm, ConnectionSpec, Detection, Pacing, SenderConfig, Transport},
};

pub use outcome::{Metric, Outcome};
pub use trace::Trace;

/// Of a line's rate, in IP bytes, what is expected as goodput at the best.
pub const BASE: f64 = 0.93;

/// What goes through the nodes; from machine 0 to 1 unless it says otherwise.
#[derive(Clone, Debug)]
pub enum Traffic {
    /// A TCP transfer without end.
    Tcp(Algorithm),
    /// One that paces as Linux does with `fq`.
    Paced(Algorithm),
    /// A TCP transfer from machine 1 to 0.
    Back(Algorithm),
    /// Paced UDP with feedback.
    Quic(Algorithm),
    /// Numbered frames.
    Stream(StreamSpec),
    /// Voice: 50 frames of 200 bytes a second each way.
    Voice,
    /// An echo request every 20 ms.
    Ping,
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name in the table.
    pub name: &'static str,
    /// Lines.
    pub lines: Vec<Shape>,
    /// Roles of machine 0's uplinks.
    pub roles: Vec<RoleCode>,
    /// How both use them.
    pub mode: Mode,
    /// What goes through.
    pub traffic: Vec<Traffic>,
    /// What happens, and how long after the traffic began.
    pub events: Vec<(Duration, Fault)>,
    /// How long after the traffic began measuring begins.
    pub settle: Duration,
    /// How long is measured.
    pub lasts: Duration,
    /// The first this many lines count as what could be had.
    pub counted: usize,
}

impl Scenario {
    /// One transfer over these lines by aggregation, measured for 6 s after 4 s, with echo requests beside it.
    #[must_use]
    pub fn new(name: &'static str, lines: &[Shape], algorithm: Algorithm) -> Self {
        Self {
            name,
            lines: lines.to_vec(),
            roles: Vec::new(),
            mode: Mode::Aggregate,
            traffic: vec![Traffic::Tcp(algorithm), Traffic::Ping],
            events: Vec::new(),
            settle: secs(4),
            lasts: secs(6),
            counted: lines.len(),
        }
    }

    /// Goodput that counts as all, bit/s.
    #[must_use]
    pub fn whole(&self) -> f64 {
        let lines = self.lines.iter().take(self.counted);
        BASE * lines
            .map(|line| line.rate as f64 * (1.0 - line.loss))
            .sum::<f64>()
    }

    /// The machines, their lines up, before the traffic.
    ///
    /// # Panics
    /// When the lines do not come up.
    #[must_use]
    pub fn start(&self, seed: u64) -> World {
        let mut spec = PairSpec::new(self.mode, &self.lines);
        spec.roles = [self.roles.clone(), Vec::new()];
        let mut world = pair(seed, &spec);
        world.boot(0);
        world.boot(1);
        let up = world.run_until(secs(5), World::all_lines_up);
        assert!(up.is_some(), "{}: the lines do not come up", self.name);
        world.run(ms(500));
        world
    }

    /// Adds the traffic and schedules what happens.
    pub fn begin(&self, world: &mut World) {
        for (at, fault) in &self.events {
            world.schedule_fault(*at, fault.clone());
        }
        for traffic in &self.traffic {
            traffic.add(world);
            // Two seeds are two runs also where lines leave nothing to chance.
            let pause = Duration::from_micros(world.rng.random_range(0..5_000));
            world.run(pause);
        }
    }
}

impl Traffic {
    fn add(&self, world: &mut World) {
        let tcp = |machines, sender| ConnectionSpec {
            machines,
            carrier: Transport::Tcp,
            sender,
        };
        let spec = match *self {
            Self::Tcp(algorithm) => tcp([0, 1], SenderConfig::linux(algorithm)),
            Self::Back(algorithm) => tcp([1, 0], SenderConfig::linux(algorithm)),
            Self::Paced(algorithm) => {
                let pacing = Pacing::Linux;
                let linux = SenderConfig::linux(algorithm);
                tcp([0, 1], SenderConfig { pacing, ..linux })
            }
            Self::Quic(algorithm) => ConnectionSpec {
                machines: [0, 1],
                carrier: Transport::Udp,
                sender: SenderConfig {
                    pacing: Pacing::Linux,
                    detection: Detection::Quic,
                    ..SenderConfig::linux(algorithm)
                },
            },
            Self::Stream(ref spec) => {
                world.add_stream(spec.clone());
                return;
            }
            Self::Voice => {
                world.add_conversation(&StreamSpec::steady(0, 1, 50));
                return;
            }
            Self::Ping => {
                world.add_ping([0, 1], ms(20));
                return;
            }
        };
        world.add_connection(spec);
    }
}

/// Plays a scenario. `watch` is called every 100 ms from the beginning of the traffic on.
pub fn run(scenario: &Scenario, seed: u64, mut watch: impl FnMut(&World)) -> Outcome {
    let mut world = scenario.start(seed);
    let began = world.now;
    scenario.begin(&mut world);
    watch(&world);
    advance(&mut world, began + scenario.settle, &mut watch);
    let measured = outcome::Measuring::begin(&mut world);
    advance(
        &mut world,
        began + scenario.settle + scenario.lasts,
        &mut watch,
    );
    measured.finish(&mut world, scenario)
}

fn advance(world: &mut World, end: Instant, watch: &mut impl FnMut(&World)) {
    while world.now < end && world.checks.violations().is_empty() {
        world.run(ms(100).min(end - world.now));
        watch(world);
    }
}
