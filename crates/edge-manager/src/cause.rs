//! Why something was not done, for programs.

use crate::configuration::PublishError;
use crate::sites::SitesError;

/// Why something was not done, for programs: the exit status of a command, and a header of an answer, since the status of HTTP
/// does not tell a value that the manager does not take from a configuration that HAProxy does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It does not go with what is there, or HAProxy does not take it.
    Refused,
    /// A value that cannot be taken.
    Invalid,
    /// The record, a directory, or HAProxy's program cannot be used.
    Unusable,
}

impl Cause {
    /// The header of an answer that says it.
    pub const HEADER: &str = "edge-cause";

    const ALL: [Self; 3] = [Self::Refused, Self::Invalid, Self::Unusable];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Unusable => "unusable",
        }
    }

    /// The one with this word.
    pub fn of_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str().as_bytes() == word)
    }
}

impl From<&PublishError> for Cause {
    fn from(error: &PublishError) -> Self {
        match error {
            PublishError::Template(_)
            | PublishError::Refused(_)
            | PublishError::Unsuitable(_)
            | PublishError::NotRunning { .. }
            | PublishError::Nothing
            | PublishError::NoSuchSet(_) => Self::Refused,
            PublishError::Busy
            | PublishError::Program(_)
            | PublishError::Files(_)
            | PublishError::Damaged { .. } => Self::Unusable,
        }
    }
}

impl From<&SitesError> for Cause {
    fn from(error: &SitesError) -> Self {
        match error {
            SitesError::Field(_) => Self::Invalid,
            SitesError::UnknownDomain(_)
            | SitesError::UnknownBackend(_)
            | SitesError::NeedsAdmin(_)
            | SitesError::InUse { .. }
            | SitesError::NoRoom { .. } => Self::Refused,
            SitesError::Publication(error) => error.into(),
            SitesError::Record(_) => Self::Unusable,
        }
    }
}
