//! Who changed what.

use std::time::{Duration, Instant};

use super::{Changes, StoreError, View};
use crate::access::Caller;

/// Most changes that are remembered, the newest: some 200 bytes each.
pub const MAX_AUDIT_ROWS: i64 = 100_000;

/// The result of a change that is made if the transaction that it is noted in is.
pub const DONE: &str = "done";

/// How much of what was changed, and of what went wrong, is kept, bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// A change, and who made it.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What, as `rules.put`: the thing, and what becomes of it.
    pub operation: &'a str,
    /// With what.
    pub target: &'a str,
    /// [`DONE`], or what went wrong.
    pub result: &'a str,
    /// When it began, microseconds since the Unix epoch.
    pub at_us: u64,
    /// How long it took so far.
    pub took: Duration,
}

/// A change as it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: greater than those of all changes before.
    pub id: i64,
    /// When it began, microseconds since the Unix epoch.
    pub at_us: u64,
    /// The name of who made it.
    pub caller: String,
    /// Their role, in its word.
    pub role: String,
    /// Their address, if they had one.
    pub from: Option<String>,
    /// What, as `rules.put`.
    pub operation: String,
    /// With what.
    pub target: String,
    /// `done`, or what went wrong.
    pub result: String,
    /// How long it took until it was noted, microseconds.
    pub duration_us: u64,
}

/// A change that was noted, in the words of its row: for the log, once its transaction has ended.
#[derive(Debug)]
pub(super) struct Noted {
    caller: String,
    from: String,
    operation: String,
    target: String,
    result: String,
    /// When it began.
    began: Option<Instant>,
}

impl Noted {
    fn of(deed: &Deed<'_>) -> Self {
        let Deed { caller, operation, target, result, at_us: _, took } = *deed;
        Self {
            caller: caller.name.to_string(),
            from: caller.from.map_or_else(|| "-".to_owned(), |address| address.to_string()),
            operation: operation.to_owned(),
            target: shown(target).to_owned(),
            result: shown(result).to_owned(),
            began: Instant::now().checked_sub(took),
        }
    }

    /// One line. The target is not called so there: lines of JSON have another one.
    pub(super) fn log(&self) {
        let Self { caller, from, operation, target, result, began } = self;
        let took = began.map(|began| began.elapsed()).unwrap_or_default();
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(%caller, %from, %operation, what = target, result, duration_us, "change");
    }
}

impl Changes<'_> {
    /// Notes a change, in the transaction of the change; it is logged when that has ended. The oldest beyond [`MAX_AUDIT_ROWS`] is forgotten. O(log rows).
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&mut self, deed: &Deed<'_>) -> Result<(), StoreError> {
        self.noted.push(Noted::of(deed));
        let Deed { caller, operation, target, result, at_us, took } = deed;
        let connection = self.view.connection;
        let from = caller.from.map(|address| address.to_string());
        let sql = "INSERT INTO audit (at_us, caller, role, caller_address, operation, target, result, duration_us) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let mut insert = connection.prepare(sql)?;
        let id = insert.insert((
            at_us.cast_signed(),
            &*caller.name,
            caller.role.name(),
            from,
            operation,
            shown(target),
            shown(result),
            i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
        ))?;
        connection.prepare("DELETE FROM audit WHERE id <= ?")?.execute([id - MAX_AUDIT_ROWS])?;
        Ok(())
    }
}

/// Which changes to read: those for which all of this holds. By default, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSelection {
    /// Made by the caller of this name.
    pub caller: Option<String>,
    /// Of this operation.
    pub operation: Option<String>,
    /// That began at this time or later, microseconds since the Unix epoch.
    pub since_us: Option<u64>,
    /// That began before this time, microseconds since the Unix epoch.
    pub until_us: Option<u64>,
    /// Older than the one of this number: where the page before ended.
    pub after: Option<i64>,
}

impl View<'_> {
    /// Changes from the newest on, at most so many. O([`MAX_AUDIT_ROWS`]): an index for each condition would cost every change more
    /// than it saves whoever looks.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn audit(&self, selection: &AuditSelection, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let AuditSelection { caller, operation, since_us, until_us, after } = selection;
        let sql = "SELECT id, at_us, caller, role, caller_address, operation, target, result, duration_us FROM audit \
                   WHERE id < ?1 AND (?2 IS NULL OR caller = ?2) AND (?3 IS NULL OR operation = ?3) \
                   AND at_us >= ?4 AND at_us < ?5 ORDER BY id DESC LIMIT ?6";
        let time = |time_us: &Option<u64>| time_us.map(|time_us| i64::try_from(time_us).unwrap_or(i64::MAX));
        let (since_us, until_us) = (time(since_us).unwrap_or(0), time(until_us).unwrap_or(i64::MAX));
        let mut statement = self.connection.prepare(sql)?;
        let values = (after.unwrap_or(i64::MAX), caller, operation, since_us, until_us, limit);
        let rows = statement.query_map(values, |row| {
            Ok(AuditEntry {
                id: row.get(0)?,
                at_us: row.get::<_, i64>(1)?.cast_unsigned(),
                caller: row.get(2)?,
                role: row.get(3)?,
                from: row.get(4)?,
                operation: row.get(5)?,
                target: row.get(6)?,
                result: row.get(7)?,
                duration_us: row.get::<_, i64>(8)?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}
