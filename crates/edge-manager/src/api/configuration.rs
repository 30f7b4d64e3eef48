//! What HAProxy runs, what it ran, and how it gets something else.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, Uri, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::answer::{Done, not_enforced};
use super::error::ErrorBody;
use super::extract::{JsonBody, Params};
use super::{ApiError, App, Routes, wrong_method};
use crate::access::Caller;
use crate::clock::now_us;
use crate::configuration::{Manifest, Past, PublishError};
use crate::haproxy::Enforcement;
use crate::json::PublishedJson;

/// Files may hold what an operator's templates keep from readers.
pub(super) fn routes() -> Routes {
    Routes::new()
        .local(acting(routes!(regenerate)))
        .local(acting(routes!(reload)))
        .local(routes!(reload_safely))
        .admin(routes!(current))
        .reader(routes!(history))
        .admin(routes!(diff))
        .admin(routes!(roll_back))
        .admin(routes!(reload_and_tell))
}

/// A GET that does something, as older clients want it. A HEAD is sent by who expects that nothing is done (RFC 9110, section
/// 9.2.1), and would be answered as a GET.
fn acting((schemas, paths, methods): UtoipaMethodRouter<Arc<App>>) -> UtoipaMethodRouter<Arc<App>> {
    let refuse = async |uri: Uri| ([(header::ALLOW, "GET")], wrong_method(Method::HEAD, uri).await);
    (schemas, paths, methods.head(refuse))
}

/// What was done, as older clients know it.
#[derive(Serialize, ToSchema)]
struct Success {
    /// Always `success`.
    status: &'static str,
    /// Only where HAProxy does not run it yet: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Render the configuration anew and have HAProxy run it
#[utoipa::path(get, path = "/api/regenerate", tag = "configuration", responses(
    (status = 200, description = "Published", body = Success),
    (status = 500, description = "A template or HAProxy refuses it: nothing has changed", body = ErrorBody)
))]
async fn regenerate(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Success>, ApiError> {
    let published = app
        .publishing(move |app| {
            let published = app.change_site(&caller, |sites| sites.regenerate(&caller, now_us()));
            published.map_err(ApiError::internal)
        })
        .await?;
    let message = not_enforced(&published.enforcement);
    Ok(Json(Success { status: "success", message }))
}

/// Have HAProxy read its configuration again
#[utoipa::path(get, path = "/api/reload", tag = "configuration", responses(
    (status = 200, description = "HAProxy runs it", body = Success),
    (status = 500, description = "It does not, and runs on with what it has", body = ErrorBody)
))]
async fn reload(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Success>, ApiError> {
    app.publishing(move |app| reload_now(app, &caller)).await?;
    Ok(Json(Success { status: "success", message: None }))
}

/// Have HAProxy read its configuration again, and say what it said if it does not
#[utoipa::path(post, path = "/api/config/reload", tag = "configuration", responses(
    (status = 200, description = "HAProxy runs it", body = Done),
    (status = 500, description = "It does not, and runs on with what it has", body = ErrorBody)
))]
async fn reload_safely(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Done>, ApiError> {
    app.publishing(move |app| reload_now(app, &caller)).await?;
    Ok(Json(Done::new("HAProxy configuration reloaded safely".to_owned())))
}

/// What is wrong here is never what the client said.
fn reload_now(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let failed = |why: &dyn std::fmt::Display| ApiError::internal(format_args!("Safe reload failed: {why}"));
    let reloaded = app.change_site(caller, |sites| sites.reload(caller, now_us()));
    match reloaded.map_err(|error| failed(&error))?.enforcement {
        Enforcement::InForce => Ok(()),
        Enforcement::StoredNotEnforced { reason } => Err(failed(&reason)),
    }
}

/// Files that were published together.
#[derive(Serialize, ToSchema)]
#[schema(as = Configuration)]
struct ConfigurationJson {
    #[serde(flatten)]
    from: ManifestJson,
    /// Contents by path.
    files: BTreeMap<String, String>,
}

/// Where a set of files is from.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigurationSet)]
struct ManifestJson {
    /// Never given twice; greater than those before.
    set: u64,
    /// Seconds since the Unix epoch.
    made_at_s: u32,
    /// Who made it.
    made_by: String,
    /// The earlier set that it repeats, if somebody went back to that.
    #[schema(required)]
    repeats: Option<u64>,
    /// SHA-256 of all its files.
    sha256: String,
}

impl From<Manifest> for ManifestJson {
    fn from(Manifest { set, made_at_s, made_by, repeats, sha256 }: Manifest) -> Self {
        Self { set, made_at_s, made_by, repeats, sha256 }
    }
}

/// The files in force
#[utoipa::path(get, path = "/api/configuration", tag = "configuration", responses(
    (status = 200, description = "The set in force with its files", body = ConfigurationJson),
    (status = 404, description = "Nothing was published yet", body = ErrorBody)
))]
async fn current(State(app): State<Arc<App>>) -> Result<Json<ConfigurationJson>, ApiError> {
    let set = app.reading(|app| Ok(app.sites.configuration().current()?)).await?;
    let set = set.ok_or(PublishError::Nothing)?;
    let files = set.files.files().map(|(path, contents)| (path.to_owned(), contents.to_owned()));
    Ok(Json(ConfigurationJson { files: files.collect(), from: set.manifest.into() }))
}

/// A set of files that is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = PastConfiguration)]
struct PastJson {
    #[serde(flatten)]
    from: ManifestJson,
    /// Whether it is the one in force.
    is_current: bool,
    /// Whether it is the last good one, to which the manager goes back.
    is_good: bool,
}

/// The sets of files that are kept
#[utoipa::path(get, path = "/api/configuration/history", tag = "configuration", responses(
    (status = 200, description = "The sets, newest first", body = [PastJson])
))]
async fn history(State(app): State<Arc<App>>) -> Result<Json<Vec<PastJson>>, ApiError> {
    let sets = app.reading(|app| Ok(app.sites.configuration().history()?)).await?;
    let json = |Past { manifest, is_current, is_good }| PastJson {
        from: Manifest::into(manifest),
        is_current,
        is_good,
    };
    Ok(Json(sets.into_iter().map(json).collect()))
}

/// Two sets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Ends {
    /// The number of the one before.
    from: u64,
    /// The number of the one after.
    to: u64,
}

/// What differs, or would.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ConfigurationDiff)]
#[serde(deny_unknown_fields)]
pub struct DiffJson {
    /// As `patch -p1` takes it; empty if nothing does.
    pub diff: String,
}

/// What differs between two sets of files
#[utoipa::path(get, path = "/api/configuration/diff", tag = "configuration", params(Ends), responses(
    (status = 200, description = "The difference", body = DiffJson),
    (status = 400, description = "A number is missing or is none", body = ErrorBody),
    (status = 404, description = "There is no such set", body = ErrorBody)
))]
async fn diff(State(app): State<Arc<App>>, Params(ends): Params<Ends>) -> Result<Json<DiffJson>, ApiError> {
    let diff = app.reading(move |app| Ok(app.sites.configuration().diff(ends.from, ends.to)?)).await?;
    Ok(Json(DiffJson { diff }))
}

/// An earlier set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Its number.
    set: u64,
}

/// Publish an earlier set of files once more
///
/// The record has what that was made from, from then on: its next change is made to that. Of a set that an earlier version made it
/// is not known; then the record stays as it is.
#[utoipa::path(post, path = "/api/configuration/rollback", tag = "configuration", request_body = Rollback, responses(
    (status = 200, description = "Published", body = PublishedJson),
    (status = 400, description = "HAProxy refuses it now: nothing has changed", body = ErrorBody),
    (status = 404, description = "There is no such set", body = ErrorBody)
))]
async fn roll_back(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(Rollback { set }): JsonBody<Rollback>,
) -> Result<Json<PublishedJson>, ApiError> {
    let published = app
        .publishing(move |app| Ok(app.change_site(&caller, |sites| sites.roll_back(&caller, set, now_us()))?))
        .await?;
    Ok(Json(published.into()))
}

/// Have HAProxy read its configuration again, and say whether it runs it
///
/// As `POST /api/config/reload`, and no error where there is no HAProxy: it reads the configuration when it starts.
#[utoipa::path(post, path = "/api/configuration/reload", tag = "configuration", responses(
    (status = 200, description = "It is in its place", body = PublishedJson),
    (status = 400, description = "HAProxy refuses it now, and runs on with what it has", body = ErrorBody),
    (status = 404, description = "Nothing was published yet", body = ErrorBody)
))]
async fn reload_and_tell(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<PublishedJson>, ApiError> {
    let published = app
        .publishing(move |app| Ok(app.change_site(&caller, |sites| sites.reload(&caller, now_us()))?))
        .await?;
    Ok(Json(published.into()))
}
