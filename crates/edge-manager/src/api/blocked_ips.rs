//! Blocked addresses and networks, as older clients know them: the block list of the record.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use edge_filter::List;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::openapi::Schema;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::answer::{Done, stored};
use super::extract::{JsonBody, Params};
use super::loose::{text, text_schema};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::{now_s, now_us, zoneless};
use crate::haproxy::Enforcement;
use crate::rules::{
    Change, Entry, IfPresent, Input, Invalid, Refusal, RulesError, client, fit_by, fit_reason, text_of,
};
use crate::store::{Kind, Selection, StoreError};

/// Rules that are read at once. A list of any length needs no more memory, and holds up nothing while it is sent.
const PAGE: u32 = 1000;

/// Why and by whom an address was blocked, where nobody says it.
pub(super) const NO_REASON: &str = "No reason provided";
pub(super) const BY: &str = "API";

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(list)).operator(routes!(block, unblock)).operator(routes!(sync))
}

/// A blocked address or network.
#[derive(Serialize, ToSchema)]
struct BlockedIp {
    /// Never given twice.
    id: i64,
    /// An address or a CIDR.
    #[schema(example = "192.168.1.100")]
    ip_address: String,
    reason: String,
    /// In UTC.
    #[schema(example = "2024-01-15 10:30:00")]
    blocked_at: String,
    blocked_by: String,
}

impl BlockedIp {
    fn of(entry: &Entry) -> Self {
        Self {
            id: entry.id,
            ip_address: address_of(entry),
            reason: entry.rule.reason.to_string(),
            blocked_at: time(entry.created_at_s),
            blocked_by: entry.created_by.clone(),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Only those with a greater id: where the page before ended
    after: Option<i64>,
    /// At most so many; all, if it is not said
    limit: Option<u32>,
}

/// List the addresses and networks that are blocked now
#[utoipa::path(
    get,
    path = "/api/blocked-ips",
    tag = "blocked-ips",
    params(Page),
    responses((status = 200, description = "In the order of their ids", body = Vec<BlockedIp>))
)]
async fn list(State(app): State<Arc<App>>, Params(page): Params<Page>) -> Result<Response, ApiError> {
    let mut page = page;
    let (mut json, mut is_last) = read(&app, &mut page, true).await?;
    if is_last {
        return Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response());
    }
    let (sender, receiver) = mpsc::channel::<Result<Bytes, ApiError>>(1);
    tokio::spawn(async move {
        // Ends when all is sent, or nobody reads on.
        while sender.send(Ok(json.into())).await.is_ok() && !is_last {
            match read(&app, &mut page, false).await {
                Ok(next) => (json, is_last) = next,
                Err(error) => {
                    // What breaks off is no JSON: the client sees that something is missing.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The next piece of the list, and whether it is the last.
async fn read(app: &Arc<App>, page: &mut Page, is_first: bool) -> Result<(Vec<u8>, bool), ApiError> {
    let limit = page.limit.unwrap_or(u32::MAX).min(PAGE);
    let selection = Selection { after: page.after, limit: Some(limit), ..in_force(now_s()) };
    let blocked: Vec<BlockedIp> = app
        .reading(move |app| {
            let entries = app.store.read(|view| {
                view.with_entries(&selection, |entries| {
                    entries.map(|entry| Ok::<_, StoreError>(BlockedIp::of(&entry?))).collect::<Result<_, _>>()
                })?
            })?;
            Ok(entries)
        })
        .await?;
    let count = u32::try_from(blocked.len()).unwrap_or(limit);
    page.after = blocked.last().map(|last| last.id).or(page.after);
    page.limit = page.limit.map(|left| left - count);
    let is_last = count < limit || page.limit == Some(0);
    let mut json = Vec::new();
    json.extend(is_first.then_some(b'['));
    for (at, blocked) in blocked.iter().enumerate() {
        json.extend((at > 0 || !is_first).then_some(b','));
        serde_json::to_writer(&mut json, blocked).map_err(ApiError::internal)?;
    }
    json.extend(is_last.then_some(b']'));
    Ok((json, is_last))
}

#[derive(Deserialize, ToSchema)]
struct BlockRequest {
    /// An IPv4 or IPv6 address, or a CIDR
    #[schema(example = "192.168.1.100", required = true, nullable = false)]
    ip_address: Option<String>,
    #[schema(schema_with = reason_schema)]
    reason: Option<Value>,
    #[schema(schema_with = by_schema)]
    blocked_by: Option<Value>,
}

pub(super) fn reason_schema() -> Schema {
    text_schema(
        "Why, a text; by default `No reason provided`. Control characters become spaces, and what is over 1024 bytes is cut",
    )
}

fn by_schema() -> Schema {
    text_schema("Who, a text; by default `API`. As `reason`, but 128 bytes")
}

#[derive(Serialize, ToSchema)]
struct BlockAnswer {
    #[schema(example = "success")]
    status: &'static str,
    blocked_ip_id: i64,
    #[schema(example = "IP 192.168.1.100 has been blocked")]
    message: String,
}

/// Block an address or a network, until it is unblocked
#[utoipa::path(
    post,
    path = "/api/blocked-ips",
    tag = "blocked-ips",
    request_body = BlockRequest,
    responses(
        (status = 200, description = "It is blocked", body = BlockAnswer),
        (status = 400, description = "ip_address is missing, or a value cannot be taken", body = super::error::ErrorBody),
        (status = 409, description = "It is blocked already, or there are as many rules as the filter has room for", body = super::error::ErrorBody)
    )
)]
async fn block(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<BlockRequest>,
) -> Result<Json<BlockAnswer>, ApiError> {
    let now_us = now_us();
    let target = required(request.ip_address)?;
    let reason = fit_reason(&text(request.reason.as_ref()).unwrap_or(NO_REASON.into()));
    let by = fit_by(&text(request.blocked_by.as_ref()).unwrap_or(BY.into()));
    let input = Input { target: &target, reason: &reason, by: &by, ..Input::default() };
    let new = input.parse(now_us).map_err(named)?;
    let (entry, enforcement) = put(&app, caller, Change::Put(new, IfPresent::Refuse), now_us).await?;
    let message = stored(format!("IP {} has been blocked", address_of(&entry)), &enforcement);
    Ok(Json(BlockAnswer { status: "success", blocked_ip_id: entry.id, message }))
}

#[derive(Deserialize, ToSchema)]
struct UnblockRequest {
    /// As it was blocked
    #[schema(example = "192.168.1.100", required = true, nullable = false)]
    ip_address: Option<String>,
}

/// Unblock an address or a network
#[utoipa::path(
    delete,
    path = "/api/blocked-ips",
    tag = "blocked-ips",
    request_body = UnblockRequest,
    responses(
        (status = 200, description = "It is no longer blocked", body = Done),
        (status = 400, description = "ip_address is missing or invalid", body = super::error::ErrorBody),
        (status = 404, description = "It is not blocked", body = super::error::ErrorBody)
    )
)]
async fn unblock(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<UnblockRequest>,
) -> Result<Json<Done>, ApiError> {
    let target = client(List::Block, &required(request.ip_address)?).map_err(named)?;
    let (entry, enforcement) = put(&app, caller, Change::Remove(target), now_us()).await?;
    let message = format!("IP {} has been unblocked", address_of(&entry));
    Ok(Json(Done::new(stored(message, &enforcement))))
}

#[derive(Serialize, ToSchema)]
struct SyncAnswer {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "Synced 150/150 IPs to runtime map")]
    message: String,
    /// Blocked addresses and networks of the record
    total_ips: u64,
    /// Those that HAProxy has confirmed: all, or none
    synced_ips: u64,
}

/// Let HAProxy have all that is blocked, and confirm it
#[utoipa::path(
    post,
    path = "/api/blocked-ips/sync",
    tag = "blocked-ips",
    responses((status = 200, description = "What HAProxy has confirmed", body = SyncAnswer))
)]
async fn sync(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<SyncAnswer>, ApiError> {
    let now_us = now_us();
    let (total, enforcement) = app
        .blocking(move |app| {
            // First: what is made afterwards may be confirmed by nobody.
            let selection = in_force(now_s());
            let total = app.store.read(|view| view.count(&selection))?;
            let changed = app.change_rules(&caller, Vec::new(), now_us)?;
            Ok((total, changed.enforcement))
        })
        .await?;
    let synced = if enforcement == Enforcement::InForce { total } else { 0 };
    let message = stored(format!("Synced {synced}/{total} IPs to runtime map"), &enforcement);
    Ok(Json(SyncAnswer { status: "success", message, total_ips: total, synced_ips: synced }))
}

/// Makes one change of the block list.
pub(super) async fn put(
    app: &Arc<App>,
    caller: Caller,
    change: Change,
    now_us: u64,
) -> Result<(Entry, Enforcement), ApiError> {
    app.blocking(move |app| {
        let changed = app.change_rules(&caller, vec![change], now_us).map_err(|error| match error {
            RulesError::Refused { why: Refusal::Present(entry), .. } => present(&entry),
            RulesError::Refused { why: Refusal::Absent(target), .. } => {
                let address = text_of(&target);
                ApiError::not_found(format_args!("IP address not found in blocked list: {address}"))
            }
            other => other.into(),
        })?;
        let entry = changed.entries.into_iter().next();
        let entry = entry.ok_or_else(|| ApiError::internal("a change without a rule"))?;
        Ok((entry, changed.enforcement))
    })
    .await
}

fn present(entry: &Entry) -> ApiError {
    let (address, until) = (address_of(entry), until(entry));
    ApiError::conflict(format_args!("IP address is already blocked: {address}{until}"))
}

/// When a block ends, if it does.
pub(super) fn until(entry: &Entry) -> String {
    entry.expires_at_s().map(|end_s| format!(" until {}", zoneless(end_s))).unwrap_or_default()
}

/// The address that a request must name, of a client.
pub(super) fn required(ip_address: Option<String>) -> Result<String, ApiError> {
    let ip_address = ip_address.filter(|text| !text.is_empty());
    let ip_address = ip_address.ok_or_else(|| ApiError::bad_request("IP address is required"))?;
    client(List::Block, &ip_address).map_err(named)?;
    Ok(ip_address)
}

/// The fields have other names here than elsewhere.
pub(super) fn named(mut error: Invalid) -> ApiError {
    error.field = match error.field {
        "target" => "ip_address",
        "by" => "blocked_by",
        other => other,
    };
    error.into()
}

pub(super) fn address_of(entry: &Entry) -> String {
    text_of(&entry.rule.target)
}

fn in_force(now_s: u32) -> Selection {
    Selection { kind: Some(Kind::Block), in_force_at_s: Some(now_s), ..Selection::default() }
}

/// As `2024-01-15 10:30:00`, in UTC.
fn time(at_s: u32) -> String {
    zoneless(at_s).replace('T', " ")
}
