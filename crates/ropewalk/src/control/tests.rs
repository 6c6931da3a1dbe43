//! The server and the client against each other, with a made-up daemon behind.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::*;

struct Fake {
    events: broadcast::Sender<Event>,
    commands: Mutex<Vec<(String, PathSelector, PathCommand)>>,
}

impl ControlBackend for Fake {
    async fn status(&self) -> Result<Status, CommandError> {
        Ok(crate::status::tests::sample())
    }

    async fn fdb(&self) -> Result<Vec<FdbEntry>, CommandError> {
        Err(CommandError::Unavailable("ending".to_owned()))
    }

    async fn path_command(
        &self,
        peer: String,
        path: PathSelector,
        command: PathCommand,
    ) -> Result<PathsChanged, CommandError> {
        if peer != "b" {
            return Err(CommandError::UnknownPeer);
        }
        self.commands.lock().unwrap().push((peer, path, command));
        Ok(PathsChanged { paths: 1 })
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

struct Daemon {
    socket: PathBuf,
    fake: Arc<Fake>,
    task: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

/// A daemon in a folder that the server has to make.
fn daemon() -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/x.sock");
    let fake = Arc::new(Fake {
        events: broadcast::channel(4).0,
        commands: Mutex::default(),
    });
    let server = ControlServer::bind(&socket).unwrap();
    let task = tokio::spawn(server.serve(Arc::clone(&fake)));
    Daemon {
        socket,
        fake,
        task,
        _folder: folder,
    }
}

fn event(kind: &str) -> Event {
    let time = "2026-01-02T03:04:05Z".parse().unwrap();
    Event {
        time,
        kind: kind.to_owned(),
        peer: None,
        path: None,
        port: None,
        reason: None,
    }
}

#[tokio::test]
async fn status_and_commands() {
    let daemon = daemon();
    let client = Client::new(&daemon.socket);
    assert_eq!(
        client.status().await.unwrap(),
        crate::status::tests::sample()
    );
    for path in [
        "line1",
        "line1/192.168.100.2:1830",
        "line1/[2001:db8::1]:1830",
    ] {
        let changed = client
            .path_command("b", path, PathCommand::Drain)
            .await
            .unwrap();
        assert_eq!(changed, PathsChanged { paths: 1 });
        let (_, heard, command) = daemon.fake.commands.lock().unwrap().pop().unwrap();
        assert_eq!(
            (heard.to_string().as_str(), command),
            (path, PathCommand::Drain)
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_an_error_with_words() {
    let daemon = daemon();
    let client = Client::new(&daemon.socket);
    let error = client
        .path_command("c", "line1", PathCommand::Up)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(why) if why.contains("no such peer")),
        "{error}"
    );
    for path in ["line1/nonsense", "/x", "../../status"] {
        let error = client
            .path_command("b", path, PathCommand::Up)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ClientError::Refused(why) if why.contains("path")),
            "{error}"
        );
    }
    let error = client.fdb().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(why) if why.contains("ending")),
        "{error}"
    );
}

/// Sends a request as it stands and reads the whole answer.
async fn raw(daemon: &Daemon, request: &str) -> String {
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn other_calls_are_refused_in_json() {
    let daemon = daemon();
    let cases = [
        ("GET /v2/x", "404", "no such call"),
        ("POST /v1/status", "405", "another method"),
        (
            "POST /v1/peers/b/paths/line1/explode",
            "404",
            "no such call",
        ),
    ];
    for (request, code, words) in cases {
        let answer = raw(&daemon, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        assert!(
            answer.contains(r#"{"error":""#) && answer.contains(words),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn events_are_lines_and_a_slow_reader_is_told() {
    let daemon = daemon();
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    stream
        .write_all(b"GET /v1/events HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    while !lines.next_line().await.unwrap().unwrap().is_empty() {}
    daemon.fake.events.send(event("path-up")).unwrap();
    let line = lines.next_line().await.unwrap().unwrap();
    assert_eq!(
        serde_json::from_str::<Event>(&line).unwrap(),
        event("path-up")
    );
    // Without a pause between them: the server's task cannot read in the meantime.
    (0..10).for_each(|_| drop(daemon.fake.events.send(event("path-down"))));
    let line = lines.next_line().await.unwrap().unwrap();
    let lagged: Event = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (lagged.kind.as_str(), lagged.reason.as_deref()),
        ("lagged", Some("6 events missed"))
    );
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_the_daemon() {
    let daemon = daemon();
    let mode = std::fs::metadata(&daemon.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = ControlServer::bind(&daemon.socket).unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    daemon.task.abort();
    assert!(daemon.task.await.unwrap_err().is_cancelled());
    assert!(!daemon.socket.exists());
    let error = Client::new(&daemon.socket).status().await.unwrap_err();
    assert!(
        error.to_string().contains("is `ropewalk up` running?"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stale_socket_is_replaced_but_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let error = Client::new(&stale).status().await.unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon(_)), "{error}");
    ControlServer::bind(&stale).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let error = ControlServer::bind(&file).unwrap_err();
    assert!(matches!(error, BindError::NotASocket(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("x.sock");
    let _never_accepts = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let asked = tokio::time::Instant::now();
    let error = Client::new(&socket).status().await.unwrap_err();
    assert!(matches!(error, ClientError::Silent(_)), "{error}");
    assert!(asked.elapsed() >= Duration::from_secs(5));
}
