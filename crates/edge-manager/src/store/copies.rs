//! Copies of the database, and whether what is in it can be read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connection::{STEP_COUNT, check_owner, flags, version};
use super::{StoreError, View};

/// A copy holds the hashes of keys and all that is known of clients: it is its owner's alone.
const MODE: u32 = 0o600;

/// As where the database is made.
const DATABASE_MODE: u32 = 0o640;

/// Faults that are listed.
const MAX_FAULTS: usize = 100;

/// What a file has behind its name while it is written.
const UNFINISHED: &str = ".new";

/// What a database has behind its name that was replaced by a copy.
const REPLACED: &str = ".before-restore";

/// Makes a copy of the database as it is at one moment, whatever changes meanwhile; an earlier file of the name is replaced.
/// The copy appears under its name when it is whole, was read through, and is on the disk. Its length, bytes.
///
/// # Errors
/// The database or the copy is damaged, or the copy cannot be written: then an earlier one stays.
pub fn copy(from: &Path, to: &Path) -> Result<u64, StoreError> {
    let unfinished = beside(to, UNFINISHED);
    let io = |error| StoreError::Io(unfinished.clone(), error);
    remove(&unfinished).map_err(io)?;
    // SQLite takes an empty file, which has the right mode already.
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished).map_err(io)?;
    let made = (|| -> Result<u64, StoreError> {
        let source = open(from)?;
        source.execute("VACUUM INTO ?", [unfinished.to_string_lossy()])?;
        sound(&open(&unfinished)?, &unfinished)?;
        let file = File::open(&unfinished).map_err(io)?;
        file.sync_all().map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        fs::rename(&unfinished, to).map_err(io)?;
        sync_dir(to)?;
        Ok(bytes)
    })();
    if made.is_err() {
        // What stays is removed before the next one is made.
        let _ = remove(&unfinished);
    }
    made
}

/// Puts a copy in the place of the database, which nobody may have open. What was there stays beside it, as
/// `rules.db.before-restore`; that path, if there was one.
///
/// # Errors
/// The copy is none, is damaged or of a later version, or cannot be written: then nothing has changed.
pub fn restore(database: &Path, from: &Path) -> Result<Option<PathBuf>, StoreError> {
    let new = beside(database, ".restored");
    copy(from, &new)?;
    let io = |error| StoreError::Io(database.to_owned(), error);
    fs::set_permissions(&new, Permissions::from_mode(DATABASE_MODE)).map_err(io)?;
    let before = beside(database, REPLACED);
    let is_there = fs::symlink_metadata(database).is_ok();
    if is_there {
        // Its own name stays until the copy takes it: a start meanwhile would make an empty one.
        remove(&before).map_err(io)?;
        fs::hard_link(database, &before).map_err(io)?;
    }
    // Recent changes belong to the file that they were made in. Moved with it, they can still be read there.
    for end in ["-wal", "-shm"] {
        match fs::rename(beside(database, end), beside(&before, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            Err(_) => remove(&beside(&before, end)).map_err(io)?,
            Ok(()) => {}
        }
    }
    fs::rename(&new, database).map_err(io)?;
    sync_dir(database)?;
    Ok(is_there.then_some(before))
}

/// What is wrong with the database: what SQLite says of the file, and rows that cannot be read, by name. None if all is well.
///
/// # Errors
/// It cannot be opened, or is none of ours.
pub fn faults(database: &Path) -> Result<Vec<String>, StoreError> {
    let connection = open(database)?;
    let mut faults = said_of_file(&connection)?;
    // The rows of an older one are looked at when it was brought up to date.
    if faults.is_empty() && version(&connection)? == STEP_COUNT {
        faults.extend(View::new(&connection).unreadable());
    }
    faults.truncate(MAX_FAULTS);
    Ok(faults)
}

impl View<'_> {
    /// Rows that cannot be read, by name: they are passed over, and stay where they are. What is wrong in them a newer version
    /// may understand, or an operator mend.
    pub fn unreadable(&self) -> Vec<String> {
        let mut faults = self.unreadable_rules();
        faults.extend(self.unreadable_keys());
        faults.extend(self.unreadable_lessons());
        for fault in [self.site().err(), self.certificates().err(), self.orders().err()] {
            faults.extend(fault.map(|error| error.to_string()));
        }
        faults.truncate(MAX_FAULTS);
        faults
    }
}

/// To read only: an older database stays as it is.
fn open(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    check_owner(&connection, path)?;
    if version(&connection)? > STEP_COUNT {
        return Err(StoreError::Newer(path.to_owned()));
    }
    Ok(connection)
}

fn sound(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match said_of_file(connection)?.first() {
        Some(fault) => Err(StoreError::Damaged(path.to_owned(), fault.clone())),
        None => Ok(()),
    }
}

fn said_of_file(connection: &Connection) -> Result<Vec<String>, StoreError> {
    // A bound number would be taken for the name of a table.
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    let said: Vec<String> = said.collect::<Result<_, _>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(end);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_dir(file: &Path) -> Result<(), StoreError> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| StoreError::Io(dir.to_owned(), error))
}
