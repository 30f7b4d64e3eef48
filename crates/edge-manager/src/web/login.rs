//! Logging in and out.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, extract::DefaultBodyLimit};
use serde::Deserialize;

use super::error::PageError;
use super::extract::{Asked, Filled};
use super::frame::html;
use super::guard::{OfSessions, checked, is_of_this_site};
use super::headers::{Cookie, cookie, drop_cookie, set_cookie, to};
use super::link::{is_own, link};
use super::nearest::nearest;
use super::pages::Pages;
use super::session::Secret;
use super::visit::Visit;
use crate::access::{Admission, KeyHash, Role};
use crate::api::{self, ApiError, App, Peer};
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

/// The way to the login, and back to the page that was asked for, or to that of the form that was sent too late.
pub(super) fn address(parts: &Parts) -> String {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return link("/login", &[("next", if path == "/" { "" } else { path })]);
    }
    if !is_of_this_site(&parts.headers) {
        return "/login".to_owned();
    }
    let form = page_of_form(&parts.headers);
    let form = form.as_deref().unwrap_or_else(|| nearest(parts.uri.path()));
    link("/login", &[("lost", "yes"), ("next", form)])
}

/// The page from which a form was sent, if it is one of ours that can be seen again.
fn page_of_form(headers: &HeaderMap) -> Option<String> {
    let page: Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    let is_here = page.authority()?.as_str().as_bytes() == headers.get(header::HOST)?.as_bytes();
    (is_here && nearest(page.path()) == page.path())
        .then(|| page.path_and_query().map(ToString::to_string))?
}

#[derive(Template)]
#[template(path = "web/login.html")]
struct Login<'a> {
    token: String,
    next: &'a str,
    /// Whether a form came after its session had ended.
    is_lost: bool,
    error: Option<&'a str>,
}

#[derive(Deserialize)]
struct Wish {
    next: Option<String>,
    lost: Option<String>,
}

/// A page of ours, and not the name of another site.
fn own(next: Option<&str>) -> &str {
    next.filter(|next| is_own(next)).unwrap_or("/")
}

async fn form(
    State(app): State<Arc<App>>,
    Extension(sessions): OfSessions,
    Asked(Wish { next, lost }): Asked<Wish>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let next = own(next.as_deref());
    let session = cookie(&headers, Cookie::Session).and_then(|secret| sessions.find(&secret, now_us()));
    let key = session.flatten();
    let admission = app.admitting(move |app| Ok(app.keys.admit_hash(key, None)?)).await?;
    if admission != Admission::Refused {
        return Ok(to(next));
    }
    let known = cookie(&headers, Cookie::Login);
    shown(known, next, Said { is_lost: lost.is_some(), error: None }, &headers)
}

/// What the page of the login says beside the form.
#[derive(Default)]
struct Said<'a> {
    is_lost: bool,
    error: Option<&'a str>,
}

/// The form belongs to whatever the cookie has, so that nobody is logged in by a form from elsewhere.
fn shown(
    known: Option<Secret>,
    next: &str,
    Said { is_lost, error }: Said<'_>,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let secret = known.map_or_else(Secret::random, Ok).map_err(ApiError::internal)?;
    let page = Login { token: secret.form_token(), next, is_lost, error };
    let status = if error.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let mut response = html(status, &page);
    response.headers_mut().append(header::SET_COOKIE, set_cookie(Cookie::Login, &secret, headers));
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
    let Some(secret) = cookie(&headers, Cookie::Login) else {
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
    match app.admitting(move |app| Ok(app.keys.try_hash(hash, from)?)).await? {
        Admission::As(caller) => {
            // A new one: whoever knew the one before does not know this.
            if let Some(before) = cookie(&headers, Cookie::Session) {
                sessions.end(&before);
            }
            let session = sessions.begin(Some(hash), now_us()).map_err(ApiError::internal)?;
            tracing::info!(caller = %caller.name, role = %caller.role, "logged in at the page");
            let mut response = to(next);
            response
                .headers_mut()
                .append(header::SET_COOKIE, set_cookie(Cookie::Session, &session, &headers));
            Ok(response)
        }
        Admission::Open => Ok(to(next)),
        Admission::Waits(wait) => Err(api::too_many_tries(wait).into()),
        Admission::Refused => {
            tracing::warn!("a key that is not known was tried at the page");
            let why = "This key is not known. Make one with edge-manager key add NAME --role admin.";
            shown(Some(secret), next, Said { error: Some(why), ..Said::default() }, &headers)
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
        for foreign in ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", ""] {
            assert_eq!(own(Some(foreign)), "/", "{foreign}");
        }
        assert_eq!(own(Some("/clients?q=192.0.2.1")), "/clients?q=192.0.2.1");
        assert_eq!(own(None), "/");
    }

    #[test]
    fn the_way_to_the_login_knows_where_to_go_on() {
        let of = |path| address(&Request::builder().uri(path).body(()).unwrap().into_parts().0);
        assert_eq!(of("/"), "/login");
        assert_eq!(of("/clients?q=a&b=c"), "/login?next=/clients%3Fq%3Da%26b%3Dc");
    }

    #[test]
    fn a_form_that_came_too_late_is_told_and_leads_back_to_its_page() {
        let of = |path, referer: &str| {
            let request = Request::post(path).header("host", "edge.example").header("referer", referer);
            address(&request.body(()).unwrap().into_parts().0)
        };
        let lost = |next: &str| format!("/login?lost=yes&next={next}");
        let page = "https://edge.example/clients?q=10.";
        assert_eq!(of("/clients/add", page), lost("/clients%3Fq%3D10."));
        for other in ["", "https://evil.example/clients", "https://edge.example/clients/paste/look", "/audit"]
        {
            assert_eq!(of("/clients/paste/make", other), lost("/clients/paste"), "{other}");
        }
        let foreign = Request::post("/clients/add").header("sec-fetch-site", "cross-site").body(()).unwrap();
        assert_eq!(address(&foreign.into_parts().0), "/login");
    }
}
