//! Which rules to read.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use edge_filter::{Action, ClientNet};
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::columns::verdict;
use crate::rules::covering;

/// All kinds as a condition, for indexes that begin with the kind.
pub(super) const ANY_KIND: &str = "kind IN ('allow', 'block', 'exact', 'prefix')";

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
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

/// What a rule's target has to do with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A rule on clients takes in all of this network. O(log rules) for each length of a prefix.
    Covers(ClientNet),
    /// It begins with this text in canonical form. O(targets that do · log rules).
    Begins(String),
}

impl From<&str> for About {
    /// Of an address or a CIDR, the rules that take it in; of any other text, those whose target begins with it: a host, a path, a piece of an address.
    fn from(text: &str) -> Self {
        if let Ok(net) = text.parse() {
            return Self::Covers(net);
        }
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        Self::Begins(host.to_ascii_lowercase() + path)
    }
}

impl About {
    fn push(&self, order: &Order, sql: &mut String, values: &mut Vec<Value>) {
        match self {
            Self::Covers(net) => {
                let nets = covering(*net).map(Value::Text).collect::<Vec<_>>();
                let places = vec!["?"; nets.len()].join(",");
                // Beside the range of ids, SQLite would rather read all rules on clients than look up a few targets.
                let _ = write!(
                    sql,
                    " AND rules.id IN (SELECT id FROM rules INDEXED BY rules_by_target WHERE kind IN ('allow', 'block') \
                     AND target IN ({places}))"
                );
                values.extend(nets);
            }
            Self::Begins(text) => {
                // The order of targets begins with it.
                if !matches!(order, Order::Target(_)) {
                    sql.push_str(" AND target >= ?");
                    values.push(Value::Text(text.clone()));
                }
                sql.push_str(" AND target < ?");
                // No text that is valid goes on with the greatest character there is.
                values.push(Value::Text(format!("{text}\u{10ffff}")));
            }
        }
    }
}

/// In which order rules are read, and where the page before ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By number, behind [`Selection::after`].
    #[default]
    Oldest,
    /// From the greatest number on: before [`Selection::after`].
    Newest,
    /// By the text of the target, behind this one.
    Target(Option<String>),
    /// What ends first, behind what ends then and has this number. What has no end is left out.
    End(Option<(u32, i64)>),
}

/// Which rules to read: those for which all of this holds. By default, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of the list of this name.
    pub list: Option<Arc<str>>,
    /// With this action.
    pub action: Option<Action>,
    /// With such a target.
    pub about: Option<About>,
    /// That have not ended at this time, seconds since the Unix epoch.
    pub in_force_at_s: Option<u32>,
    /// That have ended at this time, seconds since the Unix epoch.
    pub ended_at_s: Option<u32>,
    /// With a greater number than this, or a lesser one of the newest first: where the page before ended.
    pub after: Option<i64>,
    /// In this order.
    pub order: Order,
    /// At most so many.
    pub limit: Option<u32>,
}

impl Selection {
    /// What follows the columns of a query, and its parameters.
    ///
    /// Of one kind of clients an index serves each order, with a list and without one, and a text that targets begin with in
    /// the order of targets. Else one serves each condition but the two of time, in the order of numbers.
    pub(super) fn to_sql(&self) -> (String, Vec<Value>) {
        let (mut sql, mut values) = (String::from(" WHERE "), Vec::new());
        // A plus keeps SQLite from the index of a column. A few rules that are known by their numbers need no other one.
        let is_few = matches!(self.about, Some(About::Covers(_)));
        let end = self.push_order(is_few, &mut sql, &mut values);
        let plus = if is_few { "+" } else { "" };
        match self.kind {
            // The index of targets has them by kind.
            None if matches!(self.about, Some(About::Begins(_))) => sql.extend([" AND ", ANY_KIND]),
            None => {}
            Some(Kind::Allow) => sql.extend([" AND ", plus, "kind = 'allow'"]),
            Some(Kind::Block) => sql.extend([" AND ", plus, "kind = 'block'"]),
            Some(Kind::Resource) => {
                // Along an index of two kinds, all rules would be put in order.
                let plus = if self.order.has_index() || self.list.is_some() { "+" } else { plus };
                sql.extend([" AND ", plus, "kind IN ('exact', 'prefix')"]);
            }
        }
        if let Some(list) = &self.list {
            sql.extend([" AND ", plus, "rules.list = (SELECT id FROM lists WHERE name = ?)"]);
            values.push(Value::Text(list.to_string()));
        }
        if let Some(action) = self.action {
            let plus = if self.order.has_index() { "+" } else { plus };
            sql.extend([" AND ", plus, "verdict = ?"]);
            values.push(i64::from(verdict(action)).into());
        }
        if let Some(about) = &self.about {
            about.push(&self.order, &mut sql, &mut values);
        }
        if let Some(now_s) = self.in_force_at_s {
            sql.push_str(" AND (expires_at_s IS NULL OR expires_at_s > ?)");
            values.push(i64::from(now_s).into());
        }
        if let Some(now_s) = self.ended_at_s {
            sql.push_str(" AND expires_at_s <= ?");
            values.push(i64::from(now_s).into());
        }
        sql.push_str(end);
        if let Some(limit) = self.limit {
            // A String takes whatever is written.
            let _ = write!(sql, " LIMIT {limit}");
        }
        (sql, values)
    }

    /// What the page before had is left out; the order itself, for the end of the query. A few rules are put in order.
    fn push_order(&self, is_few: bool, sql: &mut String, values: &mut Vec<Value>) -> &'static str {
        match &self.order {
            Order::Oldest => {
                sql.push_str("rules.id > ?");
                values.push(self.after.unwrap_or(0).into());
                " ORDER BY rules.id"
            }
            Order::Newest => {
                sql.push_str("rules.id < ?");
                values.push(self.after.unwrap_or(i64::MAX).into());
                " ORDER BY rules.id DESC"
            }
            Order::Target(after) => {
                let after = after.as_deref().unwrap_or_default();
                // One bound and no other: of two, SQLite may begin to read at the lesser one.
                let (begin, condition) = match &self.about {
                    Some(About::Begins(text)) if after < text.as_str() => (text.as_str(), "target >= ?"),
                    _ => (after, "target > ?"),
                };
                sql.extend([if is_few { "+" } else { "" }, condition]);
                values.push(Value::Text(begin.to_owned()));
                if is_few { " ORDER BY +target" } else { " ORDER BY target" }
            }
            Order::End(after) => {
                // Those that have ended are passed over, not read.
                let ended = self.in_force_at_s.map(|now_s| (now_s, i64::MAX));
                let (end_s, id) = (*after).max(ended).unwrap_or_default();
                sql.extend(["expires_at_s IS NOT NULL AND (", if is_few { "+" } else { "" }]);
                sql.push_str("expires_at_s, rules.id) > (?, ?)");
                values.extend([i64::from(end_s).into(), id.into()]);
                if is_few { " ORDER BY +expires_at_s, rules.id" } else { " ORDER BY expires_at_s, rules.id" }
            }
        }
    }
}

impl Order {
    /// Whether rules are read along an index of this order.
    fn has_index(&self) -> bool {
        matches!(self, Self::Target(_) | Self::End(_))
    }
}
