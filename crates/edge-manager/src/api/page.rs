//! The page at `/`.

use axum::response::Html;
use utoipa_axum::routes;

use super::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().public(routes!(page))
}

/// What this is
#[utoipa::path(get, path = "/", tag = "manager", responses((status = 200, description = "A page", content_type = "text/html", body = String)))]
async fn page() -> Html<&'static str> {
    Html(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>edge-manager</title>\
         <h1>edge-manager</h1><p>The companion of Edge Filter for HAProxy. Its API is described in \
         <a href=\"/openapi.json\">openapi.json</a>.</p></html>",
    )
}
