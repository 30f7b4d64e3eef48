//! Opening the file.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::{StoreError, respelled};

/// The letters `Edge`, as the first step sets it.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Edge");

const STEPS: &[M<'static>] = &[
    M::up(include_str!("migrations/1.sql")),
    M::up(include_str!("migrations/2_access.sql")),
    M::up(include_str!("migrations/3_site.sql")),
    M::up(include_str!("migrations/4_learned.sql")),
    M::up(include_str!("migrations/5_rules.sql")),
    M::up(include_str!("migrations/6_caps.sql")),
    M::up(include_str!("migrations/7_certificates.sql")),
    M::up(include_str!("migrations/8_pages.sql")),
    M::up(include_str!("migrations/9_client_network.sql")),
    M::up(include_str!("migrations/10_marks.sql")),
    M::up(include_str!("migrations/11_rolled_back.sql")),
];

/// How many steps there are.
pub(super) const STEP_COUNT: usize = STEPS.len();

pub(super) const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// How long one process waits for another's change.
const PATIENCE: Duration = Duration::from_secs(5);

/// What stays of the file of recent changes, bytes, after a large one.
const MAX_WAL_BYTES: i64 = 16 << 20;

/// The connection that changes it.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    make(path).map_err(|error| StoreError::Io(path.to_owned(), error))?;
    let mut connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    connection.busy_timeout(PATIENCE)?;
    let is_new = is_empty(&connection).map_err(|error| foreign(path, error))?;
    if !is_new {
        check_owner(&connection, path)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", MAX_WAL_BYTES)?;
    if version(&connection)? > STEPS.len() {
        return Err(StoreError::Newer(path.to_owned()));
    }
    MIGRATIONS.to_latest(&mut connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
        other => StoreError::Migration(Box::new(other)),
    })?;
    respelled::renew(&mut connection)?;
    Ok(connection)
}

/// One that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    connection.busy_timeout(PATIENCE)?;
    check_owner(&connection, path)?;
    match version(&connection)? {
        found if found > STEPS.len() => Err(StoreError::Newer(path.to_owned())),
        found if found < STEPS.len() => Err(StoreError::Older(path.to_owned())),
        _ => Ok(connection),
    }
}

/// No URI: a path is a path, whatever is in it.
pub(super) fn flags(access: OpenFlags) -> OpenFlags {
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// The file, with the rights that the files which SQLite puts beside it get too. One that is there is not opened: closing
/// it would end the locks that SQLite has on it in this process (fcntl(2), "Record locking and file descriptors").
fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o640).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

pub(super) fn check_owner(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let id = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
    match id {
        Ok(APPLICATION_ID) => Ok(()),
        Ok(_) => Err(StoreError::Foreign(path.to_owned())),
        Err(error) => Err(foreign(path, error)),
    }
}

fn foreign(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::Foreign(path.to_owned()),
        _ => error.into(),
    }
}

/// How many steps it has.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))?;
    Ok(version as usize)
}
