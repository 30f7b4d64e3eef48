//! Targets as texts, as the record and the API have them.

use std::net::IpAddr;

use edge_filter::{
    CanonicalPath, ClientNet, Conditions, Host, List, Match, ParameterSegments, Resource, Target,
};
use edge_journal::MAX_PATH_BYTES;

/// Behind the path of a prefix.
const BELOW: &str = "/*";

/// A target in three texts, which no other one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetText {
    /// `allow`, `block`, `exact` or `prefix`. Resources of both kinds may have the same text: a path may end with `/*`.
    pub(crate) kind: &'static str,
    /// Canonical: an address or CIDR; `[host]/path`; `[host]/path/*` of a prefix.
    pub(crate) target: String,
    /// As edge-filter prints them, without the first space; empty for none.
    pub(crate) conditions: String,
}

impl TargetText {
    pub(crate) fn of(target: &Target) -> Self {
        let none = String::new();
        match target {
            Target::Client(List::Allow, net) => {
                Self { kind: "allow", target: net.to_string(), conditions: none }
            }
            Target::Client(List::Block, net) => {
                Self { kind: "block", target: net.to_string(), conditions: none }
            }
            Target::Resource(resource, conditions) => {
                let conditions = conditions.to_string().trim_start().to_owned();
                Self { conditions, ..Self::of_resource(resource) }
            }
        }
    }

    /// Of the rule without conditions.
    pub(crate) fn of_resource(resource: &Resource) -> Self {
        let host = resource.host.as_ref().map_or("", Host::as_str);
        let path = resource.path.as_str();
        let (kind, target) = match resource.matching {
            Match::Exact => ("exact", format!("{host}{path}")),
            Match::Prefix => ("prefix", format!("{host}{}{BELOW}", path.trim_end_matches('/'))),
        };
        Self { kind, target, conditions: String::new() }
    }
}

/// Target and conditions as [`target`](super::target) and [`client`](super::client) read them.
pub(crate) fn as_written(target: &Target) -> (String, String) {
    match target {
        Target::Client(_, net) => (net.to_string(), String::new()),
        Target::Resource(resource, conditions) => {
            (resource.to_string(), conditions.to_string().trim_start().to_owned())
        }
    }
}

/// The resource that was [written](as_written) so, however long its path is.
///
/// # Errors
/// It is none.
pub(crate) fn resource_of(text: &str, conditions: &str) -> Result<Target, String> {
    let resource =
        Resource::parse(text, ParameterSegments::Keep, MAX_PATH_BYTES).map_err(|e| e.to_string())?;
    with_conditions(resource, conditions)
}

fn with_conditions(resource: Resource, conditions: &str) -> Result<Target, String> {
    let conditions: Conditions = conditions.parse().map_err(|error| format!("{error}"))?;
    Ok(Target::Resource(resource, conditions))
}

/// A target for people: the address or network alone, or the resource with its conditions.
pub fn text_of(target: &Target) -> String {
    match target {
        Target::Client(_, net) => net.to_string(),
        resource => resource.to_string(),
    }
}

/// The target that has these texts.
///
/// # Errors
/// What is wrong with them: they are of no target.
pub(crate) fn target_of(kind: &str, target: &str, conditions: &str) -> Result<Target, String> {
    let net = || target.parse::<ClientNet>().map_err(|error| error.to_string());
    let resource = match kind {
        "allow" => return Ok(Target::Client(List::Allow, net()?)),
        "block" => return Ok(Target::Client(List::Block, net()?)),
        "exact" => {
            let (host, path) = host_and_path(target)?;
            Resource::exact(host, path)
        }
        _ => {
            let (host, path) = host_and_path(target.strip_suffix(BELOW).ok_or("no prefix")?)?;
            Resource::prefix(host, path)
        }
    };
    with_conditions(resource, conditions)
}

/// As they are, where the text that operators write would be read otherwise: of a path that ends with `/*`, say.
fn host_and_path(text: &str) -> Result<(Option<Host>, CanonicalPath), String> {
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let host = if host.is_empty() { None } else { Some(Host::parse(host).map_err(|e| e.to_string())?) };
    let path = if path.is_empty() { "/" } else { path };
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, MAX_PATH_BYTES);
    Ok((host, path.map_err(|error| error.to_string())?))
}

/// A URL behind its `http://` or `https://`; `None` of what has none.
pub(crate) fn behind_scheme(text: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The texts of all networks that take this one in, the longest prefix first.
pub(crate) fn covering(net: ClientNet) -> impl Iterator<Item = String> {
    let (addr, len) = match net {
        ClientNet::V4(bits, len) => (IpAddr::from(bits.to_be_bytes()), len),
        ClientNet::V6(bits, len) => (IpAddr::from(bits.to_be_bytes()), len),
    };
    let nets = (0..=len).rev().filter_map(move |len| ClientNet::new(addr, len).ok());
    nets.map(|net| net.to_string())
}
