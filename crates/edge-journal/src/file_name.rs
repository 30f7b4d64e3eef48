//! The names of the files of a state directory.

use std::fmt;
use std::sync::Arc;

/// Longest name of a worker, bytes.
const MAX_WORKER_BYTES: usize = 128;

/// What a file is: part of its preamble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// `rules.snapshot`
    Snapshot,
    /// `rules.list.<revision>`
    List,
    /// `rules.journal.<revision>`
    Journal,
    /// `learned/<worker>.journal`
    Learned,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshot => "snapshot",
            Self::List => "list file",
            Self::Journal => "rules journal",
            Self::Learned => "learned journal",
        })
    }
}

/// A file of a state directory; displayed as its path below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// `rules.snapshot`
    Snapshot,
    /// `rules.list.<revision>`
    List(u64),
    /// `rules.journal.<revision>`
    Journal(u64),
    /// `learned/<worker>.journal`, by [`FileName::learned`].
    Learned(Worker),
}

/// The name of a worker, which is that of a file: nothing in it leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker(Arc<str>);

impl Worker {
    /// 1 to 128 of `A-Z a-z 0-9 . _ -`, no dot first; `None` for anything else.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=MAX_WORKER_BYTES).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        fits.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FileName {
    /// The learned journal of the worker of this name, if it can be one: see [`Worker::new`].
    pub fn learned(worker: &str) -> Option<Self> {
        Worker::new(worker).map(Self::Learned)
    }

    /// What a file of this name holds.
    pub fn kind(&self) -> FileKind {
        match self {
            Self::Snapshot => FileKind::Snapshot,
            Self::List(_) => FileKind::List,
            Self::Journal(_) => FileKind::Journal,
            Self::Learned(_) => FileKind::Learned,
        }
    }

    /// Of a name in the state directory itself; `None` for what is not a file of rules.
    pub(crate) fn parse_rules(name: &str) -> Option<Self> {
        if name == "rules.snapshot" {
            return Some(Self::Snapshot);
        }
        let (make, digits): (fn(u64) -> Self, _) = match name.strip_prefix("rules.journal.") {
            Some(digits) => (Self::Journal, digits),
            None => (Self::List, name.strip_prefix("rules.list.")?),
        };
        let name_of = make(digits.parse().ok()?);
        // One file has one name: no sign, no leading zeros.
        (name_of.in_its_directory() == name).then_some(name_of)
    }

    /// Of a name in `learned/`.
    pub(crate) fn parse_learned(name: &str) -> Option<Self> {
        Self::learned(name.strip_suffix(".journal")?)
    }

    /// The name without `learned/`.
    pub(crate) fn in_its_directory(&self) -> String {
        match self {
            Self::Snapshot => "rules.snapshot".into(),
            Self::List(revision) => format!("rules.list.{revision}"),
            Self::Journal(revision) => format!("rules.journal.{revision}"),
            Self::Learned(worker) => format!("{}.journal", worker.0),
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = if self.kind() == FileKind::Learned { "learned/" } else { "" };
        write!(f, "{directory}{}", self.in_its_directory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        for name in [FileName::Snapshot, FileName::List(0), FileName::Journal(u64::MAX)] {
            assert_eq!(FileName::parse_rules(&name.to_string()), Some(name));
        }
        for text in ["", "rules", "rules.lock", "rules.journal.", "rules.journal.01", "rules.list.+1"] {
            assert_eq!(FileName::parse_rules(text), None, "{text}");
        }
        assert_eq!(FileName::parse_rules("rules.journal.18446744073709551616"), None);
    }

    #[test]
    fn a_worker_cannot_lead_elsewhere() {
        let name = FileName::learned("7-1700000000.a_b").unwrap();
        assert_eq!(name.to_string(), "learned/7-1700000000.a_b.journal");
        assert_eq!(FileName::parse_learned(&name.in_its_directory()), Some(name));
        for worker in ["", ".", "..", ".hidden", "a/b", "a\0", "é", &"a".repeat(129)] {
            assert_eq!(FileName::learned(worker), None, "{worker:?}");
        }
        assert_eq!(FileName::parse_learned("a.journal.new"), None);
    }
}
