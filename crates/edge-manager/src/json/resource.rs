//! A rule on a resource, learned or listed.

use edge_filter::{NEVER, Rule};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rule::{kind_of, matching_of};
use super::{Matching, StoredJson};
use crate::haproxy::Enforcement;
use crate::learned::{Item, Seen};
use crate::rules::as_written;
use crate::store::Kind;

/// A rule on a resource; or on a client, where a backend taught it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Resource)]
pub struct ResourceJson {
    /// `learned-7`, or `rule-7` of rule 7 of the record.
    #[schema(pattern = "^(learned|rule)-[0-9]+$")]
    pub id: String,
    /// Where it came from.
    pub origin: OriginName,
    /// What it is about.
    pub kind: Kind,
    /// In canonical form: `/path` or `host/path`, with `/*` behind for all below it; or an address.
    pub target: String,
    /// Of a resource.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub matching: Option<Matching>,
    /// Of a resource, if it has any: what a request must meet too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub conditions: String,
    /// What is done.
    #[schema(pattern = "^(deny [45][0-9]{2}|tarpit|drop|observe)$")]
    pub action: String,
    /// Why, for people.
    pub reason: String,
    /// When it was learned or made, seconds since the Unix epoch.
    pub created_at_s: u32,
    /// Seconds since the Unix epoch; null for a rule that never ends.
    #[schema(required)]
    pub expires_at_s: Option<u32>,
    /// How long until then, seconds.
    #[schema(required)]
    pub left_s: Option<u32>,
    /// Requests that it matched, in all workers since they started; null where none tells of it: no worker runs or has it, it
    /// is on a client, or there are more than 32 MiB of rules.
    #[schema(required)]
    pub hits: Option<u64>,
    /// When the manager first saw that number, seconds since the Unix epoch: it looks every 10 s at least, so the hit may be
    /// so much earlier. Null where it has not grown since the manager started.
    #[schema(required)]
    pub last_hit_s: Option<u32>,
    /// Of what was learned: the response that taught it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub taught_by: Option<TaughtBy>,
    /// Of a rule of the record: its list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub list: Option<String>,
    /// Of a rule of the record: who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub created_by: Option<String>,
}

/// Where a rule came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OriginName {
    /// A response of a backend.
    Learned,
    /// Somebody made or pinned it.
    Manual,
}

/// The response that taught a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaughtBy {
    /// HAProxy's name of the backend.
    pub backend: String,
    /// HAProxy's name of the server.
    pub server: String,
    /// HAProxy's unique-id of the request; empty where none is configured.
    pub unique_id: String,
    /// Method, host and path of the request.
    pub request: String,
}

/// Some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResourcePage)]
pub struct ResourcePageJson {
    /// What was learned, then what is in the record, each in the order of their numbers.
    pub resources: Vec<ResourceJson>,
    /// What `after` of the next page is; null where there is none.
    #[schema(required)]
    pub next: Option<String>,
}

impl ResourceJson {
    /// Of a rule with its hits, if they are known.
    pub fn new(item: &Item, seen: Option<Seen>, now_s: u32) -> Self {
        let id = item.id().to_string();
        let (hits, last_hit_s) = (seen.map(|seen| seen.hits), seen.and_then(|seen| seen.last_hit_s));
        let with = |rule: &Rule, origin, created_at_s| {
            let (target, conditions) = as_written(&rule.target);
            let expires_at_s = Some(rule.expires_at_s).filter(|end_s| *end_s != NEVER);
            Self {
                id,
                origin,
                kind: kind_of(&rule.target),
                target,
                matching: matching_of(&rule.target),
                conditions,
                action: rule.action.to_string(),
                reason: rule.reason.to_string(),
                created_at_s,
                expires_at_s,
                left_s: expires_at_s.map(|end_s| end_s.saturating_sub(now_s)),
                hits,
                last_hit_s,
                taught_by: None,
                list: None,
                created_by: None,
            }
        };
        match item {
            Item::Learned(lesson) => {
                let learned_at_s = u32::try_from(lesson.learned_at_us() / 1_000_000).unwrap_or(u32::MAX);
                let taught_by = lesson.provenance().map(|from| TaughtBy {
                    backend: from.backend.clone(),
                    server: from.server.clone(),
                    unique_id: from.unique_id.clone(),
                    request: from.request.clone(),
                });
                Self { taught_by, ..with(&lesson.rule, OriginName::Learned, learned_at_s) }
            }
            Item::Rule(entry) => Self {
                list: Some(entry.rule.origin.to_string()),
                created_by: Some(entry.created_by.clone()),
                ..with(&entry.rule, OriginName::Manual, entry.created_at_s)
            },
        }
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResourceChange)]
pub struct ResourceChangeJson {
    /// Whether it is obeyed.
    #[serde(flatten)]
    pub stored: StoredJson,
    /// What was deleted, or was made by pinning.
    pub resource: ResourceJson,
}

impl ResourceChangeJson {
    /// Of a change that became this.
    pub fn new(resource: ResourceJson, enforcement: &Enforcement) -> Self {
        Self { stored: enforcement.into(), resource }
    }
}
