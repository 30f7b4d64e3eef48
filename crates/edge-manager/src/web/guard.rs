//! Who sees a page, and whether a form is one of ours.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Form, FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::error::PageError;
use super::headers::{Cookie, cookie, is_refresh, set_cookie, to};
use super::login::address;
use super::session::{Secret, Sessions};
use super::visit::Visit;
use crate::access::Role;
use crate::api::{self, ApiError, App, read};
use crate::clock::now_us;

/// Longest form, bytes, where a page does not say otherwise.
pub(super) const MAX_FORM_BYTES: usize = 64 << 10;

/// How long a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// What every form begins with.
#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
}

/// What a route needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// Of those who use it.
    pub(super) role: Role,
    /// Whether its form has thousands of changes: as few at once as there is memory for.
    pub(super) is_bulk: bool,
}

/// The right to be one of the few forms with thousands of changes, as long as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "it is only kept")] Arc<OwnedSemaphorePermit>);

/// Lets those through to a page who are logged in and have the role that it needs, and forms that a page of their own session has
/// made.
pub(super) async fn admit(Needs { role, is_bulk }: Needs, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (visit, is_new) = match visit(&parts).await {
        Ok(Some(found)) => found,
        Ok(None) => return to(&address(&parts)),
        Err(error) => return error.into_response(),
    };
    let caller = visit.caller.clone();
    let cookie = is_new.then(|| set_cookie(Cookie::Session, &visit.secret, &parts.headers));
    let entered = match allow(role, &visit) {
        Ok(()) if is_bulk => take_turn(&mut parts).await,
        allowed => allowed,
    };
    let entered = match entered {
        Ok(()) => enter(&mut parts, body, visit).await,
        Err(error) => Err(error),
    };
    let mut response = match entered {
        Ok(body) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    };
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    // For the log.
    response.extensions_mut().insert(caller);
    response
}

/// Who comes, and whether the session is new; none where they must log in.
async fn visit(parts: &Parts) -> Result<Option<(Visit, bool)>, PageError> {
    let sessions = sessions(parts)?;
    let is_refresh = is_refresh(&parts.headers);
    let known = cookie(&parts.headers, Cookie::Session).and_then(|secret| {
        let key = if is_refresh { Sessions::peek } else { Sessions::find }(sessions, &secret, now_us())?;
        Some((secret, key))
    });
    let caller = api::admit(parts, known.and_then(|(_, key)| key)).await?;
    let Some(caller) = caller else {
        // Its key was removed, or there was none when it began.
        if let Some((secret, _)) = known {
            sessions.end(&secret);
        }
        return Ok(None);
    };
    let (secret, is_new) = match known {
        Some((secret, _)) => (secret, false),
        None => (sessions.begin(None, now_us()).map_err(ApiError::internal)?, true),
    };
    let has_key = known.is_some_and(|(_, key)| key.is_some());
    Ok(Some((Visit { caller, secret, has_key, is_refresh, sessions: sessions.clone() }, is_new)))
}

fn allow(role: Role, visit: &Visit) -> Result<(), PageError> {
    if visit.caller.role < role {
        return Err(api::too_low(&visit.caller, role).into());
    }
    Ok(())
}

/// Waits before anything of the form is read. The handler keeps the turn as long as it has the form.
async fn take_turn(parts: &mut Parts) -> Result<(), PageError> {
    let app = parts.extensions.get::<Arc<App>>().ok_or_else(|| ApiError::internal("no services"))?;
    let turn = app.bulks.clone().acquire_owned().await.map_err(ApiError::internal)?;
    parts.extensions.insert(Turn(Arc::new(turn)));
    Ok(())
}

async fn enter(parts: &mut Parts, body: Body, visit: Visit) -> Result<Body, PageError> {
    let body = if parts.method == Method::GET || parts.method == Method::HEAD {
        body
    } else {
        checked(parts, body, &visit.secret).await?
    };
    parts.extensions.insert(visit);
    Ok(body)
}

/// The body of a form that a page of this session has made.
pub(super) async fn checked(parts: &Parts, body: Body, secret: &Secret) -> Result<Body, PageError> {
    if !is_of_this_site(&parts.headers) {
        return Err(PageError::new(StatusCode::FORBIDDEN, "This form was sent by a page of another site."));
    }
    let body = read(Request::from_parts(parts.clone(), body), FORM_TIMEOUT).await?;
    // It comes first, and the handler reads the rest.
    let end = body.iter().position(|byte| *byte == b'&').unwrap_or(body.len());
    let first = Request::from_parts(parts.clone(), Body::from(body.slice(..end)));
    let token = Form::<Token>::from_request(first, &()).await;
    let token = token.map_or_else(|_| String::new(), |Form(form)| form.token);
    if !secret.is_form_token(&token) {
        let old =
            "This form is of a session that has ended. Go back, load the page again, and send it once more.";
        return Err(PageError::new(StatusCode::FORBIDDEN, old));
    }
    Ok(Body::from(body))
}

/// What browsers say of the page that sends a form: where they say nothing, the token decides alone.
pub(super) fn is_of_this_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let (Some(origin), Some(host)) = (text("origin"), text("host")) else {
        return !headers.contains_key("origin");
    };
    origin == format!("http://{host}") || origin == format!("https://{host}")
}

pub(super) fn sessions(parts: &Parts) -> Result<&Arc<Sessions>, PageError> {
    let sessions = parts.extensions.get::<Arc<Sessions>>();
    Ok(sessions.ok_or_else(|| ApiError::internal("no sessions"))?)
}

/// For handlers of public routes.
pub(super) type OfSessions = Extension<Arc<Sessions>>;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_from_one_of_ours() {
        let is_ours = |all: &[(&'static str, &'static str)]| {
            let headers =
                all.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
            is_of_this_site(&headers.collect())
        };
        let host = ("host", "edge.example");
        for ours in [
            &[host][..],
            &[host, ("origin", "http://edge.example")],
            &[host, ("origin", "https://edge.example")],
            // Behind a proxy that names another host, the browser's own word counts.
            &[host, ("origin", "https://panel.example"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(is_ours(ours), "{ours:?}");
        }
        for foreign in [
            &[host, ("origin", "http://evil.example")][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "https://edge.example:8443")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site"), ("origin", "https://edge.example")],
            &[("origin", "http://edge.example")],
        ] {
            assert!(!is_ours(foreign), "{foreign:?}");
        }
    }
}
