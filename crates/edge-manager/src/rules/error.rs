//! Why rules were not changed.

use edge_filter::{MAX_RULES_PER_RESOURCE, Resource, Target};
use edge_journal::WriteError;

use super::{Entry, MAX_CHANGES};
use crate::store::StoreError;

/// Why rules were not changed. None of them was.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// One of the changes cannot be made.
    #[error("{why}")]
    Refused {
        /// Which one, counted from 0.
        at: usize,
        /// Why.
        why: Refusal,
    },
    /// More at once than are held in memory.
    #[error("more than {MAX_CHANGES} changes at once")]
    TooMany,
    /// The state directory has rules, and this record has never been published.
    #[error(
        "the state directory holds rules of another record, at revision {revision}: name the record that they are of, or \
         remove rules.* from the directory"
    )]
    ForeignDirectory {
        /// Of the directory.
        revision: u64,
    },
    /// The record.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// The state directory.
    #[error("the state directory: {0}")]
    Publication(#[from] WriteError),
}

/// Why one change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is a rule with this target.
    #[error("{} is there already, as rule {}", .0.rule.target, .0.id)]
    Present(Box<Entry>),
    /// There is none.
    #[error("{0}: no such rule in the record")]
    Absent(Box<Target>),
    /// There is none of this number.
    #[error("rule {0}: no such rule in the record")]
    NoSuchNumber(i64),
    /// As many rules in force on one resource as the filter has room for.
    #[error(
        "{0}: there are {MAX_RULES_PER_RESOURCE} rules on it already, which is as many as the filter has room for"
    )]
    FullResource(Box<Resource>),
    /// As many rules in force as the filter has room for.
    #[error(
        "there are {0} rules in force already, which is as many as the filter has room for (EDGE_MAX_RULES)"
    )]
    Full(u32),
    /// No request would have such a path.
    #[error("{0}: the filter drops ;params of paths (EDGE_PATH_PARAMS is drop): no request would match")]
    Parameters(Box<Resource>),
}
