//! The description of the API.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::routes;

use super::{ApiError, Routes};

/// The same for everybody, as long as the program runs.
static JSON: LazyLock<Result<String, String>> =
    LazyLock::new(|| super::openapi().to_json().map_err(|error| error.to_string()));

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(get))
}

/// Get this description
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "manager",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
async fn get() -> Result<impl IntoResponse, ApiError> {
    let json = JSON.as_ref().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json.as_str()))
}
