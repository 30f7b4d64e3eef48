//! What can be asked for.

use edge_filter::{Rule, Target};

/// A rule that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// The rule; its origin is a list.
    pub rule: Rule,
    /// Who makes it.
    pub by: String,
}

/// What becomes of a new rule where there is one with its target that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfPresent {
    /// It is refused.
    Refuse,
    /// The rule gets the action, end, list and reason of the new one, and stays the rule that it was.
    Replace,
    /// The same if the new one ends later; else the rule stays as it is, and that is no error.
    Prolong,
}

/// One change of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make a rule.
    Put(NewRule, IfPresent),
    /// Make a rule that was made elsewhere. Where there is one with its target that has not ended, that stays as it is.
    Adopt {
        /// The rule.
        new: NewRule,
        /// When it was made there, seconds since the Unix epoch; `None` for now.
        created_at_s: Option<u32>,
    },
    /// Remove the rule with this target, which must be there.
    Remove(Target),
    /// Remove the rule of this number, which must be there.
    RemoveNumber(i64),
}

impl Change {
    /// What it is about, in a few words.
    pub fn subject(&self) -> String {
        match self {
            Self::Put(NewRule { rule, .. }, _) | Self::Adopt { new: NewRule { rule, .. }, .. } => {
                rule.target.to_string()
            }
            Self::Remove(target) => target.to_string(),
            Self::RemoveNumber(id) => format!("rule {id}"),
        }
    }
}
