//! Keys of the API.

use super::{Changes, StoreError, View};
use crate::access::{KeyHash, Role};

/// A key as it is kept.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its name, which no other one has.
    pub name: String,
    /// What it is good for.
    pub role: Role,
    /// All that is kept of the key itself.
    pub hash: KeyHash,
    /// When it was made, seconds since the Unix epoch.
    pub created_at_s: u32,
}

impl View<'_> {
    /// All keys, in the order in which they were made.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT id, name, role, hash, created_at_s FROM keys ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let role = row.get_ref(2)?.as_str()?.parse();
            let role = role.map_err(|reason| StoreError::Key { id, reason })?;
            let hash = KeyHash::from_bytes(row.get(3)?);
            keys.push(KeyRow { name: row.get(1)?, role, hash, created_at_s: row.get(4)? });
        }
        Ok(keys)
    }
}

impl Changes<'_> {
    /// Adds a key, whose name no other one may have.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        let KeyRow { name, role, hash, created_at_s } = key;
        let sql = "INSERT INTO keys (name, role, hash, created_at_s) VALUES (?, ?, ?, ?)";
        self.view.connection.execute(sql, (name, role.name(), hash.as_bytes(), created_at_s))?;
        Ok(())
    }

    /// Removes the key of this name, and says whether there was one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_key(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.view.connection.execute("DELETE FROM keys WHERE name = ?", [name])? > 0)
    }
}
