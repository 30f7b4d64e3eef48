//! Why a configuration was not put in its place.

use std::fmt;
use std::io;

use crate::haproxy::ProgramError;
use crate::render::TemplateError;

/// Why a configuration was not put in its place. The one before is in force still or again, unless [`Serving`] says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another process publishes, and did not end in time.
    #[error("another configuration is being published")]
    Busy,
    /// HAProxy cannot be asked.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A file or directory, which the message names.
    #[error("{0}")]
    Files(#[from] io::Error),
    /// `haproxy -c` does not take it.
    #[error("HAProxy refuses the configuration: {}", joined(.0))]
    Refused(
        /// What HAProxy said, each with the line of the configuration that it means.
        Vec<String>,
    ),
    /// What `haproxy -c` does not look at, and what a reload would fail on, or do worse.
    #[error("the configuration cannot be put in force: {}", joined(.0))]
    Unsuitable(
        /// The directives, and what is wrong with them.
        Vec<String>,
    ),
    /// HAProxy took it, and does not run it.
    #[error("{cause}{}; {serving}", after_colon(.said))]
    NotRunning {
        /// What did not happen.
        cause: String,
        /// What HAProxy said, as far as it can be known.
        said: Vec<String>,
        /// What it runs now.
        serving: Serving,
    },
    /// Nothing was published yet.
    #[error("there is no configuration yet")]
    Nothing,
    /// No such set, or no longer.
    #[error("there is no set {0}")]
    NoSuchSet(u64),
    /// A set is not what was published.
    #[error("set {set} is damaged: {why}")]
    Damaged {
        /// Its number.
        set: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// What HAProxy runs after a configuration failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The last good set.
    LastGood(u64),
    /// Nothing: there is no good set to go back to.
    Nothing,
    /// The last good set is in place, and HAProxy does not run it.
    Lost {
        /// The last good set.
        set: u64,
        /// Why.
        cause: String,
    },
    /// The link could not be put back.
    Stuck(String),
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastGood(set) => write!(f, "the last good configuration, set {set}, serves on"),
            Self::Nothing => f.write_str("there is no good configuration to go back to"),
            Self::Lost { set, cause } => {
                write!(f, "the last good configuration, set {set}, is back in its place, but {cause}")
            }
            Self::Stuck(error) => write!(f, "and the last good one cannot be put back: {error}"),
        }
    }
}

fn joined(said: &[String]) -> String {
    if said.is_empty() { "it does not say why".to_owned() } else { said.join("; ") }
}

pub(super) fn after_colon(said: &[String]) -> String {
    if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) }
}
