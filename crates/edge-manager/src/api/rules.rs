//! The rules of the record.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::{Params, Segments, json, object};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::{now_s, now_us};
use crate::json::{ChangeJson, NewRuleJson, RuleJson};
use crate::rules::{Change, Entry};
use crate::store::{Kind, Selection, StoreError};

/// Rules of a page, where nothing else is asked for, and at most.
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// Longest text that rules are searched for, bytes.
const MAX_SEARCH_BYTES: usize = 4096;

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(list)).operator(routes!(make)).reader(routes!(get)).operator(routes!(remove))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only rules of this kind
    #[param(inline)]
    kind: Option<Kind>,
    /// Only rules of this list
    list: Option<String>,
    /// Only rules with this action; `deny` is `deny 403`, as where a rule is made
    action: Option<String>,
    /// An address or a CIDR: only rules on clients that take in all of it. Any other text: only rules whose target begins with
    /// it, such as `192.0.2.`, `shop.example/` or `/adm`
    #[param(max_length = 4096)]
    q: Option<String>,
    /// Rules that have ended: without them (by default), with them, or only them
    #[param(inline)]
    expired: Option<Ended>,
    /// Only rules with a greater id: `next` of the page before
    #[param(minimum = 0)]
    after: Option<i64>,
    /// At most so many; 100, if it is not said
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Ended {
    Without,
    With,
    Only,
}

/// Some rules.
#[derive(Serialize, ToSchema)]
struct RulePage {
    /// In the order of their ids.
    rules: Vec<RuleJson>,
    /// What `after` of the next page is; null where there is none.
    #[schema(required)]
    next: Option<i64>,
}

impl Wanted {
    fn selection(&self, limit: u32, now_s: u32) -> Result<Selection, ApiError> {
        let action = self.action.as_deref().map(|action| {
            action.parse().map_err(|error| ApiError::bad_request(format_args!("action: {action:?}: {error}")))
        });
        if self.q.as_ref().is_some_and(|text| text.len() > MAX_SEARCH_BYTES) {
            return Err(ApiError::bad_request(format_args!("q: longer than {MAX_SEARCH_BYTES} bytes")));
        }
        let (in_force_at_s, ended_at_s) = match self.expired.unwrap_or(Ended::Without) {
            Ended::Without => (Some(now_s), None),
            Ended::With => (None, None),
            Ended::Only => (None, Some(now_s)),
        };
        Ok(Selection {
            kind: self.kind,
            list: self.list.as_deref().map(Into::into),
            action: action.transpose()?,
            about: self.q.as_deref().filter(|text| !text.is_empty()).map(Into::into),
            in_force_at_s,
            ended_at_s,
            after: self.after,
            limit: Some(limit),
            ..Selection::default()
        })
    }
}

/// A page's length, as it was asked for.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        other => Err(ApiError::bad_request(format_args!("limit: {other}: 1 to {MAX_LIMIT}"))),
    }
}

/// List rules
///
/// Pages stay in place while rules come and go: a rule that is there all the time is on one page, and on no other.
#[utoipa::path(
    get,
    path = "/api/rules",
    tag = "rules",
    params(Wanted),
    responses(
        (status = 200, description = "Rules for which all of this holds", body = RulePage),
        (status = 400, description = "A parameter cannot be taken", body = ErrorBody)
    )
)]
async fn list(
    State(app): State<Arc<App>>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<RulePage>, ApiError> {
    let limit = limit(wanted.limit)?;
    // One more tells whether there is another page.
    let selection = wanted.selection(limit + 1, now_s())?;
    let page = app
        .reading(move |app| {
            let mut rules: Vec<RuleJson> = app.store.read(|view| {
                view.with_entries(&selection, |entries| {
                    entries
                        .map(|entry| Ok::<_, StoreError>(RuleJson::from(&entry?)))
                        .collect::<Result<_, _>>()
                })?
            })?;
            let has_more = rules.len() > limit as usize;
            rules.truncate(limit as usize);
            let next = rules.last().filter(|_| has_more).map(|last| last.id);
            Ok(RulePage { rules, next })
        })
        .await?;
    Ok(Json(page))
}

/// Make a rule
#[utoipa::path(
    post,
    path = "/api/rules",
    tag = "rules",
    request_body = NewRuleJson<'_>,
    responses(
        (status = 200, description = "It is made", body = ChangeJson),
        (status = 400, description = "A value cannot be taken", body = ErrorBody),
        (status = 409, description = "There is a rule with this target, and `replace` was not asked for; or more than the filter has room for", body = ErrorBody)
    )
)]
async fn make(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<ChangeJson>, ApiError> {
    let body = json(request).await?;
    let new: NewRuleJson<'_> = object(&body)?;
    let now_us = now_us();
    let change = new.change(&caller.name, now_us).map_err(ApiError::bad_request)?;
    put(&app, caller, change, now_us).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Number {
    /// The id of the rule
    #[param(minimum = 1)]
    id: i64,
}

/// Get a rule
#[utoipa::path(
    get,
    path = "/api/rules/{id}",
    tag = "rules",
    params(Number),
    responses(
        (status = 200, description = "The rule, ended or not", body = RuleJson),
        (status = 400, description = "The id is no number", body = ErrorBody),
        (status = 404, description = "There is none of this id", body = ErrorBody)
    )
)]
async fn get(
    State(app): State<Arc<App>>,
    Segments(Number { id }): Segments<Number>,
) -> Result<Json<RuleJson>, ApiError> {
    let entry: Option<Entry> =
        app.reading(move |app| Ok(app.store.read::<_, StoreError>(|view| view.entry(id))?)).await?;
    let entry =
        entry.ok_or_else(|| ApiError::not_found(format_args!("rule {id}: no such rule in the record")))?;
    Ok(Json(RuleJson::from(&entry)))
}

/// Remove a rule
#[utoipa::path(
    delete,
    path = "/api/rules/{id}",
    tag = "rules",
    params(Number),
    responses(
        (status = 200, description = "It is removed", body = ChangeJson),
        (status = 400, description = "The id is no number", body = ErrorBody),
        (status = 404, description = "There is none of this id that has not ended", body = ErrorBody)
    )
)]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(Number { id }): Segments<Number>,
) -> Result<Json<ChangeJson>, ApiError> {
    put(&app, caller, Change::RemoveNumber(id), now_us()).await
}

/// Makes one change.
async fn put(
    app: &Arc<App>,
    caller: Caller,
    change: Change,
    now_us: u64,
) -> Result<Json<ChangeJson>, ApiError> {
    let changed = app
        .blocking(move |app| Ok(ChangeJson::from(&app.change_rules(&caller, vec![change], now_us)?)))
        .await?;
    Ok(Json(changed))
}
