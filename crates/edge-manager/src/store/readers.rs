//! The connections that read.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{StoreError, View, connection};

/// Connections that wait for the next reader; more are closed after use.
const MAX_IDLE: usize = 8;

/// The record, to read only. Readers wait neither for each other nor for changes.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Of the record that is there.
    ///
    /// # Errors
    /// There is none, it is another program's database or one of another version, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let readers = Self::of(path.to_owned());
        readers.idle.lock().push(connection::reader(path)?);
        Ok(readers)
    }

    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Copies the record as it is at one moment to a file that is not there yet.
    ///
    /// # Errors
    /// It cannot be read, or the file cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let connection = connection::reader(&self.path)?;
        connection.execute("VACUUM INTO ?", [path.to_string_lossy()])?;
        Ok(())
    }

    /// Reads the record as it is at one moment, whatever changes meanwhile.
    ///
    /// # Errors
    /// That of `read`, or the record cannot be read.
    pub fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connection::reader(&self.path)?,
        };
        let transaction = connection.transaction().map_err(StoreError::from)?;
        let found = read(&View::new(&transaction))?;
        transaction.finish().map_err(StoreError::from)?;
        let mut idle = self.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        Ok(found)
    }
}
