//! Thousands of changes as one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::{content_type, is_json, read};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::now_us;
use crate::json::{Bulk, BulkBody, BulkError, ChangeJson, Form};

/// Longest body, bytes.
const MAX_BYTES: usize = 32 << 20;

/// How long it may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(90);

pub(super) fn routes() -> Routes {
    Routes::new().operator(routes!(change).layer(DefaultBodyLimit::max(MAX_BYTES)))
}

/// Make and remove rules, all of them or none
///
/// At most 100,000 changes and 32 MiB. As JSON, an array of rules that are to be made, or an object: first the rules of
/// `remove` are removed, then those of `rules` are made. As `application/x-ndjson`, a rule that is to be made on each line, or
/// `{"remove": ...}`, in the order in which they are changed. An error names the line or the index, and the field.
#[utoipa::path(
    post,
    path = "/api/rules/bulk",
    tag = "rules",
    request_body(
        content((BulkBody = "application/json"), (String = "application/x-ndjson"))
    ),
    responses(
        (status = 200, description = "All are made and removed", body = ChangeJson),
        (status = 400, description = "A value cannot be taken", body = ErrorBody),
        (status = 404, description = "A rule that is to be removed is not there", body = ErrorBody),
        (status = 409, description = "There is a rule with such a target, and `replace` was not asked for; or more than the filter has room for", body = ErrorBody)
    )
)]
async fn change(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, ApiError> {
    let form = form(request.headers())?;
    // As few bodies at once as there is memory for.
    let turn = app.bulks.clone().acquire_owned().await.map_err(ApiError::internal)?;
    let body = read(request, BODY_TIMEOUT).await?;
    let json = app
        .blocking(move |app| {
            let now_us = now_us();
            let bulk = Bulk::parse(&body, form, &caller.name, now_us).map_err(|error| {
                let status = match error {
                    BulkError::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
                    BulkError::Invalid(_) => StatusCode::BAD_REQUEST,
                };
                ApiError::new(status, error)
            })?;
            drop(body);
            let (changes, place) = bulk.into_parts();
            let changed =
                app.change_rules(&caller, changes, now_us).map_err(|error| ApiError::placed(error, place))?;
            let json = serde_json::to_vec(&ChangeJson::from(&changed));
            drop(turn);
            json.map_err(ApiError::internal)
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    let Some(kind) = content_type(headers) else { return Ok(Form::Json) };
    match &*kind {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Form::Lines)
        }
        kind if is_json(kind) => Ok(Form::Json),
        other => {
            let wrong = format_args!(
                "Content-Type: {other:?}: the body must be application/json or application/x-ndjson"
            );
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong))
        }
    }
}
