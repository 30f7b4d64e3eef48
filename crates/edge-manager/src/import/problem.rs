//! What cannot be taken.

use std::fmt;

use serde::Serialize;

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// A row of a table.
    Row {
        /// The table.
        table: &'static str,
        /// Its number there.
        id: i64,
    },
    /// A line of a file.
    Line {
        /// The file, as it was named.
        file: String,
        /// Counted from 1.
        line: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { table, id } => write!(f, "{table} {id}"),
            Self::Line { file, line } => write!(f, "{file}, line {line}"),
        }
    }
}

/// Something that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Problem {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong with it. One line.
    pub reason: String,
}

impl Problem {
    pub(super) fn new(place: Place, reason: impl ToString) -> Self {
        Self { place, reason: reason.to_string() }
    }
}
