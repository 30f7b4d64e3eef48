//! Answers to changes, as older clients know them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::haproxy::Enforcement;

/// What was done, as older clients know it.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    /// In words.
    message: String,
}

impl Done {
    pub(super) fn new(message: String) -> Self {
        Self { status: "success", message }
    }
}

/// Why HAProxy does not obey a change yet, where an answer has nothing else to say.
pub(super) fn not_enforced(enforcement: &Enforcement) -> Option<String> {
    match enforcement {
        Enforcement::InForce => None,
        Enforcement::StoredNotEnforced { reason } => Some(format!("stored, not yet enforced: {reason}")),
    }
}

/// The message of a change, and why HAProxy does not obey it yet.
pub(super) fn stored(message: String, enforcement: &Enforcement) -> String {
    match not_enforced(enforcement) {
        None => message,
        Some(note) => format!("{message} ({note})"),
    }
}
