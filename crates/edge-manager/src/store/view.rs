//! Reading.

use std::sync::Arc;

use edge_journal::{Digest, Mark};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::columns::{Decoder, ENTRY};
use super::{Selection, StoreError};
use crate::rules::Entry;

/// Which rules [`View::on`] finds. Put in an order, they would all be read: SQLite then takes the index of the kind.
pub(super) const ON: &str = " WHERE target = ? AND kind = ?";

/// The record as it is at one moment.
#[derive(Debug)]
pub struct View<'c> {
    pub(super) connection: &'c Connection,
}

impl<'c> View<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// Gives the rules that are selected to `take`, in the order of their numbers, one at a time: however many there are,
    /// one is in memory.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn with_entries<T>(
        &self,
        selection: &Selection,
        take: impl FnOnce(&mut dyn Iterator<Item = Result<Entry, StoreError>>) -> T,
    ) -> Result<T, StoreError> {
        let (sql, values) = selection.to_sql();
        let mut statement = self.connection.prepare(&[ENTRY, &sql].concat())?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut decoder = Decoder::default();
        let entries = std::iter::from_fn(|| match rows.next() {
            Ok(row) => row.map(|row| decoder.entry(row)),
            Err(error) => Some(Err(error.into())),
        });
        // One bad row is no reason to have none of the others: `View::unreadable` names it.
        let mut entries = entries.filter(|entry| !matches!(entry, Err(StoreError::Row { .. })));
        Ok(take(&mut entries))
    }

    /// Rules that cannot be read. O(rules).
    pub(super) fn unreadable_rules(&self) -> Vec<String> {
        let mut decoder = Decoder::default();
        self.each(ENTRY, |row| decoder.entry(row).map(drop))
    }

    /// Why rows cannot be read, or why none can.
    pub(super) fn each(
        &self,
        sql: &str,
        mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<(), StoreError>,
    ) -> Vec<String> {
        let mut faults = Vec::new();
        let all = (|| {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                faults.extend(read(row).err().map(|error| error.to_string()));
            }
            Ok::<_, StoreError>(())
        })();
        faults.extend(all.err().map(|error| error.to_string()));
        faults
    }

    /// The rule of this number, ended or not. O(log rules).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entry(&self, id: i64) -> Result<Option<Entry>, StoreError> {
        let mut statement = self.connection.prepare(&[ENTRY, " WHERE rules.id = ?"].concat())?;
        let mut rows = statement.query([id])?;
        let row = rows.next()?;
        row.map(|row| Decoder::default().entry(row)).transpose()
    }

    /// How many rules are selected. O(them).
    ///
    /// # Errors
    /// They cannot be read.
    pub fn count(&self, selection: &Selection) -> Result<u64, StoreError> {
        let (sql, values) = selection.to_sql();
        let sql = ["SELECT count(*) FROM (SELECT rules.id FROM rules", &sql, ")"].concat();
        let count = self.connection.query_row(&sql, params_from_iter(values), |row| row.get::<_, i64>(0))?;
        Ok(count.cast_unsigned())
    }

    /// All rules of these kinds on these targets, whatever their conditions: see [`crate::rules::TargetText`].
    /// O(log rules) each.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn on(
        &self,
        targets: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut statement = self.connection.prepare(&[ENTRY, ON].concat())?;
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        for (kind, target) in targets {
            let mut rows = statement.query((target, kind))?;
            while let Some(row) = rows.next()? {
                match decoder.entry(row) {
                    Err(StoreError::Row { .. }) => {}
                    entry => found.push(entry?),
                }
            }
        }
        Ok(found)
    }

    /// The names of all lists, the empty ones too.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn lists(&self) -> Result<Vec<Arc<str>>, StoreError> {
        let mut statement = self.connection.prepare("SELECT name FROM lists ORDER BY id")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// The revision of the state directory that has all these rules; `None` before the first.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn revision(&self) -> Result<Option<u64>, StoreError> {
        let revision =
            self.connection.query_row("SELECT revision FROM publication", [], |row| row.get::<_, i64>(0));
        Ok(revision.optional()?.map(i64::cast_unsigned))
    }

    /// The mark that the state directory has then; `None` before the first, and where it is not known.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn mark(&self) -> Result<Option<Mark>, StoreError> {
        let sql =
            "SELECT revision, taken, digest FROM publication WHERE taken IS NOT NULL AND digest IS NOT NULL";
        let mark = self.connection.query_row(sql, [], |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Mark { revision: number(0)?, taken: number(1)?, digest: Digest::from_bits(number(2)?) })
        });
        Ok(mark.optional()?)
    }
}
