//! Who changed what.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::Params;
use super::{ApiError, App, Routes, rules};
use crate::clock::time_s;
use crate::json::AuditJson;
use crate::store::{AuditSelection, StoreError};

/// The type of lines of JSON.
const LINES: &str = "application/x-ndjson";

/// Lines that are read at once.
const PIECE: u32 = 1000;

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only changes made with the key of this name; `CLI:` and the user of the command line, `manager` for the manager itself
    who: Option<String>,
    /// Only this operation, such as `rules.put`
    action: Option<String>,
    /// Only changes at this time or later: seconds since the Unix epoch, or as 2026-01-31T08:00:00Z
    since: Option<String>,
    /// Only changes before this time
    until: Option<String>,
    /// Only changes with a lesser id: `next` of the page before
    #[param(minimum = 0)]
    after: Option<i64>,
    /// At most so many; 100, if it is not said, and all as lines
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

impl Wanted {
    fn selection(self) -> Result<AuditSelection, ApiError> {
        let at_us = |field, text: Option<String>| text.map(|text| time_us(field, &text)).transpose();
        Ok(AuditSelection {
            caller: self.who,
            operation: self.action,
            since_us: at_us("since", self.since)?,
            until_us: at_us("until", self.until)?,
            after: self.after,
        })
    }
}

/// The time of this field, microseconds since the Unix epoch.
///
/// # Errors
/// 400, with the field.
pub(crate) fn time_us(field: &str, text: &str) -> Result<u64, ApiError> {
    let at_s = text.parse().or_else(|_| time_s(text));
    at_s.map(|at_s: u64| at_s.saturating_mul(1_000_000)).map_err(|_| {
        let why = "neither seconds since the Unix epoch nor as 2026-01-31T08:00:00Z";
        ApiError::bad_request(format_args!("{field}: {text:?}: {why}"))
    })
}

/// Some changes.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// The newest first.
    changes: Vec<AuditJson>,
    /// What `after` of the next page is; null where there is none.
    #[schema(required)]
    next: Option<i64>,
}

/// List who changed what
///
/// The newest 100,000 changes are remembered. With `Accept: application/x-ndjson`, all that are selected, a line for each.
#[utoipa::path(
    get,
    path = "/api/audit",
    tag = "manager",
    params(Wanted),
    responses(
        (status = 200, description = "Changes, the newest first", content((AuditPage = "application/json"), (String = "application/x-ndjson"))),
        (status = 400, description = "A parameter cannot be taken", body = ErrorBody)
    )
)]
async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
) -> Result<Response, ApiError> {
    let asked = wanted.limit;
    let limit = rules::limit(asked)?;
    let selection = wanted.selection()?;
    let accepted = headers.get(header::ACCEPT).map(|accept| String::from_utf8_lossy(accept.as_bytes()));
    if accepted.is_some_and(|accept| accept.contains(LINES)) {
        return lines(app, selection, asked).await;
    }
    // One more tells whether there is another page.
    let mut changes = read(&app, selection, limit + 1).await?;
    let has_more = changes.len() > limit as usize;
    changes.truncate(limit as usize);
    let next = changes.last().filter(|_| has_more).map(|last| last.id);
    Ok(Json(AuditPage { changes, next }).into_response())
}

async fn read(app: &Arc<App>, selection: AuditSelection, limit: u32) -> Result<Vec<AuditJson>, ApiError> {
    app.reading(move |app| {
        let entries = app.store.read::<_, StoreError>(|view| view.audit(&selection, limit))?;
        Ok(entries.into_iter().map(AuditJson::from).collect())
    })
    .await
}

/// All that is selected, a piece at a time: however much it is, it needs the memory of a piece. A limit is no longer than one.
pub(crate) async fn lines(
    app: Arc<App>,
    mut selection: AuditSelection,
    limit: Option<u32>,
) -> Result<Response, ApiError> {
    let mut piece = read(&app, selection.clone(), limit.unwrap_or(PIECE)).await?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, ApiError>>(1);
    tokio::spawn(async move {
        loop {
            let is_last = limit.is_some() || piece.len() < PIECE as usize;
            selection.after = piece.last().map(|last| last.id).or(selection.after);
            let sent = sender.send(to_lines(&piece).map(Bytes::from)).await;
            if is_last || sent.is_err() {
                return;
            }
            piece = match read(&app, selection.clone(), PIECE).await {
                Ok(piece) => piece,
                Err(error) => {
                    // What breaks off has no end: the client sees that something is missing.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, LINES)], body).into_response())
}

fn to_lines(changes: &[AuditJson]) -> Result<Vec<u8>, ApiError> {
    let mut lines = Vec::new();
    for change in changes {
        serde_json::to_writer(&mut lines, change).map_err(ApiError::internal)?;
        lines.push(b'\n');
    }
    Ok(lines)
}
