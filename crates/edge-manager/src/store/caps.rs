//! How much there is, and how much the filter takes.

use rusqlite::OptionalExtension;
use serde::Deserialize;

use super::selection::ANY_KIND;
use super::{StoreError, View};
use crate::caps::Caps;
use crate::site::FilterInput;

/// Rules of the record by kind, ended ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// That allow clients.
    pub allow: u64,
    /// That refuse clients.
    pub block: u64,
    /// On resources.
    pub resource: u64,
}

impl RuleCounts {
    /// Of all kinds.
    pub fn all(&self) -> u64 {
        self.allow + self.block + self.resource
    }
}

impl View<'_> {
    /// How many rules there are, ended ones too.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rule_counts(&self) -> Result<RuleCounts, StoreError> {
        let mut statement = self.connection.prepare("SELECT kind, rules FROM rule_counts")?;
        let (mut rows, mut counts) = (statement.query([])?, RuleCounts::default());
        while let Some(row) = rows.next()? {
            let count = row.get::<_, i64>(1)?.cast_unsigned();
            match row.get_ref(0)?.as_str()? {
                "allow" => counts.allow += count,
                "block" => counts.block += count,
                _ => counts.resource += count,
            }
        }
        Ok(counts)
    }

    /// How many rules have not ended at this time. O(those that have).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn in_force(&self, now_s: u32) -> Result<u64, StoreError> {
        let sql = ["SELECT count(*) FROM rules WHERE expires_at_s <= ? AND ", ANY_KIND].concat();
        let ended = self.connection.query_row(&sql, [now_s], |row| row.get::<_, i64>(0))?;
        Ok(self.rule_counts()?.all().saturating_sub(ended.cast_unsigned()))
    }

    /// The caps of the filter that the site renders. O(bytes of what holds for all backends).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn caps(&self) -> Result<Caps, StoreError> {
        /// The part of the settings that counts here.
        #[derive(Default, Deserialize)]
        struct Global {
            filter: Option<FilterInput>,
        }
        let sql = "SELECT settings FROM global";
        let settings = self.connection.query_row(sql, [], |row| row.get::<_, String>(0)).optional()?;
        let Some(settings) = settings else { return Ok(Caps::default()) };
        // Settings that cannot be read are not published either, and `View::unreadable` names them.
        let global: Global = serde_json::from_str(&settings).unwrap_or_default();
        Ok(Caps::of(global.filter.as_ref()))
    }
}
