//! Why a source cannot be read.

use std::io;
use std::path::PathBuf;

/// Why a source cannot be read. One line.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// A pipe, a directory or a device: it is read twice.
    #[error("{0}: no regular file")]
    NotRegular(PathBuf),
    /// Longer than anything that is meant for this.
    #[error("{0}: longer than {1} bytes")]
    TooLong(PathBuf, u64),
    /// It was written to while it was read.
    #[error("{0}: it has changed meanwhile; stop whoever writes it, or import a copy")]
    Changed(PathBuf),
    /// No such tables.
    #[error(
        "{0}: no database of the Flask manager: it has none of the tables domains, backends, backend_servers, blocked_ips"
    )]
    NotFlask(PathBuf),
    /// More rows than a site may have.
    #[error("{table}: more than {max} rows")]
    TooMany {
        /// The table.
        table: &'static str,
        /// How many are read.
        max: usize,
    },
    /// What SQLite says.
    #[error("{0}: {1}")]
    Sqlite(PathBuf, rusqlite::Error),
    /// What SQLite says of a row, such as that a value is longer than 1 MiB.
    #[error("{}: {table}, the {}: {error}", path.display(), behind(*last))]
    Row {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The number of the row before, if there is one.
        last: Option<i64>,
        /// What it says.
        error: rusqlite::Error,
    },
    /// No line of the kind in a haproxy.cfg.
    #[error("{path}: no line `acl {name} src ...`{others}")]
    NoAcl {
        /// The file.
        path: PathBuf,
        /// The name that was looked for.
        name: String,
        /// Which names there are.
        others: String,
    },
}

fn behind(last: Option<i64>) -> String {
    last.map_or_else(|| "first row".to_owned(), |last| format!("row behind {last}"))
}
