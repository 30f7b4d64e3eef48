//! What happens, for pages that are open.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;

use super::pages::Pages;
use super::visit::Visit;
use crate::api::{App, admit, hear};
use crate::clock::now_us;

/// The events of `/api/events`, for whoever is logged in at the page.
pub(super) fn pages() -> Pages {
    Pages::default().see("/events", listen)
}

async fn listen(State(app): State<Arc<App>>, visit: Visit, parts: Parts) -> Response {
    let headers = parts.headers.clone();
    let who = visit.caller.clone();
    let asked = Arc::new((visit, parts));
    hear(&app, &who, &headers, move || {
        let asked = asked.clone();
        async move {
            let (visit, parts) = &*asked;
            let Some(key) = visit.sessions.peek(&visit.secret, now_us()) else { return false };
            admit(parts, key).await.is_ok_and(|caller| caller.is_some())
        }
    })
}
