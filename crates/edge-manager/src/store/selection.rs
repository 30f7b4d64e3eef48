//! Which rules to read.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::types::Value;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Clients that are never blocked.
    Allow,
    /// Clients that are refused.
    Block,
    /// Requests for a resource.
    Resource,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "allow" => Ok(Self::Allow),
            "block" => Ok(Self::Block),
            "resource" => Ok(Self::Resource),
            _ => Err("a kind is allow, block or resource"),
        }
    }
}

/// Which rules to read: those for which all of this holds. By default, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of the list of this name.
    pub list: Option<Arc<str>>,
    /// That have not ended at this time, seconds since the Unix epoch.
    pub in_force_at_s: Option<u32>,
    /// With a greater number than this: where the page before ended.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: Option<u32>,
}

impl Selection {
    /// What follows the columns of a query, and its parameters. An index serves each condition, and ends with the id.
    pub(super) fn to_sql(&self) -> (String, Vec<Value>) {
        let (mut sql, mut values) =
            (String::from(" WHERE rules.id > ?"), vec![self.after.unwrap_or(0).into()]);
        match self.kind {
            None => {}
            Some(Kind::Allow) => sql.push_str(" AND kind = 'allow'"),
            Some(Kind::Block) => sql.push_str(" AND kind = 'block'"),
            Some(Kind::Resource) => sql.push_str(" AND kind IN ('exact', 'prefix')"),
        }
        if let Some(list) = &self.list {
            sql.push_str(" AND rules.list = (SELECT id FROM lists WHERE name = ?)");
            values.push(Value::Text(list.to_string()));
        }
        if let Some(now_s) = self.in_force_at_s {
            sql.push_str(" AND (expires_at_s IS NULL OR expires_at_s > ?)");
            values.push(i64::from(now_s).into());
        }
        sql.push_str(" ORDER BY rules.id");
        if let Some(limit) = self.limit {
            // A String takes whatever is written.
            let _ = write!(sql, " LIMIT {limit}");
        }
        (sql, values)
    }
}
