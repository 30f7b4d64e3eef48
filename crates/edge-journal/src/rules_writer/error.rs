//! Why the rules were not written.

use std::{fmt, io};

use crate::{EncodeError, ReadError};

/// Why the rules were not written. One line.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// One directory has one writer.
    #[error("rules.lock: another process writes the rules of this directory")]
    Locked,
    /// What is there cannot be gone on with.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A change that no reader would take.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A rule that is not of the list that is replaced.
    #[error("a rule of {origin} among those of the list {list}")]
    ForeignRule {
        /// The list that is replaced.
        list: String,
        /// Whose rule it is.
        origin: String,
    },
    /// The journal is damaged: a new snapshot mends that.
    #[error("the rules journal is damaged: it takes a snapshot of all rules to go on")]
    NeedsRotation,
    /// All 64 bits are used up.
    #[error("no revision is left")]
    NoRevisionLeft,
    /// The system did not do it.
    #[error("{file}: {error}")]
    Io {
        /// The file.
        file: String,
        /// What it said.
        error: io::Error,
    },
}

impl WriteError {
    pub(super) fn io(file: impl fmt::Display, error: io::Error) -> Self {
        Self::Io { file: file.to_string(), error }
    }
}
