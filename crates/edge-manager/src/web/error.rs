//! What somebody sees who does not get a page.

use askama::Template;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::frame::html;
use super::headers::guarded;
use super::nearest::nearest;
use crate::api::{ApiError, Reason};

/// Why there is no page.
#[derive(Debug)]
pub(super) struct PageError(ApiError);

#[derive(Template)]
#[template(path = "web/error.html")]
struct ErrorPage<'a> {
    status: u16,
    title: &'a str,
    message: &'a str,
    advice: &'a str,
    /// Where to go on.
    way: Way<'a>,
}

/// A link to a page.
struct Way<'a> {
    path: &'a str,
    name: &'a str,
}

impl PageError {
    pub(super) fn new(status: StatusCode, message: impl std::fmt::Display) -> Self {
        Self(ApiError::new(status, message))
    }
}

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = shown(self.0.status(), self.0.to_string(), OVERVIEW);
        self.0.say_when(response.headers_mut());
        response
    }
}

const OVERVIEW: Way<'static> = Way { path: "/", name: "To the overview" };

/// What browsers get in place of the errors of the API, wherever the API is not.
pub(super) async fn as_page(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let accepted = request.headers().get(header::ACCEPT);
    let is_browser =
        accepted.is_some_and(|accept| accept.as_bytes().windows(9).any(|kind| kind == b"text/html"));
    let response = next.run(request).await;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_browser || !is_json || path.starts_with("/api/") {
        return response;
    }
    let Some(Reason(message)) = response.extensions().get::<Reason>().cloned() else { return response };
    let way = if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        Way { path: nearest(&path), name: "To the page of the form" }
    } else {
        OVERVIEW
    };
    let mut page = shown(response.status(), message, way);
    guarded(page.headers_mut());
    for name in [header::ALLOW, header::WWW_AUTHENTICATE] {
        page.headers_mut().extend(response.headers().get(&name).map(|value| (name, value.clone())));
    }
    page
}

fn shown(status: StatusCode, message: String, way: Way<'_>) -> Response {
    let (title, advice) = match status {
        StatusCode::FORBIDDEN => ("Not allowed", "Log in with a key that may do this, or ask who has one."),
        StatusCode::NOT_FOUND => ("Not found", "It may have been removed meanwhile: look at the list again."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("Nothing to see here", "This address only takes a form. Nothing has changed by looking at it.")
        }
        StatusCode::TOO_MANY_REQUESTS => ("Too many tries", "Wait a moment, then try again."),
        StatusCode::SERVICE_UNAVAILABLE => ("No answer in time", "Try again in a moment."),
        status if status.is_server_error() => {
            ("Something is wrong with the manager", "Its log says more. What was asked for is not done.")
        }
        _ => ("That cannot be taken", "Nothing has changed. Go back, mend it, and send it once more."),
    };
    let page = ErrorPage { status: status.as_u16(), title, message: &message, advice, way };
    let mut response = html(status, &page);
    response.extensions_mut().insert(Reason(message));
    response
}
