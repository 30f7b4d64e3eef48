//! What HAProxy runs, what it ran, and the operator's templates.

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
use super::moment::Moment;
use super::pages::Pages;
use super::visit::Visit;
use super::words::of_change;
use crate::access::Role;
use crate::api::{ApiError, App};
use crate::clock::{now_s, now_us};
use crate::configuration::{OperatorTemplate, Past, PublishError};
use crate::render::Rendered;

/// Longest form, bytes: a template has 1 MiB at most, and three bytes for each where it is escaped.
const MAX_FORM_BYTES: usize = 4 << 20;

/// Longest file that is shown, bytes.
const MAX_SHOWN_BYTES: usize = 1 << 20;

/// Files may hold what an operator's templates keep from readers: as in the API, they are for admins.
pub(super) fn pages() -> Pages {
    Pages::default()
        .see("/configuration", show)
        .see_as(Role::Admin, "/configuration/file", file)
        .see_as(Role::Admin, "/configuration/diff", difference)
        .change(Role::Local, "/configuration/regenerate", 1024, regenerate)
        .change(Role::Local, "/configuration/reload", 1024, reload)
        .change(Role::Admin, "/configuration/rollback", 1024, roll_back)
        .see_as(Role::Admin, "/configuration/template", template)
        .change(Role::Admin, "/configuration/template/look", MAX_FORM_BYTES, look)
        .change(Role::Admin, "/configuration/template/save", MAX_FORM_BYTES, save)
        .change(Role::Admin, "/configuration/template/remove", MAX_FORM_BYTES, remove)
}

#[derive(Template)]
#[template(path = "web/configuration.html")]
struct Configuration {
    frame: Frame,
    sets: Vec<SetRow>,
    files: Vec<String>,
    templates: Vec<OperatorTemplate>,
    has_template_dir: bool,
    problem: Option<String>,
}

struct SetRow {
    past: Past,
    made: Moment,
    /// The set before, to compare with.
    before: Option<u64>,
}

async fn show(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let is_admin = visit.may(Role::Admin);
    let (history, current, templates, has_template_dir) = app
        .reading(move |app| {
            let configuration = app.sites.configuration();
            let templates = if is_admin { configuration.templates() } else { Ok(Vec::new()) };
            Ok((
                configuration.history()?,
                configuration.current(),
                templates,
                configuration.has_template_dir(),
            ))
        })
        .await?;
    let now_s = now_s();
    let befores: Vec<u64> = history.iter().skip(1).map(|past| past.manifest.set).collect();
    let befores = befores.into_iter().map(Some).chain(std::iter::repeat(None));
    let row = |(past, before): (Past, Option<u64>)| SetRow {
        made: Moment::new(past.manifest.made_at_s, now_s),
        past,
        before,
    };
    let problems = [current.as_ref().err(), templates.as_ref().err()];
    let problem = problems.into_iter().flatten().map(ToString::to_string).next();
    let files = current.ok().flatten().map(|set| set.files).unwrap_or_default();
    let page = Configuration {
        frame: Frame::new(&visit, "/configuration", "Configuration"),
        sets: history.into_iter().zip(befores).map(row).collect(),
        files: if is_admin { files.files().map(|(path, _)| path.to_owned()).collect() } else { Vec::new() },
        templates: templates.unwrap_or_default(),
        has_template_dir,
        problem,
    };
    Ok(html(StatusCode::OK, &page))
}

#[derive(Deserialize)]
struct Wanted {
    path: String,
}

#[derive(Template)]
#[template(path = "web/file.html")]
struct File {
    frame: Frame,
    path: String,
    set: u64,
    lines: Vec<String>,
    is_cut: bool,
}

async fn file(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(Wanted { path }): Asked<Wanted>,
) -> Result<Response, PageError> {
    let set = app.reading(|app| Ok(app.sites.configuration().current()?)).await?;
    let set = set.ok_or(PublishError::Nothing).map_err(ApiError::from)?;
    let text = set
        .files
        .get(&path)
        .ok_or_else(|| ApiError::not_found("there is no such file in the set in force"))?;
    let shown = &text[..text.floor_char_boundary(MAX_SHOWN_BYTES)];
    let page = File {
        frame: Frame::new(&visit, "/configuration", "File in force"),
        set: set.manifest.set,
        lines: shown.lines().map(ToOwned::to_owned).collect(),
        is_cut: shown.len() < text.len(),
        path,
    };
    Ok(html(StatusCode::OK, &page))
}

#[derive(Deserialize)]
struct Ends {
    from: u64,
    to: u64,
}

#[derive(Template)]
#[template(path = "web/sets_difference.html")]
struct Difference {
    frame: Frame,
    from: u64,
    to: u64,
    changes: Changes,
}

async fn difference(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(Ends { from, to }): Asked<Ends>,
) -> Result<Response, PageError> {
    let diff = app.reading(move |app| Ok(app.sites.configuration().diff(from, to)?)).await?;
    let frame = Frame::new(&visit, "/configuration", "Difference");
    Ok(html(StatusCode::OK, &Difference { frame, from, to, changes: Changes::of(&diff) }))
}

async fn regenerate(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let published = app
        .publishing(move |app| Ok(app.change_site(&caller, |sites| sites.regenerate(&caller, now_us()))?))
        .await?;
    let done = format!("Rendered anew and read again, set {}.", published.set);
    Ok(visit.leave("/configuration", of_change(&done, &published.enforcement)))
}

async fn reload(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let published = app
        .publishing(move |app| Ok(app.change_site(&caller, |sites| sites.reload(&caller, now_us()))?))
        .await?;
    let done = format!("HAProxy was told to read set {} again.", published.set);
    Ok(visit.leave("/configuration", of_change(&done, &published.enforcement)))
}

#[derive(Deserialize)]
struct Rollback {
    set: u64,
}

async fn roll_back(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Rollback { set }): Filled<Rollback>,
) -> Result<Response, PageError> {
    let caller = visit.caller.clone();
    let published = app
        .publishing(move |app| Ok(app.change_site(&caller, |sites| sites.roll_back(&caller, set, now_us()))?))
        .await?;
    let done = format!(
        "The files of set {set} are published once more, as set {}. The record stays as it is: its next change is made from it.",
        published.set
    );
    Ok(visit.leave("/configuration", of_change(&done, &published.enforcement)))
}

/// A template, as it is typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    name: String,
    source: String,
}

#[derive(Template)]
#[template(path = "web/template.html")]
struct TemplatePage {
    frame: Frame,
    typed: Typed,
    /// Whether the operator has one of this name.
    is_own: bool,
    is_built_in: bool,
    error: Option<String>,
    preview: Option<Changes>,
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    name: String,
}

async fn template(
    State(app): State<Arc<App>>,
    visit: Visit,
    Asked(Chosen { name }): Asked<Chosen>,
) -> Result<Response, PageError> {
    let found = find(&app, &name).await?;
    let source = found.as_ref().and_then(|found| found.own.clone().or(found.built_in.map(ToOwned::to_owned)));
    let typed = Typed { name, source: source.unwrap_or_default() };
    Ok(shown(&visit, typed, found.as_ref(), None, None))
}

async fn find(app: &Arc<App>, name: &str) -> Result<Option<OperatorTemplate>, ApiError> {
    let templates = app.reading(|app| Ok(app.sites.configuration().templates()?)).await?;
    Ok(templates.into_iter().find(|template| template.name == name))
}

fn shown(
    visit: &Visit,
    typed: Typed,
    found: Option<&OperatorTemplate>,
    error: Option<ApiError>,
    preview: Option<Changes>,
) -> Response {
    let page = TemplatePage {
        frame: Frame::new(visit, "/configuration", "Template"),
        typed,
        is_own: found.is_some_and(|found| found.own.is_some()),
        is_built_in: found.is_some_and(|found| found.built_in.is_some()),
        error: error.as_ref().map(ToString::to_string),
        preview,
    };
    html(error.map_or(StatusCode::OK, |error| error.status()), &page)
}

/// Browsers send lines of a text field with CR LF (HTML, "constructing the entry list").
fn plain(source: &str) -> String {
    let mut source = source.replace("\r\n", "\n");
    if !source.is_empty() && !source.ends_with('\n') {
        source.push('\n');
    }
    source
}

async fn look(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(typed): Filled<Typed>,
) -> Result<Response, PageError> {
    let found = find(&app, &typed.name).await?;
    let (name, source) = (typed.name.clone(), plain(&typed.source));
    let preview =
        app.publishing(move |app| Ok(app.sites.preview_template(name.trim(), Some(&source))?)).await;
    Ok(match preview {
        Ok(diff) => shown(&visit, typed, found.as_ref(), None, Some(Changes::of(&diff))),
        Err(error) => shown(&visit, typed, found.as_ref(), Some(error), None),
    })
}

async fn save(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(typed): Filled<Typed>,
) -> Result<Response, PageError> {
    let found = find(&app, &typed.name).await?;
    let (caller, name, source) = (visit.caller.clone(), typed.name.clone(), plain(&typed.source));
    let saved = app
        .publishing(move |app| {
            let put = |sites: &crate::sites::Sites| {
                sites.put_template(&caller, name.trim(), Some(&source), now_us())
            };
            Ok(app.change_site(&caller, put)?)
        })
        .await;
    Ok(match saved {
        Ok(published) => {
            let done = format!(
                "The template {} is in its place, and published with set {}.",
                typed.name, published.set
            );
            visit.leave("/configuration", of_change(&done, &published.enforcement))
        }
        Err(error) => shown(&visit, typed, found.as_ref(), Some(error), None),
    })
}

async fn remove(
    State(app): State<Arc<App>>,
    visit: Visit,
    Filled(Chosen { name }): Filled<Chosen>,
) -> Result<Response, PageError> {
    let (caller, template) = (visit.caller.clone(), name.clone());
    let published = app
        .publishing(move |app| {
            let remove = |sites: &crate::sites::Sites| sites.put_template(&caller, &template, None, now_us());
            Ok(app.change_site(&caller, remove)?)
        })
        .await?;
    let done = format!("Your template {name} is removed.");
    Ok(visit.leave("/configuration", of_change(&done, &published.enforcement)))
}

impl Configuration {
    /// The file that HAProxy is started with comes first.
    fn main(&self) -> &'static str {
        Rendered::MAIN
    }
}
