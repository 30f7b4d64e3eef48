//! What is wrong.

use std::fmt;

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// HAProxy does not answer.
    Haproxy,
    /// A worker has not the rules that it should have, or the files that it reads them from are damaged.
    Rules,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Haproxy, Self::Rules];

    /// As figures name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Rules => "rules",
        }
    }
}

/// Something that is wrong at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub kind: Kind,
    /// One line.
    pub text: String,
}

impl Problem {
    pub(super) fn new(kind: Kind, text: String) -> Self {
        Self { kind, text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
