//! What happens, as it happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{StreamExt, once};
use utoipa_axum::routes;

use super::authentication::admit_again;
use super::error::ErrorBody;
use super::{ApiError, App, Routes};
use crate::access::Caller;
use crate::events::{NotHeard, Told};

/// Without an event, a comment comes this often: who is gone is noticed, and nothing between closes the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often it is looked whether a listener may listen still: a key that was removed is heard of no longer than this.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// When to come back for a place, seconds.
const RETRY_AFTER_S: u64 = 10;

pub(super) fn routes() -> Routes {
    Routes::new().reader(routes!(listen))
}

/// Hear what happens, as it happens
///
/// Server-sent events: `rules` (made or removed), `learned`, `configuration` (published, refused or
/// rolled back), `certificates` (got, not got, or about to end) and `haproxy` (came or went, where the manager supervises it). Each has an id, which grows, and a line
/// of JSON with `at_s`. `lagged` comes where events were lost, to a slow listener or since the one of `Last-Event-ID`: what is
/// known is to be read anew. Ends when the manager does, and soon after the key was removed.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "manager",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard")),
    responses(
        (status = 200, description = "Events without end", body = String, content_type = "text/event-stream"),
        (status = 429, description = "With this key, or from this client, as many listen as may; Retry-After says when to come back", body = ErrorBody),
        (status = 503, description = "As many listen as may; Retry-After says when to come back", body = ErrorBody)
    )
)]
async fn listen(State(app): State<Arc<App>>, who: Caller, parts: Parts) -> Response {
    let headers = parts.headers.clone();
    let parts = Arc::new(parts);
    hear(&app, &who, &headers, move || {
        let parts = parts.clone();
        async move { admit_again(&parts).await.is_ok_and(|caller| caller.is_some()) }
    })
}

/// Events to the end of the manager, or of the right to hear them: `may_hear` is asked every [`ASKED_EVERY`].
pub(crate) fn hear<F: Future<Output = bool> + Send>(
    app: &App,
    who: &Caller,
    headers: &HeaderMap,
    may_hear: impl Fn() -> F + Send + 'static,
) -> Response {
    // One that is none of ours was heard of another manager.
    let last =
        headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.parse().ok()).unwrap_or(0));
    let listener = match app.events.listen(who, last) {
        Ok(listener) => listener,
        Err(error) => {
            let status = match error {
                NotHeard::Full => StatusCode::SERVICE_UNAVAILABLE,
                NotHeard::Key(_) | NotHeard::Client(_) => StatusCode::TOO_MANY_REQUESTS,
            };
            return ApiError::new(status, error).retry_after(RETRY_AFTER_S).into_response();
        }
    };
    let (end, has_ended) = watch::channel(());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                // Nobody listens any more.
                () = end.closed() => return,
                () = sleep(ASKED_EVERY) => {}
            }
            if !may_hear().await {
                end.send_replace(());
                return;
            }
        }
    });
    let told = listener.into_stream().map(Some).chain(once(None));
    let told = told.merge(WatchStream::from_changes(has_ended).map(|()| None)).map_while(|told| told);
    let events = told.map(|told| Ok::<_, Infallible>(event(told)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn event(told: Told) -> Event {
    match told {
        Told::Event(event) => {
            Event::default().id(event.id.to_string()).event(event.topic.as_str()).data(&*event.data)
        }
        Told::Missed => Event::default().event("lagged").data("{}"),
    }
}
