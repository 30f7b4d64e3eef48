//! What a response teaches.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Cause, Refusal};
use crate::resource::{canonical_escapes, method};
use crate::text::printable;
use crate::{
    Action, ActionName, Authorities, Authority, CanonicalPath, Change, ClientNet, Conditions, Directive,
    HeaderError, Host, InvalidPath, List, MAX_CONDITION_BYTES, Match, NEVER, Operation, Origin, Provenance,
    Request, Resource, Rule, Scope, Scratch, Settings, Status, Target, canonical_host, canonical_path,
    canonical_query, parameter_values,
};

/// Longest name of a backend or a server and longest unique-id that a rule keeps, bytes.
const MAX_NAME_BYTES: usize = 128;

/// Longest request line that a rule keeps, bytes.
const MAX_REQUEST_BYTES: usize = 256;

/// Segments of a learned prefix: each is a step of every lookup on its host.
const MAX_PREFIX_SEGMENTS: usize = 32;

/// Longest host that a log line shows, bytes.
const MAX_HOST_BYTES: usize = 253;

/// A response that carries `X-Edge-Resource`, and the request that it answers. Texts are as HAProxy gives them.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// The value of the header.
    pub header: &'a [u8],
    /// How many headers of that name the response has.
    pub header_count: usize,
    /// The status of the response.
    pub status: u16,
    /// The backend that gave it.
    pub backend: &'a [u8],
    /// The server of that backend.
    pub server: &'a [u8],
    /// The unique-id of the request, empty for none.
    pub unique_id: &'a [u8],
    /// The request.
    pub request: Request<'a>,
}

/// What a response taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taught {
    /// The change to make.
    pub operation: Operation,
    /// Whether the TTL that the header asked for was above [`Settings::max_ttl_s`] and was cut to it.
    pub clipped: bool,
}

/// What the response teaches at `now_us` (Unix time, microseconds), where its TTL begins. `stamp_us` is what the rule
/// keeps as the time of its lesson: the time now, or a little later where another lesson has that stamp already. The
/// rule always takes in the resource that was asked for, on the request's own host.
///
/// # Errors
/// The header is not understood, asks for what the backend may not have, or does not fit the request. Nothing
/// changes then.
pub fn learn(
    lesson: &Lesson<'_>,
    authorities: &Authorities,
    settings: &Settings,
    now_us: u64,
    stamp_us: u64,
    scratch: &mut Scratch,
) -> Result<Taught, Refusal> {
    let authority = authorities.of(lesson.backend);
    understand(lesson, authority, settings, now_us, stamp_us, scratch).map_err(|cause| {
        let host = canonical_host(lesson.request.host, &mut scratch.host);
        Refusal {
            backend: printable(lesson.backend, MAX_NAME_BYTES),
            host: printable(host, MAX_HOST_BYTES),
            cause,
        }
    })
}

fn understand(
    lesson: &Lesson<'_>,
    authority: &Authority,
    settings: &Settings,
    now_us: u64,
    stamp_us: u64,
    scratch: &mut Scratch,
) -> Result<Taught, Cause> {
    if lesson.header_count > 1 {
        return Err(HeaderError::SeveralValues.into());
    }
    let directive = Directive::parse(lesson.header, settings.max_header_bytes)?;
    let host = Host::from_canonical(canonical_host(lesson.request.host, &mut scratch.host))?;
    if !authority.covers(&host) {
        return Err(Cause::HostNotAllowed);
    }
    let target = match directive.scope {
        Scope::Client => client_target(&lesson.request, authority)?,
        Scope::Resource => {
            let resource = resource(host, &directive, &lesson.request, authority, settings, scratch)?;
            Target::Resource(resource, conditions(&directive, &lesson.request, scratch)?)
        }
    };
    let (operation, clipped) = match (directive.change, target) {
        (Change::TakeBack, Target::Resource(resource, conditions)) if conditions.is_empty() => {
            (Operation::ForgetResource(resource), false)
        }
        (Change::TakeBack, target) => (Operation::Forget(target), false),
        (Change::Block, target) => {
            let (ttl_s, clipped) = ttl(directive.ttl_s, authority, settings)?;
            let rule = Rule {
                target,
                action: action(&directive, lesson.status, settings),
                expires_at_s: expiry(now_us, ttl_s),
                origin: Origin::Learned(Arc::new(provenance(lesson, stamp_us, scratch))),
                reason: printable(directive.reason.unwrap_or_default().as_bytes(), settings.max_reason_bytes)
                    .into(),
            };
            (Operation::Put(rule), clipped)
        }
    };
    Ok(Taught { operation, clipped })
}

fn client_target(request: &Request<'_>, authority: &Authority) -> Result<Target, Cause> {
    if !authority.client {
        return Err(Cause::ClientNotAllowed);
    }
    Ok(Target::Client(List::Block, ClientNet::host(request.client.ok_or(Cause::NoClient)?)))
}

fn resource(
    host: Host,
    directive: &Directive,
    request: &Request<'_>,
    authority: &Authority,
    settings: &Settings,
    scratch: &mut Scratch,
) -> Result<Resource, Cause> {
    if directive.matching == Match::Prefix && !authority.prefix {
        return Err(Cause::PrefixNotAllowed);
    }
    let (parameters, max_bytes) = (settings.parameter_segments, settings.max_path_bytes);
    if request.path.is_empty() {
        // `OPTIONS *` is about the server, not about `/`.
        return Err(Cause::RequestPath(InvalidPath::NoSlash));
    }
    let requested = canonical_path(request.path, parameters, &mut scratch.path)
        .map_err(|_| InvalidPath::TooLong(max_bytes))
        .and_then(|path| CanonicalPath::from_canonical(path, max_bytes))
        .map_err(Cause::RequestPath)?;
    let path = match &directive.path {
        Some(path) => CanonicalPath::parse(path, parameters, max_bytes).map_err(Cause::Path)?,
        None => requested.clone(),
    };
    let resource = match directive.matching {
        Match::Exact => Resource::exact(Some(host), path),
        Match::Prefix => Resource::prefix(Some(host), path),
    };
    if resource.matching == Match::Prefix
        && resource.path.as_str().split('/').count() > MAX_PREFIX_SEGMENTS + 1
    {
        return Err(Cause::PrefixTooDeep);
    }
    if resource.covers_path(&requested) { Ok(resource) } else { Err(Cause::NotCovered) }
}

fn conditions(
    directive: &Directive,
    request: &Request<'_>,
    scratch: &mut Scratch,
) -> Result<Conditions, Cause> {
    let mut conditions = Conditions { anonymous: directive.anonymous, ..Conditions::default() };
    if directive.method {
        conditions.method = Some(method(request.method).ok_or(Cause::Method)?);
    }
    if directive.client {
        conditions.client = Some(request.client.map(|ip: IpAddr| ip.to_canonical()).ok_or(Cause::NoClient)?);
    }
    if directive.query || directive.parameter.is_some() {
        let query =
            canonical_query(request.query, &mut scratch.query).map_err(|_| Cause::ConditionTooLong)?;
        if directive.query {
            conditions.query = Some(condition_text(query)?);
        }
        if let Some(name) = &directive.parameter {
            let mut buffer = vec![0; name.len() * 3];
            let name =
                canonical_escapes(name.as_bytes(), &mut buffer).map_err(|_| Cause::ConditionTooLong)?;
            let mut values = parameter_values(query, name);
            let value = values.next().filter(|_| !name.contains(&b'=')).ok_or(Cause::NoParameter)?;
            if values.any(|other| other != value) {
                return Err(Cause::AmbiguousParameter);
            }
            conditions.parameter = Some((condition_text(name)?, condition_text(value)?));
        }
    }
    Ok(conditions)
}

/// Canonical text is ASCII, so only its length can be wrong.
fn condition_text(text: &[u8]) -> Result<Box<str>, Cause> {
    match str::from_utf8(text) {
        Ok(text) if text.len() <= MAX_CONDITION_BYTES => Ok(text.into()),
        _ => Err(Cause::ConditionTooLong),
    }
}

/// The TTL in seconds, and whether it was clipped. A default is bent to the limits in silence: nobody asked.
fn ttl(asked_s: Option<u32>, authority: &Authority, settings: &Settings) -> Result<(u32, bool), Cause> {
    let Some(ttl_s) = asked_s else {
        let limit_s = settings.max_ttl_s.min(authority.max_ttl_s.unwrap_or(u32::MAX));
        return Ok((settings.learn_ttl_s.min(limit_s), false));
    };
    match authority.max_ttl_s {
        Some(max_ttl_s) if ttl_s > max_ttl_s => Err(Cause::TtlNotAllowed { ttl_s, max_ttl_s }),
        _ => Ok((ttl_s.min(settings.max_ttl_s), ttl_s > settings.max_ttl_s)),
    }
}

/// A rule lives for its whole TTL, so its end is rounded up to a second; it always ends.
fn expiry(now_us: u64, ttl_s: u32) -> u32 {
    let end_s = now_us.saturating_add(u64::from(ttl_s) * 1_000_000).div_ceil(1_000_000);
    u32::try_from(end_s).unwrap_or(NEVER).min(NEVER - 1)
}

fn action(directive: &Directive, backend_status: u16, settings: &Settings) -> Action {
    match directive.action {
        ActionName::Deny => {
            let of_backend = Status::new(backend_status).filter(|status| status.code() < 500);
            Action::Deny(directive.status.or(of_backend).unwrap_or(settings.default_status))
        }
        ActionName::Tarpit => Action::Tarpit,
        ActionName::Drop => Action::Drop,
        ActionName::Observe => Action::Observe,
    }
}

fn provenance(lesson: &Lesson<'_>, learned_at_us: u64, scratch: &mut Scratch) -> Provenance {
    let Request { method, path, .. } = lesson.request;
    let host = canonical_host(lesson.request.host, &mut scratch.host);
    Provenance {
        backend: printable(lesson.backend, MAX_NAME_BYTES),
        server: printable(lesson.server, MAX_NAME_BYTES),
        unique_id: printable(lesson.unique_id, MAX_NAME_BYTES),
        request: printable(&[method, b" ", host, path].concat(), MAX_REQUEST_BYTES),
        learned_at_us,
    }
}

#[cfg(test)]
mod tests;
