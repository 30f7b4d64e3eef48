//! A rule of the record.

use edge_filter::{List, Match, NEVER, Origin, Rule, Target};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rules::{Entry, as_written, resource_of, target_of};
use crate::store::Kind;

/// A rule of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Rule)]
pub struct RuleJson {
    /// Never given twice.
    #[schema(minimum = 1)]
    pub id: i64,
    /// What it is about.
    pub kind: Kind,
    /// In canonical form: an address or CIDR, or `/path` or `host/path`, with `/*` behind for all below it.
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
    /// Seconds since the Unix epoch; null for a rule that never ends.
    #[schema(required, format = Int64, maximum = 4_294_967_294_u64)]
    pub expires_at_s: Option<u32>,
    /// The list that it belongs to.
    pub list: String,
    /// Why, for people.
    pub reason: String,
    /// Seconds since the Unix epoch.
    #[schema(format = Int64, maximum = 4_294_967_295_u64)]
    pub created_at_s: u32,
    /// Who made it.
    pub created_by: String,
}

/// How the path of a resource is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// This path alone.
    Exact,
    /// This path and all below it, by whole segments.
    Prefix,
}

/// The kind of a target.
pub(super) fn kind_of(target: &Target) -> Kind {
    match target {
        Target::Client(List::Allow, _) => Kind::Allow,
        Target::Client(List::Block, _) => Kind::Block,
        Target::Resource(..) => Kind::Resource,
    }
}

/// How the path of a target is matched, if it has one.
pub(super) fn matching_of(target: &Target) -> Option<Matching> {
    match target {
        Target::Client(..) => None,
        Target::Resource(resource, _) => Some(match resource.matching {
            Match::Exact => Matching::Exact,
            Match::Prefix => Matching::Prefix,
        }),
    }
}

impl From<&Entry> for RuleJson {
    fn from(entry: &Entry) -> Self {
        let Entry { id, rule, created_at_s, created_by } = entry;
        let (target, conditions) = as_written(&rule.target);
        let list = match &rule.origin {
            Origin::List(name) => name.to_string(),
            Origin::Learned(_) => String::new(),
        };
        Self {
            id: *id,
            kind: kind_of(&rule.target),
            target,
            matching: matching_of(&rule.target),
            conditions,
            action: rule.action.to_string(),
            expires_at_s: entry.expires_at_s(),
            list,
            reason: rule.reason.to_string(),
            created_at_s: *created_at_s,
            created_by: created_by.clone(),
        }
    }
}

impl TryFrom<RuleJson> for Entry {
    type Error = String;

    /// What is wrong with it, where no manager has made it.
    fn try_from(json: RuleJson) -> Result<Self, String> {
        let target = match json.kind {
            Kind::Allow => target_of("allow", &json.target, "")?,
            Kind::Block => target_of("block", &json.target, "")?,
            Kind::Resource => resource_of(&json.target, &json.conditions)?,
        };
        let rule = Rule {
            target,
            action: json.action.parse().map_err(|error| format!("{error}"))?,
            expires_at_s: json.expires_at_s.unwrap_or(NEVER),
            origin: Origin::List(json.list.into()),
            reason: json.reason.into(),
        };
        Ok(Self { id: json.id, rule, created_at_s: json.created_at_s, created_by: json.created_by })
    }
}
