//! Who changed what.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::AuditEntry;

/// A change, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AuditedChange)]
pub struct AuditJson {
    /// Greater than those of all changes before.
    pub id: i64,
    /// When it began, microseconds since the Unix epoch.
    pub at_us: u64,
    /// The name of the key; `CLI:` and the user of the command line, `manager` for the manager itself.
    pub who: String,
    /// The role that it had.
    pub role: String,
    /// The address that it was asked from; null for this machine's command line.
    #[schema(required)]
    pub from: Option<String>,
    /// The operation, such as `rules.put`.
    pub action: String,
    /// What was changed.
    pub target: String,
    /// `done`, or what went wrong.
    pub result: String,
    /// How long it took, microseconds.
    pub duration_us: u64,
}

impl From<AuditEntry> for AuditJson {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at_us, caller, role, from, operation, target, result, duration_us } = entry;
        Self { id, at_us, who: caller, role, from, action: operation, target, result, duration_us }
    }
}
