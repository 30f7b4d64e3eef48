//! Answers to ACME servers that ask for proofs of control (RFC 8555, section 8.3).

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::Segments;
use super::{ApiError, App, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().public(routes!(answer))
}

/// Get the proof for a token
///
/// For as long as an order for a certificate needs it. HAProxy brings such requests here, from whomever they come.
#[utoipa::path(
    get,
    path = "/.well-known/acme-challenge/{token}",
    tag = "certificates",
    params(("token" = String, Path)),
    responses(
        (status = 200, description = "The key authorization", body = String, content_type = "application/octet-stream"),
        (status = 404, description = "No order needs it", body = ErrorBody)
    )
)]
async fn answer(
    State(app): State<Arc<App>>,
    Segments(token): Segments<String>,
) -> Result<impl IntoResponse, ApiError> {
    let answer = app.certificates.answers().get(&token);
    let answer = answer.ok_or_else(|| ApiError::not_found("no order needs a proof of this token"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], answer))
}
