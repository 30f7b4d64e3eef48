//! What HAProxy serves: domains, their backends and servers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::diff::Changes;
use super::error::PageError;
use super::extract::{Asked, Filled};
use super::frame::{Frame, html};
use super::link::link;
use super::moment::span;
use super::pages::Pages;
use super::session::Notice;
use super::site_form::SiteForm;
use super::visit::Visit;
use super::words::of_change;
use crate::access::Role;
use crate::api::{ApiError, App};
use crate::clock::now_us;
use crate::haproxy::{self, Health};
use crate::site::{BackendInput, DomainInput, SiteInput};
use crate::sites::Preview;

/// Domains of a page.
const PAGE: usize = 50;

/// Longest form, bytes: a backend with its servers.
const MAX_FORM_BYTES: usize = 256 << 10;

pub(super) fn pages() -> Pages {
    Pages::default()
        .see("/domains", list)
        .see_as(Role::Local, "/domains/edit", edit)
        .change(Role::Local, "/domains/look", MAX_FORM_BYTES, look)
        .change(Role::Local, "/domains/apply", MAX_FORM_BYTES, apply)
        .change(Role::Local, "/domains/remove", MAX_FORM_BYTES, remove)
        .change(Role::Local, "/backends/remove", MAX_FORM_BYTES, remove_backend)
}

/// Which domains are shown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    q: String,
    /// How many come before.
    after: usize,
    /// How many backends without a domain come before.
    alone_after: usize,
}

impl Wanted {
    fn first(&self) -> String {
        self.link(0, self.alone_after)
    }

    fn alone_first(&self) -> String {
        self.link(self.after, 0)
    }

    fn link(&self, after: usize, alone_after: usize) -> String {
        let number = |number: usize| if number == 0 { String::new() } else { number.to_string() };
        let parameters = [("q", &*self.q), ("after", &number(after)), ("alone_after", &number(alone_after))];
        link("/domains", &parameters)
    }
}

/// A page of what there is, and how many come before the next one, if there is one.
fn page_of<T>(all: impl Iterator<Item = T>, after: usize) -> (Vec<T>, Option<usize>) {
    let mut found: Vec<T> = all.skip(after).take(PAGE + 1).collect();
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    (found, has_more.then(|| after.saturating_add(PAGE)))
}

#[derive(Template)]
#[template(path = "web/domains.html")]
struct Domains {
    frame: Frame,
    wanted: Wanted,
    rows: Vec<Row>,
    /// Without a domain.
    alone: Vec<BackendRow>,
    next: Option<String>,
    alone_next: Option<String>,
    is_reached: bool,
}

struct Row {
    domain: String,
    has_tls: bool,
    template: String,
    backend: BackendRow,
}

struct BackendRow {
    name: String,
    mode: String,
    servers: Vec<ServerRow>,
}

struct ServerRow {
    name: String,
    address: String,
    options: String,
    status: String,
    is_good: bool,
    is_bad: bool,
    more: String,
}

type Healths = HashMap<(String, String), Health>;

async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, PageError> {
    let (input, healths) =
        app.blocking(|app| Ok((app.sites.input()?, haproxy::servers(&app.sockets)))).await?;
    let text = wanted.q.trim().to_ascii_lowercase();
    let is_meant = |domain: &&DomainInput| {
        domain.domain.as_str().contains(&text) || domain.backend_name.as_str().contains(&text)
    };
    let (found, next) = page_of(input.domains.iter().filter(is_meant), wanted.after);
    let (alone, alone_next) = page_of(alone(&input, &text), wanted.alone_after);
    let backends: HashMap<&str, &BackendInput> =
        input.backends.iter().map(|backend| (backend.name.as_str(), backend)).collect();
    let rows = found.into_iter().map(|domain| {
        let backend = backends.get(domain.backend_name.as_str());
        Row {
            domain: domain.domain.to_string(),
            has_tls: domain.ssl_enabled,
            template: domain.template_override.as_ref().map(ToString::to_string).unwrap_or_default(),
            backend: backend.map_or_else(
                || BackendRow {
                    name: domain.backend_name.to_string(),
                    mode: String::new(),
                    servers: Vec::new(),
                },
                |backend| backend_row(backend, healths.as_ref()),
            ),
        }
    });
    let page = Domains {
        rows: rows.collect(),
        alone: alone.into_iter().map(|backend| backend_row(backend, healths.as_ref())).collect(),
        next: next.map(|after| wanted.link(after, wanted.alone_after)),
        alone_next: alone_next.map(|after| wanted.link(wanted.after, after)),
        is_reached: healths.is_some(),
        frame: Frame::new(&visit, "/domains", "Domains"),
        wanted,
    };
    Ok(html(StatusCode::OK, &page))
}

/// Backends that no domain leads to: those of TCP, and those that wait for one.
fn alone<'a>(input: &'a SiteInput, text: &'a str) -> impl Iterator<Item = &'a BackendInput> {
    let used: HashSet<&str> = input.domains.iter().map(|domain| domain.backend_name.as_str()).collect();
    input
        .backends
        .iter()
        .filter(move |backend| !used.contains(backend.name.as_str()) && backend.name.as_str().contains(text))
}

fn backend_row(backend: &BackendInput, healths: Option<&Healths>) -> BackendRow {
    let name = backend.name.to_string();
    let servers = backend.servers.iter().map(|server| {
        let health = healths.and_then(|all| all.get(&(name.clone(), server.name.to_string())));
        let status = health.map(|health| health.status.clone()).unwrap_or_default();
        let since = health.and_then(|health| health.since_s).map(span);
        let check = health.map(|health| health.check.clone()).unwrap_or_default();
        let since = since.map(|since| format!("for {since}"));
        let more: Vec<String> =
            [Some(check).filter(|check| !check.is_empty()), since].into_iter().flatten().collect();
        ServerRow {
            name: server.name.to_string(),
            address: endpoint(server.address.as_str(), server.port.as_str()),
            options: server.options.as_ref().map(ToString::to_string).unwrap_or_default(),
            is_good: status.starts_with("UP"),
            is_bad: status.starts_with("DOWN"),
            status,
            more: more.join(", "),
        }
    });
    BackendRow {
        servers: servers.collect(),
        mode: backend.mode.as_ref().map_or_else(|| "http".to_owned(), ToString::to_string),
        name,
    }
}

/// As `192.0.2.1:80` or `[::1]:80`.
pub(super) fn endpoint(address: &str, port: &str) -> String {
    if address.contains(':') && !address.starts_with('[') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// What is edited: a domain with its backend, a backend alone, or something new.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Edited {
    domain: String,
    backend: String,
    /// `backend` for a new one; else what is new is a domain.
    new: String,
}

#[derive(Template)]
#[template(path = "web/site_form.html")]
struct Edit {
    frame: Frame,
    form: SiteForm,
    error: Option<String>,
    preview: Option<Changes>,
}

async fn edit(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(edited): Asked<Edited>,
) -> Result<Response, PageError> {
    let input = app.reading(|app| Ok(app.sites.input()?)).await?;
    let form = if edited.new == "backend" {
        Some(SiteForm::of_new_backend())
    } else {
        SiteForm::of(&input, &edited.domain, &edited.backend)
    };
    let form = form.ok_or_else(|| ApiError::not_found("no such domain or backend"))?;
    Ok(shown(&visit, form, None, None))
}

fn shown(visit: &Visit, form: SiteForm, error: Option<ApiError>, preview: Option<Changes>) -> Response {
    let title = if form.is_backend() { "Backend" } else { "Domain" };
    let page = Edit {
        frame: Frame::new(visit, "/domains", title),
        form,
        error: error.as_ref().map(ToString::to_string),
        preview,
    };
    html(error.map_or(StatusCode::OK, |error| error.status()), &page)
}

async fn look(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(form): Filled<SiteForm>,
) -> Result<Response, PageError> {
    let (caller, copy) = (visit.caller.clone(), form.clone());
    let preview = app.publishing(move |app| {
        let change = change(&copy, &app.sites.input()?)?;
        Ok(app.sites.preview(&caller, change)?)
    });
    Ok(match preview.await {
        Ok(diff) => shown(&visit, form, None, Some(Changes::of(&diff))),
        Err(error) => shown(&visit, form, Some(error), None),
    })
}

fn change(form: &SiteForm, input: &SiteInput) -> Result<Preview, ApiError> {
    Ok(if form.is_backend() {
        Preview::Backend(Box::new(form.backend(input)?))
    } else {
        Preview::Domain(form.domain(input)?)
    })
}

async fn apply(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(form): Filled<SiteForm>,
) -> Result<Response, PageError> {
    let (caller, copy) = (visit.caller.clone(), form.clone());
    let applied = app.publishing(move |app| {
        let change = change(&copy, &app.sites.input()?)?;
        Ok(app.make(&caller, change)?.enforcement)
    });
    Ok(match applied.await {
        Ok(enforcement) => {
            let what = if form.is_backend() { &form.backend_name } else { &form.domain };
            visit.leave("/domains", of_change(&format!("{} is published.", what.trim()), &enforcement))
        }
        Err(error) => shown(&visit, form, Some(error), None),
    })
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn remove(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Named { name }): Filled<Named>,
) -> Result<Response, PageError> {
    let (caller, domain) = (visit.caller.clone(), name.clone());
    let removed = app.publishing(move |app| {
        let removed = app.change_site(&caller, |sites| {
            // Its name as the record has it says whether names below are meant.
            sites.remove_domain(&caller, &domain.as_str().into(), Some(false), now_us())
        })?;
        Ok(removed.published.enforcement)
    });
    Ok(visit.leave("/domains", of_change(&format!("{name} is served no longer."), &removed.await?)))
}

async fn remove_backend(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Named { name }): Filled<Named>,
) -> Result<Response, PageError> {
    let (caller, backend) = (visit.caller.clone(), name.clone());
    let removed = app.publishing(move |app| {
        let removed = app.change_site(&caller, |sites| sites.remove_backend(&caller, &backend, now_us()))?;
        Ok(removed.published.enforcement)
    });
    let notice: Notice = of_change(&format!("The backend {name} is removed."), &removed.await?);
    Ok(visit.leave("/domains", notice))
}
