//! A rule as the record has it.

use edge_filter::{NEVER, Rule};

/// A rule of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, never given twice.
    pub id: i64,
    /// The rule; its origin is a list.
    pub rule: Rule,
    /// When it was made, seconds since the Unix epoch.
    pub created_at_s: u32,
    /// Who made it.
    pub created_by: String,
}

impl Entry {
    /// Whether it has ended, so that it counts as absent.
    pub fn has_ended(&self, now_s: u32) -> bool {
        self.expires_at_s().is_some_and(|end_s| end_s <= now_s)
    }

    /// When it ends, seconds since the Unix epoch; `None` for no end.
    pub fn expires_at_s(&self) -> Option<u32> {
        Some(self.rule.expires_at_s).filter(|end_s| *end_s != NEVER)
    }
}
