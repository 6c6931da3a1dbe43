//! The demo as a newcomer runs it, and what it leaves behind: nothing.

// A test may take its time from the machine.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab::{StallWatch, undisturbed};

/// Demos measure time: they take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The demo with its files below `folder`, so that what is left of them can be seen.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ropewalk"));
    command
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The files it left, and the daemons that still run on its configurations.
fn leftovers(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let mut left: Vec<String> = files
        .map(|file| file.unwrap().path().display().to_string())
        .collect();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        // A process may end while we look.
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder.display().to_string()) {
            left.push(line);
        }
    }
    left
}

/// The last line of a verdict and what follows it.
fn verdict(shown: &str) -> &str {
    let verdicts = ["\nPASSED", "\nFAILED", "\nNOT JUDGED"];
    let at = verdicts.iter().find_map(|word| shown.find(word));
    at.map_or("", |at| &shown[at + 1..])
}

/// One demo, with everything looked at that does not depend on time: what it showed.
fn play_pair() -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["pair"]).output().unwrap();
    let (shown, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(errors.is_empty(), "{errors}{shown}");
    assert!(
        shown.chars().all(|c| c == '\n' || !c.is_control()),
        "{shown:?}"
    );
    assert_eq!(leftovers(folder.path()), [""; 0]);
    assert!(!verdict(&shown).is_empty(), "no verdict: {shown}");
    let phases = [
        "Mbit/s",
        "line 1, in use, dies silently",
        "line 1 returns",
        "drained",
        "line 2, in use, dies silently",
        "A moves",
        "OpenVPN + bond",
        "20 s to never",
    ];
    // On a machine that stands still for long, a line may not carry again in time.
    let gave_up = verdict(&shown).contains("all of it, and");
    for part in phases.iter().filter(|_| !gave_up) {
        assert!(shown.contains(part), "no {part:?}: {shown}");
    }
    (output.status.code(), shown)
}

#[test]
fn the_pair_keeps_its_promises() {
    const NAME: &str = "the_pair_keeps_its_promises";
    if !lab::can_run(NAME) {
        return;
    }
    let _alone = alone();
    let mut failed = 0;
    for _ in 0..undisturbed::TRIES {
        let (watch, start) = (StallWatch::start(), Instant::now());
        let (code, shown) = play_pair();
        let (took, stood_still) = (start.elapsed(), watch.since(start).total);
        if verdict(&shown).starts_with("NOT JUDGED") {
            assert_eq!(code, Some(1), "{shown}");
            continue;
        }
        if verdict(&shown).starts_with("FAILED") {
            failed += 1;
            assert_eq!(code, Some(1), "{shown}");
            assert!(failed < undisturbed::MISSES, "{shown}");
            continue;
        }
        assert_eq!(code, Some(0), "{shown}");
        assert!(took < Duration::from_secs(60) + stood_still, "{took:?}");
        return;
    }
    assert_eq!(failed, 0, "never passed");
    undisturbed::skipped(NAME, "this machine stood still in every demo");
}

#[test]
fn an_end_by_signal_leaves_nothing_behind() {
    if !lab::can_run("an_end_by_signal_leaves_nothing_behind") {
        return;
    }
    let _alone = alone();
    for signal in ["INT", "TERM", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = demo(folder.path(), &["pair", "--json"]).spawn().unwrap();
        wait_until_it_says(&mut child, "connected");
        assert!(!leftovers(folder.path()).is_empty(), "it runs");
        let sent = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        let start = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(output.status.code(), Some(1), "SIG{signal}");
        assert!(output.stdout.is_empty(), "no result");
        let error = text(&output.stderr);
        assert!(error.contains("interrupted"), "SIG{signal}: {error}");
        assert_eq!(leftovers(folder.path()), [""; 0], "SIG{signal}");
    }
}

/// Reads standard error up to a word.
fn wait_until_it_says(child: &mut Child, word: &str) {
    let stderr = child.stderr.as_mut().unwrap();
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(word) {
        assert_eq!(
            stderr.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&said)
        );
        said.extend(byte);
    }
}

#[test]
fn the_office_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["office"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("not in this version"));
}
