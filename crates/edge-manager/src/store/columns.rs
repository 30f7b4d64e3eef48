//! Rules as columns.

use std::sync::Arc;

use edge_filter::{
    Action, CanonicalPath, ClientNet, Conditions, Host, List, Match, NEVER, Origin, ParameterSegments,
    Resource, Rule, Status, Target,
};
use edge_journal::MAX_PATH_BYTES;
use rusqlite::Row;

use super::StoreError;
use crate::rules::Entry;

/// What [`Decoder::entry`] reads, in this order.
pub(super) const ENTRY: &str = "SELECT rules.id, kind, target, conditions, verdict, expires_at_s, lists.name, \
     reason, created_at_s, created_by FROM rules JOIN lists ON lists.id = rules.list";

/// The columns that a target is in.
pub(super) struct TargetColumns {
    pub(super) kind: &'static str,
    pub(super) target: String,
    pub(super) conditions: String,
}

impl TargetColumns {
    pub(super) fn of(target: &Target) -> Self {
        let none = String::new();
        match target {
            Target::Client(List::Allow, net) => {
                Self { kind: "allow", target: net.to_string(), conditions: none }
            }
            Target::Client(List::Block, net) => {
                Self { kind: "block", target: net.to_string(), conditions: none }
            }
            Target::Resource(resource, conditions) => Self {
                kind: match resource.matching {
                    Match::Exact => "exact",
                    Match::Prefix => "prefix",
                },
                target: resource.to_string(),
                conditions: conditions.to_string().trim_start().to_owned(),
            },
        }
    }
}

/// The end of a rule as a column.
pub(super) fn end(rule: &Rule) -> Option<u32> {
    Some(rule.expires_at_s).filter(|end_s| *end_s != NEVER)
}

/// The name of the list that a rule of the record is of.
pub(super) fn list_of(rule: &Rule) -> Result<&str, StoreError> {
    match &rule.origin {
        Origin::List(name) => Ok(name),
        Origin::Learned(_) => Err(StoreError::Learned),
    }
}

/// The action of a rule as a column.
pub(super) fn verdict(rule: &Rule) -> i16 {
    rule.action.verdict().code()
}

/// Reads rows. Most have the list and the reason of the one before, and then share its texts.
#[derive(Default)]
pub(super) struct Decoder {
    list: Arc<str>,
    reason: Arc<str>,
}

impl Decoder {
    pub(super) fn entry(&mut self, row: &Row<'_>) -> Result<Entry, StoreError> {
        let id = row.get(0)?;
        let target = target(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
        let target = target.map_err(|reason| StoreError::Row { id, reason })?;
        let action = action(row.get(4)?);
        let action = action.ok_or_else(|| StoreError::Row { id, reason: "no such verdict".into() })?;
        let rule = Rule {
            target,
            action,
            expires_at_s: row.get::<_, Option<u32>>(5)?.unwrap_or(NEVER),
            origin: Origin::List(shared(&mut self.list, row.get_ref(6)?.as_str()?)),
            reason: shared(&mut self.reason, row.get_ref(7)?.as_str()?),
        };
        Ok(Entry { id, rule, created_at_s: row.get(8)?, created_by: row.get(9)? })
    }
}

fn shared(last: &mut Arc<str>, text: &str) -> Arc<str> {
    if **last != *text {
        *last = text.into();
    }
    last.clone()
}

pub(super) fn action(verdict: u16) -> Option<Action> {
    match verdict {
        1 => Some(Action::Observe),
        2 => Some(Action::Tarpit),
        3 => Some(Action::Drop),
        code => Status::new(code).map(Action::Deny),
    }
}

pub(super) fn target(kind: &str, target: &str, conditions: &str) -> Result<Target, String> {
    let net = || target.parse::<ClientNet>().map_err(|error| error.to_string());
    let resource = match kind {
        "allow" => return Ok(Target::Client(List::Allow, net()?)),
        "block" => return Ok(Target::Client(List::Block, net()?)),
        "exact" => exact(target)?,
        _ => Resource::parse(target, ParameterSegments::Keep, MAX_PATH_BYTES).map_err(|e| e.to_string())?,
    };
    let conditions: Conditions = conditions.parse().map_err(|error| format!("{error}"))?;
    Ok(Target::Resource(resource, conditions))
}

/// Unlike the text that operators write, that of a path may end with `/*` here.
fn exact(text: &str) -> Result<Resource, String> {
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let host = if host.is_empty() { None } else { Some(Host::parse(host).map_err(|e| e.to_string())?) };
    let path = CanonicalPath::parse(path, ParameterSegments::Keep, MAX_PATH_BYTES);
    Ok(Resource::exact(host, path.map_err(|error| error.to_string())?))
}
