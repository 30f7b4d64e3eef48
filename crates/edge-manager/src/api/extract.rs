//! What requests carry, read with the one kind of error.

use std::error::Error;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::ApiError;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body of JSON, whose type may be left unsaid: older clients do not say it.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        object(&json(request).await?).map(Self)
    }
}

/// A JSON object with these fields. An array, which serde would take for the fields in their order, is none: PHP writes
/// `[]` for what has no entries, and would empty whatever it was meant to change.
///
/// # Errors
/// 400, with the path of the field that is wrong.
pub(crate) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::bad_request("the body: it must be an object, not an array"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, said) = (error.path().to_string(), error.inner().to_string());
        // Nowhere, where the JSON itself is broken; and some values say their field themselves.
        match path == "." || path == "?" || said.starts_with(&path) {
            true => ApiError::bad_request(format_args!("the body: {said}")),
            false => ApiError::bad_request(format_args!("the body: {path}: {said}")),
        }
    })?;
    json.end().map_err(|error| ApiError::bad_request(format_args!("the body: {error}")))?;
    Ok(value)
}

/// A body that is, or may be, JSON.
pub(super) async fn json(request: Request) -> Result<Bytes, ApiError> {
    if let Some(kind) = content_type(request.headers()).filter(|kind| !is_json(kind)) {
        let wrong = format_args!("Content-Type: {kind:?}: the body must be application/json");
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong));
    }
    read(request, BODY_TIMEOUT).await
}

/// The body, as long as the route allows.
pub(crate) async fn read(request: Request, patience: Duration) -> Result<Bytes, ApiError> {
    match timeout(patience, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::new(error.status(), "the body is too long"))
        }
        Ok(Err(error)) => Err(ApiError::bad_request(format_args!("the body: {}", root(&error)))),
        Err(_) => {
            let late = format_args!("the body did not arrive in {} s", patience.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, late))
        }
    }
}

/// What the body is said to be, without parameters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let kind = String::from_utf8_lossy(headers.get(header::CONTENT_TYPE)?.as_bytes());
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(essence).filter(|essence| !essence.is_empty())
}

/// Whether this is a type of JSON.
pub(super) fn is_json(kind: &str) -> bool {
    let subtype = kind.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The parameters behind the `?`.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(super) struct Params<T>(pub(super) T);

impl From<QueryRejection> for ApiError {
    fn from(error: QueryRejection) -> Self {
        Self::bad_request(format_args!("the query: {}", root(&error)))
    }
}

/// The parts of the path that vary.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(super) struct Segments<T>(pub(super) T);

impl From<PathRejection> for ApiError {
    fn from(error: PathRejection) -> Self {
        Self::bad_request(format_args!("the path: {}", root(&error)))
    }
}

/// What is at the bottom of an error: the rest says where it was found.
fn root<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}
