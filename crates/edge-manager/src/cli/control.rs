//! `edge-manager serve`, by its control socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::json::without_place;

/// How long an answer may take: somewhat longer than `serve` lets it.
const PATIENCE: Duration = Duration::from_secs(150);

/// Longest answer, bytes: as many rules as are changed at once, each as long as it may be.
const MAX_ANSWER_BYTES: usize = 512 << 20;

/// Who listens on this socket; nobody, where `serve` does not run.
pub(super) fn connect(path: &Path) -> Result<Option<UnixStream>, Failure> {
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        // The last: no socket has such a long name.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::Control(path.to_owned(), error)),
    }
}

/// Posts a body to `serve`, and reads what it answers.
///
/// # Errors
/// As where the command does it itself.
pub(super) fn post<T: DeserializeOwned>(
    stream: UnixStream,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> Result<T, Failure> {
    send(stream, Method::POST, path, kind, body)
}

/// The same with any method.
///
/// # Errors
/// As where the command does it itself.
pub(super) fn send<T: DeserializeOwned>(
    stream: UnixStream,
    method: Method,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> Result<T, Failure> {
    let (status, body) = exchange(stream, method, path, kind, body).map_err(Failure::NoAnswer)?;
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.into()));
    }
    #[derive(Deserialize)]
    struct Told {
        message: String,
    }
    let told: Told = serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.into()))?;
    Err(match status {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::RefusedByServe(without_place(&told.message).to_owned())
        }
        StatusCode::BAD_REQUEST => Failure::InvalidByServe(told.message),
        _ => Failure::NoAnswer(io::Error::other(told.message)),
    })
}

fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> io::Result<(StatusCode, Bytes)> {
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let exchange = async {
            let stream = tokio::net::UnixStream::from_std(stream)?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "localhost")
                .header("content-type", kind)
                .body(Full::new(Bytes::from(body)))
                .map_err(io::Error::other)?;
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            Ok((status, body.map_err(io::Error::other)?.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    })
}
