//! Rules on resources, learned and listed, page by page.

use std::fmt;
use std::str::FromStr;

use edge_filter::Target;

use super::Lesson;
use crate::rules::{Entry, RulesError};
use crate::store::{About, Kind, LessonSelection, Selection, View};

/// What was learned comes first, by number; then what is listed, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceId {
    /// A lesson.
    Learned(i64),
    /// A rule of the record.
    Rule(i64),
}

/// A word that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{:?}: an id is learned- or rule- with a number behind it, such as learned-7", &.0[..self.0.floor_char_boundary(80)])]
pub struct InvalidId(String);

impl FromStr for ResourceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (make, number): (fn(i64) -> Self, _) = match text.split_once('-') {
            Some(("learned", number)) => (Self::Learned, number),
            Some(("rule", number)) => (Self::Rule, number),
            _ => return Err(InvalidId(text.to_owned())),
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_number);
        number.map(make).ok_or_else(|| InvalidId(text.to_owned()))
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learned(id) => write!(f, "learned-{id}"),
            Self::Rule(id) => write!(f, "rule-{id}"),
        }
    }
}

/// Which to read: those in force for which all of this holds.
#[derive(Clone, Debug, Default)]
pub struct ResourceSelection {
    /// Without lessons, or without what is listed.
    pub is_learned: Option<bool>,
    /// About this host, in canonical form.
    pub host: Option<String>,
    /// Taught by this backend.
    pub backend: Option<String>,
    /// Behind this one.
    pub after: Option<ResourceId>,
    /// At most so many.
    pub limit: u32,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// What a backend taught: of a resource, or of a client.
    Learned(Lesson),
    /// A rule of the record on a resource.
    Rule(Entry),
}

impl Item {
    /// What it is called.
    pub fn id(&self) -> ResourceId {
        match self {
            Self::Learned(lesson) => ResourceId::Learned(lesson.id),
            Self::Rule(entry) => ResourceId::Rule(entry.id),
        }
    }

    /// What it matches.
    pub fn target(&self) -> &Target {
        match self {
            Self::Learned(lesson) => &lesson.rule.target,
            Self::Rule(entry) => &entry.rule.target,
        }
    }
}

/// A page of them.
///
/// # Errors
/// The record cannot be read.
pub fn page(record: &View<'_>, selection: &ResourceSelection, now_s: u32) -> Result<Vec<Item>, RulesError> {
    let ResourceSelection { is_learned, host, backend, after, limit } = selection.clone();
    let mut items = Vec::new();
    let first_lesson = match after {
        None => Some(0),
        Some(ResourceId::Learned(id)) => Some(id),
        Some(ResourceId::Rule(_)) => None,
    };
    if let Some(after) = first_lesson.filter(|_| is_learned != Some(false)) {
        let selection = LessonSelection { now_s, host: host.clone(), backend: backend.clone(), after, limit };
        items.extend(record.lessons(&selection)?.into_iter().map(Item::Learned));
    }
    let left = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(limit));
    if left == 0 || is_learned == Some(true) || backend.is_some() {
        return Ok(items);
    }
    let selection = Selection {
        kind: Some(Kind::Resource),
        about: host.map(|host| About::Begins(host + "/")),
        in_force_at_s: Some(now_s),
        after: after.map(|after| if let ResourceId::Rule(id) = after { id } else { 0 }),
        limit: Some(left),
        ..Selection::default()
    };
    record.with_entries(&selection, |entries| {
        for entry in entries {
            items.push(Item::Rule(entry?));
        }
        Ok::<_, RulesError>(())
    })??;
    Ok(items)
}
