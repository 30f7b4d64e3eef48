//! What became of a publication, and what is known of those before.

use crate::haproxy::Enforcement;

use super::manifest::Manifest;

/// A configuration in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its set.
    pub set: u64,
    /// Whether it is a new one: the same files are no new set.
    pub is_changed: bool,
    /// The set that was in force before; `None` where there was none, or one that cannot be read.
    pub before: Option<u64>,
    /// Whether HAProxy runs it.
    pub enforcement: Enforcement,
    /// Whether the filter is loaded in it.
    pub has_filter: bool,
}

impl AsMut<Self> for Published {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl AsRef<Self> for Published {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What a publication would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// As a unified diff; empty if nothing would change.
    pub diff: String,
}

/// A set that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Where it is from.
    pub manifest: Manifest,
    /// Whether it is the one in force.
    pub is_current: bool,
    /// Whether it is the last good one, to which is gone back.
    pub is_good: bool,
}
