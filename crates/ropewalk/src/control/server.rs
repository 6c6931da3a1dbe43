//! The server's side of the control API.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{self, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{Stream, stream};
use jiff::Timestamp;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{CommandError, ControlBackend, PathsChanged};
use crate::status::{Event, FdbEntry, Status};

/// Why the control socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another daemon answers at {0}: stop it, or give this one its own [control] socket")]
    InUse(PathBuf),
    /// What stands there is no socket, and is left alone.
    #[error("{0} is there and is no socket: remove it, or name another [control] socket")]
    NotASocket(PathBuf),
    /// The folder or socket could not be made.
    #[error("cannot open the control socket {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A control socket that is open; dropping it removes the file.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    file: SocketFile,
}

impl ControlServer {
    /// Opens the socket with mode 0600, making its folder if need be. A socket that nobody
    /// answers on, left by a daemon that was killed, is replaced. Needs a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io {
            path: path.to_owned(),
            source,
        };
        remove_stale(path)?;
        if let Some(folder) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o755)
                .create(folder)
                .map_err(failed)?;
        }
        // The name appears only when the mode is right, so that nobody else connects before.
        let staging = path.with_extension(format!("{}.new", std::process::id()));
        // A leftover of an earlier process with this number is nobody's.
        let _ = fs::remove_file(&staging);
        let listener = UnixListener::bind(&staging).map_err(failed)?;
        let mut file = SocketFile::new(&staging).map_err(failed)?;
        fs::set_permissions(&staging, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        fs::rename(&staging, path).map_err(failed)?;
        file.path = path.to_owned();
        Ok(Self { listener, file })
    }

    /// Answers until the future is dropped; event streams end with it.
    pub async fn serve<B: ControlBackend>(self, backend: Arc<B>) -> io::Result<()> {
        let _removed_at_the_end = self.file;
        axum::serve(self.listener, router(backend)).await
    }
}

/// Removes a socket that nobody answers on.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    use std::os::unix::fs::FileTypeExt;
    let failed = |source| BindError::Io {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// The file of our socket, known by its inode: one that replaced it is not ours to remove.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let inode = fs::symlink_metadata(path)?.ino();
        Ok(Self {
            path: path.to_owned(),
            inode,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|now| now.ino() == self.inode);
        if is_ours {
            // At the end of the program there is nobody left to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn router<B: ControlBackend>(backend: Arc<B>) -> Router {
    Router::new()
        .route("/v1/status", get(status::<B>))
        .route("/v1/fdb", get(fdb::<B>))
        .route("/v1/events", get(events::<B>))
        .route(
            "/v1/peers/{peer}/paths/{path}/{command}",
            post(path_command::<B>),
        )
        .fallback(async || CommandError::NoSuchCall)
        .method_not_allowed_fallback(async || {
            let body = Json(json!({ "error": "this call takes another method" }));
            (StatusCode::METHOD_NOT_ALLOWED, body)
        })
        .with_state(backend)
}

impl IntoResponse for CommandError {
    fn into_response(self) -> Response {
        let code = match self {
            Self::UnknownPeer | Self::UnknownPath | Self::NoSuchCall => StatusCode::NOT_FOUND,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (code, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

async fn status<B: ControlBackend>(
    State(backend): State<Arc<B>>,
) -> Result<Json<Status>, CommandError> {
    backend.status().await.map(Json)
}

async fn fdb<B: ControlBackend>(
    State(backend): State<Arc<B>>,
) -> Result<Json<Vec<FdbEntry>>, CommandError> {
    backend.fdb().await.map(Json)
}

async fn path_command<B: ControlBackend>(
    State(backend): State<Arc<B>>,
    extract::Path((peer, path, command)): extract::Path<(String, String, String)>,
) -> Result<Json<PathsChanged>, CommandError> {
    let command = command.parse()?;
    backend
        .path_command(peer, path.parse()?, command)
        .await
        .map(Json)
}

async fn events<B: ControlBackend>(State(backend): State<Arc<B>>) -> Response {
    let lines = ndjson(backend.subscribe());
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}

/// One line of JSON for each event; the stream ends when the daemon does.
fn ndjson(receiver: Receiver<Event>) -> impl Stream<Item = Result<Bytes, serde_json::Error>> {
    stream::unfold(receiver, async |mut receiver| {
        let event = match receiver.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => Event {
                time: Timestamp::now(),
                kind: "lagged".to_owned(),
                peer: None,
                path: None,
                port: None,
                reason: Some(format!("{missed} events missed")),
            },
            Err(RecvError::Closed) => return None,
        };
        let line = serde_json::to_string(&event).map(|line| Bytes::from(line + "\n"));
        Some((line, receiver))
    })
}
