//! Keys of the API.

use rusqlite::{OptionalExtension, Row};

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
        let mut statement = self.connection.prepare(KEYS)?;
        let mut rows = statement.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            match key(row) {
                Err(StoreError::Key { id, .. }) => keys.push(unreadable(id)),
                key => keys.push(key?),
            }
        }
        Ok(keys)
    }

    /// Keys that cannot be read.
    pub(super) fn unreadable_keys(&self) -> Vec<String> {
        self.each(KEYS, |row| key(row).map(drop))
    }
}

const KEYS: &str = "SELECT id, name, role, hash, created_at_s FROM keys ORDER BY id";

const KEY: &str = "SELECT id, name, role, hash, created_at_s FROM keys WHERE id = ?";

fn key(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let id = row.get(0)?;
    let read = || -> Result<KeyRow, StoreError> {
        let role =
            row.get_ref(2)?.as_str()?.parse::<Role>().map_err(|reason| StoreError::Key { id, reason })?;
        let hash = KeyHash::from_bytes(row.get(3)?);
        Ok(KeyRow { name: row.get(1)?, role, hash, created_at_s: row.get(4)? })
    };
    read().map_err(|error| match error {
        StoreError::Key { .. } => error,
        _ => StoreError::Key { id, reason: "a column is of another type" },
    })
}

/// In the place of a key that cannot be read: it lets nobody in, and yet is one, so that the manager is not taken for one
/// without keys. Nothing has this hash.
fn unreadable(id: i64) -> KeyRow {
    KeyRow {
        name: format!("unreadable-{id}"),
        role: Role::Reader,
        hash: KeyHash::from_bytes([0; 32]),
        created_at_s: 0,
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
        let connection = self.view.connection;
        let unreadable = name.strip_prefix("unreadable-").and_then(|id| id.parse::<i64>().ok());
        let removed = match unreadable {
            Some(id)
                if connection.query_row(KEY, [id], |row| Ok(key(row).is_err())).optional()? == Some(true) =>
            {
                connection.execute("DELETE FROM keys WHERE id = ?", [id])?
            }
            _ => connection.execute("DELETE FROM keys WHERE name = ?", [name])?,
        };
        Ok(removed > 0)
    }
}
