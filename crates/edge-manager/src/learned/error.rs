//! Why a lesson was not changed.

use super::ResourceId;
use crate::rules::{Invalid, RulesError};

/// Why a lesson was not changed.
#[derive(Debug, thiserror::Error)]
pub enum LearnedError {
    /// There is none of this number, or it is over.
    #[error("{0}: no such rule is in force")]
    Absent(ResourceId),
    /// A value that cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The record or the state directory; or a list has a rule with its target already.
    #[error(transparent)]
    Rules(#[from] RulesError),
}
