//! What a response teaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Cause, Refusal};
use crate::resource::{canonical_escapes, has_one_reading, method};
use crate::text::printable;
use crate::{
    Action, ActionName, Authorities, Authority, CanonicalPath, Change, ClientNet, Conditions, Directive,
    HeaderError, Host, InvalidPath, List, MAX_CONDITION_BYTES, Match, Methods, NEVER, Operation, Origin,
    Provenance, Request, Resource, Rule, Scope, Scratch, Settings, Status, Target, canonical_host,
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
    /// Whether the request asks for a range, has a precondition (RFC 9110 sections 13.1 and 14.2), names a whole URL in
    /// place of a path, or a port that it did not come to: its answer is not that to a plain request.
    pub is_partial: bool,
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
    /// Where the change waits until other clients were answered so too.
    pub confirm: Option<Confirm>,
}

/// What a rule waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// So many client networks, at least 2, are to be answered alike.
    pub networks: u8,
    /// The network of this client.
    pub network: ClientNet,
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
    understand(lesson, authorities, settings, now_us, stamp_us, scratch).map_err(|cause| {
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
    authorities: &Authorities,
    settings: &Settings,
    now_us: u64,
    stamp_us: u64,
    scratch: &mut Scratch,
) -> Result<Taught, Cause> {
    let authority = authorities.of(lesson.backend);
    if lesson.header_count > 1 {
        return Err(HeaderError::SeveralValues.into());
    }
    let directive = Directive::parse(lesson.header, settings.max_header_bytes)?;
    check_exchange(lesson, settings)?;
    let canonical = canonical_host(lesson.request.host, &mut scratch.host);
    let host = Host::from_canonical(canonical)?;
    if !authority.covers(&host) {
        return Err(Cause::HostNotAllowed);
    }
    // A backend may have the routes of another host, or none, for one that is written otherwise. Ports are left to
    // haproxy.cfg: it knows the one that the client has connected to.
    if !matches!(lesson.request.host.strip_prefix(canonical), Some([] | [b':', _, ..])) {
        return Err(Cause::NotPlainHost);
    }
    let target = match directive.scope {
        Scope::Client => client_target(&lesson.request, authority)?,
        Scope::Resource => {
            let resource = resource(host, &directive, &lesson.request, authority, settings)?;
            Target::Resource(resource, conditions(&directive, &lesson.request, scratch)?)
        }
    };
    let (operation, clipped, confirm) = match (directive.change, target) {
        (Change::TakeBack, Target::Resource(resource, conditions)) if conditions.is_empty() => {
            (Operation::ForgetResource(resource), false, None)
        }
        (Change::TakeBack, target) => (Operation::Forget(target), false, None),
        (Change::Block, target) => {
            let only_client = only_client(&target);
            if only_client.is_some_and(|client| !authorities.may_block(client)) {
                return Err(Cause::ProtectedClient);
            }
            let confirm = match (only_client, directive.confirm.max(authority.confirm)) {
                (None, Some(networks @ 2..)) => Some(Confirm { networks, network: network(lesson)? }),
                _ => None,
            };
            let (ttl_s, clipped) = ttl(directive.ttl_s, authority, settings)?;
            let rule = Rule {
                target,
                action: action(&directive, lesson.status, settings),
                expires_at_s: expiry(now_us, ttl_s),
                origin: Origin::Learned(Arc::new(provenance(lesson, stamp_us, scratch))),
                reason: printable(directive.reason.unwrap_or_default().as_bytes(), settings.max_reason_bytes)
                    .into(),
            };
            (Operation::Put(rule), clipped, confirm)
        }
    };
    Ok(Taught { operation, clipped, confirm })
}

/// Whether what the backend was asked, and its answer, are about a resource that the edge knows too.
fn check_exchange(lesson: &Lesson<'_>, settings: &Settings) -> Result<(), Cause> {
    let Lesson { request, status, is_partial, .. } = lesson;
    if *is_partial {
        return Err(Cause::PartialRequest);
    }
    if let 100..=199 | 206 | 304 | 412 | 416 = *status {
        return Err(Cause::PartialResponse(*status));
    }
    if request.path.first() != Some(&b'/') {
        // `OPTIONS *` is about the server, not about `/`.
        return Err(Cause::RequestPath(InvalidPath::NoSlash));
    }
    if has_one_reading(request.path, settings) { Ok(()) } else { Err(Cause::NotPlainPath) }
}

/// The client that a rule concerns, if it concerns no other. Such a rule waits for nobody.
fn only_client(target: &Target) -> Option<IpAddr> {
    match target {
        Target::Client(_, ClientNet::V4(bits, _)) => Some(Ipv4Addr::from_bits(*bits).into()),
        Target::Client(_, ClientNet::V6(bits, _)) => Some(Ipv6Addr::from_bits(*bits).into()),
        Target::Resource(_, conditions) => conditions.client,
    }
}

fn network(lesson: &Lesson<'_>) -> Result<ClientNet, Cause> {
    lesson.request.client.map(ClientNet::of_client).ok_or(Cause::NoClient)
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
) -> Result<Resource, Cause> {
    if directive.matching == Match::Prefix && !authority.prefix {
        return Err(Cause::PrefixNotAllowed);
    }
    let (parameters, max_bytes) = (settings.parameter_segments, settings.max_path_bytes);
    let requested = CanonicalPath::from_canonical(request.path, max_bytes).map_err(Cause::RequestPath)?;
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

/// Whether a rule is about this method alone. What a backend answers to a GET it answers for the resource (RFC 9110
/// section 9.3.1); to a method that it does not support at all it may answer whatever it likes. For the methods that
/// change a resource the backend can say that it means all.
fn is_bound_to_method(methods: Methods, method: &[u8]) -> bool {
    match method {
        b"GET" => methods == Methods::Own,
        b"POST" | b"PUT" | b"PATCH" | b"DELETE" => methods != Methods::Any,
        _ => true,
    }
}

fn conditions(
    directive: &Directive,
    request: &Request<'_>,
    scratch: &mut Scratch,
) -> Result<Conditions, Cause> {
    let mut conditions = Conditions { anonymous: directive.anonymous, ..Conditions::default() };
    if is_bound_to_method(directive.method, request.method) {
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
        client_network: lesson.request.client.map(ClientNet::of_client),
    }
}

#[cfg(test)]
mod tests;
