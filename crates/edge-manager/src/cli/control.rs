//! `edge-manager serve`, by its control socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use super::failure::Failure;
use crate::api::ANSWER_TIMEOUT;
use crate::cause::Cause;
use crate::json::without_place;

/// How long an answer may take: somewhat longer than `serve` lets it.
const PATIENCE: Duration = ANSWER_TIMEOUT.saturating_add(Duration::from_secs(30));

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

/// Sends a body to `serve`, and reads what it answers.
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
    runtime()?.block_on(async {
        let exchange = async {
            let (_connection, answer) = ask(stream, method, path, kind, body).await?;
            let body = collect(answer.into_body()).await?;
            serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.into()))
        };
        let late = |_| Err(Failure::NoAnswer(io::ErrorKind::TimedOut.into()));
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(late)
    })
}

/// For one exchange.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(Failure::NoAnswer)
}

/// The connection lives as long as this.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Posts JSON to `serve`, and gives status and body of what it answers, whatever that is.
///
/// # Errors
/// There is no answer.
pub(super) fn exchange(
    stream: UnixStream,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), Failure> {
    runtime()?.block_on(async {
        let exchange = async {
            let (_connection, answer) = tell(stream, Method::POST, path, "application/json", body).await?;
            Ok((answer.status(), collect(answer.into_body()).await?))
        };
        let late = |_| Err(Failure::NoAnswer(io::ErrorKind::TimedOut.into()));
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(late)
    })
}

/// Gets what `serve` answers, whatever its status is.
///
/// # Errors
/// There is no answer.
pub(super) fn get(stream: UnixStream, path: &str) -> Result<Bytes, Failure> {
    runtime()?.block_on(async {
        let exchange = async {
            let (_connection, answer) =
                tell(stream, Method::GET, path, "application/json", Vec::new()).await?;
            collect(answer.into_body()).await
        };
        let late = |_| Err(Failure::NoAnswer(io::ErrorKind::TimedOut.into()));
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(late)
    })
}

/// Sends a body to `serve`, and gives what it answers as soon as it begins to, whatever that is.
async fn tell(
    stream: UnixStream,
    method: Method,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> Result<(Connection, Response<Incoming>), Failure> {
    let told = async {
        stream.set_nonblocking(true)?;
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
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        Ok((sender, answer))
    };
    told.await.map_err(Failure::NoAnswer)
}

/// Sends a body to `serve`, and gives what it answers as soon as it begins to.
///
/// # Errors
/// As where the command does it itself.
pub(super) async fn ask(
    stream: UnixStream,
    method: Method,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> Result<(Connection, Response<Incoming>), Failure> {
    let (sender, answer) = tell(stream, method, path, kind, body).await?;
    if answer.status() == StatusCode::OK {
        return Ok((sender, answer));
    }
    #[derive(Deserialize)]
    struct Told {
        message: String,
    }
    let cause = answer.headers().get(Cause::HEADER).and_then(|word| Cause::of_word(word.as_bytes()));
    let body = collect(answer.into_body()).await?;
    let told: Told = serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.into()))?;
    Err(match cause {
        Some(Cause::Refused) => Failure::RefusedByServe(without_place(&told.message).to_owned()),
        Some(Cause::Invalid) => Failure::InvalidByServe(told.message),
        Some(Cause::Unusable) | None => Failure::NoAnswer(io::Error::other(told.message)),
    })
}

async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    let whole = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    Ok(whole.map_err(|error| Failure::NoAnswer(io::Error::other(error)))?.to_bytes())
}
