//! Why a command did not do what was asked for.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use edge_journal::WriteError;

use crate::access::AccessError;
use crate::cause::Cause;
use crate::configuration::PublishError;
use crate::import::{ImportError, Problem};
use crate::rules::{Invalid, RulesError};
use crate::serve::{LogError, ServeError};
use crate::site::FieldError;
use crate::sites::SitesError;
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
    /// Nobody listens at the control socket.
    #[error("{0}: nobody listens there: `edge-manager serve` does while it runs")]
    NotServing(PathBuf),
    /// `serve` has what the command needs for itself.
    #[error("{0}: `edge-manager serve` listens there: stop it first")]
    Serving(PathBuf),
    /// `serve` could not do what was asked for, or did not answer.
    #[error("`edge-manager serve`: {0}")]
    NoAnswer(io::Error),
    /// A key that is there, or is not, or has no name.
    #[error("{0}")]
    Key(AccessError),
    /// A file that was named.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What could be taken at first, and cannot any more.
    #[error("{0}: this has changed meanwhile; what was taken before it stays")]
    Changed(Problem),
    #[error(transparent)]
    Site(#[from] SitesError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Serve(ServeError),
    /// Nobody takes the answer.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Refused { .. }
            | RulesError::TooMany
            | RulesError::Record(StoreError::TooManyLists(_)) => Self::Refused(error),
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

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        SitesError::from(error).into()
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        SitesError::from(error).into()
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Record(error) => error.into(),
            other => Self::Key(other),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Rules(error) => error.into(),
            other => Self::Serve(other),
        }
    }
}

impl Failure {
    /// One line on standard error, and how the program ends.
    pub(super) fn tell(self) -> ExitCode {
        let code = match &self {
            // Whoever read this has seen enough, as head(1) does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Key(AccessError::Name(_)) => 2,
            Self::Refused(_) | Self::RefusedByServe(_) | Self::Key(_) => 1,
            Self::Invalid(_) | Self::Line { .. } | Self::Input(_) | Self::InvalidByServe(_) => 2,
            Self::Log(LogError::Filter(..)) => 2,
            Self::Serve(ServeError::OpenToAll(_)) | Self::File { .. } => 2,
            Self::Site(error) => match Cause::from(error) {
                Cause::Refused => 1,
                Cause::Invalid => 2,
                Cause::Unusable => 4,
            },
            Self::Import(_) | Self::Changed(_) => 4,
            Self::Unusable(_) | Self::Locked(_) | Self::Control(..) => 4,
            Self::NotServing(_) | Self::Serving(_) | Self::NoAnswer(_) => 4,
            Self::Output(_) | Self::Serve(_) | Self::Log(_) => 4,
        };
        // Nothing is left to do if this fails too.
        let _ = writeln!(io::stderr(), "edge-manager: {self}");
        ExitCode::from(code)
    }
}
