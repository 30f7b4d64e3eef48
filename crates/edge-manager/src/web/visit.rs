//! Somebody who looks at a page.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;

use super::error::PageError;
use super::headers::to;
use super::session::{Notice, Secret, Sessions};
use crate::access::{Caller, Role};
use crate::api::ApiError;

/// Somebody who looks at a page.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// Who.
    pub(super) caller: Caller,
    pub(super) secret: Secret,
    /// Whether they have logged in; else no key is needed.
    pub(super) has_key: bool,
    /// Whether the page asks by itself: nobody sees all of the answer.
    pub(super) is_refresh: bool,
    pub(super) sessions: Arc<Sessions>,
}

impl Visit {
    /// Whether they may do what needs this role.
    pub(super) fn may(&self, role: Role) -> bool {
        self.caller.role >= role
    }

    /// The notice that was left last, for somebody who sees it.
    pub(super) fn take_notice(&self) -> Option<Notice> {
        if self.is_refresh { None } else { self.sessions.take_notice(&self.secret) }
    }

    /// Leads to another page, which says what became of a form.
    pub(super) fn leave(&self, path: &str, notice: Notice) -> Response {
        self.sessions.leave(&self.secret, notice);
        to(path)
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = PageError;

    /// Of a route that is guarded.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let visit = parts.extensions.get::<Self>().cloned();
        Ok(visit.ok_or_else(|| ApiError::internal("this page asks nobody who they are"))?)
    }
}
