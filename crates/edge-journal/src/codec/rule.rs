//! Rules from and to the wire, with all their bounds checked both ways.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use edge_filter::{
    Action, CanonicalPath, ClientNet, Conditions, Host, List, Match, Origin, ParameterSegments, Provenance,
    Resource, Rule, Status, Target,
};

use super::bounds::{self, Invalid, MAX_PATH_BYTES, MAX_RULES_PER_CHUNK, at_most};
use super::wire;

/// What a decoded rule has in common with others of its chunk.
struct Terms {
    action: Action,
    origin: Origin,
    reason: Arc<str>,
}

impl Terms {
    fn of(self, target: Target, expires_at_s: u32) -> Rule {
        let Self { action, origin, reason } = self;
        Rule { target, action, expires_at_s, origin, reason }
    }
}

pub(super) fn rule_to_wire(rule: &Rule) -> Result<wire::Rule<'_>, Invalid> {
    let Rule { target, expires_at_s, .. } = rule;
    Ok(wire::Rule {
        target: target_to_wire(target)?,
        expires_at_s: *expires_at_s,
        terms: terms_to_wire(rule)?,
    })
}

pub(super) fn rule_from_wire(rule: wire::Rule<'_>) -> Result<Rule, Invalid> {
    Ok(terms_from_wire(rule.terms)?.of(target_from_wire(rule.target)?, rule.expires_at_s))
}

pub(super) fn chunk_to_wire(rules: &[Rule]) -> Result<wire::Chunk<'_>, Invalid> {
    at_most(rules.len(), MAX_RULES_PER_CHUNK, "rules of a record")?;
    let mut chunk = wire::Chunk { terms: Vec::new(), rules: Vec::with_capacity(rules.len()) };
    let mut known = HashMap::new();
    for rule in rules {
        let terms = terms_to_wire(rule)?;
        let index = match known.get(&terms) {
            Some(index) => *index,
            None => {
                let index = u16::try_from(chunk.terms.len()).map_err(|_| Invalid::Terms)?;
                known.insert(terms, index);
                chunk.terms.push(terms);
                index
            }
        };
        let target = target_to_wire(&rule.target)?;
        chunk.rules.push(wire::ChunkRule { target, expires_at_s: rule.expires_at_s, terms: index });
    }
    Ok(chunk)
}

pub(super) fn chunk_from_wire(chunk: wire::Chunk<'_>) -> Result<Vec<Rule>, Invalid> {
    at_most(chunk.terms.len(), chunk.rules.len(), "terms for the rules of a record")?;
    let terms = chunk.terms.into_iter().map(terms_from_wire).collect::<Result<Vec<_>, _>>()?;
    let rule = |rule: wire::ChunkRule<'_>| {
        let Terms { action, origin, reason } = terms.get(usize::from(rule.terms)).ok_or(Invalid::Terms)?;
        Ok(Rule {
            target: target_from_wire(rule.target)?,
            action: *action,
            expires_at_s: rule.expires_at_s,
            origin: origin.clone(),
            reason: reason.clone(),
        })
    };
    chunk.rules.into_iter().map(rule).collect()
}

fn terms_to_wire(rule: &Rule) -> Result<wire::Terms<'_>, Invalid> {
    let origin = match &rule.origin {
        Origin::List(name) => wire::Origin::List(bounds::list_name(name)?),
        Origin::Learned(from) => provenance_to_wire(from)?,
    };
    Ok(wire::Terms { action: action_to_wire(rule.action), origin, reason: bounds::reason(&rule.reason)? })
}

/// Without a network as versions before it wrote it, so that they can read it.
fn provenance_to_wire(from: &Provenance) -> Result<wire::Origin<'_>, Invalid> {
    let [backend, server, unique_id, request] =
        [&from.backend, &from.server, &from.unique_id, &from.request].map(|text| bounds::provenance(text));
    let (backend, server, unique_id, request) = (backend?, server?, unique_id?, request?);
    let learned_at_us = bounds::stamp(from.learned_at_us)?;
    Ok(match from.client_network {
        None => wire::Origin::Learned { backend, server, unique_id, request, learned_at_us },
        Some(network) => {
            let client_network = net_to_wire(network)?;
            wire::Origin::LearnedOf { backend, server, unique_id, request, learned_at_us, client_network }
        }
    })
}

fn terms_from_wire(terms: wire::Terms<'_>) -> Result<Terms, Invalid> {
    let learned = |texts: [&str; 4], learned_at_us, client_network| -> Result<Origin, Invalid> {
        let [backend, server, unique_id, request] =
            texts.map(|text| bounds::provenance(text).map(str::to_owned));
        let learned_at_us = bounds::stamp(learned_at_us)?;
        let (backend, server) = (backend?, server?);
        let (unique_id, request) = (unique_id?, request?);
        let from = Provenance { backend, server, unique_id, request, learned_at_us, client_network };
        Ok(Origin::Learned(Arc::new(from)))
    };
    let origin = match terms.origin {
        wire::Origin::List(name) => Origin::List(bounds::list_name(name)?.into()),
        wire::Origin::Learned { backend, server, unique_id, request, learned_at_us } => {
            learned([backend, server, unique_id, request], learned_at_us, None)?
        }
        wire::Origin::LearnedOf { backend, server, unique_id, request, learned_at_us, client_network } => {
            let client_network = Some(net_from_wire(client_network)?);
            learned([backend, server, unique_id, request], learned_at_us, client_network)?
        }
    };
    Ok(Terms {
        action: action_from_wire(terms.action)?,
        origin,
        reason: bounds::reason(terms.reason)?.into(),
    })
}

pub(super) fn action_to_wire(action: Action) -> u16 {
    match action {
        Action::Observe => 0,
        Action::Tarpit => 1,
        Action::Drop => 2,
        Action::Deny(status) => status.code(),
    }
}

pub(super) fn action_from_wire(number: u16) -> Result<Action, Invalid> {
    Ok(match number {
        0 => Action::Observe,
        1 => Action::Tarpit,
        2 => Action::Drop,
        code => Action::Deny(Status::new(code).ok_or(Invalid::Action(code))?),
    })
}

pub(super) fn target_to_wire(target: &Target) -> Result<wire::Target<'_>, Invalid> {
    match target {
        Target::Client(list, net) => Ok(wire::Target::Client(list_to_wire(*list), net_to_wire(*net)?)),
        Target::Resource(resource, conditions) => {
            conditions.check()?;
            let conditions = (!conditions.is_empty()).then(|| Box::new(conditions_to_wire(conditions)));
            Ok(wire::Target::Resource { resource: resource_to_wire(resource)?, conditions })
        }
    }
}

pub(super) fn target_from_wire(target: wire::Target<'_>) -> Result<Target, Invalid> {
    match target {
        wire::Target::Client(list, net) => Ok(Target::Client(list_from_wire(list), net_from_wire(net)?)),
        wire::Target::Resource { resource, conditions } => {
            let conditions = conditions.map_or_else(Conditions::default, |some| conditions_from_wire(*some));
            // As with paths: an older version has fewer characters without their escapes.
            let conditions = conditions.in_canonical_form();
            conditions.check()?;
            Ok(Target::Resource(resource_from_wire(resource)?, conditions))
        }
    }
}

fn list_to_wire(list: List) -> wire::List {
    match list {
        List::Allow => wire::List::Allow,
        List::Block => wire::List::Block,
    }
}

fn list_from_wire(list: wire::List) -> List {
    match list {
        wire::List::Allow => List::Allow,
        wire::List::Block => List::Block,
    }
}

fn net_to_wire(net: ClientNet) -> Result<wire::Net, Invalid> {
    Ok(match canonical_net(net)? {
        ClientNet::V4(bits, prefix_len) => wire::Net::V4 { bits, prefix_len },
        ClientNet::V6(bits, prefix_len) => wire::Net::V6 { bits, prefix_len },
    })
}

fn net_from_wire(net: wire::Net) -> Result<ClientNet, Invalid> {
    canonical_net(match net {
        wire::Net::V4 { bits, prefix_len } => ClientNet::V4(bits, prefix_len),
        wire::Net::V6 { bits, prefix_len } => ClientNet::V6(bits, prefix_len),
    })
}

/// The network itself, if it is in canonical form.
pub(super) fn canonical_net(net: ClientNet) -> Result<ClientNet, Invalid> {
    let canonical = match net {
        ClientNet::V4(bits, prefix_len) => ClientNet::new(IpAddr::V4(Ipv4Addr::from_bits(bits)), prefix_len),
        ClientNet::V6(bits, prefix_len) => ClientNet::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix_len),
    };
    if canonical == Ok(net) { Ok(net) } else { Err(Invalid::Net) }
}

pub(super) fn resource_to_wire(resource: &Resource) -> Result<wire::Resource<'_>, Invalid> {
    let matching = match resource.matching {
        Match::Exact => wire::Match::Exact,
        Match::Prefix => wire::Match::Prefix,
    };
    let host = resource.host.as_ref().map(Host::as_str);
    let wire = wire::Resource { host, matching, path: resource.path.as_str() };
    // What is written must read back: a path may be longer than any that is read, a prefix may end with a slash.
    let path = wire.path;
    let is_canonical = path.len() <= MAX_PATH_BYTES
        && (resource.matching == Match::Exact || path == "/" || !path.ends_with('/'));
    if is_canonical { Ok(wire) } else { Err(Invalid::Path) }
}

pub(super) fn resource_from_wire(wire: wire::Resource<'_>) -> Result<Resource, Invalid> {
    let host = match wire.host {
        Some(text) => Some(Host::parse(text).ok().filter(|host| host.as_str() == text).ok_or(Invalid::Host)?),
        None => None,
    };
    let path = CanonicalPath::parse(wire.path, ParameterSegments::Keep, MAX_PATH_BYTES);
    let path = path.map_err(|_| Invalid::Path)?;
    let resource = match wire.matching {
        wire::Match::Exact => Resource::exact(host, path),
        wire::Match::Prefix => Resource::prefix(host, path),
    };
    // The form of an older version is read as the rule that it is today: it only had more escapes.
    let canonical = resource.path.as_str();
    let is_known = canonical == wire.path || has_more_escapes(wire.path, canonical);
    if is_known { Ok(resource) } else { Err(Invalid::Path) }
}

/// Whether `text` is the canonical path, but for characters that it has as escapes in upper case.
fn has_more_escapes(text: &str, canonical: &str) -> bool {
    let mut rest = text.as_bytes();
    let is_prefix = canonical.bytes().all(|byte| {
        let escape = format!("%{byte:02X}");
        let behind = rest.strip_prefix(&[byte]).or_else(|| rest.strip_prefix(escape.as_bytes()));
        rest = behind.unwrap_or_default();
        behind.is_some()
    });
    is_prefix && rest.is_empty()
}

fn conditions_to_wire(conditions: &Conditions) -> wire::Conditions<'_> {
    let Conditions { method, query, parameter, anonymous, client } = conditions;
    wire::Conditions {
        method: method.as_deref(),
        query: query.as_deref(),
        parameter: parameter.as_ref().map(|(name, value)| (&**name, &**value)),
        anonymous: *anonymous,
        client: client.map(|addr| match addr {
            IpAddr::V4(v4) => wire::Client::V4(v4.to_bits()),
            IpAddr::V6(v6) => wire::Client::V6(v6.to_bits()),
        }),
    }
}

fn conditions_from_wire(wire: wire::Conditions<'_>) -> Conditions {
    let wire::Conditions { method, query, parameter, anonymous, client } = wire;
    Conditions {
        method: method.map(Box::from),
        query: query.map(Box::from),
        parameter: parameter.map(|(name, value)| (name.into(), value.into())),
        anonymous,
        client: client.map(|addr| match addr {
            wire::Client::V4(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            wire::Client::V6(bits) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }),
    }
}
