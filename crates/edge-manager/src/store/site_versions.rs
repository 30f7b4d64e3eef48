//! What earlier configurations were made from, and the one that somebody went back to.

use rusqlite::OptionalExtension;

use super::{Changes, StoreError, View};
use crate::sites::SiteRecord;

impl View<'_> {
    /// What this configuration was made from; `None` where that is not known, as of those that earlier versions have made.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn site_version(&self, version: u64) -> Result<Option<SiteRecord>, StoreError> {
        let sql = "SELECT site FROM site_versions WHERE config_version = ?";
        let site = self.connection.query_row(sql, [version.cast_signed()], |row| row.get::<_, String>(0));
        let part = || format!("what configuration {version} was made from");
        let read = |site: String| {
            serde_json::from_str(&site).map_err(|reason| StoreError::Part { part: part(), reason })
        };
        site.optional()?.map(read).transpose()
    }

    /// The configuration that somebody went back to, if another one was not published since.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rolled_back(&self) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT config_version FROM rolled_back";
        let version = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(version.optional()?.map(i64::cast_unsigned))
    }
}

impl Changes<'_> {
    /// Notes what this configuration was made from, and forgets that of those that are not among `kept`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_site_version(
        &mut self,
        version: u64,
        site: &SiteRecord,
        kept: &[u64],
    ) -> Result<(), StoreError> {
        let connection = self.view.connection;
        let part = || format!("what configuration {version} was made from");
        let site = serde_json::to_string(site).map_err(|reason| StoreError::Part { part: part(), reason })?;
        let sql = "INSERT INTO site_versions VALUES (?, ?) ON CONFLICT DO UPDATE SET site = excluded.site";
        connection.execute(sql, (version.cast_signed(), site))?;
        let mut known = connection.prepare("SELECT config_version FROM site_versions")?;
        let known: Vec<i64> = known.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let is_gone = |known: &i64| *known != version.cast_signed() && !kept.contains(&known.cast_unsigned());
        for gone in known.into_iter().filter(is_gone) {
            connection.execute("DELETE FROM site_versions WHERE config_version = ?", [gone])?;
        }
        Ok(())
    }

    /// Notes the configuration that somebody went back to, or that another one was published since.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_rolled_back(&mut self, version: Option<u64>) -> Result<(), StoreError> {
        let connection = self.view.connection;
        match version {
            Some(version) => {
                let sql = "INSERT INTO rolled_back VALUES (1, ?) ON CONFLICT DO UPDATE SET \
                           config_version = excluded.config_version";
                connection.execute(sql, [version.cast_signed()])?;
            }
            None => _ = connection.execute("DELETE FROM rolled_back", [])?,
        }
        Ok(())
    }
}
