//! Whether all is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ApiError, App, Routes};
use crate::haproxy::is_running;

pub(super) fn routes() -> Routes {
    Routes::new().public(routes!(health))
}

/// Whether all is well.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `healthy` or `unhealthy`.
    status: &'static str,
    /// `running` or `stopped`.
    haproxy_status: &'static str,
    /// `connected` or `disconnected`.
    database: &'static str,
}

/// Whether HAProxy runs and the record can be read
#[utoipa::path(
    get,
    path = "/health",
    tag = "manager",
    responses(
        (status = 200, description = "All is well", body = Health),
        (status = 500, description = "HAProxy does not answer, or the record cannot be read", body = Health)
    )
)]
async fn health(State(app): State<Arc<App>>) -> Result<(StatusCode, Json<Health>), ApiError> {
    let (is_running, is_connected) = app
        .checking(|app| {
            let is_connected = app.store.read(|view| view.revision()).is_ok();
            Ok((is_running(&app.sockets), is_connected))
        })
        .await?;
    let is_well = is_running && is_connected;
    let health = Health {
        status: if is_well { "healthy" } else { "unhealthy" },
        haproxy_status: if is_running { "running" } else { "stopped" },
        database: if is_connected { "connected" } else { "disconnected" },
    };
    let status = if is_well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Ok((status, Json(health)))
}
