//! What is printed with `--json`.

use edge_filter::{List, Match, Origin, Part, Target};
use serde::Serialize;

use crate::rules::{Answer, Entry};

/// A rule.
#[derive(Serialize)]
pub(super) struct EntryJson<'a> {
    id: i64,
    /// `allow`, `block` or `resource`.
    kind: &'static str,
    target: String,
    /// Of a resource: `exact` or `prefix`.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matching: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    conditions: String,
    action: String,
    /// None for a rule that never ends.
    expires_at_s: Option<u32>,
    list: &'a str,
    reason: &'a str,
    created_at_s: u32,
    created_by: &'a str,
}

impl<'a> EntryJson<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        let Entry { id, rule, created_at_s, created_by } = entry;
        let (kind, target, matching, conditions) = match &rule.target {
            Target::Client(List::Allow, net) => ("allow", net.to_string(), None, String::new()),
            Target::Client(List::Block, net) => ("block", net.to_string(), None, String::new()),
            Target::Resource(resource, conditions) => {
                let matching = match resource.matching {
                    Match::Exact => "exact",
                    Match::Prefix => "prefix",
                };
                let conditions = conditions.to_string().trim_start().to_owned();
                ("resource", resource.to_string(), Some(matching), conditions)
            }
        };
        let list = match &rule.origin {
            Origin::List(name) => &**name,
            Origin::Learned(_) => "",
        };
        Self {
            id: *id,
            kind,
            target,
            matching,
            conditions,
            action: rule.action.to_string(),
            expires_at_s: entry.expires_at_s(),
            list,
            reason: &rule.reason,
            created_at_s: *created_at_s,
            created_by,
        }
    }
}

/// A change.
#[derive(Serialize)]
pub(super) struct ChangeJson<'a> {
    /// `in_force`, `stored_not_enforced`.
    pub(super) status: &'static str,
    /// Why it may not be in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// Of the state directory; none where it does not have the change.
    pub(super) revision: Option<u64>,
    /// Made, or removed.
    pub(super) rules: Vec<EntryJson<'a>>,
}

/// An explanation.
#[derive(Serialize)]
pub(super) struct AnswerJson<'a> {
    subject: &'a str,
    verdict: String,
    /// The integer of haproxy.cfg.
    code: i16,
    rules: Vec<PartJson<'a>>,
}

#[derive(Serialize)]
struct PartJson<'a> {
    part: &'static str,
    #[serde(flatten)]
    rule: EntryJson<'a>,
}

impl<'a> AnswerJson<'a> {
    pub(super) fn of(answer: &'a Answer) -> Self {
        let rules = answer.rules.iter();
        Self {
            subject: &answer.subject,
            verdict: answer.verdict.to_string(),
            code: answer.verdict.code(),
            rules: rules
                .map(|(part, entry)| PartJson { part: part_name(*part), rule: EntryJson::of(entry) })
                .collect(),
        }
    }
}

/// The part of a rule in one word, as `get edge` has it.
pub(super) fn part_name(part: Part) -> &'static str {
    match part {
        Part::Decides => "decides",
        Part::Conditional => "conditional",
        Part::Overridden => "overridden",
        Part::Expired => "expired",
    }
}
