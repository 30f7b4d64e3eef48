//! Changes that are made to a copy of the record, to see whether they could be made.

use std::env;

use tempfile::TempDir;

use super::failure::Failure;
use super::read::Database;
use crate::clock::now_s;
use crate::import::ImportError;
use crate::rules::{Change, Maker, RulesError};
use crate::store::{Readers, Store};

/// A copy of the record, which goes with this.
pub(super) struct Rehearsal {
    store: Store,
    _dir: TempDir,
}

impl Rehearsal {
    /// Of this record; of an empty one where there is none yet.
    pub(super) fn of(record: &Database) -> Result<Self, Failure> {
        let dir = tempfile::tempdir().map_err(|error| ImportError::Io(env::temp_dir(), error))?;
        let path = dir.path().join("rules.db");
        if record.database.exists() {
            Readers::open(&record.database)?.copy_to(&path)?;
        }
        Ok(Self { store: Store::open(&path)?, _dir: dir })
    }

    /// Makes all these changes, or none: how many were there already.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub(super) fn make(&self, changes: impl IntoIterator<Item = Change>) -> Result<u64, RulesError> {
        self.store.write(|record| {
            let mut maker = Maker::new(record, now_s())?;
            let mut present = 0;
            for (at, change) in changes.into_iter().enumerate() {
                let (_, operation) = maker.make(change, at)?;
                present += u64::from(operation.is_none());
            }
            Ok(present)
        })
    }
}
