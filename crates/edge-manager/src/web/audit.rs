//! Who changed what, when, from where.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::extract::Asked;
use super::frame::{Frame, html};
use super::link::link;
use super::moment::Moment;
use super::pages::Pages;
use super::visit::Visit;
use crate::api::{ApiError, App, audit_lines, audit_time_us};
use crate::clock::{now_s, seconds};
use crate::store::{AuditEntry, AuditSelection, DONE, StoreError};

/// Changes of a page.
const PAGE: usize = 100;

pub(super) fn pages() -> Pages {
    Pages::default().see("/audit", show).see("/audit/export", export)
}

/// Which changes are shown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    who: String,
    action: String,
    since: String,
    until: String,
    after: String,
}

impl Wanted {
    fn selection(&self) -> Result<AuditSelection, ApiError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let at_us = |field, text: &str| given(text).map(|text| audit_time_us(field, &text)).transpose();
        let after = given(&self.after);
        let after =
            after.map(|after| after.parse().map_err(|_| ApiError::bad_request("there is no such page")));
        Ok(AuditSelection {
            caller: given(&self.who),
            operation: given(&self.action),
            since_us: at_us("since", &self.since)?,
            until_us: at_us("until", &self.until)?,
            after: after.transpose()?,
        })
    }

    fn link(&self, path: &str, after: &str) -> String {
        let parameters = [
            ("who", self.who.trim()),
            ("action", self.action.trim()),
            ("since", self.since.trim()),
            ("until", self.until.trim()),
            ("after", after),
        ];
        link(path, &parameters)
    }
}

#[derive(Template)]
#[template(path = "web/audit.html")]
struct Audit {
    frame: Frame,
    wanted: Wanted,
    rows: Vec<Row>,
    next: Option<String>,
    error: Option<String>,
}

struct Row {
    at: Moment,
    entry: AuditEntry,
    is_done: bool,
    took_ms: u64,
}

async fn show(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, PageError> {
    let (selection, error) = match wanted.selection() {
        Ok(selection) => (selection, None),
        Err(error) => (AuditSelection::default(), Some(error)),
    };
    let mut entries = app
        .reading(move |app| {
            // One more tells whether there is another page.
            Ok(app.store.read::<_, StoreError>(|view| view.audit(&selection, PAGE as u32 + 1))?)
        })
        .await?;
    let has_more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let next = entries.last().filter(|_| has_more).map(|last| wanted.link("/audit", &last.id.to_string()));
    let now_s = now_s();
    let row = |entry: AuditEntry| Row {
        at: Moment::new(seconds(entry.at_us), now_s),
        is_done: entry.result == DONE,
        took_ms: entry.duration_us / 1000,
        entry,
    };
    let page = Audit {
        frame: Frame::new(&visit, "/audit", "Audit"),
        rows: entries.into_iter().map(row).collect(),
        next,
        error: error.as_ref().map(ToString::to_string),
        wanted,
    };
    Ok(html(error.map_or(StatusCode::OK, |error| error.status()), &page))
}

/// All that is selected, a line of JSON for each, as the API has it.
async fn export(State(app): State<Arc<App>>, Asked(wanted): Asked<Wanted>) -> Result<Response, PageError> {
    let mut response = audit_lines(app, wanted.selection()?, None).await?;
    let name = HeaderValue::from_static("attachment; filename=\"audit.ndjson\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}
