//! What backends taught.

use std::sync::Arc;

use edge_filter::{ClientNet, Origin, Provenance, Resource, Rule, Target};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement, params, params_from_iter};

use super::columns::{action, verdict};
use super::{Changes, StoreError, View};
use crate::caps::Caps;
use crate::learned::{Lesson, Over};
use crate::rules::{TargetText, target_of};

const LESSON: &str = "SELECT id, kind, target, conditions, verdict, expires_at_s, reason, learned_at_us, backend, \
     server, unique_id, request, over_at_us, over_by, published, client_network FROM lessons";

/// Which lessons to read: those that hold and have not ended, of this page.
#[derive(Clone, Debug, Default)]
pub struct LessonSelection {
    /// Not ended at this time, seconds since the Unix epoch.
    pub now_s: u32,
    /// About resources of this host, in canonical form.
    pub host: Option<String>,
    /// Taught by this backend.
    pub backend: Option<String>,
    /// With a greater number than this.
    pub after: i64,
    /// At most so many.
    pub limit: u32,
}

impl View<'_> {
    /// The lesson of this number, over or not. O(log lessons).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn lesson(&self, id: i64) -> Result<Option<Lesson>, StoreError> {
        let mut found = self.lessons_where(" WHERE id = ?", [Value::from(id)])?;
        Ok(found.pop())
    }

    /// A page of the lessons that hold, in the order of their numbers.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn lessons(&self, selection: &LessonSelection) -> Result<Vec<Lesson>, StoreError> {
        let LessonSelection { now_s, host, backend, after, limit } = selection;
        let mut sql = String::from(" WHERE id > ? AND over_at_us IS NULL AND expires_at_s > ?");
        let mut values = vec![Value::from(*after), Value::from(*now_s)];
        for (column, value) in [(" AND host = ?", host), (" AND backend = ?", backend)] {
            if let Some(value) = value {
                sql.push_str(column);
                values.push(Value::from(value.clone()));
            }
        }
        sql.push_str(" ORDER BY id LIMIT ?");
        values.push(Value::from(*limit));
        self.lessons_where(&sql, values)
    }

    /// The lessons that the manager's files in the state directory have to speak of. O(them).
    ///
    /// # Errors
    /// They cannot be read.
    pub fn published_lessons(&self, now_s: u32) -> Result<Vec<Lesson>, StoreError> {
        self.lessons_where(" WHERE published = 1 AND expires_at_s > ?", [Value::from(now_s)])
    }

    /// Learned rules that cannot be read. O(them).
    pub(super) fn unreadable_lessons(&self) -> Vec<String> {
        self.each(LESSON, |row| lesson(row).map(drop))
    }

    /// The numbers of all lessons that hold and that the manager's files do not speak of. O(lessons).
    ///
    /// # Errors
    /// They cannot be read.
    pub fn unpublished_lessons(&self, now_s: u32) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT id FROM lessons WHERE over_at_us IS NULL AND published = 0 AND expires_at_s > ? ORDER BY id";
        let mut statement = self.connection.prepare(sql)?;
        let ids = statement.query_map([now_s], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn lessons_where(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Lesson>, StoreError> {
        let mut statement = self.connection.prepare(&[LESSON, sql].concat())?;
        read(&mut statement.query(params_from_iter(values))?)
    }
}

/// Lessons under change, by statements that are prepared once.
#[derive(Debug)]
pub struct LessonChanges<'c> {
    connection: &'c Connection,
    on_target: Statement<'c>,
    on_resource: Statement<'c>,
    put: Statement<'c>,
    end: Statement<'c>,
    publish: Statement<'c>,
}

impl<'c> Changes<'c> {
    /// To change lessons in this transaction.
    ///
    /// # Errors
    /// The record has no lessons.
    pub fn lessons_to_change(&self) -> Result<LessonChanges<'c>, StoreError> {
        let connection = self.view.connection;
        let on = [LESSON, " WHERE target = ? AND kind = ?"].concat();
        Ok(LessonChanges {
            connection,
            on_target: connection.prepare(&[&on, " AND conditions = ?"].concat())?,
            on_resource: connection.prepare(&on)?,
            put: connection.prepare(
                "INSERT INTO lessons (kind, target, conditions, host, verdict, expires_at_s, reason, learned_at_us, \
                 backend, server, unique_id, request, client_network) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
                 ON CONFLICT (target, kind, conditions) DO UPDATE SET verdict = ?5, expires_at_s = ?6, reason = ?7, \
                 learned_at_us = ?8, backend = ?9, server = ?10, unique_id = ?11, request = ?12, client_network = ?13, \
                 over_at_us = NULL, over_by = NULL, published = 0 RETURNING id",
            )?,
            end: connection
                .prepare("UPDATE lessons SET over_at_us = ?, over_by = ?, published = ? WHERE id = ?")?,
            publish: connection.prepare("UPDATE lessons SET published = ? WHERE id = ?")?,
        })
    }
}

impl LessonChanges<'_> {
    /// The lesson with this target, over or not. O(log lessons).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn on_target(&mut self, target: &Target) -> Result<Option<Lesson>, StoreError> {
        let TargetText { kind, target, conditions } = TargetText::of(target);
        Ok(read(&mut self.on_target.query((target, kind, conditions))?)?.pop())
    }

    /// The lessons on this resource, whatever their conditions. O(log lessons) each.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn on_resource(&mut self, resource: &Resource) -> Result<Vec<Lesson>, StoreError> {
        let TargetText { kind, target, .. } = TargetText::of_resource(resource);
        read(&mut self.on_resource.query((target, kind))?)
    }

    /// Puts a lesson in the place of whatever there is with its target, and gives its number. The rule of a list is none.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&mut self, rule: &Rule) -> Result<Option<i64>, StoreError> {
        let Origin::Learned(from) = &rule.origin else { return Ok(None) };
        let TargetText { kind, target, conditions } = TargetText::of(&rule.target);
        let host = match &rule.target {
            Target::Resource(resource, _) => resource.host.as_ref().map_or("", |host| host.as_str()),
            Target::Client(..) => "",
        };
        let Provenance { backend, server, unique_id, request, learned_at_us, client_network } = &**from;
        let id = self.put.query_row(
            params![
                kind,
                target,
                conditions,
                host,
                verdict(rule.action),
                rule.expires_at_s,
                &*rule.reason,
                learned_at_us.cast_signed(),
                backend,
                server,
                unique_id,
                request,
                client_network.map(|network| network.to_string())
            ],
            |row| row.get(0),
        )?;
        Ok(Some(id))
    }

    /// Ends a lesson before its time.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(&mut self, id: i64, over: &Over, is_published: bool) -> Result<(), StoreError> {
        self.end.execute((over.at_us.cast_signed(), &*over.by, is_published, id))?;
        Ok(())
    }

    /// Notes whether the manager's files speak of a lesson.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_published(&mut self, id: i64, is_published: bool) -> Result<(), StoreError> {
        self.publish.execute((is_published, id))?;
        Ok(())
    }

    /// Removes lessons that have ended, and those beyond the caps of the filter: of a host, and of all, those that end first
    /// give way. What was taken back is held to the same caps, and takes no place of what holds. O(lessons) where there are
    /// more than one host may have, else O(those removed).
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep_caps(&self, caps: &Caps, now_s: u32) -> Result<(), StoreError> {
        /// What holds, and what is over.
        const THOSE: [&str; 2] = ["over_at_us IS NULL", "over_at_us IS NOT NULL"];
        self.connection.execute("DELETE FROM lessons WHERE expires_at_s <= ?", [now_s])?;
        let Caps { max_learned, max_learned_per_host, .. } = *caps;
        let all: u32 = self.connection.query_row("SELECT count(*) FROM lessons", [], |row| row.get(0))?;
        if all <= max_learned.min(max_learned_per_host) {
            return Ok(());
        }
        let (mut full, mut all) = (Vec::new(), [0; 2]);
        let sql = "SELECT host, count(*) - count(over_at_us), count(over_at_us) FROM lessons GROUP BY host";
        let mut hosts = self.connection.prepare(sql)?;
        let mut hosts = hosts.query([])?;
        while let Some(row) = hosts.next()? {
            let there: [u32; 2] = [row.get(1)?, row.get(2)?];
            for ((those, there), all) in THOSE.into_iter().zip(there).zip(&mut all) {
                let excess = there.saturating_sub(max_learned_per_host);
                if excess > 0 {
                    full.push((those, row.get::<_, String>(0)?, excess));
                }
                *all += there - excess;
            }
        }
        let first = |of: &str| {
            let first = format!("SELECT id FROM lessons WHERE {of} ORDER BY expires_at_s, id LIMIT ?");
            format!("DELETE FROM lessons WHERE id IN ({first})")
        };
        for (those, host, excess) in full {
            self.connection.execute(&first(&format!("host = ? AND {those}")), (host, excess))?;
        }
        for (those, all) in THOSE.into_iter().zip(all) {
            self.connection.execute(&first(those), [all.saturating_sub(max_learned)])?;
        }
        Ok(())
    }
}

fn read(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Lesson>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        match lesson(row) {
            // One bad row is no reason to have none of the others: `View::unreadable` names it.
            Err(StoreError::Lesson { .. }) => {}
            lesson => found.push(lesson?),
        }
    }
    Ok(found)
}

fn lesson(row: &Row<'_>) -> Result<Lesson, StoreError> {
    let id = row.get(0)?;
    lesson_of(id, row).map_err(|error| match error {
        StoreError::Lesson { .. } => error,
        other => StoreError::Lesson { id, reason: other.to_string() },
    })
}

fn lesson_of(id: i64, row: &Row<'_>) -> Result<Lesson, StoreError> {
    let bad = |reason: String| StoreError::Lesson { id, reason };
    let target = target_of(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
    let client_network = row.get_ref(15)?.as_str_or_null()?.map(str::parse::<ClientNet>);
    let from = Provenance {
        learned_at_us: row.get::<_, i64>(7)?.cast_unsigned(),
        backend: row.get(8)?,
        server: row.get(9)?,
        unique_id: row.get(10)?,
        request: row.get(11)?,
        client_network: client_network.transpose().map_err(|e| bad(e.to_string()))?,
    };
    let rule = Rule {
        target: target.map_err(bad)?,
        action: action(row.get(4)?).ok_or_else(|| bad("no such verdict".into()))?,
        expires_at_s: row.get(5)?,
        origin: Origin::Learned(Arc::new(from)),
        reason: row.get_ref(6)?.as_str()?.into(),
    };
    let over = match row.get::<_, Option<i64>>(12)? {
        Some(at_us) => Some(Over { at_us: at_us.cast_unsigned(), by: row.get(13)? }),
        None => None,
    };
    Ok(Lesson { id, rule, over, is_published: row.get(14)? })
}
