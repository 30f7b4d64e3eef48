//! The REST API. Handlers read what is asked for, call a service of [`App`], and put its answer into words.
//!
//! To add endpoints: a file with `pub(super) fn routes() -> Routes`, in which each route says the role that it needs, and a line
//! in [`routes`]. To add a service: a field of [`App`].

mod answer;
mod app;
mod audit;
mod authentication;
mod blocked_ips;
mod bulk;
mod certificate_files;
mod certificate_status;
mod certificates;
mod change;
mod change_site;
mod configuration;
mod domains;
mod error;
mod events;
mod explain;
mod extract;
mod health;
mod import;
mod issue;
mod loose;
mod metrics;
mod openapi;
mod requests;
mod resources;
mod routes;
mod rules;
mod security;
mod sites;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::{Extension, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;

pub use app::{App, OpenError, Services};
pub(crate) use audit::{lines as audit_lines, time_us as audit_time_us};
pub use authentication::Peer;
pub(crate) use authentication::{admit, too_low, too_many_tries};
pub(crate) use certificate_files::{CertificatePart, answer as certificate_file};
pub use change::Changed;
pub use configuration::DiffJson;
pub use domains::DomainPublished;
pub use error::ApiError;
pub(crate) use error::Reason;
pub(crate) use events::hear;
pub(crate) use extract::{object, read};
pub use import::{ImportCheckJson, ImportCheckedJson, ImportJson, ImportedJson};
pub(crate) use issue::Issued;
pub use requests::ANSWER_TIMEOUT;
pub use routes::Route;

use routes::Routes;

/// Longest body of a request, bytes, where a route does not say otherwise.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// All endpoints.
fn routes() -> Routes {
    Routes::new()
        .merge(health::routes())
        .merge(blocked_ips::routes())
        .merge(security::routes())
        .merge(domains::routes())
        .merge(configuration::routes())
        .merge(sites::routes())
        .merge(certificates::routes())
        .merge(certificate_status::routes())
        .merge(certificate_files::routes())
        .merge(import::routes())
        .merge(resources::routes())
        .merge(rules::routes())
        .merge(bulk::routes())
        .merge(explain::routes())
        .merge(events::routes())
        .merge(audit::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
}

/// Every endpoint, and the role that it needs.
pub fn list() -> Vec<Route> {
    routes().list
}

/// What the API is, by the handlers themselves.
pub fn openapi() -> OpenApi {
    routes().into_parts().1
}

/// The API, and `pages` beside it. Each request must have a [`Peer`] among its extensions, which whoever accepts connections
/// puts there.
pub fn router(app: Arc<App>, pages: Router<Arc<App>>) -> Router {
    let (router, _) = routes().into_parts();
    router
        .merge(pages)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(error::of_panic))
        .layer(middleware::from_fn(requests::watch))
        .layer(Extension(app.clone()))
        .with_state(app)
}

async fn unknown(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format_args!("no such path: {}", uri.path()))
}

async fn wrong_method(method: axum::http::Method, uri: Uri) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format_args!("{}: no {method} here", uri.path()))
}
