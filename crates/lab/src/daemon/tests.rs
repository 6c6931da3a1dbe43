use super::*;

/// A stand-in that behaves like the program as far as this module can tell: serves one status
/// on its socket, and ends on SIGTERM.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, os, re, socket, sys
if sys.argv[1] == "keygen": print("private"); sys.exit(0)
if sys.argv[1] == "pubkey": print("public of " + sys.stdin.read().strip()); sys.exit(0)
if sys.argv[1] == "status": print("ok"); sys.exit(0)
print("up", os.environ.get("RUST_LOG"), open("a.key").read().strip(), flush=True)
path = re.search(r'socket = "(.*)"', open(sys.argv[3]).read()).group(1)
if os.path.exists(path): os.remove(path)
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
count = 0
while True:
    client, _ = server.accept()
    request = client.recv(4096).decode()
    count += 1
    body = json.dumps({"peers": [{"name": "b", "state": "up" if count > 2 else "down"}]})
    status = "200 OK" if "/v1/" in request else "404 Not Found"
    try: client.sendall(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
    except OSError: pass
    client.close()
"#;

fn stand_in(directory: &Path) -> PathBuf {
    let path = directory.join("stand-in");
    fs::write(&path, STAND_IN).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_daemon_is_started_watched_paused_and_ended() {
    if !crate::can_run("a_daemon_is_started_watched_paused_and_ended") {
        return;
    }
    if Command::new("python3").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: the stand-in for the daemon needs python3"
        );
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let host = Namespace::new("host").unwrap();
    let binary = stand_in(directory.path());
    let keys = Keys::generate(&binary).unwrap();
    assert_eq!(
        (keys.private.as_str(), keys.public.as_str()),
        ("private\n", "public of private")
    );
    let options = DaemonOptions {
        host,
        binary,
        config: "[node]\nname = \"a\"\n".to_owned(),
        files: Vec::new(),
        environment: vec![("RUST_LOG".to_owned(), "debug".to_owned())],
    };
    let mut daemon = Daemon::start(options.file("a.key", &keys.private)).unwrap();
    let second = Duration::from_secs(1);
    let status = daemon.wait_peer_up("b", 10 * second).unwrap();
    assert_eq!(find_peer(&status, "b").unwrap()["state"], "up");
    assert_eq!(find_peer(&status, "c"), None);
    assert_eq!(daemon.log().trim(), "up debug private");
    let key = fs::metadata(daemon.directory().join("a.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert!(
        daemon
            .get("/nowhere")
            .unwrap_err()
            .root_cause()
            .to_string()
            .contains("404")
    );
    assert_eq!(daemon.client(&["status"]).unwrap().stdout, b"ok\n");

    daemon.pause().unwrap();
    let error = daemon.status().unwrap_err();
    assert!(format!("{error:#}").contains("no answer"), "{error:#}");
    daemon.resume().unwrap();
    daemon.wait_status(5 * second, |_| true).unwrap();
    assert!(
        !daemon.stop(5 * second).unwrap().success(),
        "ended by the signal"
    );
    assert!(daemon.pause().is_err(), "it has ended");
    daemon.restart().unwrap();
    daemon.wait_peer_up("b", 10 * second).unwrap();
    daemon.kill().unwrap();
    let error = daemon
        .wait_status(second, |_| true)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ended") && error.contains("up debug"),
        "{error}"
    );
}
