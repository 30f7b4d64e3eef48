//! Whether all is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ApiError, App, Routes};

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
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether HAProxy runs and has all rules, and the record can be read
#[utoipa::path(
    get,
    path = "/health",
    tag = "manager",
    responses(
        (status = 200, description = "All is well", body = Health),
        (
            status = 500,
            description = "HAProxy does not answer or has not all rules, or the record cannot be read: `reason` says what",
            body = Health
        )
    )
)]
async fn health(State(app): State<Arc<App>>) -> Result<(StatusCode, Json<Health>), ApiError> {
    let health = app.checking(|app| Ok(Health::of(app))).await?;
    let status = match health.reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Ok((status, Json(health)))
}

impl Health {
    fn of(app: &App) -> Self {
        let record = app.store.read(|view| view.revision()).err();
        if !app.watch.is_fresh() {
            app.look();
        }
        let is_running = app.watch.is_running();
        let mut reasons: Vec<_> = app.watch.problems().iter().map(ToString::to_string).collect();
        if !is_running && reasons.is_empty() {
            reasons.push("HAProxy does not answer".to_owned());
        }
        reasons.extend(record.as_ref().map(|error| format!("the record cannot be read: {error}")));
        Self {
            status: if reasons.is_empty() { "healthy" } else { "unhealthy" },
            haproxy_status: if is_running { "running" } else { "stopped" },
            database: if record.is_none() { "connected" } else { "disconnected" },
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        }
    }
}
