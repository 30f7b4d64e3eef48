//! What the files hold.

use std::sync::Arc;

use edge_filter::{AddressRule, Operation, Rule};

use crate::Seal;

/// The first record of every file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The revision that the file begins at: of a snapshot and a list, that of its rules; of a journal, the one
    /// before its first change. 0 in a learned journal.
    pub revision: u64,
    /// When the file was made, on the clock of the stamps.
    pub stamp_us: u64,
    /// Of a snapshot: learned records stamped before this are in it already, or were taken back since. Else 0.
    pub learned_until_us: u64,
    /// Of a snapshot: the names of the lists, the empty ones too. Of a list file: its name.
    pub lists: Vec<Arc<str>>,
}

/// One record. `stamp_us` is the larger of the wall clock in microseconds and the last stamp plus one: it
/// orders records of different files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The first of every file.
    Head(Head),
    /// Some of the rules of a snapshot or a list file, at most [`crate::MAX_RULES_PER_CHUNK`].
    Rules(Vec<Rule>),
    /// The same, of addresses that one list has for one reason: most rules are these.
    Addresses {
        /// The list.
        list: Arc<str>,
        /// The reason of each, empty for none.
        reason: Arc<str>,
        /// The rules, at most [`crate::MAX_RULES_PER_CHUNK`]; those of IPv4 are written before those of IPv6.
        rules: Vec<AddressRule>,
    },
    /// Before the last of a snapshot or a list file.
    Seal(Seal),
    /// The last of a snapshot or a list file.
    End {
        /// How many rules the file holds.
        rules: u64,
    },
    /// One change.
    Change {
        /// The revision that it makes; 0 in a learned journal.
        revision: u64,
        /// When.
        stamp_us: u64,
        /// What.
        operation: Operation,
    },
    /// The list of this name has the rules of `rules.list.<revision>` from now on.
    Replace {
        /// The revision that it makes, and the name of the file.
        revision: u64,
        /// When.
        stamp_us: u64,
        /// The list.
        list: Arc<str>,
    },
    /// The last of a rules journal that was rotated: `rules.journal.<revision>` goes on.
    Next {
        /// The revision that both journals meet at.
        revision: u64,
    },
}

impl Record {
    /// What kind of record it is, in one word.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Head(_) => "head",
            Self::Rules(_) => "rules",
            Self::Addresses { .. } => "addresses",
            Self::Seal(_) => "seal",
            Self::End { .. } => "end",
            Self::Change { .. } => "change",
            Self::Replace { .. } => "replace",
            Self::Next { .. } => "next",
        }
    }
}
