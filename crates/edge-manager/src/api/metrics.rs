//! Figures for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::routes;

use super::{ApiError, App, Routes};
use crate::metrics::State as Figures;
use crate::store::StoreError;

/// Of the text that prometheus-client writes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(get))
}

/// Get the figures of the manager, for Prometheus
///
/// Where there are keys, Prometheus needs one too (`authorization` of its `scrape_config`): what is counted tells of attacks.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "manager",
    responses((status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"))
)]
async fn get(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    let text = app
        .reading(|app| {
            // What nobody uses may end.
            let used = app.certificates.used()?;
            let figures = app.store.read(|view| {
                Ok::<_, StoreError>(Figures {
                    rules: view.rule_counts()?,
                    revision: view.revision()?.unwrap_or_default(),
                    listeners: app.events.listeners(),
                    problems: app.watch.problems().iter().map(|problem| problem.kind).collect(),
                    expiries: used
                        .into_iter()
                        .map(|row| (row.names.primary().to_owned(), row.expires_at_s))
                        .collect(),
                })
            })?;
            app.metrics.text(&figures).map_err(ApiError::internal)
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}
