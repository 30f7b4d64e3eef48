//! Changing.

use std::collections::HashMap;
use std::ops::Deref;

use edge_filter::{Resource, Rule, Target};
use edge_journal::Mark;
use rusqlite::{Connection, OptionalExtension, Statement};

use super::columns::{Decoder, ENTRY, end, list_of, verdict};
use super::selection::ANY_KIND;
use super::view::ON;
use super::{StoreError, View};
use crate::rules::{Entry, TargetText};

/// A change of the record under way, which sees what it has changed so far. Its statements are prepared once, so that
/// thousands of rules in one change take little more time each than SQLite needs for a row.
#[derive(Debug)]
pub struct Changes<'c> {
    pub(super) view: View<'c>,
    find: Statement<'c>,
    in_force_on: Statement<'c>,
    insert: Statement<'c>,
    update: Statement<'c>,
    remove: Statement<'c>,
    /// By name.
    lists: HashMap<String, i64>,
    pub(super) noted: Vec<super::audit::Noted>,
}

impl<'c> Deref for Changes<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &View<'c> {
        &self.view
    }
}

impl<'c> Changes<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, StoreError> {
        let find = [ENTRY, ON, " AND conditions = ?"].concat();
        let in_force_on =
            ["SELECT count(*) FROM rules", ON, " AND (expires_at_s IS NULL OR expires_at_s > ?)"];
        let in_force_on = in_force_on.concat();
        Ok(Self {
            view: View::new(connection),
            find: connection.prepare(&find)?,
            in_force_on: connection.prepare(&in_force_on)?,
            insert: connection.prepare(
                "INSERT INTO rules (kind, target, conditions, verdict, expires_at_s, list, reason, created_at_s, \
                 created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?,
            update: connection.prepare(
                "UPDATE rules SET verdict = ?, expires_at_s = ?, list = ?, reason = ? WHERE id = ?",
            )?,
            remove: connection.prepare("DELETE FROM rules WHERE id = ?")?,
            lists: HashMap::new(),
            noted: Vec::new(),
        })
    }

    /// What has been noted, to be logged when it is done.
    pub(super) fn into_noted(self) -> Vec<super::audit::Noted> {
        self.noted
    }

    /// The rule with this target, ended or not. O(log rules).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn find(&mut self, target: &Target) -> Result<Option<Entry>, StoreError> {
        let columns = TargetText::of(target);
        let mut rows = self.find.query((&columns.target, columns.kind, &columns.conditions))?;
        let row = rows.next()?;
        row.map(|row| Decoder::default().entry(row)).transpose()
    }

    /// How many rules on this resource have not ended at this time, whatever their conditions. O(log rules) each.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn in_force_on(&mut self, resource: &Resource, now_s: u32) -> Result<usize, StoreError> {
        let TargetText { kind, target, .. } = TargetText::of_resource(resource);
        let count = self.in_force_on.query_row((target, kind, now_s), |row| row.get::<_, u32>(0))?;
        Ok(count as usize)
    }

    /// Adds a rule, whose target no other one may have.
    ///
    /// # Errors
    /// It cannot be written, or there are too many lists.
    pub fn insert(&mut self, rule: Rule, created_by: &str, created_at_s: u32) -> Result<Entry, StoreError> {
        let list = self.list(list_of(&rule)?)?;
        let TargetText { kind, target, conditions } = TargetText::of(&rule.target);
        let id = self.insert.insert((
            kind,
            target,
            conditions,
            verdict(rule.action),
            end(&rule),
            list,
            &*rule.reason,
            created_at_s,
            created_by,
        ))?;
        Ok(Entry { id, rule, created_at_s, created_by: created_by.to_owned() })
    }

    /// Gives the rule of this number what another one with its target has: action, end, list and reason.
    ///
    /// # Errors
    /// It cannot be written, or there are too many lists.
    pub fn update(&mut self, entry: Entry, rule: Rule) -> Result<Entry, StoreError> {
        let list = self.list(list_of(&rule)?)?;
        self.update.execute((verdict(rule.action), end(&rule), list, &*rule.reason, entry.id))?;
        Ok(Entry { rule, ..entry })
    }

    /// Removes the rule of this number.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove(&mut self, id: i64) -> Result<(), StoreError> {
        self.remove.execute([id])?;
        Ok(())
    }

    /// Removes rules that have ended at this time, so many of them at most, and says how many it were. O(them).
    ///
    /// # Errors
    /// They cannot be written.
    pub fn remove_ended(&mut self, now_s: u32, most: u32) -> Result<usize, StoreError> {
        let ended = ["SELECT id FROM rules WHERE expires_at_s <= ? AND ", ANY_KIND, " LIMIT ?"].concat();
        let sql = format!("DELETE FROM rules WHERE id IN ({ended})");
        Ok(self.view.connection.execute(&sql, [now_s, most])?)
    }

    /// Notes the revision of the state directory that is to have all these rules, and its mark, if that is known already.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_revision(&mut self, revision: u64, mark: Option<Mark>) -> Result<(), StoreError> {
        let sql = "INSERT INTO publication (one, revision, taken, digest) VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET \
                   revision = excluded.revision, taken = excluded.taken, digest = excluded.digest";
        let mark = mark.filter(|mark| mark.revision == revision);
        let taken = mark.map(|mark| mark.taken.cast_signed());
        let digest = mark.map(|mark| mark.digest.to_bits().cast_signed());
        self.view.connection.execute(sql, (revision.cast_signed(), taken, digest))?;
        Ok(())
    }

    /// The number of the list of this name, which is made if need be.
    fn list(&mut self, name: &str) -> Result<i64, StoreError> {
        if let Some(id) = self.lists.get(name) {
            return Ok(*id);
        }
        let connection = self.view.connection;
        let find = connection.query_row("SELECT id FROM lists WHERE name = ?", [name], |row| row.get(0));
        let id = match find.optional()? {
            Some(id) => id,
            None => {
                let count: u32 = connection.query_row("SELECT count(*) FROM lists", [], |row| row.get(0))?;
                let most = self.view.caps()?.max_lists;
                if count as usize >= most {
                    return Err(StoreError::TooManyLists(most));
                }
                connection.execute("INSERT INTO lists (name) VALUES (?)", [name])?;
                connection.last_insert_rowid()
            }
        };
        self.lists.insert(name.to_owned(), id);
        Ok(id)
    }
}
