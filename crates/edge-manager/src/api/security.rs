//! Blocks that end by themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use utoipa_axum::routes;

use super::answer::stored;
use super::blocked_ips::{BY, NO_REASON, address_of, named, put, reason_schema, required, until};
use super::extract::JsonBody;
use super::loose::{text, whole, whole_schema};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::{now_us, zoneless};
use crate::rules::{Change, Cleared, End, IfPresent, Input, fit_reason};

/// How long a temporary block lasts by default, and at most: a year. Minutes.
const DEFAULT_MINUTES: u64 = 60;
const MAX_MINUTES: u64 = 525_600;

pub(super) fn routes() -> Routes {
    Routes::new().operator(routes!(block)).operator(routes!(clear_expired))
}

#[derive(Deserialize, ToSchema)]
struct TemporaryBlockRequest {
    /// An IPv4 or IPv6 address, or a CIDR
    #[schema(example = "192.168.1.100", required = true, nullable = false)]
    ip_address: Option<String>,
    #[schema(schema_with = minutes_schema)]
    duration_minutes: Option<Value>,
    #[schema(schema_with = reason_schema)]
    reason: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct TemporaryBlockAnswer {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "IP 192.168.1.100 temporarily blocked for 60 minutes")]
    message: String,
    blocked_ip_id: i64,
    /// In UTC; null where it does not end by itself
    #[schema(example = "2024-01-15T11:30:00")]
    expires_at: Option<String>,
}

fn minutes_schema() -> Schema {
    whole_schema("How long, minutes, a number or a text of digits; by default 60", 1, MAX_MINUTES)
}

fn minutes(value: &Value) -> Result<u64, ApiError> {
    let minutes = whole(value).filter(|minutes| (1..=MAX_MINUTES).contains(minutes));
    let wrong = || ApiError::bad_request(format_args!("duration_minutes: {value}: 1 to {MAX_MINUTES}"));
    minutes.ok_or_else(wrong)
}

/// Block an address or a network for some time
///
/// One that is blocked already stays blocked for as long as it was, or until this block would end, whichever is later; the
/// answer says until when.
#[utoipa::path(
    post,
    path = "/api/security/temporary-block",
    tag = "security",
    request_body = TemporaryBlockRequest,
    responses(
        (status = 200, description = "It is blocked", body = TemporaryBlockAnswer),
        (status = 400, description = "ip_address is missing, or a value cannot be taken", body = super::error::ErrorBody),
        (status = 409, description = "There are as many rules as the filter has room for", body = super::error::ErrorBody)
    )
)]
async fn block(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<TemporaryBlockRequest>,
) -> Result<Json<TemporaryBlockAnswer>, ApiError> {
    let now_us = now_us();
    let target = required(request.ip_address)?;
    let minutes = request.duration_minutes.as_ref().map_or(Ok(DEFAULT_MINUTES), minutes)?;
    let reason = fit_reason(&text(request.reason.as_ref()).unwrap_or(NO_REASON.into()));
    let input =
        Input { target: &target, end: End::Ttl(minutes * 60), reason: &reason, by: BY, ..Input::default() };
    let new = input.parse(now_us).map_err(named)?;
    let end_s = new.rule.expires_at_s;
    let change = Change::Put(new, IfPresent::Prolong);
    let (entry, enforcement) = put(&app, caller, change, now_us).await?;
    let address = address_of(&entry);
    let done = if entry.rule.expires_at_s > end_s {
        format!("IP {address} is already blocked{}", until(&entry))
    } else {
        format!("IP {address} temporarily blocked for {minutes} minutes")
    };
    Ok(Json(TemporaryBlockAnswer {
        status: "success",
        message: stored(done, &enforcement),
        blocked_ip_id: entry.id,
        expires_at: entry.expires_at_s().map(zoneless),
    }))
}

#[derive(Serialize, ToSchema)]
struct ClearAnswer {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "Cleared 3 expired IP blocks")]
    message: String,
    /// Rules of every kind
    cleared: usize,
    /// Addresses and networks whose block had ended; the first 10,000
    cleared_ips: Vec<String>,
}

/// Remove rules that have ended from the record, where nobody obeys them any more
#[utoipa::path(
    post,
    path = "/api/security/clear-expired",
    tag = "security",
    responses((status = 200, description = "They are removed", body = ClearAnswer))
)]
async fn clear_expired(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<ClearAnswer>, ApiError> {
    let now_us = now_us();
    let cleared = app.blocking(move |app| Ok(app.clear_expired(&caller, now_us)?)).await?;
    let Cleared { rules, blocks, clients } = cleared;
    let message = format!("Cleared {blocks} expired IP blocks");
    Ok(Json(ClearAnswer { status: "success", message, cleared: rules, cleared_ips: clients }))
}
