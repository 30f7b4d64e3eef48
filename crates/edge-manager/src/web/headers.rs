//! What goes with every page, and the cookies.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::link::is_own;
use super::session::Secret;

/// What a browser keeps for us.
#[derive(Clone, Copy)]
pub(super) enum Cookie {
    /// Its session.
    Session,
    /// What the form of the login belongs to. A link of another site leads to that form without the session, which is not sent
    /// along: it must not be replaced then.
    Login,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "edge_session",
            Self::Login => "edge_login",
        }
    }
}

/// Nothing from elsewhere, no script or style within a page, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// On every answer of a page. The origin stays in requests of our own forms: it is looked at.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    guarded(response.headers_mut());
    response
}

/// Adds what is on every answer of a page.
pub(super) fn guarded(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    // Pages are for whoever is logged in now.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Whether a page that is open asks by itself, and nobody who looks at it: for its parts anew, or for what happens (HTML,
/// "server-sent events": `Accept` is always this).
pub(super) fn is_refresh(headers: &HeaderMap) -> bool {
    let is_stream = |accept: &HeaderValue| accept.as_bytes() == b"text/event-stream";
    headers.contains_key("x-edge-refresh") || headers.get(header::ACCEPT).is_some_and(is_stream)
}

/// What a browser says it has.
pub(super) fn cookie(headers: &HeaderMap, cookie: Cookie) -> Option<Secret> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut ours = all.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == cookie.name()).then(|| value.trim())
    });
    ours.next()?.parse().ok()
}

/// Makes a browser have this, until it is closed.
pub(super) fn set_cookie(cookie: Cookie, secret: &Secret, headers: &HeaderMap) -> HeaderValue {
    let (name, secret, secure) = (cookie.name(), secret.reveal(), secure(headers));
    value(&format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}"))
}

/// Makes a browser have no session.
pub(super) fn drop_cookie(headers: &HeaderMap) -> HeaderValue {
    let (name, secure) = (Cookie::Session.name(), secure(headers));
    value(&format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{secure}"))
}

/// Where TLS is in front, the cookie is never sent without it. Whoever says so wrongly does so of a cookie of their own.
fn secure(headers: &HeaderMap) -> &'static str {
    let is_tls =
        headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    if is_tls { "; Secure" } else { "" }
}

fn value(text: &str) -> HeaderValue {
    // Nothing but letters and digits is put into it.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Leads to another page of ours.
pub(super) fn to(path: &str) -> Response {
    let location = Some(path).filter(|path| is_own(path)).and_then(|path| HeaderValue::from_str(path).ok());
    let location = location.unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
