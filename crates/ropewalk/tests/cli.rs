//! The program as people meet it: arguments in, text and exit code out.

// A test may take its time from the machine.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn ropewalk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ropewalk"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn pubkey(private: &str) -> Output {
    let mut child = ropewalk(&["pubkey"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(private.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A folder with a key and a configuration around `rest`.
fn folder(rest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = ropewalk(&["keygen"]).output().unwrap().stdout;
    let path = folder.path().join("a.key");
    fs::write(&path, key).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let config = format!("[node]\nname = \"a\"\nprivate-key-file = \"a.key\"\n{rest}");
    fs::write(folder.path().join("a.toml"), config).unwrap();
    folder
}

fn check(folder: &Path, more: &[&str]) -> Output {
    let file = folder.join("a.toml");
    let mut arguments = vec!["check", "-c", file.to_str().unwrap()];
    arguments.extend(more);
    ropewalk(&arguments).output().unwrap()
}

#[test]
fn keys_are_made_and_derived() {
    let made = ropewalk(&["keygen"]).output().unwrap();
    assert!(made.status.success() && made.stderr.is_empty());
    let private = text(&made.stdout);
    assert_eq!((private.len(), private.ends_with("=\n")), (45, true));
    let public = pubkey(&private);
    assert!(public.status.success());
    assert_eq!(public.stdout.len(), 45);
    assert_ne!(text(&public.stdout), private);
    let refused = pubkey("not a key");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("not base64"));
}

#[test]
fn keygen_warns_of_a_file_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        let path = folder.path().join(format!("{mode}"));
        let file = fs::File::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let made = ropewalk(&["keygen"]).stdout(file).output().unwrap();
        assert!(made.status.success());
        assert_eq!(text(&made.stderr).contains("chmod 600"), warned, "{mode:o}");
        assert_eq!(fs::read(&path).unwrap().len(), 45);
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let folder = folder("[[port]]\nname = \"rw-test0\"\n");
    let found = check(folder.path(), &[]);
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let private = fs::read_to_string(folder.path().join("a.key")).unwrap();
    let expected = format!(
        "{}: ok: node a, 1 uplink, 0 peers, 1 port\npublic key: {}",
        folder.path().join("a.toml").display(),
        text(&pubkey(&private).stdout)
    );
    assert_eq!(text(&found.stdout), expected);
}

#[test]
fn what_depends_on_the_machine_is_a_warning() {
    let folder = folder("[[uplink]]\nname = \"x\"\ndevice = \"rw-none0\"\n");
    let found = check(folder.path(), &["--json"]);
    assert_eq!(found.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["warnings"][0]["key"], "uplink.device");
    assert_eq!(
        (&json["warnings"][0]["line"], &json["warnings"][0]["column"]),
        (&6.into(), &10.into())
    );
}

#[test]
fn a_bad_configuration_exits_with_2() {
    let folder = folder("[[port]]\nname = \"x\"\nmtu = 1\nmut = 2\n");
    let found = check(folder.path(), &[]);
    assert_eq!(found.status.code(), Some(2));
    let stderr = text(&found.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    let file = folder.path().join("a.toml");
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with(&format!("{}:6:7: port.mtu: is 1; ", file.display())),
        "{stderr}"
    );
    assert!(lines[1].ends_with(":7:1: port.mut: is no key of this table; did you mean mtu?"));
    let json = check(folder.path(), &["--json"]);
    assert_eq!(json.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["errors"].as_array().unwrap().len(), 2);
    let up = ropewalk(&["up", "-c", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!((up.status.code(), text(&up.stderr)), (Some(2), stderr));
}

#[test]
fn a_missing_file_and_bad_usage_exit_with_2() {
    let found = ropewalk(&["check", "-c", "/nonexistent.toml"])
        .output()
        .unwrap();
    assert_eq!(found.status.code(), Some(2));
    assert!(text(&found.stderr).starts_with("/nonexistent.toml: cannot be read"));
    let found = ropewalk(&["path", "sideways", "b", "line1"])
        .output()
        .unwrap();
    assert_eq!(found.status.code(), Some(2));
}

#[test]
fn without_a_daemon_clients_say_so() {
    let folder = folder("[control]\nsocket = \"/nonexistent/x.sock\"\n");
    let file = folder.path().join("a.toml");
    let file = file.to_str().unwrap();
    for arguments in [
        ["status", "-c", file].as_slice(),
        &["fdb", "--socket", "/nonexistent/x.sock"],
        &["path", "down", "b", "line1", "-c", file],
    ] {
        let found = ropewalk(arguments).output().unwrap();
        assert_eq!(found.status.code(), Some(1));
        let expected =
            "ropewalk: no daemon answers at /nonexistent/x.sock: is `ropewalk up` running?\n";
        assert_eq!(text(&found.stderr), expected);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = ropewalk(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), text(&done.stderr)),
        (Some(0), String::new())
    );
}

#[test]
fn manual_pages_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let made = ropewalk(&["man", folder.path().to_str().unwrap()])
        .status()
        .unwrap();
    assert!(made.success());
    assert!(folder.path().join("ropewalk-check.1").exists());
}

#[test]
fn a_name_that_does_not_resolve_is_a_warning() {
    let peer = "[[peer]]\nname = \"b\"\npublic-key = \
                \"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\"\nendpoints = [\"b.invalid\"]\n";
    let folder = folder(peer);
    let found = check(folder.path(), &[]);
    assert_eq!(found.status.code(), Some(0));
    let stderr = text(&found.stderr);
    // A resolver that does not answer in time is passed over.
    let is_told = stderr.contains(":7:14: peer.endpoints: \"b.invalid\" does not resolve now");
    assert!(stderr.is_empty() || is_told, "{stderr}");
}
