//! Blocks that end by themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::blocked_ips::{address_of, already, named, put, required, time};
use super::extract::JsonBody;
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::now_us;
use crate::rules::{Change, End, IfPresent, Input};

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
    /// How long, minutes; by default 60
    #[schema(minimum = 1, maximum = 525_600)]
    duration_minutes: Option<u64>,
    /// Why; by default `No reason provided`
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct TemporaryBlockAnswer {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "IP 192.168.1.100 has been blocked for 60 minutes")]
    message: String,
    blocked_ip_id: i64,
    /// In UTC; null where it does not end by itself
    #[schema(example = "2024-01-15 11:30:00")]
    expires_at: Option<String>,
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
    let minutes = request.duration_minutes.unwrap_or(DEFAULT_MINUTES);
    if !(1..=MAX_MINUTES).contains(&minutes) {
        return Err(ApiError::bad_request(format_args!("duration_minutes: {minutes}: 1 to {MAX_MINUTES}")));
    }
    let input = Input {
        target: &target,
        end: End::Ttl(minutes * 60),
        reason: request.reason.as_deref().unwrap_or("No reason provided"),
        by: "API",
        ..Input::default()
    };
    let new = input.parse(now_us).map_err(named)?;
    let end_s = new.rule.expires_at_s;
    let change = Change::Put(new, IfPresent::Prolong);
    let (entry, note) = put(&app, caller, change, now_us).await?;
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    let done = if entry.rule.expires_at_s > end_s {
        already(&entry)
    } else {
        format!("IP {} has been blocked for {minutes} {unit}", address_of(&entry))
    };
    Ok(Json(TemporaryBlockAnswer {
        status: "success",
        message: format!("{done}{note}"),
        blocked_ip_id: entry.id,
        expires_at: entry.expires_at_s().map(time),
    }))
}

#[derive(Serialize, ToSchema)]
struct ClearAnswer {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "3 expired rules have been cleared")]
    message: String,
    cleared: usize,
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
    let message = match cleared {
        1 => "1 expired rule has been cleared".to_owned(),
        many => format!("{many} expired rules have been cleared"),
    };
    Ok(Json(ClearAnswer { status: "success", message, cleared }))
}
