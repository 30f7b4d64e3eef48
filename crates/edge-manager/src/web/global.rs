//! What holds for all backends, as the API has it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::diff::Changes;
use super::error::PageError;
use super::extract::Filled;
use super::frame::{Frame, html};
use super::pages::Pages;
use super::visit::Visit;
use super::words::of_change;
use crate::access::Role;
use crate::api::{ApiError, App, object};
use crate::sites::Preview;

/// Longest form, bytes: the page of unknown domains and thousands of networks have room in it.
const MAX_BYTES: usize = 1 << 20;

pub(super) fn pages() -> Pages {
    Pages::default()
        .see_as(Role::Admin, "/configuration/global", edit)
        .change(Role::Admin, "/configuration/global/look", MAX_BYTES, look)
        .change(Role::Admin, "/configuration/global/apply", MAX_BYTES, apply)
}

/// As it was typed: JSON, as `/api/global` takes it.
#[derive(Clone, Debug, Deserialize)]
struct Typed {
    #[serde(default)]
    global: String,
}

#[derive(Template)]
#[template(path = "web/global.html")]
struct Global {
    frame: Frame,
    typed: Typed,
    error: Option<String>,
    preview: Option<Changes>,
}

impl Typed {
    fn change(&self) -> Result<Preview, ApiError> {
        Ok(Preview::Global(Box::new(object(self.global.as_bytes())?)))
    }
}

async fn edit(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let input = app.reading(|app| Ok(app.sites.input()?)).await?;
    let global = serde_json::to_string_pretty(&input.global).map_err(ApiError::internal)?;
    Ok(shown(&visit, Typed { global }, None, None))
}

fn shown(visit: &Visit, typed: Typed, error: Option<ApiError>, preview: Option<Changes>) -> Response {
    let page = Global {
        frame: Frame::new(visit, "/configuration", "All backends"),
        typed,
        error: error.as_ref().map(ToString::to_string),
        preview,
    };
    html(error.map_or(StatusCode::OK, |error| error.status()), &page)
}

async fn look(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(typed): Filled<Typed>,
) -> Result<Response, PageError> {
    let (caller, copy) = (visit.caller.clone(), typed.clone());
    let preview = app.publishing(move |app| Ok(app.sites.preview(&caller, copy.change()?)?));
    Ok(match preview.await {
        Ok(diff) => shown(&visit, typed, None, Some(Changes::of(&diff))),
        Err(error) => shown(&visit, typed, Some(error), None),
    })
}

async fn apply(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(typed): Filled<Typed>,
) -> Result<Response, PageError> {
    let (caller, copy) = (visit.caller.clone(), typed.clone());
    let applied = app.publishing(move |app| Ok(app.make(&caller, copy.change()?)?.enforcement));
    Ok(match applied.await {
        Ok(enforcement) => visit
            .leave("/configuration", of_change("What holds for all backends is published.", &enforcement)),
        Err(error) => shown(&visit, typed, Some(error), None),
    })
}
