//! What is around every page.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::session::Notice;
use super::visit::Visit;
use crate::access::Role;
use crate::api::ApiError;

/// The pages that there are: where, how they are called, and who sees them.
pub(super) const MENU: [MenuEntry; 7] = [
    MenuEntry { path: "/", name: "Overview", role: Role::Reader },
    MenuEntry { path: "/clients", name: "Clients", role: Role::Reader },
    MenuEntry { path: "/resources", name: "Resources", role: Role::Reader },
    MenuEntry { path: "/domains", name: "Domains", role: Role::Reader },
    MenuEntry { path: "/certificates", name: "Certificates", role: Role::Reader },
    MenuEntry { path: "/configuration", name: "Configuration", role: Role::Reader },
    MenuEntry { path: "/audit", name: "Audit", role: Role::Reader },
];

/// A page of the menu.
#[derive(Clone, Copy, Debug)]
pub(super) struct MenuEntry {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    role: Role,
}

/// What is around every page, for somebody who looks at it.
pub(super) struct Frame {
    pub(super) title: &'static str,
    /// The path of the page in the menu.
    pub(super) here: &'static str,
    pub(super) menu: Vec<MenuEntry>,
    pub(super) who: String,
    pub(super) role: Role,
    /// For forms.
    pub(super) token: String,
    pub(super) has_key: bool,
    pub(super) notice: Option<Notice>,
    /// Whether they may change rules.
    pub(super) is_operator: bool,
    /// Whether they may change domains and backends.
    pub(super) is_local: bool,
    /// Whether they may change anything else.
    pub(super) is_admin: bool,
}

impl Frame {
    /// Of the page of this name at this place of the menu.
    pub(super) fn new(visit: &Visit, here: &'static str, title: &'static str) -> Self {
        Self {
            title,
            here,
            menu: MENU.into_iter().filter(|entry| visit.may(entry.role)).collect(),
            who: visit.caller.name.to_string(),
            role: visit.caller.role,
            token: visit.secret.form_token(),
            has_key: visit.has_key,
            notice: visit.take_notice(),
            is_operator: visit.may(Role::Operator),
            is_local: visit.may(Role::Local),
            is_admin: visit.may(Role::Admin),
        }
    }
}

/// A page as an answer.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}
