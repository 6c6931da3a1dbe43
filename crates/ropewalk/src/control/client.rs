//! The client's side of the control API.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{PathCommand, PathsChanged};
use crate::status::{FdbEntry, Status};

/// How long a daemon may take to answer; it needs milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The forwarding table at its largest stays below this.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// RFC 3986, section 2.3: what needs no escape in a segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why the daemon could not be asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No socket, or nobody behind it.
    #[error("no daemon answers at {0}: is `ropewalk up` running?")]
    NoDaemon(PathBuf),
    /// The socket belongs to somebody else.
    #[error("{0} may be used only by the user who runs the daemon: try with sudo")]
    Forbidden(PathBuf),
    /// It took the call and said nothing.
    #[error("the daemon at {0} does not answer: it hangs, or is being debugged")]
    Silent(PathBuf),
    /// It said no.
    #[error("{0}")]
    Refused(String),
    /// Something else is wrong with the connection or the answer.
    #[error("the daemon at {path} cannot be understood: {why}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        why: String,
    },
}

/// Asks the daemon behind a socket; each call is one connection.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon at this socket.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// `GET /v1/status`.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.json(Method::GET, "/v1/status").await
    }

    /// `GET /v1/fdb`.
    pub async fn fdb(&self) -> Result<Vec<FdbEntry>, ClientError> {
        self.json(Method::GET, "/v1/fdb").await
    }

    /// `POST /v1/peers/{peer}/paths/{path}/{command}`; `path` as people write it.
    pub async fn path_command(
        &self,
        peer: &str,
        path: &str,
        command: PathCommand,
    ) -> Result<PathsChanged, ClientError> {
        let escape = |text| utf8_percent_encode(text, SEGMENT);
        let (peer, path) = (escape(peer), escape(path));
        let url = format!("/v1/peers/{peer}/paths/{path}/{}", command.word());
        self.json(Method::POST, &url).await
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, url: &str) -> Result<T, ClientError> {
        let answer = timeout(ANSWER_WITHIN, self.call(method, url)).await;
        let (code, body) = answer.map_err(|_| ClientError::Silent(self.socket.clone()))??;
        if !code.is_success() {
            #[derive(Deserialize)]
            struct Failure {
                error: String,
            }
            let failure = serde_json::from_slice::<Failure>(&body);
            return Err(match failure {
                Ok(failure) => ClientError::Refused(failure.error),
                Err(_) => self.broken(format!("HTTP {code}")),
            });
        }
        serde_json::from_slice(&body).map_err(|error| self.broken(error))
    }

    async fn call(&self, method: Method, url: &str) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.refused(error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(hyper::header::HOST, "ropewalk")
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.broken(error))?;
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|e| self.broken(e))?;
            let code = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            Ok((code, body.map_err(|error| self.broken(error))?.to_bytes()))
        };
        tokio::pin!(connection, exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection may end first, when its last bytes are already with us.
            _ = &mut connection => exchange.await,
        }
    }

    fn refused(&self, error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoDaemon(self.socket.clone())
            }
            io::ErrorKind::PermissionDenied => ClientError::Forbidden(self.socket.clone()),
            _ => self.broken(error),
        }
    }

    fn broken(&self, why: impl ToString) -> ClientError {
        ClientError::Broken {
            path: self.socket.clone(),
            why: why.to_string(),
        }
    }
}
