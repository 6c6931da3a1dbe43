//! One HTTP request over a Unix socket, answered in JSON.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// A daemon answers at once, or not at all (it may be paused).
const TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a request; an answer that is not a success is an error with its text. An empty body is
/// `null`.
pub(super) fn request(socket: &Path, method: &str, path: &str) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime
        .block_on(async { tokio::time::timeout(TIMEOUT, exchange(socket, method, path)).await });
    answer
        .with_context(|| format!("no answer within {TIMEOUT:?}"))
        .and_then(|answer| answer)
        .with_context(|| format!("{method} {path} at {}", socket.display()))
}

async fn exchange(socket: &Path, method: &str, path: &str) -> Result<Value> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let serve = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "ropewalk")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    serve.abort();
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&body));
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).context("the answer is not JSON")
}
