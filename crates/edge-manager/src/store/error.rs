//! Why the record cannot be used.

use std::io;
use std::path::PathBuf;

/// Why the record cannot be used. One line.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("{0}: there is no record of rules")]
    Missing(PathBuf),
    /// Another program's database.
    #[error("{0}: not a record of Edge Filter")]
    Foreign(PathBuf),
    /// Written by a later version.
    #[error("{0}: the record of a later version")]
    Newer(PathBuf),
    /// Written by an earlier version, and not opened to be changed.
    #[error("{0}: the record of an earlier version, which the next change brings up to date")]
    Older(PathBuf),
    /// SQLite finds faults in the file.
    #[error("{0}: the database is damaged: {1}; `edge-manager database restore` puts a copy in its place")]
    Damaged(PathBuf, String),
    /// A row that this program does not write.
    #[error("rule {id} of the record cannot be read: {reason}")]
    Row {
        /// Its number.
        id: i64,
        /// What is wrong.
        reason: String,
    },
    /// A row that this program does not write.
    #[error("lesson {id} of the record cannot be read: {reason}")]
    Lesson {
        /// Its number.
        id: i64,
        /// What is wrong.
        reason: String,
    },
    /// A key that this program does not write.
    #[error("key {id} of the record cannot be read: {reason}")]
    Key {
        /// Its number.
        id: i64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A part of the site that this program does not write.
    #[error("{part} of the record cannot be read: {reason}")]
    Part {
        /// Which one, such as `backend shop`.
        part: String,
        /// What is wrong.
        reason: serde_json::Error,
    },
    /// A certificate or an order that this program does not write.
    #[error("a certificate of the record cannot be read: {what}")]
    Certificate {
        /// What is wrong.
        what: &'static str,
    },
    /// A rule of no list.
    #[error("the record holds rules of lists, no learned ones")]
    Learned,
    /// As many as the filter tells apart beside those in files.
    #[error("there are {0} lists already")]
    TooManyLists(usize),
    /// Another process has been changing it for seconds.
    #[error("another process is changing the record")]
    Busy,
    /// The file or its directory cannot be made.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// It cannot be brought up to date.
    #[error("the record: {0}")]
    Migration(Box<rusqlite_migration::Error>),
    /// Anything else that SQLite says.
    #[error("the record: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}
