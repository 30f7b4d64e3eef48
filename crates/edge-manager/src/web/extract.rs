//! What pages are asked for, and what forms carry.

use axum::extract::{Form, FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::PageError;

/// The parameters behind the `?`.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(PageError::new(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}

/// The fields of a form.
pub(super) struct Filled<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Filled<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, _: &S) -> Result<Self, PageError> {
        match Form::from_request(request, &()).await {
            Ok(Form(filled)) => Ok(Self(filled)),
            Err(error) => Err(PageError::new(error.status(), error.body_text())),
        }
    }
}
