//! Backends, what holds for all of them, and everything at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::configuration::DiffJson;
use super::error::ErrorBody;
use super::extract::{JsonBody, Params, Segments};
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::cause::Cause;
use crate::clock::now_us;
use crate::configuration::PublishError;
use crate::json::PublishedJson;
use crate::site::{BackendInput, GlobalInput, SiteInput};
use crate::sites::{Preview, SitesError};

/// Longest body that has everything of a site, bytes.
pub(super) const MAX_SITE_BYTES: usize = 32 << 20;

pub(super) fn routes() -> Routes {
    Routes::new()
        .reader(routes!(global))
        .admin(routes!(put_global))
        .reader(routes!(backends))
        .reader(routes!(backend))
        .local(routes!(put_backend))
        .local(routes!(remove_backend))
        .reader(routes!(site))
        .admin(large(routes!(put_site)))
}

/// With room for a large body.
pub(super) fn large((schemas, paths, methods): UtoipaMethodRouter<Arc<App>>) -> UtoipaMethodRouter<Arc<App>> {
    (schemas, paths, methods.layer(DefaultBodyLimit::max(MAX_SITE_BYTES)))
}

impl From<SitesError> for ApiError {
    fn from(error: SitesError) -> Self {
        match error {
            SitesError::Field(_) => Self::bad_request(error),
            SitesError::UnknownDomain(_) | SitesError::UnknownBackend(_) => Self::not_found(error),
            SitesError::NeedsAdmin(_) => Self::new(StatusCode::FORBIDDEN, error),
            SitesError::InUse { .. } | SitesError::NoRoom { .. } => Self::conflict(error),
            SitesError::Publication(error) => error.into(),
            SitesError::Record(error) => error.into(),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let cause = Cause::from(&error);
        let told = match error {
            // What was asked for is at fault.
            PublishError::Refused(_) | PublishError::Unsuitable(_) | PublishError::Template(_) => {
                Self::bad_request(error)
            }
            PublishError::Nothing | PublishError::NoSuchSet(_) => Self::not_found(error),
            _ => Self::internal(error),
        };
        told.because(cause)
    }
}

/// What holds for all backends
#[utoipa::path(get, path = "/api/global", tag = "site", responses(
    (status = 200, description = "What was said; what was not has its default", body = GlobalInput)
))]
async fn global(State(app): State<Arc<App>>) -> Result<Json<GlobalInput>, ApiError> {
    Ok(Json(app.reading(|app| Ok(app.sites.input()?)).await?.global))
}

/// Replace what holds for all backends
#[utoipa::path(put, path = "/api/global", tag = "site", request_body = GlobalInput, responses(
    (status = 200, description = "Published", body = PublishedJson),
    (status = 400, description = "A value is refused by the manager or by HAProxy: nothing has changed", body = ErrorBody)
))]
async fn put_global(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(global): JsonBody<GlobalInput>,
) -> Result<Json<PublishedJson>, ApiError> {
    let changed = app
        .publishing(move |app| {
            Ok(app.change_site(&caller, |sites| sites.put_global(&caller, global, now_us()))?)
        })
        .await?;
    Ok(Json(changed.published.into()))
}

/// All backends with their servers
#[utoipa::path(get, path = "/api/backends", tag = "site", responses(
    (status = 200, description = "The backends, in the order of their names", body = [BackendInput])
))]
async fn backends(State(app): State<Arc<App>>) -> Result<Json<Vec<BackendInput>>, ApiError> {
    Ok(Json(app.reading(|app| Ok(app.sites.input()?)).await?.backends))
}

/// A backend with its servers
#[utoipa::path(get, path = "/api/backends/{name}", tag = "site", params(("name" = String, Path)), responses(
    (status = 200, description = "The backend", body = BackendInput),
    (status = 400, description = "The name is none", body = ErrorBody),
    (status = 404, description = "There is no such backend", body = ErrorBody)
))]
async fn backend(
    State(app): State<Arc<App>>,
    Segments(name): Segments<String>,
) -> Result<Json<BackendInput>, ApiError> {
    let input = app.reading(|app| Ok(app.sites.input()?)).await?;
    let found = input.backends.into_iter().find(|backend| backend.name.as_str() == name);
    found.map(Json).ok_or_else(|| SitesError::unknown_backend(&name).into())
}

/// Make a backend, or replace the one of its name
#[utoipa::path(
    put, path = "/api/backends/{name}", tag = "site", request_body = BackendInput, params(("name" = String, Path)),
    responses(
        (status = 200, description = "Published", body = PublishedJson),
        (status = 400, description = "A value is refused by the manager or by HAProxy: nothing has changed", body = ErrorBody)
    )
)]
async fn put_backend(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<String>,
    JsonBody(mut backend): JsonBody<BackendInput>,
) -> Result<Json<PublishedJson>, ApiError> {
    if backend.name.is_empty() {
        backend.name = name.into();
    } else if backend.name.as_str() != name {
        let differs = format_args!("name: {:?}: it is not that of the path", backend.name.as_str());
        return Err(ApiError::bad_request(differs));
    }
    let changed = app
        .publishing(move |app| {
            Ok(app.change_site(&caller, |sites| sites.put_backend(&caller, backend, now_us()))?)
        })
        .await?;
    Ok(Json(changed.published.into()))
}

/// Remove a backend
#[utoipa::path(delete, path = "/api/backends/{name}", tag = "site", params(("name" = String, Path)), responses(
    (status = 200, description = "Published", body = PublishedJson),
    (status = 404, description = "There is no such backend", body = ErrorBody),
    (status = 409, description = "A domain needs it", body = ErrorBody)
))]
async fn remove_backend(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<PublishedJson>, ApiError> {
    let changed = app
        .publishing(move |app| {
            Ok(app.change_site(&caller, |sites| sites.remove_backend(&caller, &name, now_us()))?)
        })
        .await?;
    Ok(Json(changed.published.into()))
}

/// Everything that haproxy.cfg is made of
#[utoipa::path(get, path = "/api/site", tag = "site", responses(
    (status = 200, description = "What was said; what was not has its default", body = SiteInput)
))]
async fn site(State(app): State<Arc<App>>) -> Result<Json<SiteInput>, ApiError> {
    Ok(Json(app.reading(|app| Ok(app.sites.input()?)).await?))
}

/// How everything is replaced.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HowPut {
    /// Only say what would change.
    #[param(value_type = Option<bool>)]
    dry_run: Option<String>,
}

/// A configuration that was, or would be, published.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SiteChange)]
enum SiteChangeJson {
    Published(SitePublishedJson),
    Dry(DiffJson),
}

/// A configuration that was published.
#[derive(Serialize, ToSchema)]
#[schema(as = SitePublished)]
struct SitePublishedJson {
    #[serde(flatten)]
    published: PublishedJson,
    /// What has changed in the files, as `patch -p1` takes it; empty if nothing has.
    diff: String,
}

/// Replace everything that haproxy.cfg is made of
///
/// At most 32 MiB.
#[utoipa::path(put, path = "/api/site", tag = "site", params(HowPut), request_body = SiteInput, responses(
    (status = 200, description = "Published, or of a dry run what would be", body = SiteChangeJson),
    (status = 400, description = "A value is refused by the manager or by HAProxy: nothing has changed", body = ErrorBody)
))]
async fn put_site(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(how): Params<HowPut>,
    JsonBody(site): JsonBody<SiteInput>,
) -> Result<Json<SiteChangeJson>, ApiError> {
    let is_dry = how.dry_run.is_some_and(|word| !["false", "0", "no"].contains(&&*word));
    let change = app.publishing(move |app| {
        let configuration = app.sites.configuration();
        if is_dry {
            let diff = app.sites.preview(&caller, Preview::Site(Box::new(site)))?;
            return Ok(SiteChangeJson::Dry(DiffJson { diff }));
        }
        let published = app.change_site(&caller, |sites| sites.put_site(&caller, site, now_us()))?.published;
        let diff = configuration.change(&published).unwrap_or_else(|error| {
            // It is done all the same.
            tracing::warn!(%error, "what has changed cannot be shown");
            String::new()
        });
        Ok(SiteChangeJson::Published(SitePublishedJson { published: published.into(), diff }))
    });
    Ok(Json(change.await?))
}
