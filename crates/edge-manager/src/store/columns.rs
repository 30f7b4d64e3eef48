//! Rules as columns.

use std::sync::Arc;

use edge_filter::{Action, NEVER, Origin, Rule, Status};
use rusqlite::Row;

use super::StoreError;
use crate::rules::{Entry, target_of};

/// What [`Decoder::entry`] reads, in this order.
pub(super) const ENTRY: &str = "SELECT rules.id, kind, target, conditions, verdict, expires_at_s, lists.name, \
     reason, created_at_s, created_by FROM rules JOIN lists ON lists.id = rules.list";

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

/// An action as a column.
pub(super) fn verdict(action: Action) -> i16 {
    action.verdict().code()
}

/// Reads rows. Most have the list and the reason of the one before, and then share its texts.
#[derive(Default)]
pub(super) struct Decoder {
    list: Arc<str>,
    reason: Arc<str>,
}

impl Decoder {
    /// # Errors
    /// [`StoreError::Row`], with the number of the rule.
    pub(super) fn entry(&mut self, row: &Row<'_>) -> Result<Entry, StoreError> {
        let id = row.get(0)?;
        self.read(id, row).map_err(|error| match error {
            StoreError::Row { .. } => error,
            other => StoreError::Row { id, reason: other.to_string() },
        })
    }

    fn read(&mut self, id: i64, row: &Row<'_>) -> Result<Entry, StoreError> {
        let target =
            target_of(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
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
