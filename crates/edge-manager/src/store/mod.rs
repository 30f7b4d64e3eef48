//! The record in SQLite: what the manager knows, and what the state directory is made from.
//!
//! One connection writes, one transaction at a time; any number read beside it (WAL). A change is on the disk when its
//! transaction has ended (`synchronous=FULL`), so it outlives `kill -9` and a power cut.

mod audit;
mod caps;
mod certificates;
mod changes;
mod columns;
mod connection;
mod copies;
mod error;
mod keys;
mod learned;
mod readers;
mod respelled;
mod selection;
mod site;
mod site_versions;
#[cfg(test)]
mod tests;
mod view;

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};

pub use audit::{AuditEntry, AuditSelection, DONE, Deed, MAX_AUDIT_ROWS};
pub use caps::RuleCounts;
pub use certificates::{CertificateRow, OrderRow};
pub use changes::Changes;
pub use copies::{copy, faults, restore};
pub use error::StoreError;
pub use keys::KeyRow;
pub use learned::{LessonChanges, LessonSelection};
pub use readers::Readers;
pub use selection::{About, Kind, Order, Selection};
pub use site::RecordedDomain;
pub use view::View;

/// The record, to read and to change.
#[derive(Debug)]
pub struct Store {
    /// Closed first: the last one to be closed puts all changes into the file, which needs the right to write.
    readers: Readers,
    /// Connections that nothing but keys is read by, so that no long read of anybody else has them.
    key_readers: Readers,
    writer: Mutex<Connection>,
}

impl Store {
    /// Opens the record, makes it and its directory if need be, and brings an older one up to date.
    ///
    /// # Errors
    /// It is another program's database, one of a later version, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = Mutex::new(connection::writer(path)?);
        let readers = || Readers::of(PathBuf::from(path));
        Ok(Self { readers: readers(), key_readers: readers(), writer })
    }

    /// Makes all changes of `change`, or none where it fails; what it has noted is logged then. Waits for other changes, and
    /// for the disk.
    ///
    /// # Errors
    /// That of `change`, or the record cannot be written; nothing has changed.
    pub fn write<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut Changes<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock();
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let mut changes = Changes::new(&transaction)?;
        let changed = change(&mut changes)?;
        let noted = changes.into_noted();
        transaction.commit().map_err(StoreError::from)?;
        drop(writer);
        noted.iter().for_each(audit::Noted::log);
        Ok(changed)
    }

    /// Reads, as [`Readers::read`] does.
    ///
    /// # Errors
    /// As there.
    pub fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        self.readers.read(read)
    }

    /// All keys, in the order in which they were made, however much else is read.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.key_readers.read(|view| view.keys())
    }
}
