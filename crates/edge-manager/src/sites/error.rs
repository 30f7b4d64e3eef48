//! Why the site was not changed.

use crate::configuration::PublishError;
use crate::site::FieldError;
use crate::store::StoreError;

/// Why the site was not changed. Nothing of it was, and HAProxy serves what it served.
#[derive(Debug, thiserror::Error)]
pub enum SitesError {
    /// A value that cannot be taken.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// There is no such domain.
    #[error("{0}: no such domain")]
    UnknownDomain(String),
    /// There is no such backend.
    #[error("{0}: no such backend")]
    UnknownBackend(String),
    /// A backend that cannot go.
    #[error("{backend}: the domain {domain} needs it")]
    InUse {
        /// The backend.
        backend: String,
        /// One of its domains.
        domain: String,
    },
    /// Something that the caller may not change.
    #[error("{0}: a key of the role admin is needed, or the command line")]
    NeedsAdmin(String),
    /// The filter would not hold the rules that there are.
    #[error("EDGE_MAX_RULES is {max}, and {rules} rules are in force")]
    NoRoom {
        /// The cap that was asked for.
        max: u32,
        /// Rules of the record that have not ended.
        rules: u64,
    },
    /// It could not be put in force.
    #[error("{0}")]
    Publication(#[from] PublishError),
    /// The record.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl SitesError {
    /// Of a name that may be anything.
    pub(crate) fn unknown_backend(name: &str) -> Self {
        Self::UnknownBackend(shown(name))
    }

    /// Of a name that may be anything.
    pub(crate) fn unknown_domain(name: &str) -> Self {
        Self::UnknownDomain(shown(name))
    }
}

fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
