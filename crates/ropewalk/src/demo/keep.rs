//! `--keep`: the scene stays until Ctrl-C, to be looked at and broken by hand.

use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Result;
use lab::{Direction, End, Interrupt, Meter, MeterOptions, Way};

use super::progress::Progress;
use super::scene::{Line, Scene, segment_address};

/// How often we look whether somebody wants it to end.
const STEP: Duration = Duration::from_millis(100);
/// What a break by hand felt like is measured for this long.
const WATCH: Duration = Duration::from_secs(2);

/// Says how to look around, does what is typed, and returns when the user wants it to end.
pub(super) fn hold(
    scene: &Scene,
    progress: &Progress,
    interrupt: &Interrupt,
    named: bool,
) -> Result<()> {
    let typed = typed();
    progress.line(&help(scene, named, typed.is_some()))?;
    while !interrupt.asked() {
        let Some(lines) = &typed else {
            std::thread::sleep(STEP);
            continue;
        };
        match lines.recv_timeout(STEP) {
            Ok(text) if text.trim() == "1" => toggle(scene, progress, Line::One)?,
            Ok(text) if text.trim() == "2" => toggle(scene, progress, Line::Two)?,
            Ok(text) if text.trim() == "q" => return Ok(()),
            Ok(_) => progress.line("1, 2 or q, and Enter")?,
            Err(RecvTimeoutError::Timeout) => {}
            // The terminal's end of file: as good as "q".
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    Ok(())
}

/// Lines from the terminal, when we may read from it: a background job would be stopped.
fn typed() -> Option<Receiver<String>> {
    if !io::stdin().is_terminal() || !in_foreground() {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        for line in io::stdin().lock().lines().map_while(io::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("typed".into())
        .spawn(work)
        .ok()?;
    Some(receiver)
}

/// proc_pid_stat(5): our process group is the one that the terminal belongs to.
fn in_foreground() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name may contain anything, also spaces; it ends with the last bracket.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = fields.split_whitespace().skip(2);
    let group = fields.next();
    let terminal_group = fields.nth(2);
    group.is_some() && group == terminal_group
}

/// Cuts or heals a line and says what that felt like.
fn toggle(scene: &Scene, progress: &Progress, line: Line) -> Result<()> {
    let cable = scene.cable(line);
    let options = MeterOptions {
        grace: Duration::from_millis(200),
        ..MeterOptions::default()
    };
    let meter = Meter::start(&scene.meter_end(End::A), &scene.meter_end(End::B), options)?;
    std::thread::sleep(WATCH / 4);
    let was_cut = cable.profile(Direction::AToB).cut;
    if was_cut {
        cable.heal();
    } else {
        cable.cut(Way::Both);
    }
    std::thread::sleep(WATCH);
    let felt = meter.stop();
    let done = if was_cut { "works again" } else { "is silent" };
    progress.line(&format!(
        "{} {done}: longest gap {:.0} ms, {} of {} packets lost",
        line.text(),
        felt.outage().as_secs_f64() * 1e3,
        felt.lost(),
        felt.a_to_b.sent + felt.b_to_a.sent
    ))
}

fn help(scene: &Scene, named: bool, reads: bool) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "ropewalk".into());
    let inside = |end: End| match named {
        true => format!("ip netns exec {}", scene.host(end).name()),
        // Nobody but us knows the namespaces, but the daemons are in them.
        false => format!(
            "nsenter -U --preserve-credentials -n -t {}",
            scene.daemon(end).pid()
        ),
    };
    let socket = |end: End| scene.daemon(end).socket().display().to_string();
    let mut text = format!(
        "\nIt goes on running. From another terminal:\n  \
         {} ping {}\n  \
         {program} status --watch --socket {}\n  \
         {program} status --watch --socket {}\n  \
         {program} path drain b line1 --socket {}\n  \
         {} ip link set line1 down\n  \
         less {}\n",
        inside(End::A),
        segment_address(End::B),
        socket(End::A),
        socket(End::B),
        socket(End::A),
        inside(End::A),
        scene.daemon(End::A).directory().join("log").display(),
    );
    if reads {
        text += "Here: 1 or 2 and Enter cuts that line silently, or mends it, and says what users felt.\n\
                 Ctrl-C (or q and Enter) ends it and removes everything.";
    } else {
        text += "Ctrl-C ends it and removes everything.";
    }
    text
}
