//! Every request, from its arrival to its answer: counted, logged, and not for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::error::Reason;
use super::{ApiError, App, Peer};
use crate::access::Caller;

/// How long an answer may take to begin: a change of the site waits for those before it, each of which has HAProxy read
/// its files twice.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// How much of a path is logged, bytes.
const MAX_PATH_BYTES: usize = 256;

pub(super) async fn watch(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path();
    let path = path[..path.floor_char_boundary(MAX_PATH_BYTES)].to_owned();
    let app = request.extensions().get::<Arc<App>>().cloned();
    let peer = request.extensions().get::<Peer>().cloned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = timeout(ANSWER_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        let late =
            format_args!("no answer in {} s; what was asked for may yet be done", ANSWER_TIMEOUT.as_secs());
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, late).into_response()
    });
    if let Some(app) = app {
        app.metrics.count_request(
            method.as_str(),
            route.as_deref().unwrap_or("none"),
            response.status().as_u16(),
        );
    }
    log(&method, &path, peer.as_ref(), &response, began.elapsed());
    response
}

/// What only reads and succeeds is for those who look closely.
fn log(method: &Method, path: &str, peer: Option<&Peer>, response: &Response, took: Duration) {
    let status = response.status();
    let caller = response.extensions().get::<Caller>().map_or("-", |caller| &*caller.name);
    let from = match peer {
        Some(Peer::Network(address)) => address.ip().to_canonical().to_string(),
        Some(Peer::Control(_)) => "control socket".to_owned(),
        None => "-".to_owned(),
    };
    let result = response.extensions().get::<Reason>().map_or("done", |reason| reason.0.as_str());
    let (status, duration_us) = (status.as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    match status {
        500.. => tracing::error!(%caller, %from, %method, path, status, result, duration_us, "request"),
        401 | 403 => tracing::warn!(%caller, %from, %method, path, status, result, duration_us, "request"),
        _ if method == Method::GET || method == Method::HEAD => {
            tracing::debug!(%caller, %from, %method, path, status, result, duration_us, "request");
        }
        _ => tracing::info!(%caller, %from, %method, path, status, result, duration_us, "request"),
    }
}
