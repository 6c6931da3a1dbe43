//! The demo as a newcomer runs it, and what it leaves behind: nothing.

// A test may take its time from the machine.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

#[test]
fn the_pair_keeps_its_promises() {
    if !lab::can_run("the_pair_keeps_its_promises") {
        return;
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = || demo(folder.path(), &["pair"]).output().unwrap();
    let start = Instant::now();
    let mut output = run();
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
    if !output.status.success() && text(&output.stdout).contains("machine is busy") {
        // That says nothing about the program.
        output = run();
    }
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let (shown, errors) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(0), "{shown}{errors}");
    assert!(errors.is_empty(), "{errors}");
    assert!(
        shown.chars().all(|c| c == '\n' || !c.is_control()),
        "{shown:?}"
    );
    for part in [
        "OpenVPN + bond",
        "20 s to never",
        "line 1, in use, dies silently",
        "line 1 returns",
        "drained",
        "line 2, in use, dies silently",
        "A moves",
        "Mbit/s",
        "PASSED",
    ] {
        assert!(shown.contains(part), "no {part:?}: {shown}");
    }
    assert_eq!(leftovers(folder.path()), [""; 0]);
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
