//! What a client is told that does not get what it asked for.

use std::any::Any;
use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cause::Cause;
use crate::rules::{Invalid, Refusal, RulesError};
use crate::store::StoreError;

/// Longest message, bytes: it may repeat what the client sent.
const MAX_MESSAGE_BYTES: usize = 2048;

/// Why a request was not done, in one line for whoever made it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    status: StatusCode,
    cause: Cause,
    message: String,
    retry_after_s: Option<u64>,
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    /// Always `error`.
    #[schema(example = "error")]
    status: &'static str,
    /// What is wrong, in one line.
    message: String,
}

impl ApiError {
    /// With this status, 400 to 599. Control characters of the message are escaped: it is logged too.
    pub fn new(status: StatusCode, message: impl Display) -> Self {
        let mut line = String::new();
        for character in message.to_string().chars() {
            if line.len() >= MAX_MESSAGE_BYTES {
                line.push_str("...");
                break;
            }
            if character.is_control() {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
        let cause = match status {
            StatusCode::BAD_REQUEST => Cause::Invalid,
            StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::TOO_MANY_REQUESTS => Cause::Refused,
            _ => Cause::Unusable,
        };
        Self { status, cause, message: line, retry_after_s: None }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: what it is about is not there.
    pub fn not_found(message: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409: something that is there is in its way.
    pub fn conflict(message: impl Display) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 429: the client may come back after so many seconds.
    pub fn too_many(message: impl Display, retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(retry_after_s)
    }

    /// With a header that says when to come back, seconds.
    pub fn retry_after(self, retry_after_s: u64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..self }
    }

    /// 500: it is not the client's fault.
    pub fn internal(message: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// Of one among many changes: with its place before what is wrong.
    pub(super) fn placed(error: RulesError, place: impl FnOnce(usize) -> String) -> Self {
        let at = if let RulesError::Refused { at, .. } = error { Some(at) } else { None };
        let mut refused = Self::from(error);
        if let Some(at) = at {
            refused.message = format!("{}: {}", place(at), refused.message);
        }
        refused
    }

    /// For this cause, where it is not the one that most errors of the status have.
    pub fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// Puts `Retry-After` among these headers, where it is known.
    pub(crate) fn say_when(&self, headers: &mut HeaderMap) {
        headers.extend(self.retry_after_s.map(|seconds| (header::RETRY_AFTER, seconds.into())));
    }

    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// What went wrong, among the extensions of an answer: for the log.
#[derive(Clone)]
pub(crate) struct Reason(pub(crate) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody { status: "error", message: self.message.clone() });
        let cause = [(HeaderName::from_static(Cause::HEADER), self.cause.as_str())];
        let mut response = (self.status, cause, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 says how to do better.
            let challenge = HeaderValue::from_static("Bearer realm=\"edge-manager\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        self.say_when(response.headers_mut());
        response.extensions_mut().insert(Reason(self.message));
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(error: Invalid) -> Self {
        Self::bad_request(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<RulesError> for ApiError {
    fn from(error: RulesError) -> Self {
        match &error {
            RulesError::Refused { why, .. } => match why {
                Refusal::Present(_) | Refusal::FullResource(_) | Refusal::Full(_) => Self::conflict(error),
                Refusal::Absent(_) | Refusal::NoSuchNumber(_) => Self::not_found(error),
                Refusal::Parameters(_) => Self::bad_request(error).because(Cause::Refused),
            },
            RulesError::TooMany => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error),
            RulesError::Record(StoreError::TooManyLists(_)) => Self::conflict(error),
            _ => Self::internal(error),
        }
    }
}

/// The answer when a handler panics; the panic itself has been logged.
pub(super) fn of_panic(_: Box<dyn Any + Send>) -> Response {
    ApiError::internal("a fault of edge-manager itself: its log says more").into_response()
}
