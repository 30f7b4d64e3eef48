//! Many changes that are made as one.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::fields::{Fields, Text, object, told, value};
use super::{NewRuleJson, RemovalJson};
use crate::rules::{Change, MAX_CHANGES};

/// Many changes that are made as one. First the rules of `remove` are removed, then those of `rules` are made.
#[derive(Serialize, ToSchema)]
#[schema(as = Bulk)]
#[serde(deny_unknown_fields)]
pub struct BulkJson<'a> {
    /// To be removed.
    #[schema(required = false, max_items = 100_000)]
    remove: Vec<RemovalJson<'a>>,
    /// To be made.
    #[schema(required = false, max_items = 100_000)]
    rules: Vec<NewRuleJson<'a>>,
}

/// Many changes as JSON.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum BulkBody<'a> {
    /// Rules that are to be made.
    Rules(Vec<NewRuleJson<'a>>),
    /// And some that are to be removed before.
    Changes(BulkJson<'a>),
}

/// How changes are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON array of rules that are to be made, or a [`BulkJson`].
    Json,
    /// A rule on each line, or `{"remove": ...}` with one that is to be removed. Empty lines are no matter.
    Lines,
}

/// Changes as they were asked for, and where each stood.
#[derive(Debug)]
pub struct Bulk {
    changes: Vec<Change>,
    places: Places,
}

#[derive(Debug)]
enum Places {
    /// So many of `remove` come before those of `rules`.
    Json(usize),
    /// The number of each line.
    Lines(Vec<u32>),
}

/// Why changes cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// More at once than are held in memory.
    #[error("more than {MAX_CHANGES} changes at once")]
    TooMany,
    /// One line that names the place, the field and the value.
    #[error("{0}")]
    Invalid(String),
}

impl Bulk {
    /// Reads changes one at a time: nothing but them is held beside the text. O(bytes).
    ///
    /// # Errors
    /// The first that cannot be made, or there are too many.
    pub fn parse(text: &[u8], form: Form, by: &str, now_us: u64) -> Result<Self, BulkError> {
        match form {
            Form::Json => Self::parse_json(text, by, now_us),
            Form::Lines => Self::parse_lines(text, by, now_us),
        }
    }

    /// These changes as [`Form::Lines`].
    ///
    /// # Errors
    /// None: there is room for them.
    pub fn lines(changes: &[Change]) -> serde_json::Result<Vec<u8>> {
        let mut lines = Vec::new();
        for change in changes {
            match change {
                Change::Put(new, if_present) => {
                    serde_json::to_writer(&mut lines, &NewRuleJson::of(new, *if_present))?;
                }
                Change::Remove(target) => write_removal(&mut lines, RemovalJson::of(target))?,
                Change::RemoveNumber(id) => write_removal(&mut lines, RemovalJson::of_number(*id))?,
            }
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// The changes, and what tells where each stood.
    pub fn into_parts(self) -> (Vec<Change>, impl Fn(usize) -> String) {
        let place = move |at: usize| match &self.places {
            Places::Json(removed) if at < *removed => format!("remove[{at}]"),
            Places::Json(removed) => format!("rules[{}]", at - removed),
            Places::Lines(lines) => format!("line {}", lines.get(at).copied().unwrap_or_default()),
        };
        (self.changes, place)
    }

    fn parse_json(text: &[u8], by: &str, now_us: u64) -> Result<Self, BulkError> {
        let mut found = Found { by, now_us, removed: None, made: None, is_too_many: false };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let read = Document(&mut found).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        let Found { removed, made, is_too_many, .. } = found;
        match read {
            _ if is_too_many => Err(BulkError::TooMany),
            Err(error) => Err(BulkError::Invalid(told(&error))),
            Ok(()) => {
                let mut changes = removed.unwrap_or_default();
                let places = Places::Json(changes.len());
                changes.append(&mut made.unwrap_or_default());
                Ok(Self { changes, places })
            }
        }
    }

    fn parse_lines(text: &[u8], by: &str, now_us: u64) -> Result<Self, BulkError> {
        let (mut changes, mut lines) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.split(|b| *b == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            if changes.len() == MAX_CHANGES {
                return Err(BulkError::TooMany);
            }
            let at = |error: String| BulkError::Invalid(format!("line {number}: {error}"));
            let line: Line<'_> = serde_json::from_slice(line).map_err(|error| at(told_of_line(&error)))?;
            changes.push(line.change(by, now_us).map_err(at)?);
            lines.push(number);
        }
        Ok(Self { changes, places: Places::Lines(lines) })
    }
}

fn write_removal(lines: &mut Vec<u8>, remove: RemovalJson<'_>) -> serde_json::Result<()> {
    #[derive(Serialize)]
    struct Removed<'a> {
        remove: RemovalJson<'a>,
    }
    serde_json::to_writer(lines, &Removed { remove })
}

/// What is wrong, of a message that begins with the line.
pub(crate) fn without_place(message: &str) -> &str {
    let rest = message.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    rest.filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit())).map_or(message, |(_, what)| what)
}

/// The place in the line: its number is told already.
fn told_of_line(error: &serde_json::Error) -> String {
    told(error).replacen(" at line 1 column ", " at column ", 1)
}

/// What was read so far.
struct Found<'s> {
    by: &'s str,
    now_us: u64,
    removed: Option<Vec<Change>>,
    made: Option<Vec<Change>>,
    is_too_many: bool,
}

impl Found<'_> {
    fn len(&self) -> usize {
        [&self.removed, &self.made].into_iter().flatten().map(Vec::len).sum()
    }
}

/// An array of rules, or an object of two arrays.
struct Document<'f, 's>(&'f mut Found<'s>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rules, or an object of rules and remove")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Array { found: self.0, is_removed: false }.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "remove" => map.next_value_seed(Array { found: self.0, is_removed: true })?,
                "rules" => map.next_value_seed(Array { found: self.0, is_removed: false })?,
                _ => return Err(A::Error::custom("there is nothing but rules and remove in it")),
            }
        }
        Ok(())
    }
}

/// One of the arrays.
struct Array<'f, 's> {
    found: &'f mut Found<'s>,
    is_removed: bool,
}

impl<'de> DeserializeSeed<'de> for Array<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_removed { "remove, an array" } else { "rules, an array" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { found, is_removed } = self;
        let name = if is_removed { "remove" } else { "rules" };
        let place = if is_removed { &mut found.removed } else { &mut found.made };
        if place.replace(Vec::new()).is_some() {
            return Err(A::Error::custom(format_args!("{name}: given twice")));
        }
        for at in 0_usize.. {
            let here = |error: String| A::Error::custom(format_args!("{name}[{at}]: {error}"));
            let change = if is_removed {
                let removal = seq.next_element::<RemovalJson<'_>>();
                removal.map_err(|error| here(error.to_string()))?.map(|removal| removal.change())
            } else {
                let new = seq.next_element::<NewRuleJson<'_>>();
                new.map_err(|error| here(error.to_string()))?.map(|new| new.change(found.by, found.now_us))
            };
            let Some(change) = change else { break };
            let change = change.map_err(here)?;
            if found.len() == MAX_CHANGES {
                found.is_too_many = true;
                return Err(A::Error::custom(BulkError::TooMany));
            }
            let place = if is_removed { &mut found.removed } else { &mut found.made };
            place.get_or_insert_default().push(change);
        }
        Ok(())
    }
}

/// One line: a rule that is to be made, or `remove` and one that is to be removed.
#[derive(Default)]
struct Line<'a> {
    new: NewRuleJson<'a>,
    remove: Option<RemovalJson<'a>>,
}

impl<'de> Fields<'de> for Line<'de> {
    const NAME: &'static str = "a rule that is to be made, nor remove";

    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "remove" => value(&mut self.remove, name, map),
            _ => self.new.read(name, map),
        }
    }
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl Line<'_> {
    fn change(&self, by: &str, now_us: u64) -> Result<Change, String> {
        match &self.remove {
            None => self.new.change(by, now_us),
            Some(_) if self.new != NewRuleJson::default() => {
                Err("remove: not together with other fields".to_owned())
            }
            Some(removal) => removal.change().map_err(|error| format!("remove: {error}")),
        }
    }
}
