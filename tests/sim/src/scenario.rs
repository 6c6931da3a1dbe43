//! A whole run from one seed: two machines, some lines, traffic, faults for a while, and then the questions.

mod build;
mod faults;
mod verdict;

use rand::{SeedableRng as _, rngs::ChaCha8Rng};

use crate::{log::ErrorLog, world::World};

pub use build::Plan;

/// Runs a seed to its end. `verbose` prints what happens.
///
/// # Errors
/// What was violated, or did not happen in time.
pub fn run_seed(seed: u64, verbose: bool) -> Result<u64, String> {
    let log = ErrorLog::default();
    let result = log.listen(verbose, || simulate(seed, verbose));
    match log.errors().first() {
        Some(error) => Err(format!("logged an error: {error}")),
        None => result,
    }
}

fn simulate(seed: u64, verbose: bool) -> Result<u64, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7363_656e_6172_696f);
    let plan = Plan::sample(&mut rng);
    let mut world = plan.build(seed, &mut rng);
    world.verbose = verbose;
    world.trace(|| format!("{plan:?}"));
    let end = faults::schedule(&mut world, &plan, &mut rng);
    start(&mut world, &mut rng);
    let quiet = world.base + end;
    world.run(quiet - world.now);
    faults::mend(&mut world, &plan);
    verdict::judge(&mut world, &plan)?;
    Ok(world.digest)
}

/// Switches the machines on, not always both at once.
fn start(world: &mut World, rng: &mut ChaCha8Rng) {
    use rand::RngExt as _;
    let first = rng.random_range(0..2);
    world.boot(first);
    if rng.random_bool(0.5) {
        let pause = std::time::Duration::from_millis(rng.random_range(0..3000));
        world.run(pause);
    }
    if world.hosts[1 - first].node.is_none() {
        world.boot(1 - first);
    }
}
