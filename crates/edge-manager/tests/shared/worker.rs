//! What a HAProxy that is made up answers.

use std::path::Path;
use std::time::Duration;

/// The answer to `edge sync` of a worker that has all that this database says was written.
pub(crate) fn in_force(database: &Path) -> String {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    let written = connection.query_row("SELECT revision, taken, digest FROM publication", [], |row| {
        let number = |at| row.get::<_, Option<i64>>(at).map(Option::unwrap_or_default);
        Ok((number(0)?, number(1)?, number(2)?))
    });
    let (revision, taken, digest) = written.unwrap_or_default();
    format!("revision {revision}, taken {taken}, hash {:016x}\n", digest.cast_unsigned())
}
