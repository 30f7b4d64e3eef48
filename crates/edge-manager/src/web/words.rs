//! What pages say of changes.

use super::numbers::counted;
use super::session::Notice;
use crate::haproxy::Enforcement;

/// What was done, and whether HAProxy obeys it; if not, what to do.
pub(super) fn of_change(done: &str, enforcement: &Enforcement) -> Notice {
    match enforcement {
        Enforcement::InForce => Notice::done(format!("{done} HAProxy obeys it.")),
        Enforcement::StoredNotEnforced { reason } => Notice::warning(format!(
            "{done} It is stored, and HAProxy does not obey it yet ({reason}). It will as soon as it runs and reads the state \
             directory: nothing needs to be entered again."
        )),
    }
}

/// What rules do, for a choice: the value, and its name.
pub(super) const ACTIONS: [(&str, &str); 6] = [
    ("deny 403", "Answer 403"),
    ("deny 404", "Answer 404"),
    ("deny 429", "Answer 429"),
    ("tarpit", "Hold it up, then answer 403"),
    ("drop", "Close without a word"),
    ("observe", "Only count"),
];

/// `1 rule`, `7 rules`.
pub(super) fn rules(count: u64) -> String {
    counted(count, "rule", "rules")
}
