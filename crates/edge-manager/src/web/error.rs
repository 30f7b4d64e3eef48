//! What somebody sees who does not get a page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::assets::{SCRIPT, STYLE};
use super::frame::html;
use crate::api::{ApiError, Reason};

/// Why there is no page.
#[derive(Debug)]
pub(super) struct PageError(ApiError);

#[derive(Template)]
#[template(path = "web/error.html")]
struct ErrorPage<'a> {
    style: &'a str,
    script: &'a str,
    status: u16,
    title: &'a str,
    message: &'a str,
    advice: &'a str,
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
        let message = self.0.to_string();
        let status = self.0.status();
        let (title, advice) = match status {
            StatusCode::FORBIDDEN => {
                ("Not allowed", "Log in with a key that may do this, or ask who has one.")
            }
            StatusCode::NOT_FOUND => {
                ("Not found", "It may have been removed meanwhile: look at the list again.")
            }
            StatusCode::SERVICE_UNAVAILABLE => ("No answer in time", "Try again in a moment."),
            status if status.is_server_error() => {
                ("Something is wrong with the manager", "Its log says more. What was asked for is not done.")
            }
            _ => ("That cannot be taken", "Nothing has changed. Go back, mend it, and send it once more."),
        };
        let page = ErrorPage {
            style: STYLE.path(),
            script: SCRIPT.path(),
            status: status.as_u16(),
            title,
            message: &message,
            advice,
        };
        let mut response = html(status, &page);
        response.extensions_mut().insert(Reason(message));
        response
    }
}
