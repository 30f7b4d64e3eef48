//! What became of a change.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RuleJson;
use crate::haproxy::Enforcement;
use crate::rules::Entry;

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeJson {
    /// `success`: the record has it.
    #[schema(pattern = "^success$")]
    pub status: String,
    /// Whether it is obeyed.
    pub enforcement: Enforced,
    /// Why it may not be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Of the state directory; null where it does not have the change.
    #[schema(required)]
    pub revision: Option<u64>,
    /// Made, or removed, in the order of the request; of an object, those that were removed come first.
    pub rules: Vec<RuleJson>,
}

/// Whether a change is obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforced {
    /// HAProxy has confirmed it.
    InForce,
    /// It is kept, and HAProxy gets it as soon as it can.
    StoredNotEnforced,
}

impl From<&Enforcement> for Enforced {
    fn from(enforcement: &Enforcement) -> Self {
        match enforcement {
            Enforcement::InForce => Self::InForce,
            Enforcement::StoredNotEnforced { .. } => Self::StoredNotEnforced,
        }
    }
}

impl ChangeJson {
    /// Of a change of these rules, that the state directory has at this revision.
    pub fn new(entries: &[Entry], revision: Option<u64>, enforcement: &Enforcement) -> Self {
        let reason = match enforcement {
            Enforcement::InForce => None,
            Enforcement::StoredNotEnforced { reason } => Some(reason.clone()),
        };
        let rules = entries.iter().map(RuleJson::from).collect();
        Self { status: "success".to_owned(), enforcement: enforcement.into(), reason, revision, rules }
    }
}
