//! Why a command did not do what was asked for.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use edge_journal::WriteError;

use crate::rules::{Invalid, RulesError};
use crate::store::StoreError;

/// Why a command did not do what was asked for. [`super::EXIT_CODES`] lists how it ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A rule that is there, or is not.
    #[error("{0}")]
    Refused(RulesError),
    /// The same, in the words of `serve`.
    #[error("{0}")]
    RefusedByServe(String),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A line of the standard input.
    #[error("standard input, line {line}: {error}")]
    Line { line: usize, error: Invalid },
    #[error("standard input: {0}")]
    Input(io::Error),
    /// A value that can be taken no more, such as an end that has come meanwhile.
    #[error("{0}")]
    InvalidByServe(String),
    #[error("{0}")]
    Unusable(RulesError),
    #[error("{0}; `edge-manager serve` or another command may be at work")]
    Locked(RulesError),
    /// The control socket cannot be opened.
    #[error("{0}: `edge-manager serve` cannot be asked: {1}")]
    Control(PathBuf, io::Error),
    /// It could not do what was asked for, or did not answer.
    #[error("`edge-manager serve`: {0}")]
    Serve(io::Error),
    /// Nobody takes the answer.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Refused { .. } | RulesError::TooMany | RulesError::Record(StoreError::TooManyLists) => {
                Self::Refused(error)
            }
            RulesError::Publication(WriteError::Locked) | RulesError::Record(StoreError::Busy) => {
                Self::Locked(error)
            }
            other => Self::Unusable(other),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        RulesError::from(error).into()
    }
}

impl Failure {
    /// One line on standard error, and how the program ends.
    pub(super) fn tell(self) -> ExitCode {
        let code = match &self {
            // Whoever read this has seen enough, as head(1) does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Refused(_) | Self::RefusedByServe(_) => 1,
            Self::Invalid(_) | Self::Line { .. } | Self::Input(_) | Self::InvalidByServe(_) => 2,
            Self::Unusable(_) | Self::Locked(_) | Self::Control(..) | Self::Serve(_) | Self::Output(_) => 4,
        };
        // Nothing is left to do if this fails too.
        let _ = writeln!(io::stderr(), "edge-manager: {self}");
        ExitCode::from(code)
    }
}
