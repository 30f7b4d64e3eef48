//! What templates see.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::site::{Backend, DeletedHeaders, Global, Mode, Page, Site, deleted_headers};

use super::lists::has_exempt;
use super::version::Version;

/// The template of a backend that no domain has another for.
const BACKEND_TEMPLATE: &str = "backend.cfg.j2";

/// What the templates of haproxy.cfg see.
#[derive(Serialize)]
pub(super) struct Context<'a> {
    /// Major and minor of HAProxy.
    version: Vec<u16>,
    global: &'a Global,
    backends: Vec<BackendContext<'a>>,
    /// Statuses that have a page in `pages/`.
    error_statuses: Vec<u16>,
    has_certificates: bool,
    has_exempt: bool,
    has_tcp: bool,
    has_wildcards: bool,
    /// Expressions for the names of headers that no server gets from a client.
    deleted_headers: DeletedHeaders,
}

#[derive(Serialize)]
struct BackendContext<'a> {
    #[serde(flatten)]
    backend: &'a Backend,
    is_hash: bool,
    template: &'a str,
    domains: Vec<String>,
}

impl<'a> Context<'a> {
    pub(super) fn of(site: &'a Site, version: Version) -> Self {
        let mut domains: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut templates: BTreeMap<&str, &str> = BTreeMap::new();
        for domain in &site.domains {
            domains.entry(domain.backend.as_str()).or_default().push(domain.name.to_string());
            if let Some(name) = &domain.template_override {
                templates.insert(domain.backend.as_str(), name.as_str());
            }
        }
        let backend = |backend: &'a Backend| BackendContext {
            backend,
            is_hash: backend.balance.is_hash(),
            template: templates.get(backend.name.as_str()).copied().unwrap_or(BACKEND_TEMPLATE),
            domains: domains.remove(backend.name.as_str()).unwrap_or_default(),
        };
        Self {
            version: version.numbers().into(),
            global: &site.global,
            backends: site.backends.iter().map(backend).collect(),
            error_statuses: ERROR_PAGES.iter().map(|page| page.status).collect(),
            has_certificates: site.has_certificates(),
            has_exempt: has_exempt(site),
            has_tcp: site.backends.iter().any(|backend| backend.mode == Mode::Tcp),
            has_wildcards: site.domains.iter().any(|domain| domain.name.is_wildcard),
            deleted_headers: deleted_headers(&site.global.keep_headers),
        }
    }
}

/// What the page for unknown domains sees.
#[derive(Serialize)]
pub(super) struct PageContext {
    page: PageTexts,
}

#[derive(Serialize)]
struct PageTexts {
    title: String,
    main_message: String,
    secondary_message: String,
}

impl PageContext {
    /// HAProxy reads this page as a log format, where a percent sign begins what is to be filled in.
    pub(super) fn of(page: &Page) -> Self {
        let text = |text: &str| text.replace('%', "%%");
        Self {
            page: PageTexts {
                title: text(page.title.as_str()),
                main_message: text(page.main_message.as_str()),
                secondary_message: text(page.secondary_message.as_str()),
            },
        }
    }
}

/// What the page of an error sees.
#[derive(Serialize)]
pub(super) struct ErrorPage {
    pub(super) status: u16,
    title: &'static str,
    message: &'static str,
}

/// The pages in place of HAProxy's own.
pub(super) const ERROR_PAGES: [ErrorPage; 8] = [
    page(400, "Bad request", "The request could not be understood."),
    page(403, "Forbidden", "This request is not allowed."),
    page(408, "Request timeout", "The request took too long to arrive."),
    page(429, "Too many requests", "Please slow down and try again in a minute."),
    page(500, "Internal error", "Something went wrong here."),
    page(502, "Bad gateway", "The server behind this site gave no valid answer."),
    page(503, "Service unavailable", "The server behind this site cannot be reached at the moment."),
    page(504, "Gateway timeout", "The server behind this site took too long to answer."),
];

const fn page(status: u16, title: &'static str, message: &'static str) -> ErrorPage {
    ErrorPage { status, title, message }
}
