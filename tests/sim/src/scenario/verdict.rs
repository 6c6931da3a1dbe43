//! What must be true some time after all faults are over.

use std::time::Duration;

use rand::RngExt as _;

use crate::{ms, secs, world::World};

use super::Plan;

/// After this all paths are up.
const CONVERGED: Duration = secs(2);
/// Frames are watched this long.
const WATCHED: Duration = secs(3);
/// The longest hold-down and a little more.
const LONGEST_HOLD: Duration = ms(30_500);

/// Asks the questions.
pub(super) fn judge(world: &mut World, plan: &Plan) -> Result<(), String> {
    violated(world)?;
    // All of it: right after the last fault a path may still be believed to be up that is about to be given up.
    let patience = CONVERGED + 6 * plan.slowest();
    world.run(patience);
    violated(world)?;
    if !(world.all_peers_up() && world.all_lines_up()) {
        report(world);
        return Err(format!(
            "{patience:?} after the last fault not all is up: {}",
            missing(world)
        ));
    }
    let from = world.now;
    world.run(WATCHED);
    let to = world.now;
    world.run(ms(200) + plan.slowest());
    violated(world)?;
    let (lost, arrived) = (world.lost(from, to), world.arrived(from, to));
    if lost > 0 || arrived == 0 {
        report(world);
        for stream in world.streams.iter().filter(|_| world.verbose) {
            eprintln!(
                "{} of {} lost: {:?}",
                stream.lost(from, to),
                stream.lost(from, to) + stream.arrived(from, to),
                stream.spec
            );
        }
        return Err(format!(
            "{lost} frames lost and {arrived} arrived from {:?} on, though all was up",
            from - world.base
        ));
    }
    if world.rng.random_bool(0.25) {
        release(world)?;
    }
    violated(world)
}

/// No path is held down for longer than the longest hold-down.
fn release(world: &mut World) -> Result<(), String> {
    world.apply(crate::Fault::Pause(true));
    world.run(LONGEST_HOLD);
    let hosts = 0..world.hosts.len();
    let paths = hosts
        .filter_map(|host| world.snapshot(host))
        .flat_map(|node| node.peers)
        .flat_map(|peer| peer.paths);
    let held: Vec<_> = paths
        .filter(|path| path.excluded == Some("hold-down"))
        .collect();
    if held.is_empty() {
        Ok(())
    } else {
        Err(format!("held down for ever: {held:?}"))
    }
}

fn missing(world: &World) -> String {
    let lines = (0..world.lines.len()).filter(|&line| !world.line_is_up(line));
    format!(
        "lines {:?}, peers up {}",
        lines.collect::<Vec<_>>(),
        world.all_peers_up()
    )
}

fn report(world: &World) {
    if world.verbose {
        world.print_state();
    }
}

fn violated(world: &World) -> Result<(), String> {
    match world.checks.violations() {
        [] => Ok(()),
        violations => Err(violations.join("; ")),
    }
}
