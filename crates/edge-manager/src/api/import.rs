//! What `edge-manager import` found, taken over while `edge-manager serve` runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::extract::JsonBody;
use super::sites::large;
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::now_us;
use crate::configuration::Lack;
use crate::haproxy::Enforcement;
use crate::import::ForeignJson;
use crate::json::StoredJson;
use crate::rules::{Change, MAX_CHANGES, RulesError};
use crate::site::{BackendInput, DomainInput};
use crate::sites::{Merged, MergedSite};

pub(super) fn routes() -> Routes {
    Routes::new().admin(large(routes!(import))).admin(large(routes!(check)))
}

/// What another program had. What is here already stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Import)]
#[serde(default, deny_unknown_fields)]
pub struct ImportJson {
    /// Domains.
    pub domains: Vec<DomainInput>,
    /// Backends, which go with their last domain.
    pub backends: Vec<BackendInput>,
    /// Rules, at most 100,000.
    pub rules: Vec<ForeignJson>,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Imported)]
pub struct ImportedJson {
    /// Whether it is obeyed.
    #[serde(flatten)]
    pub stored: StoredJson,
    /// Rules that were made, and that were there.
    pub rules: Merged,
    /// Domains and backends that were made, and that were there.
    #[serde(flatten)]
    pub site: MergedSite,
}

/// What another program had, of which it is to be known whether it could be taken.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportCheck)]
#[serde(default, deny_unknown_fields)]
pub struct ImportCheckJson {
    /// Domains.
    pub domains: Vec<DomainInput>,
    /// Their backends.
    pub backends: Vec<BackendInput>,
}

/// Whether it could be taken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportChecked)]
pub struct ImportCheckedJson {
    /// Always `success`.
    pub status: String,
    /// Domains that name a template or a certificate which is not here. Without any, everything could be taken.
    pub lacking: Vec<Lack>,
}

/// Whether domains and backends of another program could be taken over
///
/// Where no domain lacks anything, HAProxy checks what they would come to with those that are here. Nothing changes. At most 32 MiB.
#[utoipa::path(post, path = "/api/import/check", tag = "manager", request_body = ImportCheckJson, responses(
    (status = 200, description = "What domains lack", body = ImportCheckedJson),
    (status = 400, description = "A value is refused by the manager or by HAProxy", body = ErrorBody)
))]
async fn check(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<ImportCheckJson>,
) -> Result<Json<ImportCheckedJson>, ApiError> {
    let lacking = app.publishing(move |app| Ok(app.sites.try_merge(body.domains, body.backends)?)).await?;
    Ok(Json(ImportCheckedJson { status: "success".to_owned(), lacking }))
}

/// Take over what another program had
///
/// Domains and backends are one change, rules another; each is made as a whole or not at all. At most 32 MiB.
#[utoipa::path(post, path = "/api/import", tag = "manager", request_body = ImportJson, responses(
    (status = 200, description = "It is here", body = ImportedJson),
    (status = 400, description = "A value is refused by the manager or by HAProxy: nothing of its kind has changed", body = ErrorBody),
    (status = 409, description = "There are more rules than the filter has room for: none of them was made", body = ErrorBody)
))]
async fn import(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<ImportJson>,
) -> Result<Json<ImportedJson>, ApiError> {
    let is_site = !body.domains.is_empty() || !body.backends.is_empty();
    let work = move |app: &App| take(app, &caller, body);
    Ok(Json(if is_site { app.publishing(work).await } else { app.blocking(work).await }?))
}

fn take(app: &App, caller: &Caller, body: ImportJson) -> Result<ImportedJson, ApiError> {
    let ImportJson { domains, backends, rules } = body;
    let now_us = now_us();
    let change = |(at, rule): (usize, &ForeignJson)| match rule.parse(now_us) {
        Ok(foreign) => Ok(Change::from(foreign)),
        Err(invalid) => Err(ApiError::bad_request(format_args!("rules[{at}]: {invalid}"))),
    };
    let changes: Vec<_> = rules.iter().enumerate().map(change).collect::<Result<_, _>>()?;
    drop(rules);
    // Before anything is changed.
    if changes.len() > MAX_CHANGES {
        return Err(RulesError::TooMany.into());
    }
    let (mut merged, mut made, mut reasons) = (MergedSite::default(), Merged::default(), Vec::new());
    let mut lacks = |enforcement| match enforcement {
        Enforcement::InForce => {}
        Enforcement::StoredNotEnforced { reason } => reasons.push(reason),
    };
    if !domains.is_empty() || !backends.is_empty() {
        let changed = app.change_site(caller, |sites| sites.merge(caller, domains, backends, now_us))?;
        merged = changed.value;
        lacks(changed.published.enforcement);
    }
    if !changes.is_empty() {
        let changed = app
            .change_rules(caller, changes, now_us)
            .map_err(|error| ApiError::placed(error, |at| format!("rules[{at}]")))?;
        made.present = changed.present as u64;
        made.added = (changed.entries.len() - changed.present) as u64;
        lacks(changed.enforcement);
    }
    Ok(ImportedJson { stored: StoredJson::unless(&reasons), rules: made, site: merged })
}
