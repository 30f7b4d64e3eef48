//! Records as JSON.

use std::net::IpAddr;

use edge_filter::{
    AddressRule, Conditions, Host, List, Match, NEVER, Operation, Origin, Resource, Rule, Target,
};
use serde::Serialize;

/// A line: where something is, and what.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) file: &'a str,
    pub(super) offset: u64,
    #[serde(flatten)]
    pub(super) content: Content<'a>,
}

#[derive(Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    Head { revision: u64, stamp_us: u64, learned_until_us: u64, lists: &'a [&'a str] },
    Rule(RuleJson<'a>),
    Seal { taken: u64, chain: String, content: String },
    End { rules: u64 },
    Change { revision: u64, stamp_us: u64, change: OperationJson<'a> },
    Replace { revision: u64, stamp_us: u64, list: &'a str },
    Next { revision: u64 },
}

#[derive(Serialize)]
pub(super) struct RuleJson<'a> {
    target: TargetJson<'a>,
    action: String,
    /// None for a rule that never ends.
    expires_at_s: Option<u32>,
    origin: OriginJson<'a>,
    reason: &'a str,
}

impl<'a> RuleJson<'a> {
    pub(super) fn of(rule: &'a Rule) -> Self {
        Self {
            target: TargetJson::of(&rule.target),
            action: rule.action.to_string(),
            expires_at_s: end(rule.expires_at_s),
            origin: OriginJson::of(&rule.origin),
            reason: &rule.reason,
        }
    }

    pub(super) fn of_address(list: &'a str, reason: &'a str, rule: &AddressRule) -> Self {
        Self {
            target: TargetJson::client(rule.list, rule.net.to_string()),
            action: rule.action.to_string(),
            expires_at_s: end(rule.expires_at_s),
            origin: OriginJson::List(list),
            reason,
        }
    }
}

fn end(expires_at_s: u32) -> Option<u32> {
    (expires_at_s != NEVER).then_some(expires_at_s)
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OriginJson<'a> {
    List(&'a str),
    Learned {
        backend: &'a str,
        server: &'a str,
        unique_id: &'a str,
        request: &'a str,
        learned_at_us: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_network: Option<String>,
    },
}

impl<'a> OriginJson<'a> {
    fn of(origin: &'a Origin) -> Self {
        match origin {
            Origin::List(name) => Self::List(name),
            Origin::Learned(from) => Self::Learned {
                backend: &from.backend,
                server: &from.server,
                unique_id: &from.unique_id,
                request: &from.request,
                learned_at_us: from.learned_at_us,
                client_network: from.client_network.map(|network| network.to_string()),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TargetJson<'a> {
    Allow(String),
    Block(String),
    Resource {
        #[serde(flatten)]
        resource: ResourceJson<'a>,
        #[serde(flatten)]
        conditions: ConditionsJson<'a>,
    },
}

impl<'a> TargetJson<'a> {
    fn of(target: &'a Target) -> Self {
        match target {
            Target::Client(list, net) => Self::client(*list, net.to_string()),
            Target::Resource(resource, conditions) => Self::Resource {
                resource: ResourceJson::of(resource),
                conditions: ConditionsJson::of(conditions),
            },
        }
    }

    fn client(list: List, net: String) -> Self {
        match list {
            List::Allow => Self::Allow(net),
            List::Block => Self::Block(net),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ResourceJson<'a> {
    /// None for every host.
    host: Option<&'a str>,
    path: &'a str,
    #[serde(rename = "match")]
    matching: &'static str,
}

impl<'a> ResourceJson<'a> {
    fn of(resource: &'a Resource) -> Self {
        let matching = match resource.matching {
            Match::Exact => "exact",
            Match::Prefix => "prefix",
        };
        Self { host: resource.host.as_ref().map(Host::as_str), path: resource.path.as_str(), matching }
    }
}

#[derive(Serialize)]
pub(super) struct ConditionsJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    /// Name and value.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    anonymous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
}

impl<'a> ConditionsJson<'a> {
    fn of(conditions: &'a Conditions) -> Self {
        let Conditions { method, query, parameter, anonymous, client } = conditions;
        Self {
            method: method.as_deref(),
            query: query.as_deref(),
            parameter: parameter.as_ref().map(|(name, value)| (&**name, &**value)),
            anonymous: *anonymous,
            client: *client,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OperationJson<'a> {
    Put(RuleJson<'a>),
    Remove(TargetJson<'a>),
    Forget(TargetJson<'a>),
    ForgetResource(ResourceJson<'a>),
    Batch(Vec<OperationJson<'a>>),
}

impl<'a> OperationJson<'a> {
    pub(super) fn of(operation: &'a Operation) -> Self {
        match operation {
            Operation::Put(rule) => Self::Put(RuleJson::of(rule)),
            Operation::Remove(target) => Self::Remove(TargetJson::of(target)),
            Operation::Forget(target) => Self::Forget(TargetJson::of(target)),
            Operation::ForgetResource(resource) => Self::ForgetResource(ResourceJson::of(resource)),
            Operation::Batch(operations) => Self::Batch(operations.iter().map(Self::of).collect()),
        }
    }
}
