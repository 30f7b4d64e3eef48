//! Logging in and out.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, extract::DefaultBodyLimit};
use serde::Deserialize;

use super::assets::{SCRIPT, STYLE};
use super::error::PageError;
use super::extract::{Asked, Filled};
use super::frame::html;
use super::guard::{OfSessions, checked};
use super::headers::{cookie, drop_cookie, set_cookie, to};
use super::link::link;
use super::pages::Pages;
use super::session::Secret;
use super::visit::Visit;
use crate::access::{Admission, KeyHash, Role};
use crate::api::{ApiError, App, Peer};
use crate::clock::now_us;

/// Longest form, bytes: a key and where to go.
const MAX_BYTES: usize = 8 << 10;

pub(super) fn pages() -> Pages {
    let login = get(form).post(enter).layer(DefaultBodyLimit::max(MAX_BYTES));
    Pages::default().public(&[Method::GET, Method::POST], "/login", login).change(
        Role::Reader,
        "/logout",
        MAX_BYTES,
        leave,
    )
}

/// The way to the login, and back to the page that was asked for.
pub(super) fn address(parts: &Parts) -> String {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if parts.method != Method::GET || path == "/" {
        return "/login".to_owned();
    }
    link("/login", &[("next", path)])
}

#[derive(Template)]
#[template(path = "web/login.html")]
struct Login<'a> {
    style: &'a str,
    script: &'a str,
    token: String,
    next: &'a str,
    error: Option<&'a str>,
}

#[derive(Deserialize)]
struct Wish {
    next: Option<String>,
}

/// A page of ours, and not the name of another site.
fn own(next: Option<&str>) -> &str {
    next.filter(|next| next.starts_with('/') && !next[1..].starts_with(['/', '\\'])).unwrap_or("/")
}

async fn form(
    State(app): State<Arc<App>>,
    Extension(sessions): OfSessions,
    Asked(Wish { next }): Asked<Wish>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let next = own(next.as_deref());
    let known = cookie(&headers);
    let session = known.and_then(|secret| sessions.find(&secret, now_us()));
    let key = session.flatten();
    let admission = app.reading(move |app| Ok(app.keys.admit_hash(key, None)?)).await?;
    if admission != Admission::Refused {
        return Ok(to(next));
    }
    shown(known, next, None, StatusCode::OK, &headers)
}

/// The form belongs to whatever the cookie has, so that nobody is logged in by a form from elsewhere.
fn shown(
    known: Option<Secret>,
    next: &str,
    error: Option<&str>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let secret = known.map_or_else(Secret::random, Ok).map_err(ApiError::internal)?;
    let page = Login { style: STYLE.path(), script: SCRIPT.path(), token: secret.form_token(), next, error };
    let mut response = html(status, &page);
    response.headers_mut().append(header::SET_COOKIE, set_cookie(&secret, headers));
    Ok(response)
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    key: String,
    next: Option<String>,
}

async fn enter(
    State(app): State<Arc<App>>,
    Extension(sessions): OfSessions,
    request: Request,
) -> Result<Response, PageError> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let Some(secret) = cookie(&headers) else {
        let why = "The browser sent no cookie: allow cookies of this site, and load the page again.";
        return Err(PageError::new(StatusCode::FORBIDDEN, why));
    };
    let from = match parts.extensions.get::<Peer>() {
        Some(Peer::Network(address)) => Some(address.ip().to_canonical()),
        _ => None,
    };
    let body = checked(&parts, body, &secret).await?;
    let Filled(Credentials { key, next }) = filled(parts, body).await?;
    let next = own(next.as_deref());
    let hash = KeyHash::of(key.trim().as_bytes());
    match app.reading(move |app| Ok(app.keys.admit_hash(Some(hash), from)?)).await? {
        Admission::As(caller) => {
            // A new one: whoever knew the one before does not know this.
            sessions.end(&secret);
            let session = sessions.begin(Some(hash), now_us()).map_err(ApiError::internal)?;
            tracing::info!(caller = %caller.name, role = %caller.role, "logged in at the page");
            let mut response = to(next);
            response.headers_mut().append(header::SET_COOKIE, set_cookie(&session, &headers));
            Ok(response)
        }
        Admission::Open => Ok(to(next)),
        Admission::Refused => {
            tracing::warn!("a key that is not known was tried at the page");
            let why = "This key is not known. Make one with edge-manager key add NAME --role admin.";
            shown(Some(secret), next, Some(why), StatusCode::FORBIDDEN, &headers)
        }
    }
}

async fn filled(parts: Parts, body: Body) -> Result<Filled<Credentials>, PageError> {
    Filled::from_request(Request::from_parts(parts, body), &()).await
}

async fn leave(visit: Visit, headers: HeaderMap) -> Response {
    visit.sessions.end(&visit.secret);
    let mut response = to("/login");
    response.headers_mut().append(header::SET_COOKIE, drop_cookie(&headers));
    response
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_ours_only() {
        for foreign in ["//evil.example", "/\\evil.example", "https://evil.example", "evil", ""] {
            assert_eq!(own(Some(foreign)), "/", "{foreign}");
        }
        assert_eq!(own(Some("/clients?q=192.0.2.1")), "/clients?q=192.0.2.1");
        assert_eq!(own(None), "/");
    }

    #[test]
    fn the_way_to_the_login_knows_where_to_go_on() {
        let of = |method, path| {
            address(&Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0)
        };
        assert_eq!(of("GET", "/"), "/login");
        assert_eq!(of("GET", "/clients?q=a&b=c"), "/login?next=/clients%3Fq%3Da%26b%3Dc");
        assert_eq!(of("POST", "/clients/add"), "/login");
    }
}
