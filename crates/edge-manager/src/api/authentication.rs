//! Who makes a request, and whether they may.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiError, App};
use crate::access::{Admission, Caller, KeyHash, Keys, Role};
use crate::store::StoreError;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Network(SocketAddr),
    /// Over the control socket, which only its owner can open; this user.
    Control(Arc<str>),
}

/// Lets those through to a handler who have the role that it needs.
pub(super) async fn guard(role: Role, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match caller(&parts).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let mut response = if caller.role < role {
        too_low(&caller, role).into_response()
    } else {
        parts.extensions.insert(caller.clone());
        next.run(Request::from_parts(parts, body)).await
    };
    // For the log.
    response.extensions_mut().insert(caller);
    response
}

/// 403, for a caller whose role is less than this one.
pub(crate) fn too_low(caller: &Caller, role: Role) -> ApiError {
    let (name, has, needed) = (&caller.name, caller.role, role.of_keys());
    let low = match has {
        Role::Local => format!(
            "without a key, programs of this machine may change rules, domains and backends only: {needed} is needed; make a \
             key with `edge-manager key add NAME --role {needed}`, or use the command line"
        ),
        _ => format!("the key {name} has the role {has}: {needed} is needed"),
    };
    ApiError::new(StatusCode::FORBIDDEN, low)
}

pub(super) async fn caller(parts: &Parts) -> Result<Caller, ApiError> {
    let presented = bearer(&parts.headers).map(KeyHash::of);
    look_up(parts, presented, Keys::try_hash).await?.ok_or_else(|| {
        let message = match presented {
            Some(_) => "this key is not known",
            None => "Authorization: Bearer KEY is needed",
        };
        ApiError::new(StatusCode::UNAUTHORIZED, message)
    })
}

/// Who has made this request, as it is now: its key was known when it came.
pub(super) async fn admit_again(parts: &Parts) -> Result<Option<Caller>, ApiError> {
    admit(parts, bearer(&parts.headers).map(KeyHash::of)).await
}

/// 429, for a client that has presented too many keys that are not known.
pub(crate) fn too_many_tries(wait: Duration) -> ApiError {
    let wait_s = wait.as_secs() + 1;
    ApiError::too_many(format_args!("too many keys that are not known: try again in {wait_s} s"), wait_s)
}

/// Who makes a request with the key of this hash, or without one; nobody who is known, where there is no caller.
///
/// # Errors
/// There are no keys, and it is not a program of this machine that asks; the record cannot be read.
pub(crate) async fn admit(parts: &Parts, presented: Option<KeyHash>) -> Result<Option<Caller>, ApiError> {
    look_up(parts, presented, |keys, hash, from| keys.admit_hash(Some(hash), from)).await
}

type LookUp = fn(&Keys, KeyHash, Option<IpAddr>) -> Result<Admission, StoreError>;

async fn look_up(
    Parts { headers, uri, extensions, .. }: &Parts,
    presented: Option<KeyHash>,
    look_up: LookUp,
) -> Result<Option<Caller>, ApiError> {
    let app = extensions.get::<Arc<App>>().ok_or_else(|| ApiError::internal("no services"))?;
    let from = match extensions.get::<Peer>() {
        Some(Peer::Control(user)) => {
            return Ok(Some(Caller { name: user.clone(), role: Role::Admin, from: None }));
        }
        Some(Peer::Network(address)) => Some(address.ip().to_canonical()),
        None => None,
    };
    let admitted = app.admitting(move |app| {
        Ok(match presented {
            Some(hash) => look_up(&app.keys, hash, from)?,
            None => app.keys.admit_hash(None, from)?,
        })
    });
    match admitted.await? {
        Admission::As(caller) => Ok(Some(caller)),
        Admission::Open => {
            let is_own = from.is_some_and(|address| address.is_loopback());
            if !is_own || is_from_another_site(headers, uri) {
                let message = "while there are no keys, only programs on this machine are answered, at a loopback address or localhost: \
                               make a key with `edge-manager key add NAME --role admin`";
                return Err(ApiError::new(StatusCode::FORBIDDEN, message));
            }
            Ok(Some(Caller { name: "local".into(), role: Role::Local, from }))
        }
        Admission::Waits(wait) => Err(too_many_tries(wait)),
        Admission::Refused => Ok(None),
    }
}

/// The key of `Authorization: Bearer KEY` (RFC 6750, section 2.1; RFC 9110, section 11.1: the scheme in any case).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next().filter(|_| all.next().is_none())?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then_some(key)
}

/// Whether a browser sends this for a page of somebody else: while no key is needed, every page that an operator opens could
/// else use the manager. A name that leads to this machine and is not its own may be such a page's too; so may an address
/// that leads here and is no loopback address, such as `0.0.0.0`.
fn is_from_another_site(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let mut hosts: Vec<String> = headers
        .get_all("host")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    hosts.extend(uri.authority().map(ToString::to_string));
    let Some(host) = hosts.pop() else { return text("origin").is_some() || text("referer").is_some() };
    if hosts.iter().any(|other| *other != host) {
        return true;
    }
    let name = host
        .rsplit_once(':')
        .map_or(&*host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { &*host });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    if !is_loopback && !name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let own = [format!("http://{host}"), format!("https://{host}")];
    // Where a browser is so old that it says no more of a link or a picture.
    let is_below_own = |referer: &str| {
        own.iter().any(|own| referer.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('/')))
    };
    text("origin").is_some_and(|origin| !own.iter().any(|own| origin == *own))
        || text("referer").is_some_and(|referer| !is_below_own(&referer))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    /// Of a route that needs a role.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal("this route asks nobody for a key"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_scheme_is_taken_in_any_case_and_nothing_but_one_key() {
        for good in ["Bearer k", "bearer k", "BEARER   k "] {
            assert_eq!(bearer(&headers(&[("authorization", good)])), Some(&b"k"[..]), "{good}");
        }
        for bad in ["k", "Bearer", "Bearer ", "Bearer    ", "Basic k", "Bearerk", ""] {
            assert_eq!(bearer(&headers(&[("authorization", bad)])), None, "{bad}");
        }
        assert_eq!(bearer(&headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")])), None);
        assert_eq!(bearer(&headers(&[])), None);
    }

    #[test]
    fn a_page_of_somebody_else_is_told_from_a_program_of_this_machine() {
        let is_foreign = |all| is_from_another_site(&headers(all), &Uri::from_static("/api/reload"));
        for own in [
            &[][..],
            &[("host", "127.0.0.1:8000")],
            &[("host", "[::1]:8000")],
            &[("host", "[::1]")],
            &[("host", "[::ffff:127.0.0.1]:8000")],
            &[("host", "LocalHost")],
            &[
                ("host", "localhost:8000"),
                ("origin", "http://localhost:8000"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("host", "localhost:8000"), ("sec-fetch-site", "none")],
            &[("host", "localhost:8000"), ("referer", "http://localhost:8000/rules")],
        ] {
            assert!(!is_foreign(own), "{own:?}");
        }
        for foreign in [
            &[("host", "rebound.example:8000")][..],
            &[("host", "127.0.0.1.example")],
            &[("host", "0.0.0.0:8000"), ("origin", "http://0.0.0.0:8000"), ("sec-fetch-site", "same-origin")],
            &[("host", "[::]:8000")],
            &[("host", "[::ffff:0.0.0.0]:8000")],
            &[("host", "192.0.2.1:8000")],
            &[("host", "127.0.0.1:8000"), ("origin", "http://evil.example")],
            &[("host", "127.0.0.1:8000"), ("origin", "null")],
            &[("host", "127.0.0.1:8000"), ("origin", "http://127.0.0.1:9000")],
            &[("host", "127.0.0.1:8000"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:8000"), ("sec-fetch-site", "same-site")],
            &[("host", "127.0.0.1:8000"), ("referer", "http://evil.example/")],
            &[("host", "127.0.0.1:8000"), ("referer", "http://127.0.0.1:8000.evil.example/")],
            &[("host", "127.0.0.1:8000"), ("host", "rebound.example:8000")],
        ] {
            assert!(is_foreign(foreign), "{foreign:?}");
        }
        let whole = Uri::from_static("http://rebound.example:8000/api/reload");
        assert!(is_from_another_site(&headers(&[("host", "localhost:8000")]), &whole));
    }
}
