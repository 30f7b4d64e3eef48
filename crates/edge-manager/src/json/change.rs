//! What became of a change.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RuleJson;
use crate::configuration::Published;
use crate::haproxy::Enforcement;
use crate::rules::Entry;

/// That a change is stored, and whether it is obeyed: what every answer to a change begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Stored)]
pub struct StoredJson {
    /// `success`: the record has it.
    #[schema(pattern = "^success$")]
    status: String,
    /// Whether it is obeyed.
    enforcement: Enforced,
    /// Why it may not be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
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

impl From<&Enforcement> for StoredJson {
    fn from(enforcement: &Enforcement) -> Self {
        let reason = match enforcement {
            Enforcement::InForce => None,
            Enforcement::StoredNotEnforced { reason } => Some(reason.clone()),
        };
        Self { status: "success".to_owned(), enforcement: enforcement.into(), reason }
    }
}

impl StoredJson {
    /// In force, unless there are reasons why it may not be.
    pub fn unless(reasons: &[String]) -> Self {
        let enforcement = match reasons {
            [] => Enforcement::InForce,
            reasons => Enforcement::StoredNotEnforced { reason: reasons.join("; ") },
        };
        (&enforcement).into()
    }

    /// Whether HAProxy has confirmed it.
    pub fn is_in_force(&self) -> bool {
        self.enforcement == Enforced::InForce
    }

    /// Why it may not be in force; none where it is.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl fmt::Display for StoredJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => f.write_str("in force"),
            Some(reason) => write!(f, "stored, not yet enforced: {reason}"),
        }
    }
}

/// What became of a change of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeJson {
    /// Whether it is obeyed.
    #[serde(flatten)]
    pub stored: StoredJson,
    /// Of the state directory; null where it does not have the change.
    #[schema(required)]
    pub revision: Option<u64>,
    /// Made, or removed, in the order of the request; of an object, those that were removed come first.
    pub rules: Vec<RuleJson>,
}

impl ChangeJson {
    /// Of a change of these rules, that the state directory has at this revision.
    pub fn new(entries: &[Entry], revision: Option<u64>, enforcement: &Enforcement) -> Self {
        Self { stored: enforcement.into(), revision, rules: entries.iter().map(RuleJson::from).collect() }
    }
}

/// A configuration that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Published)]
pub struct PublishedJson {
    /// Whether HAProxy runs it.
    #[serde(flatten)]
    pub stored: StoredJson,
    /// The set of files in force.
    pub set: u64,
    /// Whether its files differ from those before.
    pub is_changed: bool,
}

impl From<Published> for PublishedJson {
    fn from(Published { set, is_changed, enforcement, .. }: Published) -> Self {
        Self { stored: (&enforcement).into(), set, is_changed }
    }
}
