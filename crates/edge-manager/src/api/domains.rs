//! Domains, as older clients know them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use utoipa_axum::routes;

use super::answer::{Done, not_enforced, stored};
use super::error::ErrorBody;
use super::extract::JsonBody;
use super::loose::{flag, flag_schema};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::clock::now_us;
use crate::json::PublishedJson;
use crate::site::{ServerInput, Text};
use crate::sites::{Changed, NewDomain};
use crate::store::RecordedDomain;

pub(super) fn routes() -> Routes {
    Routes::new()
        .reader(routes!(list))
        .local(routes!(put))
        .local(routes!(remove))
        .local(routes!(put_and_tell))
        .local(routes!(remove_and_tell))
}

/// A domain.
#[derive(Serialize, ToSchema)]
#[schema(as = Domain)]
struct DomainJson {
    /// Never given twice.
    id: i64,
    /// Its name, `*.` before it for every name below.
    domain: String,
    /// 1 if it is served by TLS, else 0.
    #[schema(maximum = 1)]
    ssl_enabled: u8,
    /// The PEM file of its certificate.
    #[schema(required)]
    ssl_cert_path: Option<String>,
    /// The operator's template for its backend.
    #[schema(required)]
    template_override: Option<String>,
    /// The backend that serves it.
    backend_name: String,
}

/// A domain that is to be served. Other fields are no matter.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDomain)]
struct NewDomainJson {
    /// Its name; `*.` before it, or `is_wildcard`, for every name below.
    #[schema(required)]
    domain: Option<Text>,
    #[schema(schema_with = wildcard_schema)]
    is_wildcard: Option<Value>,
    /// The backend, which is made if need be, and goes with its last domain then.
    #[schema(required)]
    backend_name: Option<Text>,
    /// A template of the operator's for the backend.
    template_override: Option<Text>,
    /// All servers of the backend. Without them it keeps those that it has.
    servers: Option<Vec<NewServerJson>>,
}

/// A server. Other fields are no matter.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewServer)]
struct NewServerJson {
    /// Its name, unique in the backend.
    name: Option<Text>,
    /// IP address or host name.
    address: Option<Text>,
    /// Port, a number or a text.
    port: Option<Text>,
    /// Words of HAProxy's `server` line, such as `check inter 5s`.
    options: Option<Text>,
}

/// The number of a domain.
#[derive(Serialize, ToSchema)]
struct DomainAdded {
    /// Always `success`.
    status: &'static str,
    /// Never given twice.
    domain_id: i64,
    /// Only where HAProxy does not serve it yet: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<Changed<i64>> for DomainAdded {
    fn from(Changed { value, published }: Changed<i64>) -> Self {
        Self { status: "success", domain_id: value, message: not_enforced(&published.enforcement) }
    }
}

impl From<Changed<i64>> for DomainPublished {
    fn from(Changed { value, published }: Changed<i64>) -> Self {
        Self { published: published.into(), domain_id: value }
    }
}

/// A domain that is to be removed.
#[derive(Deserialize, ToSchema)]
struct RemovedDomain {
    /// Its name.
    #[schema(required)]
    domain: Option<Text>,
    #[schema(schema_with = wildcard_schema)]
    is_wildcard: Option<Value>,
}

fn wildcard_schema() -> Schema {
    flag_schema("Whether every name below it is meant; 1 and 0 and the same as texts will do.")
}

impl From<NewServerJson> for ServerInput {
    fn from(NewServerJson { name, address, port, options }: NewServerJson) -> Self {
        let or_empty = Option::unwrap_or_default;
        Self { name: or_empty(name), address: or_empty(address), port: or_empty(port), options }
    }
}

/// All domains
#[utoipa::path(get, path = "/api/domains", tag = "domains", responses(
    (status = 200, description = "The domains, in the order in which they were made", body = [DomainJson])
))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<DomainJson>>, ApiError> {
    let domains = app.reading(|app| Ok(app.store.read(|view| view.domains())?)).await?;
    let text = |text: Option<Text>| text.map(|text| text.to_string());
    let json = domains.into_iter().map(|RecordedDomain { id, domain }| DomainJson {
        id,
        domain: domain.domain.to_string(),
        ssl_enabled: domain.ssl_enabled.into(),
        ssl_cert_path: text(domain.ssl_cert_path),
        template_override: text(domain.template_override),
        backend_name: domain.backend_name.to_string(),
    });
    Ok(Json(json.collect()))
}

/// Serve a domain
///
/// Where it is served already, its backend and servers are replaced.
#[utoipa::path(post, path = "/api/domain", tag = "domains", request_body = NewDomainJson, responses(
    (status = 200, description = "HAProxy serves it, or the message says why it does not yet", body = DomainAdded),
    (status = 400, description = "A value is missing, or refused by the manager or by HAProxy: nothing has changed", body = ErrorBody)
))]
async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<NewDomainJson>,
) -> Result<Json<DomainAdded>, ApiError> {
    Ok(Json(put_now(&app, caller, body).await?.into()))
}

async fn put_now(app: &Arc<App>, caller: Caller, body: NewDomainJson) -> Result<Changed<i64>, ApiError> {
    let given = |text: Option<Text>| text.filter(|text| !text.is_empty());
    let (Some(domain), Some(backend_name)) = (given(body.domain), given(body.backend_name)) else {
        return Err(ApiError::bad_request("Domain and backend_name are required"));
    };
    let new = NewDomain {
        domain,
        is_wildcard: flag("is_wildcard", body.is_wildcard.as_ref())?,
        backend_name,
        template_override: given(body.template_override),
        servers: body.servers.map(|servers| servers.into_iter().map(ServerInput::from).collect()),
    };
    app.publishing(move |app| Ok(app.change_site(&caller, |sites| sites.put_domain(&caller, new, now_us()))?))
        .await
}

/// Serve a domain no longer
///
/// Its backend goes too if it came with a domain and has no other.
#[utoipa::path(delete, path = "/api/domain", tag = "domains", request_body = RemovedDomain, responses(
    (status = 200, description = "HAProxy does not serve it any more", body = Done),
    (status = 400, description = "The name is missing, or is_wildcard is no flag", body = ErrorBody),
    (status = 404, description = "There is no such domain", body = ErrorBody)
))]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<RemovedDomain>,
) -> Result<Json<Done>, ApiError> {
    // They leave out what they made it with.
    let is_wildcard = body.is_wildcard.as_ref().map(|value| flag("is_wildcard", Some(value))).transpose()?;
    let removed =
        remove_now(&app, caller, body.domain, is_wildcard).await.map_err(|error| match error.status() {
            // As older clients know it.
            StatusCode::NOT_FOUND => ApiError::not_found("Domain not found"),
            _ => error,
        })?;
    let message = "Domain configuration removed".to_owned();
    Ok(Json(Done::new(stored(message, &removed.published.enforcement))))
}

async fn remove_now(
    app: &Arc<App>,
    caller: Caller,
    domain: Option<Text>,
    is_wildcard: Option<bool>,
) -> Result<Changed<()>, ApiError> {
    let Some(domain) = domain.filter(|domain| !domain.is_empty()) else {
        return Err(ApiError::bad_request("Domain is required"));
    };
    app.publishing(move |app| {
        Ok(app.change_site(&caller, |sites| sites.remove_domain(&caller, &domain, is_wildcard, now_us()))?)
    })
    .await
}

/// A domain that is served, and whether HAProxy does so.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DomainPublished {
    /// How it was published.
    #[serde(flatten)]
    pub published: PublishedJson,
    /// Never given twice.
    pub domain_id: i64,
}

/// Serve a domain, and say whether HAProxy does so
///
/// As `POST /api/domain`, with more in the answer.
#[utoipa::path(put, path = "/api/domains", tag = "domains", request_body = NewDomainJson, responses(
    (status = 200, description = "Published", body = DomainPublished),
    (status = 400, description = "A value is missing, or refused by the manager or by HAProxy: nothing has changed", body = ErrorBody)
))]
async fn put_and_tell(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<NewDomainJson>,
) -> Result<Json<DomainPublished>, ApiError> {
    Ok(Json(put_now(&app, caller, body).await?.into()))
}

/// Serve a domain no longer, and say whether HAProxy obeys
#[utoipa::path(delete, path = "/api/domains", tag = "domains", request_body = RemovedDomain, responses(
    (status = 200, description = "Published", body = PublishedJson),
    (status = 400, description = "The name is missing, or is_wildcard is no flag", body = ErrorBody),
    (status = 404, description = "There is no such domain", body = ErrorBody)
))]
async fn remove_and_tell(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<RemovedDomain>,
) -> Result<Json<PublishedJson>, ApiError> {
    let is_wildcard = Some(flag("is_wildcard", body.is_wildcard.as_ref())?);
    Ok(Json(remove_now(&app, caller, body.domain, is_wildcard).await?.published.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Published;
    use crate::haproxy::Enforcement;

    #[test]
    fn a_domain_that_is_served_is_answered_as_older_clients_know_it() {
        let answer = |enforcement| {
            let published =
                Published { set: 3, is_changed: true, before: Some(2), enforcement, has_filter: true };
            serde_json::to_string(&DomainAdded::from(Changed { value: 7, published })).unwrap()
        };
        assert_eq!(answer(Enforcement::InForce), r#"{"status":"success","domain_id":7}"#);
        let told = r#"{"status":"success","domain_id":7,"message":"stored, not yet enforced: gone"}"#;
        assert_eq!(answer(Enforcement::StoredNotEnforced { reason: "gone".to_owned() }), told);
    }
}
